"""Masks over time and frequency: their sizes, blocks, seeds and fillings."""

import math

import numpy
import pytest
import torch
from hypothesis import given, strategies
from scipy import ndimage, stats

from speechbrain_ext.corruption.masks import (
    BlockMasks,
    FeatureMask,
    draw_area,
    draw_line,
)
from speechbrain_ext.errors import UserError

SIDE = 128
SIZES = [0.1, 0.2, 0.3, 0.4]


def draw(kinds, count, rate=None, seed=1, epoch=0):
    names = [f"{number}" for number in range(count)]
    masks = BlockMasks(kinds)([SIDE] * count, SIDE, names, seed, epoch, rate)
    return masks.numpy()


def runs(line):
    """Lengths of the runs of True."""
    edges = numpy.flatnonzero(numpy.diff(line, prepend=False, append=False))
    return edges[1::2] - edges[::2]


def line_share(mask):
    """Shares of wholly masked frames and of wholly masked channels."""
    return mask.all(axis=1).mean(), mask.all(axis=0).mean()


# ---- sizes -----------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_time_masks_have_their_size_and_reach_over_all_channels(size):
    for mask in draw("time", 50, size):
        assert mask.any(axis=1).sum() == round(size * SIDE)
        assert (mask == mask[:, :1]).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_size_holds_for_frames_and_for_channels(size):
    for mask in draw("time-frequency", 50, size):
        frames, channels = mask.all(axis=1), mask.all(axis=0)
        assert frames.sum() == channels.sum() == round(size * SIDE)
        assert (mask == (frames[:, None] | channels[None])).all()


@pytest.mark.parametrize("size", SIZES)
def test_an_area_is_exact_to_a_bin(size):
    sums = draw("random", 200, size).sum(axis=(1, 2))
    assert set(sums) == {round(size * SIDE**2)}


def test_sizes_in_training_are_the_papers():
    """Mean 29.4 %, deviation 9.9 %, each within 2 %, in 10,000 draws."""
    sizes = []
    for epoch in range(10):
        for mask in draw(["time-frequency", "random"], 1000, epoch=epoch):
            frames, channels = line_share(mask)
            lines = frames > 0 and channels > 0
            sizes.append(frames if lines else mask.mean())
    assert numpy.mean(sizes) == pytest.approx(0.294, rel=0.02)
    assert numpy.std(sizes) == pytest.approx(0.099, rel=0.02)


def test_kinds_are_drawn_with_equal_odds():
    masks = draw(["time-frequency", "random"], 2000)
    lines = sum(min(line_share(mask)) > 0 for mask in masks)
    assert stats.binomtest(lines, 2000, 0.5).pvalue > 1e-3


# ---- blocks ----------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_time_masks_have_one_to_four_blocks_with_equal_chances(size):
    found = [runs(mask[:, 0]) for mask in draw("time", 1000, size)]
    assert min(map(min, found)) >= 3
    counts = numpy.bincount([len(each) for each in found], minlength=5)
    assert counts[0] == 0 and len(counts) == 5
    assert stats.chisquare(counts[1:]).pvalue > 1e-3


@pytest.mark.parametrize("size", SIZES)
def test_areas_have_one_to_four_blocks(size):
    counts = []
    for mask in draw("random", 400, size):
        counts.append(ndimage.label(mask, numpy.ones((3, 3)))[1])
        for lines in (mask, mask.T):
            assert min(min(runs(line)) for line in lines if line.any()) >= 3
    counts = numpy.bincount(counts, minlength=5)
    assert counts[0] == 0 and len(counts) == 5
    assert stats.chisquare(counts[1:]).pvalue > 1e-3


def test_blocks_are_as_likely_early_as_late():
    for kind in ("time", "random"):
        cover = draw(kind, 2000, 0.2).mean(axis=0)
        early, late = cover[:64].mean(), cover[64:].mean()
        assert early == pytest.approx(late, rel=0.05)
        low, high = cover[:, :64].mean(), cover[:, 64:].mean()
        assert low == pytest.approx(high, rel=0.05)


