"""A front-end for spectral features behind the border of a waveform."""

import torch


class SpectralFrontEnd(torch.nn.Module):
    """Waveform to features, front-end, and back to a waveform.

    What a recogniser with features of its own is given (section V-C of
    paper 1).

    Arguments
    ---------
    features : torch.nn.Module
        What has ``resynthesise``:
        :class:`~speechbrain_ext.features.log_magnitude.LogMagnitude`.
    enhancer : torch.nn.Module
        ``(feats, lengths) -> feats``.
    frozen : bool
        Whether the enhancer stays as it is, in evaluation mode.
    bypass : bool
        Leave the waveforms as they are: the recogniser hears the noise (the
        paper's system without enhancement).

    Example
    -------
    >>> from speechbrain_ext.features.log_magnitude import LogMagnitude
    >>> from speechbrain_ext.frontends.identity import Identity
    >>> front_end = SpectralFrontEnd(LogMagnitude(), Identity())
    >>> wavs = torch.randn(1, 1600)
    >>> repaired = front_end(wavs, torch.ones(1))
    >>> torch.allclose(repaired, wavs, atol=1e-4)
    True
    """

    #: The brain and the interfaces ask.
    takes_waveforms = True

    def __init__(self, features, enhancer, frozen=False, bypass=False):
        super().__init__()
        self.features = features
        self.enhancer = enhancer
        self.frozen = frozen or bypass
        self.bypass = bypass
        if self.frozen:
            self.requires_grad_(False)
            self.eval()

    def train(self, mode=True):
        """Follow what is asked, unless the enhancer is frozen.

        Arguments
        ---------
        mode : bool
            Whether to train.

        Returns
        -------
        torch.nn.Module
            The module itself.
        """
        return super().train(mode and not self.frozen)

    def forward(self, wavs, lengths, lost=None):
        """Repair a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time].
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            Not used: the features of lost samples are repaired as they are.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        if self.bypass:
            return wavs
        feats = self.features(wavs, lengths)
        frame_lengths = self.features.relative_frames(
            lengths, wavs.shape[1], feats.shape[1]
        )
        repaired = self.enhancer(feats, frame_lengths)
        return self.features.resynthesise(repaired, wavs, lengths)
