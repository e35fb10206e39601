"""Speech enhancement with a model that was trained with perceptual loss."""

from speechbrain_ext.inference.speech_enhancer import SpeechEnhancer


class PerceptualEnhancer(SpeechEnhancer):
    """A front-end that takes the noise out of speech.

    The model of paper 1 (Plantinga, Bagchi & Fosler-Lussier). Load it with
    ``PerceptualEnhancer.from_hparams(source=FOLDER_OR_HUB_ID)``. Audio of any
    length is enhanced in chunks that overlap and are faded into each other, so
    that memory is bounded.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them.

    Example
    -------
    >>> import torch
    >>> from speechbrain_ext.features.log_magnitude import LogMagnitude
    >>> from speechbrain_ext.frontends.wide_resnet import WideResNetEnhancer
    >>> enhancer = PerceptualEnhancer(
    ...     modules={
    ...         "features": LogMagnitude(),
    ...         "front_end": WideResNetEnhancer([8, 8], dense=[16]),
    ...     },
    ...     hparams={},
    ... )
    >>> enhancer.enhance_signal(torch.zeros(16000)).shape
    torch.Size([16000])
    """

    #: What a frame depends on reaches a third of a second, but for the means of
    #: squeeze and excitation, which want to hear some speech.
    chunk_seconds = 12.0
    overlap_seconds = 1.0

    def enhance_whole(self, wavs, lengths):
        """Repair the features, and go back to a waveform.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz, on the model's device.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        features = self.mods.features
        feats = features(wavs, lengths)
        frame_lengths = features.relative_frames(
            lengths, wavs.shape[1], feats.shape[1]
        )
        repaired = self.mods.front_end(feats, frame_lengths)
        return features.resynthesise(repaired, wavs, lengths)