@given(
    size=strategies.floats(-0.5, 1.5),
    frames=strategies.integers(1, 40),
    bins=strategies.integers(1, 40),
    seed=strategies.integers(0, 99),
)
def test_any_size_gives_a_mask(size, frames, bins, seed):
    generator = numpy.random.default_rng(seed)
    line = draw_line(size, frames, generator)
    wanted = max(3, min(frames, round(size * frames)))
    assert line.sum() == (0 if frames < 3 else wanted)
    area = draw_area(size, frames, bins, generator)
    wanted = max(9, min(frames * bins, round(size * frames * bins)))
    assert area.sum() == (0 if min(frames, bins) < 3 else wanted)


def test_all_can_be_masked_and_nothing():
    for kind in ("time", "time-frequency", "random"):
        assert draw(kind, 3, 1.0).all()
        assert not draw(kind, 3, 0).any()


# ---- what it depends on ----------------------------------------------------


def test_a_mask_does_not_depend_on_the_batch():
    feats = torch.randn(3, SIDE, SIDE)
    for filling in ("gaps", "noise", "additive"):
        damage = FeatureMask(BlockMasks(), 7, filling)
        lengths = torch.tensor([1.0, 0.5, 1.0])
        damaged, mask = damage(feats, lengths, ["a", "b", "c"], 2)
        assert not mask[1, 64:].any()
        alone, own = damage(feats[1:2, :64], torch.ones(1), ["b"], 2)
        assert torch.equal(mask[1, :64], own[0])
        assert torch.equal(damaged[1, :64], alone[0])
        assert torch.equal(damaged[1, 64:], feats[1, 64:])


def test_seed_epoch_and_utterance_change_the_mask():
    first = draw("random", 2, 0.2)
    assert (first == draw("random", 2, 0.2)).all()
    assert (first[0] != first[1]).any()
    assert (first != draw("random", 2, 0.2, seed=2)).any()
    assert (first != draw("random", 2, 0.2, epoch=1)).any()


# ---- fillings --------------------------------------------------------------


def damaged_by(filling, **settings):
    feats = torch.randn(20, SIDE, SIDE, generator=torch.manual_seed(3))
    damage = FeatureMask(BlockMasks(), 5, filling, **settings)
    names = [str(number) for number in range(20)]
    return feats, *damage(feats, torch.ones(20), names, 0)


def test_fillings_share_masks_and_leave_the_rest():
    masks = []
    for filling in ("gaps", "noise", "additive"):
        feats, damaged, mask = damaged_by(filling)
        assert torch.equal(damaged[~mask], feats[~mask])
        masks.append(mask)
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])


def test_gaps_are_zero():
    _, damaged, mask = damaged_by("gaps")
    assert damaged[mask].abs().max() == 0


def test_noise_is_white_and_knows_no_speech():
    feats, damaged, mask = damaged_by("noise")
    noise = damaged[mask]
    assert float(noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    both = torch.stack([noise, feats[mask]])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.02
    # Apart from the masks: a filling that follows them would be found.
    assert len(set(noise.tolist())) > 0.99 * len(noise)


def test_additive_noise_is_below_minus_ten_decibels_over_speech():
    feats, damaged, mask = damaged_by("additive")
    snrs = []
    for speech, noisy, block in zip(feats, damaged, mask, strict=True):
        noise = (noisy - speech)[block].double()
        energies = speech[block].double().square().sum(), noise.square().sum()
        snrs.append(10 * math.log10(energies[0] / energies[1]))
    assert -20.01 < min(snrs) < -15 < max(snrs) < -9.99
    _, louder, _ = damaged_by("additive", snr_range=(-30, -30))
    noise = (louder - feats)[mask].norm() / feats[mask].norm()
    assert float(20 * noise.log10()) == pytest.approx(30, abs=0.2)


def test_what_is_silent_stays_finite():
    damage = FeatureMask(BlockMasks(), 1, "additive")
    damaged, _ = damage(torch.zeros(1, SIDE, SIDE), torch.ones(1), ["a"], 0)
    assert damaged.isfinite().all()


# ---- what is refused -------------------------------------------------------


def test_unknown_kinds_fillings_and_sizes_are_refused():
    with pytest.raises(UserError, match="kinds: are"):
        BlockMasks("frequency")
    with pytest.raises(UserError, match="filling: is hum"):
        FeatureMask(BlockMasks(), 1, "hum")
    with pytest.raises(UserError, match="rate: is 20"):
        BlockMasks()([SIDE], SIDE, ["a"], 0, 0, rate=20)
