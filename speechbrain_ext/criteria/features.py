"""Distances between clean and repaired features."""

import torch
from speechbrain.dataio.dataio import length_to_mask


def mean_until_end(values, lengths):
    """Average over time, without what lies past each utterance's end.

    Arguments
    ---------
    values : torch.Tensor
        [batch, time].
    lengths : torch.Tensor
        [batch], relative.

    Returns
    -------
    torch.Tensor
        [batch].

    Example
    -------
    >>> values = torch.tensor([[1.0, 3.0], [1.0, 3.0]])
    >>> mean_until_end(values, torch.tensor([1.0, 0.5]))
    tensor([2., 1.])
    """
    ends = (lengths * values.shape[1]).round().clamp(min=1)
    inside = length_to_mask(ends, values.shape[1], dtype=values.dtype)
    return (values * inside).sum(dim=1) / ends


class FeatureDistance(torch.nn.Module):
    """Mean difference of the features (eq. 1 of paper 0, L_1).

    Frames past an utterance's end do not count.

    Arguments
    ---------
    power : int
        1 for absolute, 2 for squared differences (L1, L2).
    output : str, optional
        Which of a front-end's named outputs; what is repaired if not given.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> batch = SimpleNamespace(
    ...     clean=torch.zeros(2, 4, 3),
    ...     repaired=torch.ones(2, 4, 3),
    ...     frame_lengths=torch.tensor([1.0, 0.5]),
    ... )
    >>> FeatureDistance()(batch)
    tensor([1., 1.])
    """

    def __init__(self, power=1, output=None):
        super().__init__()
        self.power = power
        self.output = output

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
        repaired = restoration.repaired
        if self.output is not None:
            repaired = restoration.outputs[self.output]
        difference = (restoration.clean - repaired).abs()
        difference = difference**self.power
        return mean_until_end(difference.mean(dim=2), restoration.frame_lengths)
