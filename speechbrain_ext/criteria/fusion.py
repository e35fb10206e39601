"""What the fusion of two spectrograms is trained by."""

import torch

from speechbrain_ext.criteria.features import mean_until_end


def minimum_difference_labels(mapping, masking, clean):
    """Say of each bin which of two spectrograms is nearer (section III-B).

    The one whose absolute difference from the clean magnitude is smaller has 1,
    the other 0. Where both are as near as each other, mapping has the 1. In a
    bin where all three are silent that is so as well. So the two labels always
    add up to 1: fused by them (eq. 5), a bin is one of the two spectrograms',
    never their sum and never nothing.

    Arguments
    ---------
    mapping, masking, clean : torch.Tensor
        [batch, frames, bins], magnitudes.

    Returns
    -------
    tuple of torch.Tensor
        [batch, frames, bins], 0 or 1: the label of ``mapping`` and that of
        ``masking``.

    Example
    -------
    >>> mapping = torch.tensor([[[1.0, 4.0, 2.0, 0.0]]])
    >>> masking = torch.tensor([[[3.0, 3.0, 4.0, 0.0]]])
    >>> clean = torch.tensor([[[1.5, 3.0, 3.0, 0.0]]])
    >>> for label in minimum_difference_labels(mapping, masking, clean):
    ...     print(label)
    tensor([[[1., 0., 1., 1.]]])
    tensor([[[0., 1., 0., 0.]]])
    """
    nearer = (mapping - clean).abs() <= (masking - clean).abs()
    label = nearer.to(clean.dtype)
    return label, 1 - label


class MinimumDifference(torch.nn.Module):
    """Distance of the estimated minimum difference masks from labels (eq. 4).

    The labels are of what the enhancement module gives now, and pass no
    gradients on. Frames past an utterance's end do not count.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> outputs = {
    ...     "mapping": torch.zeros(1, 2, 3),
    ...     "masking": torch.ones(1, 2, 3),
    ...     "mapping mask": torch.full((1, 2, 3), 0.75),
    ...     "masking mask": torch.full((1, 2, 3), 0.5),
    ... }
    >>> batch = SimpleNamespace(
    ...     outputs=outputs,
    ...     clean=torch.zeros(1, 2, 3),
    ...     frame_lengths=torch.ones(1),
    ... )
    >>> MinimumDifference()(batch)
    tensor([0.3125])
    """

    def forward(self, restoration):
        """Compare the masks with what they should be.

        Arguments
        ---------
        restoration : Restoration
            The batch, of a
            :class:`~speechbrain_ext.frontends.spectrogram_fusion.\
SpectrogramFusion`.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance.
        """
        outputs = restoration.outputs
        heads = ("mapping", "masking")
        with torch.no_grad():
            labels = minimum_difference_labels(
                *(outputs[head] for head in heads), restoration.clean
            )
        errors = sum(
            (outputs[f"{head} mask"] - label).square()
            for head, label in zip(heads, labels)
        )
        return mean_until_end(errors.mean(dim=2), restoration.frame_lengths)
