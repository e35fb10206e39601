"""Utterances of different lengths in one batch, in samples and in frames."""

import torch
from speechbrain.dataio.dataio import length_to_mask
from torch.nn import functional as F


def mask_padding(x, lengths):
    """Zero what lies past each utterance's end.

    Arguments
    ---------
    x : torch.Tensor
        [batch, time, ...].
    lengths : torch.Tensor
        [batch], relative.

    Returns
    -------
    torch.Tensor
        The same shape.

    Example
    -------
    >>> mask_padding(torch.ones(2, 4), torch.tensor([1.0, 0.5]))
    tensor([[1., 1., 1., 1.],
            [1., 1., 0., 0.]])
    """
    ends = (lengths.to(x.device) * x.shape[1]).round()[:, None]
    inside = torch.arange(x.shape[1], device=x.device)[None] < ends
    return x * inside.reshape(*inside.shape, *[1] * (x.dim() - 2))


def inside_frames(lengths, frames):
    """Mark the frames before each utterance's end.

    Arguments
    ---------
    lengths : torch.Tensor
        [batch], relative.
    frames : int
        Frames of the batch.

    Returns
    -------
    torch.Tensor
        [batch, frames], bool; each utterance has one frame at least.

    Example
    -------
    >>> inside_frames(torch.tensor([0.5, 0.0]), 4)
    tensor([[ True,  True, False, False],
            [ True, False, False, False]])
    """
    ends = (lengths * frames).round().clamp(min=1)
    return length_to_mask(ends, frames, dtype=torch.bool)


def own_frames(x, lengths):
    """Split a batch into utterances without their padding.

    Arguments
    ---------
    x : torch.Tensor
        [batch, frames, ...].
    lengths : torch.Tensor
        [batch], relative.

    Returns
    -------
    list of torch.Tensor
        [frames, ...] each; each utterance has one frame at least.

    Example
    -------
    >>> own_frames(torch.ones(2, 4), torch.tensor([1.0, 0.5]))
    [tensor([1., 1., 1., 1.]), tensor([1., 1.])]
    """
    ends = (lengths * x.shape[1]).round().clamp(min=1).int().tolist()
    return [row[:end] for row, end in zip(x, ends)]


def window_share(samples, window, hop_length, frames):
    """Average a mark on samples under the windows of a spectrum.

    Arguments
    ---------
    samples : torch.Tensor
        [batch, time], bool or float.
    window : torch.Tensor
        [window], its middle at a frame's number times the hop.
    hop_length : int
        Samples from one window to the next.
    frames : int
        How many are wanted; what lies outside of the samples is 0.

    Returns
    -------
    torch.Tensor
        [batch, frames] in [0, 1].

    Example
    -------
    >>> marks = torch.tensor([[True, True, False, False]])
    >>> window_share(marks, torch.ones(2), 2, 3)
    tensor([[0.5000, 0.5000, 0.0000]])
    """
    weight = (window / window.sum())[None, None]
    marks = samples.to(weight.dtype)[:, None]
    half = len(window) // 2
    needed = (frames - 1) * hop_length + len(window) - half
    marks = F.pad(marks, (half, max(0, needed - marks.shape[-1])))
    with torch.autocast(marks.device.type, enabled=False):
        share = F.conv1d(marks, weight, stride=hop_length)
    return share[:, 0, :frames].clamp(0.0, 1.0)
