"""What SpeechBrain's foreign_class imports; load() does not look at it."""

from speechbrain_ext.inference import FusionASR  # noqa: F401
