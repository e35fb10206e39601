"""A dataset's folder -> SpeechBrain manifests; a corpus without a download."""
