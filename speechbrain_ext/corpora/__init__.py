"""A dataset's folder -> SpeechBrain manifests; a corpus that needs no download."""
