"""Damage by level by system: results, table and figure."""
