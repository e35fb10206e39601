"""Models of damage and their application to waveforms and features."""
