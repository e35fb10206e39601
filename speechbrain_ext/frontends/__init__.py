"""Modules that repair damaged features or waveforms."""
