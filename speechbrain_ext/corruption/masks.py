"""Masks over time and frequency, and what stands under them (paper 2).

A mask model says which bins of a log-magnitude spectrum are damaged; a filling
says what is found there; :class:`FeatureMask` joins the two for a recipe.

**Where zero is written.** All fillings work on the *normalised* log-magnitude,
what the networks are fed: a gap is 0 there, a channel's mean over the training
speech, as is what a convolution is padded with. (Zero in the magnitude would be
minus infinity.) The unrepaired speech that tables compare with, "Gaps", is 0 in
the complex spectrum instead: silence, as nobody would hear a mean.
"""

import zlib

import numpy as np
import torch

from speechbrain_ext.corruption.randomness import (
    SeededDamage,
    utterance_generators,
)
from speechbrain_ext.errors import UserError

#: The paper's: 24 ms, or 187.5 Hz.
SHORTEST_BLOCK = 3
MOST_BLOCKS = 4
KINDS = ("time", "time-frequency", "random")
FILLINGS = ("gaps", "noise", "additive")

# What does not fit is drawn anew so many times, and then has one block fewer.
_TRIES = 20


def _parts(total, count, shortest, generator):
    """Split a number into parts, each way with equal chances."""
    slack = total - count * shortest
    cuts = generator.choice(slack + count - 1, count - 1, replace=False)
    edges = np.concatenate([[-1], np.sort(cuts), [slack + count - 1]])
    return np.diff(edges) - 1 + shortest


