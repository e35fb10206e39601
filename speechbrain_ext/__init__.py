"""Speech recognition and enhancement that survive noise and packet loss."""

__version__ = "0.1.0"
