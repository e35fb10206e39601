"""No front-end, where one is asked for."""

import torch


class Identity(torch.nn.Module):
    """Leave the features as they are.

    Example
    -------
    >>> feats = torch.rand(1, 4, 80)
    >>> Identity()(feats, torch.ones(1)) is feats
    True
    """

    def forward(self, x, lengths, lost=None):
        """Return what is given.

        Arguments
        ---------
        x : torch.Tensor
            [batch, frames, mels].
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            [batch, frames], the share of each frame that was lost.

        Returns
        -------
        torch.Tensor
            [batch, frames, mels].
        """
        return x
