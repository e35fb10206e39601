"""Speech of any length through a network that inpaints segments (paper 2)."""

import math

import torch
from torch.nn import functional as F

from speechbrain_ext.corruption.masks import fill_mask
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.segment_log_magnitude import (
    HOP_LENGTH,
    SEGMENT_FRAMES,
)
from speechbrain_ext.frontends.concealment import TwoSidedPrediction
from speechbrain_ext.frontends.damage_detection import detect_damage

# Bounds the memory of long speech.
_SEGMENTS_AT_ONCE = 64


def segment_starts(frames):
    """Say where the segments of an utterance begin.

    They overlap by half; the last one ends where the utterance ends, so that
    only an utterance that is shorter than a segment is padded.

    Arguments
    ---------
    frames : int
        Of the utterance.

    Returns
    -------
    list of int
        Each segment's first frame.

    Example
    -------
    >>> segment_starts(128), segment_starts(200), segment_starts(256)
    ([0], [0, 64, 72], [0, 64, 128])
    """
    last = max(0, frames - SEGMENT_FRAMES)
    return [*range(0, last, SEGMENT_FRAMES // 2), last]


def inpaint_segments(network, feats, lengths, lost=None, silence=None):
    """Repair features of any length, segment by segment.

    Segments are faded into each other, linearly and in the feature domain;
    where nothing overlaps, a segment is what the network gives. An utterance
    shorter than a segment is filled up with 0, as a convolution is padded. What
    a segment's neighbours in a batch are changes nothing.

    Arguments
    ---------
    network : torch.nn.Module
        ``(feats, lengths, lost) -> feats`` of segments, with the attribute
        ``informed``:
        :class:`~speechbrain_ext.frontends.inpainting_unet.InpaintingUNet`.
    feats : torch.Tensor
        [batch, frames, bins], normalised.
    lengths : torch.Tensor
        [batch], relative.
    lost : torch.Tensor, optional
        bool [batch, frames, bins], True where a bin is masked: an informed
        network is given 0 there. A blind one is given what is there.
    silence : torch.Tensor, optional
        [bins]: what an informed network's segment becomes where all of it is
        masked, since the network would make something of nothing.

    Returns
    -------
    torch.Tensor
        [batch, frames, bins], 0 past an utterance's end.

    Raises
    ------
    UserError
        For a mask of another shape.

    Example
    -------
    >>> from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
    >>> network = InpaintingUNet(informed=False).eval()
    >>> feats = torch.randn(1, 300, 128)
    >>> inpaint_segments(network, feats, torch.ones(1)).shape
    torch.Size([1, 300, 128])
    """
    if lost is None or not network.informed:
        lost = torch.zeros_like(feats, dtype=torch.bool)
    _check_mask(lost, feats.shape)
    lost = lost.to(feats.device) > 0
    feats = fill_mask(feats, lost, "gaps")
    frames = feats.shape[1]
    ends = (lengths * frames).round().clamp(1, frames).int().tolist()
    segments = [
        (row, start, min(end, start + SEGMENT_FRAMES))
        for row, end in enumerate(ends)
        for start in segment_starts(end)
    ]
    fade = _triangle(feats)
    sums, weights = torch.zeros_like(feats), torch.zeros_like(feats[..., :1])
    for first in range(0, len(segments), _SEGMENTS_AT_ONCE):
        some = segments[first : first + _SEGMENTS_AT_ONCE]
        found = _run(network, feats, lost, some, silence)
        for (row, start, stop), segment in zip(some, found):
            gain = fade[: stop - start]
            sums[row, start:stop] += gain * segment[: stop - start]
            weights[row, start:stop] += gain
    # Past an utterance's end both are 0.
    return sums / weights.clamp(min=0.5 / SEGMENT_FRAMES)


def _triangle(feats):
    """Gains [frames, 1]; overlapped by half they add up to 1."""
    places = torch.arange(SEGMENT_FRAMES, device=feats.device) + 0.5
    gains = torch.minimum(places, SEGMENT_FRAMES - places)
    return (gains / (SEGMENT_FRAMES // 2))[:, None].to(feats)


def _run(network, feats, lost, segments, silence):
    """The network's answers to segments, [segments, 128, bins]."""

    def cut(x):
        """Cut the windows out of a signal."""
        return torch.stack(
            [
                F.pad(
                    x[row, start:stop],
                    (0, 0, 0, SEGMENT_FRAMES - (stop - start)),
                )
                for row, start, stop in segments
            ]
        )

    sizes = torch.tensor([stop - start for _, start, stop in segments])
    lengths = (sizes / SEGMENT_FRAMES).to(feats.device)
    gone = cut(lost)
    found = network(cut(feats), lengths, gone)
    if silence is not None and network.informed:
        heard = cut(~lost).flatten(1).any(dim=1)
        found = torch.where(heard[:, None, None], found, silence.to(found))
    return found


def _check_mask(lost, shape):
    if lost.shape != shape:
        raise UserError(
            f"mask: has the shape {tuple(lost.shape)}; expected "
            f"{tuple(shape)}, segments, frames and channels"
        )


@torch.no_grad()
def inpaint_waveforms(
    features, network, wavs, lengths, lost=None, keep_observed=False
):
    """Repair waveforms by way of their features.

    Each utterance is repaired as if it were alone.

    Arguments
    ---------
    features : torch.nn.Module
        A :class:`~speechbrain_ext.features.segment_log_magnitude\
.SegmentLogMagnitude`.
    network : torch.nn.Module
        As :func:`inpaint_segments` takes it.
    wavs : torch.Tensor
        [batch, time], 16 kHz.
    lengths : torch.Tensor
        [batch], relative.
    lost : torch.Tensor, optional
        bool [batch, frames, bins], True where a bin is masked.
    keep_observed : bool
        Keep the bins that are not masked, phases included; without a mask,
        those that a blind network did not take for damaged. If False, all is
        the network's and all phases are estimated.

    Returns
    -------
    torch.Tensor
        [batch, time], zero past each utterance's end.

    Raises
    ------
    UserError
        For a mask of another shape.

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
    >>> features = SegmentLogMagnitude("griffin-lim")
    >>> wavs, lost = torch.randn(1, 20000), torch.zeros(1, 157, 128).bool()
    >>> network = InpaintingUNet().eval()
    >>> found = inpaint_waveforms(
    ...     features, network, wavs, torch.ones(1), lost, keep_observed=True
    ... )
    >>> torch.allclose(found, wavs, atol=1e-4)
    True
    """
    if lost is not None:
        frames = count_frames(wavs.shape[1])
        _check_mask(lost, (len(wavs), frames, features.n_bins))
        lost = lost.to(wavs.device) > 0
    silence = silent_frame(features)
    found = torch.zeros_like(wavs, dtype=torch.float32)
    ends = (lengths * wavs.shape[1]).round().int()
    # Padding would change the phases that are estimated, and the last frames.
    for end in ends.unique().tolist():
        if not end:
            continue
        rows = (ends == end).nonzero()[:, 0].to(wavs.device)
        own, whole = wavs[rows, :end], lengths.new_ones(len(rows))
        feats = features(own, whole)
        gone = None if lost is None else lost[rows, : feats.shape[1]]
        repaired = inpaint_segments(network, feats, whole, gone, silence)
        if keep_observed and gone is None and not network.informed:
            gone = detect_damage(feats, repaired, features.deviation)
        if keep_observed and gone is not None:
            again = resynthesise_observed(features, repaired, own, whole, gone)
        else:
            again = features.resynthesise(repaired, own, whole)
        found[rows, :end] = again
    return found


@torch.no_grad()
def resynthesise_observed(
    features, repaired, wavs, lengths, lost, observed=None
):
    """Turn repaired features into waveforms that keep what was observed.

    Phases of bins that were lost are fitted to those that were observed; where
    all channels of a frame were lost there is little to fit them to, and they
    begin as a linear prediction from both sides of the gap goes on. So do the
    features: the frame at a gap's edge is the prediction's by a third, and the
    next ones less and less.

    Arguments
    ---------
    features : torch.nn.Module
        As :func:`inpaint_waveforms` takes it.
    repaired : torch.Tensor
        [batch, frames, bins].
    wavs : torch.Tensor
        [batch, time], damaged.
    lengths : torch.Tensor
        [batch], relative.
    lost : torch.Tensor
        bool [batch, frames, bins], True where a bin is masked.
    observed : torch.Tensor, optional
        [batch, frames, 129], complex: what stands where nothing is masked; the
        spectrum of ``wavs`` if not given.

    Returns
    -------
    torch.Tensor
        [batch, time].

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> features = SegmentLogMagnitude("griffin-lim")
    >>> wavs, lengths = torch.sin(torch.arange(4096.0))[None], torch.ones(1)
    >>> lost = torch.arange(32)[None, :, None].expand(1, 32, 128) // 8 == 2
    >>> found = resynthesise_observed(
    ...     features, features(wavs, lengths), wavs, lengths, lost
    ... )
    >>> bool((found - wavs).abs().max() < 0.2)
    True
    """
    gaps = features.touched_samples(lost, wavs.shape[1])
    empty = lost.all(dim=2, keepdim=True)
    around = wavs
    if observed is not None or (lost & ~empty).any() or not gaps.any():
        around = features.resynthesise(
            repaired, wavs, lengths, lost, observed=observed
        )
    if not gaps.any():
        return around
    guess = TwoSidedPrediction()(around.masked_fill(gaps, 0), lengths, gaps)
    weight = _prediction_weight(empty)
    repaired = torch.lerp(repaired, features(guess, lengths), weight)
    return features.resynthesise(repaired, wavs, lengths, lost, guess, observed)


def _prediction_weight(empty):
    """How far frames are the prediction's, by their distance from an observed one.

    [batch, frames, 1], of bool of that shape, True where a frame is lost.
    """
    observed = (~empty).float().transpose(1, 2)
    weight = torch.zeros_like(observed)
    # exp(-distance): after four frames there is nothing left.
    for distance in (4, 3, 2, 1):
        near = F.max_pool1d(observed, 2 * distance + 1, 1, distance)
        weight = torch.where(near > 0, math.exp(-distance), weight)
    return weight.transpose(1, 2) * empty


def count_frames(samples):
    """Count the frames that features have of so many samples.

    Arguments
    ---------
    samples : int
        At 16 kHz.

    Returns
    -------
    int

    Example
    -------
    >>> count_frames(16384), count_frames(16385)
    (128, 129)
    """
    return -(-samples // HOP_LENGTH)


def silent_frame(features):
    """Compute the features of digital silence.

    Arguments
    ---------
    features : torch.nn.Module
        As :func:`inpaint_waveforms` takes it.

    Returns
    -------
    torch.Tensor
        [bins].

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> silent_frame(SegmentLogMagnitude("griffin-lim")).exp().mean()
    tensor(1.0000e-05)
    """
    one = torch.ones(1, device=features.mean.device)
    return features(0 * one[None], one)[0, 0]


def touched_bins(features, lost):
    """Mask the frames whose window has a lost sample, in all channels.

    Arguments
    ---------
    features : torch.nn.Module
        As :func:`inpaint_waveforms` takes it.
    lost : torch.Tensor
        bool [batch, time], True where a sample was lost.

    Returns
    -------
    torch.Tensor
        bool [batch, frames, bins].

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> lost = torch.arange(1280)[None] // 320 == 1
    >>> mask = touched_bins(SegmentLogMagnitude("griffin-lim"), lost)
    >>> mask.shape, mask[0, :, 0].nonzero()[:, 0]
    (torch.Size([1, 10, 128]), tensor([2, 3, 4, 5]))
    """
    share = features.lost_share(lost, count_frames(lost.shape[1]))
    return (share > 0)[..., None].expand(-1, -1, features.n_bins)


def keep_received(repaired, wavs, lost, fade_samples=64):
    """Put back the samples that were received.

    A frame that touches a gap is repaired whole, with what was received of it.

    Arguments
    ---------
    repaired : torch.Tensor
        [batch, time].
    wavs : torch.Tensor
        [batch, time], as it was received.
    lost : torch.Tensor
        bool [batch, time], True where a sample was lost.
    fade_samples : int
        On either side of a gap, over which one is faded into the other.

    Returns
    -------
    torch.Tensor
        [batch, time].

    Example
    -------
    >>> lost = torch.tensor([[False, False, False, False, True, True]])
    >>> keep_received(torch.ones(1, 6), torch.zeros(1, 6), lost, 2)
    tensor([[0.0000, 0.0000, 0.3333, 0.6667, 1.0000, 1.0000]])
    """
    half = fade_samples // 2
    size = 2 * half + 1
    # The mean of a gap that is wider by half the fade on each side.
    gain = F.max_pool1d(lost.to(repaired)[:, None], size, 1, half)
    gain = F.avg_pool1d(gain, size, 1, half, count_include_pad=False)[:, 0]
    return torch.where(gain > 0, wavs + gain * (repaired - wavs), wavs)


class InpaintingConcealer(torch.nn.Module):
    """A network that inpaints spectra as a packet loss concealer.

    Past paper 2, whose time masks are called similar to packet loss: frames
    that touch a lost sample are masked in all channels, repaired, and brought
    back with phases that fit those of their neighbours; what was received
    stays. It hears what follows a gap, so it is for whole files. A blind
    network is not told of the gaps: it hears digital silence there.

    There are no gradients: the network is trained by itself.

    Arguments
    ---------
    features : torch.nn.Module
        As :func:`inpaint_waveforms` takes it, with the network's statistics.
    network : torch.nn.Module
        As :func:`inpaint_segments` takes it.
    fade_samples : int
        As :func:`keep_received` takes it.

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
    >>> conceal = InpaintingConcealer(
    ...     SegmentLogMagnitude("griffin-lim"), InpaintingUNet()
    ... ).eval()
    >>> wavs, lost = torch.randn(1, 16000), torch.zeros(1, 16000).bool()
    >>> lost[:, 3200:3520] = True
    >>> found = conceal(wavs * ~lost, torch.ones(1), lost)
    >>> bool(found[lost].any()), torch.equal(found[:, :3000], wavs[:, :3000])
    (True, True)
    """

    takes_waveforms = True

    def __init__(self, features, network, fade_samples=64):
        super().__init__()
        self.features = features
        self.network = network
        self.fade_samples = fade_samples

    def forward(self, x, lengths, lost=None):
        """Fill the gaps of a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time], zero where samples are lost.
        lengths : torch.Tensor
            [batch], relative: what lies past the end stays as it is.
        lost : torch.Tensor, optional
            bool [batch, time], True where a sample is lost; nothing is if not
            given.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        if lost is None:
            return x
        ends = (lengths * x.shape[1]).round()[:, None]
        inside = torch.arange(x.shape[1], device=x.device) < ends
        lost, repaired = lost & inside, x.clone()
        rows = lost.any(dim=1)
        if rows.any():
            own, gone = x[rows], lost[rows]
            filled = inpaint_waveforms(
                self.features,
                self.network,
                own,
                lengths[rows],
                touched_bins(self.features, gone),
                keep_observed=True,
            )
            filled = keep_received(filled, own, gone, self.fade_samples)
            repaired[rows] = torch.where(inside[rows], filled, own)
        return repaired
