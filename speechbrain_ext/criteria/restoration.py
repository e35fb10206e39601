"""What a criterion sees of a batch."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass
class Restoration:
    """A batch that was damaged and repaired.

    Arguments
    ---------
    ids : list of str
        The utterances' ids.
    texts : list of str
        Their transcripts.
    wavs : torch.Tensor
        [batch, time], clean, 16 kHz.
    damaged_wavs : torch.Tensor
        [batch, time]; the clean ones where damage is done to features.
    lengths : torch.Tensor
        [batch], relative to ``wavs``.
    clean, damaged, repaired : torch.Tensor
        [batch, frames, channels], features; ``clean`` without a graph.
    frame_lengths : torch.Tensor
        [batch], relative to the features.
    lost : torch.Tensor
        [batch, frames], the share of each frame that was lost; where masks are
        of bins, [batch, frames, channels].
    repaired_wavs : torch.Tensor, optional
        [batch, time], what a front-end that takes waveforms made of
        ``damaged_wavs``; None where the front-end takes features.
    outputs : dict[str, torch.Tensor], optional
        All that a front-end with several outputs gave, by their names;
        ``repaired`` is one of them.
    resynthesise : callable, optional
        ``(feats, wavs, lengths) -> wavs``, where the front-end takes features
        that there is a way back from.

    Example
    -------
    >>> wavs, feats = torch.zeros(1, 1600), torch.zeros(1, 10, 80)
    >>> batch = Restoration(
    ...     ids=["a"],
    ...     texts=["Yes."],
    ...     wavs=wavs,
    ...     damaged_wavs=wavs,
    ...     lengths=torch.ones(1),
    ...     clean=feats,
    ...     damaged=feats,
    ...     repaired=feats,
    ...     frame_lengths=torch.ones(1),
    ...     lost=torch.zeros(1, 10),
    ... )
    >>> batch.repaired.shape
    torch.Size([1, 10, 80])
    """

    ids: list
    texts: list
    wavs: torch.Tensor
    damaged_wavs: torch.Tensor
    lengths: torch.Tensor
    clean: torch.Tensor
    damaged: torch.Tensor
    repaired: torch.Tensor
    frame_lengths: torch.Tensor
    lost: torch.Tensor
    repaired_wavs: torch.Tensor | None = None
    outputs: dict | None = None
    resynthesise: Callable | None = None

    def repaired_waveforms(self):
        """Return the repaired speech, made when it is first asked for.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        if self.repaired_wavs is None:
            self.repaired_wavs = self.resynthesise(
                self.repaired, self.damaged_wavs, self.lengths
            )
        return self.repaired_wavs
