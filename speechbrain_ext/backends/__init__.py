"""Models that understand speech."""
