"""No features, for recognisers that compute their own."""

import torch

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.features.frames import mask_padding


class Waveform(torch.nn.Module):
    """The samples themselves, as features of one channel.

    Example
    -------
    >>> Waveform()(torch.zeros(2, 100), torch.ones(2)).shape
    torch.Size([2, 100, 1])
    """

    #: What interfaces give at once: recognisers were trained on short sentences.
    max_samples = 30 * SAMPLE_RATE

    def forward(self, wavs, lengths):
        """Add a channel.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time].
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, time, 1], zero past each utterance's end.
        """
        return mask_padding(wavs, lengths)[..., None]

    def relative_frames(self, lengths, samples, frames):
        """Say where utterances end: a frame is a sample.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative.
        samples, frames : int
            How many the batch has of each; not used.

        Returns
        -------
        torch.Tensor
            ``lengths``.
        """
        return lengths

    def lost_share(self, lost_samples, frames):
        """Say which samples were lost.

        Arguments
        ---------
        lost_samples : torch.Tensor
            [batch, time], bool.
        frames : int
            How many samples there are; not used.

        Returns
        -------
        torch.Tensor
            [batch, time], float32.
        """
        return lost_samples.float()
