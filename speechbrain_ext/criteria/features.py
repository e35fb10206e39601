"""Distances between clean and repaired features."""

import torch
from speechbrain.dataio.dataio import length_to_mask


class FeatureL1(torch.nn.Module):
    """Mean absolute difference of the features (eq. 1 of paper 0, L_1).

    Frames past an utterance's end do not count.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> batch = SimpleNamespace(
    ...     clean=torch.zeros(2, 4, 3),
    ...     repaired=torch.ones(2, 4, 3),
    ...     frame_lengths=torch.tensor([1.0, 0.5]),
    ... )
    >>> FeatureL1()(batch)
    tensor([1., 1.])
    """

    def forward(self, restoration):
        """Compare what was repaired with what was clean.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance.
        """
        difference = (restoration.clean - restoration.repaired).abs()
        frames = difference.shape[1]
        ends = (restoration.frame_lengths * frames).round().clamp(min=1)
        inside = length_to_mask(ends, frames, dtype=difference.dtype)
        return (difference.mean(dim=2) * inside).sum(dim=1) / ends
