"""Segments' log magnitudes, and waveforms from magnitudes alone."""

import sys

import numpy
import pytest
import torch

from speechbrain_ext.errors import UserError
from speechbrain_ext.features import phase
from speechbrain_ext.features.phase import (
    fast_griffin_lim,
    frame_spectrum,
    overlap_add,
    symmetric_window,
)
from speechbrain_ext.features.segment_log_magnitude import (
    SEGMENT_SAMPLES,
    SegmentLogMagnitude,
)

METHODS = ["griffin-lim", "lws"]


@pytest.fixture
def voices():
    """Two segments of harmonics, the second one higher, that come and go."""
    time = torch.arange(SEGMENT_SAMPLES) / 16000
    rows = []
    for pitch in (110, 190):
        glide = pitch * (time + 0.1 * time**2)
        tones = [
            torch.sin(2 * torch.pi * n * glide) / n
            for n in range(1, 2000 // pitch)
        ]
        syllables = torch.sin(2 * torch.pi * 4 * time).clamp(min=0)
        rows.append(0.1 * sum(tones) * syllables)
    noise = torch.randn(2, SEGMENT_SAMPLES, generator=torch.manual_seed(1))
    return torch.stack(rows) + 1e-3 * noise


def features(method="griffin-lim", **settings):
    return SegmentLogMagnitude(method, **settings)


def error(feats, found, extract):
    """How far magnitudes are from what they should be, relative."""
    wanted = extract.magnitudes(feats)[..., :-1]
    lengths = torch.ones(len(found))
    got = extract.spectrum(found, lengths).abs()[..., :-1]
    return float((got - wanted).norm() / wanted.norm())


# ---- there -----------------------------------------------------------------


def test_a_frame_equals_numpys_transform(voices):
    feats = features()(voices, torch.ones(2))
    assert feats.shape == (2, 128, 128)
    # Frame 10's window has its middle at sample 10 * 128 + 64.
    cut = voices[0, 1344 - 128 : 1344 + 128].double().numpy()
    window = numpy.sqrt(
        0.5 - 0.5 * numpy.cos(numpy.arange(1, 512, 2) * (numpy.pi / 256))
    )
    expected = numpy.log(numpy.abs(numpy.fft.rfft(window * cut)))[:128]
    numpy.testing.assert_allclose(feats[0, 10], expected, atol=1e-3)


def test_statistics_normalise_every_channel_and_are_saved(voices):
    extract, lengths = features(), torch.tensor([1.0, 0.5])
    extract.fit([(voices[:1], torch.ones(1)), (voices[1:], lengths[1:])])
    feats = extract(voices, lengths)
    feats = torch.cat([feats[0], feats[1, :64]])
    torch.testing.assert_close(
        feats.mean(dim=0), torch.zeros(128), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        feats.std(dim=0, correction=0), torch.ones(128), atol=1e-3, rtol=0
    )
    assert set(extract.state_dict()) == {"mean", "deviation"}
    other = features()
    other.load_state_dict(extract.state_dict())
    assert torch.equal(other(voices, lengths), extract(voices, lengths))


def test_neighbours_in_a_batch_change_nothing(voices):
    lengths = torch.tensor([1.0, 0.6])
    together = features()(voices, lengths)
    end = round(0.6 * SEGMENT_SAMPLES)
    alone = features()(voices[1:, :end], torch.ones(1))
    frames = alone.shape[1]
    torch.testing.assert_close(together[1:, :frames], alone)
    share = features().relative_frames(lengths, SEGMENT_SAMPLES, 128)
    assert round(float(share[1] * 128)) == frames


def test_segments_are_cut_from_longer_speech(voices):
    long = torch.cat([voices[:1], voices[1:]], dim=1)
    whole = features()(long, torch.ones(1))
    apart = features()(voices, torch.ones(2))
    # But for the windows that reach over the cut.
    torch.testing.assert_close(whole[0, :127], apart[0, :127])
    torch.testing.assert_close(whole[0, 129:], apart[1, 1:])


# ---- and back --------------------------------------------------------------


@pytest.mark.parametrize("samples", [16384, 16000, 100, 1])
def test_the_spectrum_is_inverted_exactly(samples):
    extract, wavs = features(), torch.randn(2, samples)
    lengths = torch.tensor([1.0, 0.5])
    nothing = torch.zeros(2, -(-samples // 128), 128, dtype=torch.bool)
    again = extract.silence(wavs, lengths, nothing)
    end = round(0.5 * samples)
    torch.testing.assert_close(again[0], wavs[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(again[1, :end], wavs[1, :end], atol=1e-5, rtol=0)
    assert not again[1, end:].any()


@pytest.mark.parametrize("method", METHODS)
def test_estimated_phases_give_back_the_magnitudes(voices, method):
    extract = features(method)
    extract.fit([(voices, torch.ones(2))])
    feats = extract(voices, torch.ones(2))
    found = extract.resynthesise(feats, voices, torch.ones(2))
    silent = torch.zeros_like(voices)
    assert error(feats, found, extract) < 0.1
    # From the magnitudes alone: other samples change nothing.
    again = extract.resynthesise(feats, silent, torch.ones(2))
    assert torch.equal(again, found)
    alone = extract.resynthesise(feats[1:], silent[1:], torch.ones(1))
    torch.testing.assert_close(alone[0], found[1], atol=1e-4, rtol=0)


def test_the_way_back_without_its_iterations_is_worse(voices):
    feats = features()(voices, torch.ones(2))
    few, many = (
        error(feats, each.resynthesise(feats, voices, torch.ones(2)), each)
        for each in (features(iterations=1), features(iterations=64))
    )
    assert many < 0.7 * few


def test_griffin_lim_finds_the_phases_of_one_tone():
    """To a quarter of a bin; of the phase itself nothing is known."""
    wavs = torch.sin(0.3 * torch.arange(4096))[None]
    window = symmetric_window(256)
    magnitudes = frame_spectrum(wavs, window, 128).abs()
    phases = fast_griffin_lim(magnitudes, window, 128)
    again = overlap_add(magnitudes * phases, window)
    spectrum = torch.fft.rfft(again[0, 512:-512] * torch.hann_window(3072))
    peak = int(spectrum.abs().argmax()) * 2 * torch.pi / 3072
    assert peak == pytest.approx(0.3, abs=0.006)


def test_observed_bins_are_kept_with_their_phases(voices):
    extract, lengths = features(), torch.ones(2)
    lost = torch.zeros(2, 128, 128, dtype=torch.bool)
    lost[:, 40:50] = True
    feats = extract(voices, lengths)
    damaged = extract.silence(voices, lengths, lost)
    wrong = torch.where(lost, feats, feats + 1)
    found = extract.resynthesise(wrong, voices, lengths, lost)
    # What no masked window reaches is as it was, whatever the features say.
    outside = torch.ones(SEGMENT_SAMPLES, dtype=torch.bool)
    outside[39 * 128 : 51 * 128] = False
    torch.testing.assert_close(
        found[:, outside], voices[:, outside], atol=1e-4, rtol=0
    )
    gone = voices - damaged
    assert (voices - found).norm() < 1.5 * gone.norm()
    assert error(feats, found, extract) < error(feats, damaged, extract)


def empty_frames(start, end):
    lost = torch.zeros(2, 128, 128, dtype=torch.bool)
    lost[:, start:end] = True
    return lost


def test_phases_near_what_was_observed_are_the_guesss(voices):
    """64 ms on both sides: all of a gap of 16 frames."""
    extract, lengths, lost = features(), torch.ones(2), empty_frames(40, 56)
    # With the highest bin, which features do not have.
    band = extract.spectrum(voices, lengths)
    band[..., -1] = 0
    wanted = extract.resynthesise(
        extract(voices, lengths), voices, lengths, lost, guess=voices
    )
    inside = slice(42 * 128, 54 * 128)
    true = overlap_add(band, extract.window)[:, 64 : 64 + SEGMENT_SAMPLES]
    torch.testing.assert_close(
        wanted[:, inside], true[:, inside], atol=1e-4, rtol=0
    )
    alone = extract.resynthesise(
        extract(voices, lengths), voices, lengths, lost
    )
    gone = (voices - alone)[:, inside].norm()
    assert gone > 10 * (voices - wanted)[:, inside].norm()


def test_phases_farther_off_are_fitted(voices):
    """A guess that is wrong does harm at the edges only."""
    extract, lengths, lost = features(), torch.ones(2), empty_frames(30, 90)
    feats = extract(voices, lengths)
    noise = torch.randn(
        voices.shape, generator=torch.Generator().manual_seed(3)
    )
    found = extract.resynthesise(feats, voices, lengths, lost, guess=noise)
    wanted = extract.magnitudes(feats)[..., :-1]
    got = extract.spectrum(found, lengths).abs()[..., :-1]
    errors = (got - wanted).abs().sum(dim=2) / wanted.sum(dim=2)
    edges = torch.cat([errors[:, 31:37], errors[:, 83:89]], dim=1)
    assert errors[:, 42:78].mean() < 0.8 * edges.mean()


def test_a_guess_does_not_touch_what_was_observed_in_part(voices):
    extract, lengths = features(), torch.ones(2)
    lost = empty_frames(40, 60)
    lost[:, :, 64:] = False
    feats = extract(voices, lengths)
    found = [
        extract.resynthesise(feats, voices, lengths, lost, guess=guess)
        for guess in (None, torch.ones_like(voices))
    ]
    torch.testing.assert_close(*found)


def test_nothing_lost_is_given_back(voices):
    extract, lengths = features(), torch.ones(2)
    lost = torch.zeros(2, 128, 128, dtype=torch.bool)
    found = extract.resynthesise(
        torch.zeros(2, 128, 128), voices, lengths, lost
    )
    torch.testing.assert_close(found, voices, atol=1e-5, rtol=0)


def test_gradients_reach_the_features(voices):
    extract = features(iterations=2)
    feats = extract(voices, torch.ones(2)).requires_grad_()
    extract.resynthesise(feats, voices, torch.ones(2)).square().sum().backward()
    assert feats.grad.isfinite().all() and feats.grad.any()


# ---- what is bad -----------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_silence_and_all_lost_are_finite(method):
    extract, wavs = features(method), torch.zeros(1, 1000)
    feats = extract(wavs, torch.ones(1))
    assert feats.isfinite().all()
    found = extract.resynthesise(feats, wavs, torch.ones(1))
    assert found.abs().max() < 1e-4
    lost = torch.ones_like(feats, dtype=torch.bool)
    found = extract.resynthesise(feats, wavs, torch.ones(1), lost)
    assert found.isfinite().all() and found.abs().max() < 1e-4


def test_statistics_of_silence_are_finite():
    extract = features()
    extract.fit([(torch.zeros(1, 1000), torch.ones(1))])
    feats = extract(torch.zeros(1, 1000), torch.ones(1))
    torch.testing.assert_close(feats, torch.zeros(1, 8, 128))


def test_a_mask_of_another_shape_is_refused(voices):
    lost = torch.zeros(2, 128, 129, dtype=torch.bool)
    with pytest.raises(UserError, match="mask: has the shape"):
        features().silence(voices, torch.ones(2), lost)
    with pytest.raises(UserError, match="mask: has the shape"):
        features().resynthesise(
            torch.zeros(2, 128, 128), voices, torch.ones(2), lost
        )


def test_what_cannot_be_is_refused():
    with pytest.raises(UserError, match="phase: is noisy"):
        features("noisy")
    with pytest.raises(UserError, match="no training speech"):
        features().fit([])


def test_a_missing_package_is_one_line(monkeypatch):
    phase._solver.cache_clear()
    monkeypatch.setitem(sys.modules, "lws", None)
    with pytest.raises(UserError, match=r"lws: not installed.*\[phase\]"):
        features("lws")
    assert features("auto").phase == "griffin-lim"


# ---- what tables compare with ----------------------------------------------


def test_shaped_noise_has_the_speechs_spectrum_in_the_mask_alone(voices):
    extract, lengths = features(), torch.ones(2)
    lost = torch.zeros(2, 128, 128, dtype=torch.bool)
    noise = torch.randn(2, SEGMENT_SAMPLES)
    same = extract.shaped_noise(voices, lengths, lost, noise)
    torch.testing.assert_close(same, voices, atol=1e-5, rtol=0)
    filled = extract.shaped_noise(voices, lengths, ~lost, noise)
    energies = [
        extract.spectrum(each, lengths).abs().square().mean(dim=1)
        for each in (voices, filled)
    ]
    # Ten channels together: noise varies, and frames must fit each other.
    bands = [each[:, :120].unflatten(1, (12, 10)).sum(2) for each in energies]
    torch.testing.assert_close(bands[1], bands[0], rtol=0.35, atol=1e-3)
    correlation = torch.corrcoef(torch.stack([voices[0], filled[0]]))[0, 1]
    assert abs(float(correlation)) < 0.1


def test_touched_samples_are_those_that_silence_changes(voices):
    extract, lengths = features(), torch.ones(2)
    lost = torch.zeros(2, 128, 128, dtype=torch.bool)
    lost[0, 5:9] = lost[1, 0] = lost[1, 120:] = True
    loud = torch.ones_like(voices)
    changed = (extract.silence(loud, lengths, lost) - 1).abs() > 1e-6
    touched = extract.touched_samples(lost, SEGMENT_SAMPLES)
    # At its very ends a window weighs less than can be seen.
    assert not (changed & ~touched).any()
    assert (touched & ~changed).sum() < 20
    # In some channels alone nothing is for the time domain to fill.
    lost[:, :, 0] = False
    assert not extract.touched_samples(lost, SEGMENT_SAMPLES).any()
