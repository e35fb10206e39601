"""Each frame with its neighbours, for networks that see a few frames only."""

import torch
import torch.utils.checkpoint

from speechbrain_ext.features.frames import inside_frames
from speechbrain_ext.layered import Layered, named_outputs


def stack_context(feats, lengths, past=5, future=5):
    """Put each frame together with those around it (section III of paper 1).

    Where an utterance begins or ends, its first or last frame is repeated, so
    that an utterance's windows do not depend on what else is in the batch.

    Arguments
    ---------
    feats : torch.Tensor
        [batch, frames, channels].
    lengths : torch.Tensor
        [batch], relative.
    past, future : int
        Frames of context before and after each one.

    Returns
    -------
    torch.Tensor
        [batch, frames, past + 1 + future, channels], a view that takes no more
        memory than the features; windows past an utterance's end repeat its
        last frame.

    Example
    -------
    >>> feats = torch.arange(1.0, 5.0).reshape(1, 4, 1)
    >>> stack_context(feats, torch.tensor([0.75]), past=1, future=2)[0, ..., 0]
    tensor([[1., 1., 2., 3.],
            [1., 2., 3., 3.],
            [2., 3., 3., 3.],
            [3., 3., 3., 3.]])
    """
    frames = feats.shape[1]
    last = inside_frames(lengths, frames).sum(dim=1, keepdim=True) - 1
    source = torch.arange(-past, frames + future, device=feats.device)
    source = source.clamp(min=0)[None].minimum(last.to(feats.device))
    rows = torch.arange(len(feats), device=feats.device)[:, None]
    windows = feats[rows, source].unfold(1, past + 1 + future, 1)
    return windows.transpose(2, 3)


class ContextNetwork(Layered):
    """A network that sees one frame and its context at a time.

    Only frames inside of utterances are computed, a limited number at once.
    While gradients are wanted, what lies between a chunk's input and its
    outputs is computed again in the backward pass instead of being kept.

    Arguments
    ---------
    stages : dict
        From each layer's name to its module, in order: the first takes
        [windows, past + 1 + future, channels], the next one what it returns.
    past, future : int
        Frames of context before and after each one.
    chunk_frames : int
        Windows that are computed at once.
    recompute : bool
        False: keep everything for the backward pass, which is faster, and
        needed where a stage counts what it has seen (batch normalisation).

    Example
    -------
    >>> stages = {
    ...     "hidden": torch.nn.Sequential(
    ...         torch.nn.Flatten(), torch.nn.Linear(33, 8)
    ...     ),
    ...     "output": torch.nn.Linear(8, 2),
    ... }
    >>> network = ContextNetwork(stages)
    >>> network.layers
    ('hidden', 'output')
    >>> network(torch.randn(2, 20, 3), torch.ones(2)).shape
    torch.Size([2, 20, 2])
    """

    def __init__(
        self, stages, past=5, future=5, chunk_frames=1024, recompute=True
    ):
        super().__init__()
        self.stages = torch.nn.ModuleDict(stages)
        self.layers = tuple(stages)
        self.past = past
        self.future = future
        self.chunk_frames = chunk_frames
        self.recompute = recompute

    def representations(self, feats, lengths, names):
        """Compute what named layers make of each frame.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, channels].
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``; none after the last of them is run.

        Returns
        -------
        list of torch.Tensor
            [batch, frames, ...], in the order of ``names``; 0 past an
            utterance's end.
        """
        inside = inside_frames(lengths, feats.shape[1]).to(feats.device)
        windows = stack_context(feats, lengths, self.past, self.future)
        chunks = [
            self._run_chunk(windows, places, names)
            for places in inside.nonzero().split(self.chunk_frames)
        ]
        outputs = []
        for parts in zip(*chunks):
            values = torch.cat(parts)
            output = values.new_zeros(*inside.shape, *values.shape[1:])
            output[inside] = values
            outputs.append(output)
        return outputs

    def _run_chunk(self, windows, places, names):
        if self.recompute and torch.is_grad_enabled():
            return torch.utils.checkpoint.checkpoint(
                self._run, windows, places, names, use_reentrant=False
            )
        return self._run(windows, places, names)

    def _run(self, windows, places, names):
        """Run the windows at some [row, frame] through the stages."""
        outputs = self._stage_outputs(windows[places[:, 0], places[:, 1]])
        return named_outputs(self.layers, outputs, names)

    def _stage_outputs(self, x):
        for stage in self.stages.values():
            x = stage(x)
            yield x
