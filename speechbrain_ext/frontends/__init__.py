"""Modules that repair damaged features."""