def draw_line(size, bins, generator):
    """Mask some bins of one axis, in blocks that do not touch.

    Their number is uniform from 1 to 4, or to as many as there is room for, and
    so are their lengths and places.

    Arguments
    ---------
    size : float
        Share of the bins, rounded to whole bins and to 3 at least.
    bins : int
        Bins of the axis; under 3, nothing is masked.
    generator : numpy.random.Generator
        Of the utterance.

    Returns
    -------
    numpy.ndarray
        bool [bins], True where it is masked.

    Example
    -------
    >>> int(draw_line(0.3, 128, np.random.default_rng(0)).sum())
    38
    """
    line = np.zeros(bins, bool)
    if bins < SHORTEST_BLOCK:
        return line
    masked = min(max(round(size * bins), SHORTEST_BLOCK), bins)
    # So that there are blocks to count, a bin at least lies between two.
    most = min(MOST_BLOCKS, masked // SHORTEST_BLOCK, bins - masked + 1)
    count = int(generator.integers(1, most + 1))
    lengths = _parts(masked, count, SHORTEST_BLOCK, generator)
    slots = generator.choice(bins - masked + 1, count, replace=False)
    starts = np.sort(slots) + np.cumsum(lengths) - lengths
    for start, length in zip(starts, lengths):
        line[start : start + length] = True
    return line


def draw_area(size, frames, bins, generator):
    """Mask an area in blocks that do not touch, exact to one bin.

    Blocks are rectangles, but for one column that may be shorter where the area
    has no such rectangle; no run of masked bins is under 3 in time or in
    frequency. Areas and places are uniform; so is the number of blocks, from 1
    to 4 or to as many as there is room for.

    Arguments
    ---------
    size : float
        Share of the area; 9 bins at least are masked.
    frames, bins : int
        Of the spectrum; under 3 of either, nothing is masked.
    generator : numpy.random.Generator
        Of the utterance.

    Returns
    -------
    numpy.ndarray
        bool [frames, bins], True where it is masked.

    Example
    -------
    >>> mask = draw_area(0.3, 128, 128, np.random.default_rng(0))
    >>> int(mask.sum()), round(0.3 * 128 * 128)
    (4915, 4915)
    """
    if min(frames, bins) < SHORTEST_BLOCK:
        return np.zeros((frames, bins), bool)
    smallest = SHORTEST_BLOCK**2
    area = min(max(round(size * frames * bins), smallest), frames * bins)
    most = min(MOST_BLOCKS, area // smallest)
    for count in range(int(generator.integers(1, most + 1)), 0, -1):
        for _ in range(_TRIES):
            mask = _place_blocks(area, count, frames, bins, generator)
            if mask is not None:
                return mask
    return _columns(area, frames, bins)


def _place_blocks(area, count, frames, bins, generator):
    """Draw blocks of an area in all, or None where they do not fit."""
    areas = _parts(area, count, SHORTEST_BLOCK**2, generator)
    mask = np.zeros((frames, bins), bool)
    taken = mask.copy()
    # What is large finds no room later.
    for part in np.sort(areas)[::-1]:
        block = _draw_block(int(part), frames, bins, generator)
        place = block is not None and _draw_place(taken, block, generator)
        if not place:
            return None
        time, channel = place
        width, height = block.shape
        mask[time : time + width, channel : channel + height] = block
        # With a margin: neighbours that touch would count as one block.
        taken[
            max(0, time - 1) : time + width + 1,
            max(0, channel - 1) : channel + height + 1,
        ] = True
    return mask


def _draw_block(area, frames, bins, generator):
    """A block's shape, its height log-uniform, or None where there is none."""
    heights = np.arange(SHORTEST_BLOCK, min(bins, area // SHORTEST_BLOCK) + 1)
    widths, rests = np.divmod(area, heights)
    fits = (widths + (rests > 0) <= frames) & ~np.isin(rests, (1, 2))
    if not fits.any():
        return None
    odds = fits / heights
    index = np.searchsorted(np.cumsum(odds), generator.random() * odds.sum())
    width, rest, height = (int(x[index]) for x in (widths, rests, heights))
    block = np.ones((width + (rest > 0), height), bool)
    if rest:
        block[-1, rest:] = False
    return block


def _draw_place(taken, block, generator):
    """One of the places where a block fits, or None."""
    width, height = block.shape
    sums = np.pad(taken, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    covered = (
        sums[width:, height:]
        - sums[:-width, height:]
        - sums[width:, :-height]
        + sums[:-width, :-height]
    )
    places = np.argwhere(covered == 0)
    if not len(places):
        return None
    return tuple(int(x) for x in places[generator.integers(len(places))])


def _columns(area, frames, bins):
    """Fill up column after column: what is left for areas close to all."""
    return (np.arange(frames * bins) < area).reshape(frames, bins)


class BlockMasks:
    """Blocks over time, over time and frequency, or anywhere (section 2.2).

    - ``"time"``: a share of the frames, in all channels.
    - ``"time-frequency"``: that share of the frames, in all channels, *and* of
      the channels, in all frames. Each axis has 1 to 4 blocks of its own.
    - ``"random"``: that share of the area, in 1 to 4 separate blocks.

    No block is shorter than 3 bins, 24 ms or 187.5 Hz.

    Arguments
    ---------
    kinds : list of str, or str
        Drawn from with equal chances.
    mean, deviation : float
        Of the normal distribution that sizes are drawn from where none is
        given, as shares; the paper's: 29.4 % and 9.9 %. Below the shortest
        block and above 1 they are clipped.

    Raises
    ------
    UserError
        For another kind.

    Example
    -------
    >>> masks = BlockMasks("time")
    >>> mask = masks([128, 64], 128, ["a", "b"], seed=1, epoch=0, rate=0.25)
    >>> mask.shape, mask[..., 0].sum(dim=1)
    (torch.Size([2, 128, 128]), tensor([32, 16]))
    """

    def __init__(
        self, kinds=("time-frequency", "random"), mean=0.294, deviation=0.099
    ):
        kinds = [kinds] if isinstance(kinds, str) else list(kinds)
        if not kinds or not set(kinds) <= set(KINDS):
            raise UserError(f"kinds: are {kinds}; expected some of {KINDS}")
        self.kinds = kinds
        self.mean = mean
        self.deviation = deviation
        self.name = "+".join(kinds)

    def __call__(self, n_frames, n_bins, utterance_ids, seed, epoch, rate=None):
        """Draw the masks of a batch.

        Arguments
        ---------
        n_frames : sequence of int
            Frames of each segment, [batch].
        n_bins : int
            Channels of the features.
        utterance_ids : sequence of str
            The segments' ids, [batch].
        seed : int
            Seed of the damage.
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            The size, as a share; None draws one a segment.

        Returns
        -------
        torch.Tensor
            bool [batch, frames, bins], True where a bin is masked; False past a
            segment's end.

        Raises
        ------
        UserError
            For a size outside of [0, 1].
        """
        if rate is not None and not 0 <= rate <= 1:
            raise UserError(f"rate: is {rate}; expected a share from 0 to 1")
        masks = torch.zeros(
            len(n_frames), max(n_frames, default=0), n_bins, dtype=torch.bool
        )
        generators = utterance_generators(seed, epoch, utterance_ids)
        for mask, frames, generator in zip(masks, n_frames, generators):
            drawn = self._draw(frames, n_bins, generator, rate)
            mask[:frames] = torch.from_numpy(drawn)
        return masks

    def _draw(self, frames, bins, generator, rate):
        # Drawn in any case, so that other sizes change nothing else.
        kind = self.kinds[int(generator.integers(len(self.kinds)))]
        size = self.mean + self.deviation * generator.standard_normal()
        size = size if rate is None else rate
        if rate == 0:
            return np.zeros((frames, bins), bool)
        if kind == "random":
            return draw_area(size, frames, bins, generator)
        mask = np.repeat(
            draw_line(size, frames, generator)[:, None], bins, axis=1
        )
        if kind == "time-frequency":
            mask |= draw_line(size, bins, generator)[None]
        return mask


def fill_mask(feats, mask, filling, noise=None, snr=None):
    """Damage the masked bins (section 3.2).

    Arguments
    ---------
    feats : torch.Tensor
        [frames, bins], normalised log-magnitudes.
    mask : torch.Tensor
        bool [frames, bins], True where a bin is masked.
    filling : str
        ``"gaps"``: 0. ``"noise"``: the noise. ``"additive"``: the noise is
        added, so that speech is still under it.
    noise : torch.Tensor, optional
        [frames, bins], for all but gaps.
    snr : float, optional
        Of additive noise, in dB: the features' energy over the noise's, both in
        the masked bins.

    Returns
    -------
    torch.Tensor
        [frames, bins].

    Example
    -------
    >>> feats, mask = torch.ones(1, 2), torch.tensor([[True, False]])
    >>> fill_mask(feats, mask, "gaps")
    tensor([[0., 1.]])
    >>> fill_mask(feats, mask, "additive", torch.ones(1, 2), snr=-20)
    tensor([[11.,  1.]])
    """
    if filling == "gaps":
        return feats.masked_fill(mask, 0.0)
    if filling == "noise":
        return torch.where(mask, noise.to(feats), feats)
    speech, noise = feats * mask, noise.to(feats) * mask
    loudness = 10 ** (-snr / 20) * speech.norm()
    return feats + noise * loudness / noise.norm().clamp(min=1e-12)


class FeatureMask(SeededDamage):
    """Masks over log-magnitudes, ready for a YAML file.

    White noise has the deviation of speech where it replaces speech; added, it
    is louder by what the SNR says. Both are drawn apart from the masks, so that
    all fillings of one seed have the same masks.

    Arguments
    ---------
    model : BlockMasks
        Draws the masks.
    seed : int
        Seed of the damage.
    filling : str
        ``"gaps"``, ``"noise"`` or ``"additive"``.
    snr_range : sequence of (float, float)
        Lowest and highest SNR of additive noise in dB, drawn uniformly from
        between; the paper's are below -10 dB.

    Raises
    ------
    UserError
        For another filling.

    Example
    -------
    >>> damage = FeatureMask(BlockMasks("random"), seed=1)
    >>> feats, mask = damage(
    ...     torch.ones(1, 128, 128), torch.ones(1), ["a"], epoch=0, rate=0.5
    ... )
    >>> feats.sum(), mask.sum()
    (tensor(8192.), tensor(8192))
    """

    def __init__(self, model, seed, filling="gaps", snr_range=(-20.0, -10.0)):
        if filling not in FILLINGS:
            raise UserError(
                f"filling: is {filling}; expected one of {FILLINGS}"
            )
        super().__init__(seed, f"{filling}-{model.name}")
        self.model = model
        self.filling = filling
        self.snr_range = snr_range

    def __call__(self, feats, lengths, utterance_ids, epoch, rate=None):
        """Damage a batch.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], normalised log-magnitudes.
        lengths : torch.Tensor
            [batch], relative.
        utterance_ids : sequence of str
            The segments' ids, [batch].
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            The size of the masks, as a share; None draws one a segment.

        Returns
        -------
        torch.Tensor
            The damaged features, [batch, frames, bins].
        torch.Tensor
            bool [batch, frames, bins], True where a bin is masked.
        """
        frames, bins = feats.shape[1:]
        n_frames = (lengths.double() * frames).round().int().tolist()
        drawn = self.model(
            n_frames, bins, utterance_ids, self.seed, epoch, rate
        )
        mask = torch.zeros(feats.shape, dtype=torch.bool)
        mask[:, : drawn.shape[1]] = drawn
        mask = mask.to(feats.device)
        seed = int(self.seed) ^ zlib.crc32(self.filling.encode()) << 32
        generators = utterance_generators(seed, epoch, utterance_ids)
        damaged = feats.clone()
        for row, n, generator in zip(range(len(feats)), n_frames, generators):
            noise, snr = self._draw_noise((n, bins), generator)
            damaged[row, :n] = fill_mask(
                feats[row, :n], mask[row, :n], self.filling, noise, snr
            )
        return damaged, mask

    def _draw_noise(self, shape, generator):
        if self.filling == "gaps":
            return None, None
        snr = float(generator.uniform(*self.snr_range))
        noise = generator.standard_normal(shape, np.float32)
        return torch.from_numpy(noise), snr
