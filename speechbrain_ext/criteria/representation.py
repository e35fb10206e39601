"""Distances in what a frozen network makes of clean and repaired features."""

import torch

from speechbrain_ext.criteria.features import mean_until_end


def encode_repaired(restoration, back_end):
    """Encode the repaired features once for all criteria that ask.

    Arguments
    ---------
    restoration : Restoration
        The batch; it keeps what was computed.
    back_end : torch.nn.Module
        What has ``encode``.

    Returns
    -------
    torch.Tensor
        What ``back_end.encode`` returns, with a graph.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> back_end = SimpleNamespace(encode=torch.neg)
    >>> encode_repaired(SimpleNamespace(repaired=torch.ones(1)), back_end)
    tensor([-1.])
    """
    encoded = vars(restoration).setdefault("encoded", {})
    if id(back_end) not in encoded:
        encoded[id(back_end)] = back_end.encode(restoration.repaired)
    return encoded[id(back_end)]


class EncoderL1(torch.nn.Module):
    """Mean absolute difference of the encoder's outputs.

    The recogniser says at every position what the repair got wrong, where the
    cross entropy says it once a token; Yang and Chang (ASRU 2023, paper 0's
    [24]) guide concealment so. Positions past an utterance's end do not count.

    Arguments
    ---------
    back_end : FrozenWhisper
        What has ``encode``: features to [batch, positions, channels].

    Example
    -------
    >>> from types import SimpleNamespace
    >>> back_end = torch.nn.Identity()
    >>> back_end.encode = lambda feats: 2 * feats
    >>> batch = SimpleNamespace(
    ...     clean=torch.zeros(2, 4, 3),
    ...     repaired=torch.ones(2, 4, 3),
    ...     frame_lengths=torch.tensor([1.0, 0.5]),
    ... )
    >>> EncoderL1(back_end)(batch)
    tensor([2., 2.])
    """

    def __init__(self, back_end):
        super().__init__()
        self.back_end = back_end

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
        with torch.no_grad():
            clean = self.back_end.encode(restoration.clean)
        repaired = encode_repaired(restoration, self.back_end)
        difference = (clean.float() - repaired.float()).abs().mean(dim=2)
        return mean_until_end(difference, restoration.frame_lengths)
