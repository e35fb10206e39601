"""Classical concealment, compared with values computed by hand."""

import pytest
import torch

from speechbrain_ext.frontends.concealment import (
    LinearPrediction,
    MelInterpolation,
    RepeatPacket,
    TwoSidedPrediction,
)
from speechbrain_ext.frontends.recurrent_concealer import RecurrentConcealer

PACKET = 320


def concealers():
    """One of each that takes waveforms; the trained one has random weights."""
    torch.manual_seed(0)
    return [
        RepeatPacket(),
        LinearPrediction(),
        RecurrentConcealer(hidden_size=16).eval(),
    ]


@pytest.fixture(params=range(3), ids=["repeat", "lpc", "recurrent"])
def conceal(request):
    return concealers()[request.param]


def mask(*packets, n_samples=3200):
    """One utterance's lost samples, from its lost packets."""
    lost = torch.zeros(1, n_samples, dtype=torch.bool)
    for packet in packets:
        lost[:, packet * PACKET : (packet + 1) * PACKET] = True
    return lost


def tone(n_samples=3200, step=0.1):
    return torch.sin(step * torch.arange(n_samples))[None]


# What holds for all that take waveforms


def test_they_say_that_they_take_waveforms(conceal):
    assert conceal.takes_waveforms is True
    assert not getattr(MelInterpolation(), "takes_waveforms", False)


def test_nothing_lost_nothing_changed(conceal):
    wavs = torch.randn(2, 3000)
    lengths = torch.tensor([1.0, 0.6])
    lost = torch.zeros(2, 3000, dtype=torch.bool)
    assert torch.equal(conceal(wavs, lengths, lost), wavs)
    assert torch.equal(conceal(wavs, lengths), wavs)


def test_received_samples_stay(conceal):
    wavs, lost = torch.randn(1, 3200), mask(3, 4, 7)
    found = conceal(wavs * ~lost, torch.ones(1), lost)
    changed = (found != wavs * ~lost)[0]
    # The recurrent one fades into the 5 ms after a gap.
    faded = torch.zeros_like(changed)
    if isinstance(conceal, RecurrentConcealer):
        faded[5 * PACKET : 5 * PACKET + 80] = True
        faded[8 * PACKET : 8 * PACKET + 80] = True
    assert torch.equal(changed, lost[0] | faded)


def test_rows_do_not_see_each_other(conceal):
    torch.manual_seed(1)
    lengths = torch.tensor([1.0, 0.85, 0.5])
    wavs = torch.randn(3, 4000)
    lost = torch.rand(3, 13) < 0.5
    lost = lost.repeat_interleave(PACKET, dim=1)[:, :4000]
    together = conceal(wavs * ~lost, lengths, lost)
    for row, end in enumerate([4000, 3400, 2000]):
        part = slice(row, row + 1)
        alone = conceal(
            (wavs * ~lost)[part, :end], torch.ones(1), lost[part, :end]
        )
        torch.testing.assert_close(
            alone[0], together[row, :end], atol=1e-5, rtol=1e-4
        )
        # What stands past the end is the batch's padding.
        assert torch.equal(together[row, end:], (wavs * ~lost)[row, end:])


@pytest.mark.parametrize("n_samples", [1, 100, 320, 3200])
def test_an_utterance_that_is_wholly_lost_is_silent(conceal, n_samples):
    lost = torch.ones(1, n_samples, dtype=torch.bool)
    found = conceal(torch.zeros(1, n_samples), torch.ones(1), lost)
    assert found.shape == (1, n_samples) and found.abs().max() < 1e-5


def test_a_loss_at_the_very_start_is_silent(conceal):
    lost = mask(0, 1)
    found = conceal(tone() * ~lost, torch.ones(1), lost)
    assert found[0, : 2 * PACKET].abs().max() < 1e-5
    assert torch.equal(found[0, 2 * PACKET + 80 :], tone()[0, 720:])


def test_what_was_lost_is_not_looked_at_and_the_future_neither(conceal):
    wavs, lost = tone() + 0.1 * torch.randn(1, 3200), mask(4, 5)
    found = conceal(wavs * ~lost, torch.ones(1), lost)
    other = wavs * ~lost
    other[:, 6 * PACKET :] = torch.randn(1, 3200 - 6 * PACKET)
    again = conceal(other, torch.ones(1), lost)
    assert torch.equal(found[:, : 6 * PACKET], again[:, : 6 * PACKET])


def test_long_gaps_do_not_grow(conceal):
    """A second without a packet is never louder than what was received."""
    wavs = torch.cat([0.5 * tone(1600), torch.zeros(1, 16000)], dim=1)
    lost = torch.arange(17600)[None] >= 1600
    found = conceal(wavs, torch.ones(1), lost)
    assert torch.isfinite(found).all()
    level = found.unfold(1, PACKET, PACKET).square().mean(dim=2).sqrt()[0]
    assert level[5:].max() <= 1.02 * level[:5].max()


# The last packet again


def test_fade_by_hand():
    wavs = torch.zeros(1, 14)
    wavs[0, :6] = torch.tensor([9.0, 9.0, 9.0, 1.0, 2.0, 3.0])
    wavs[0, 13] = 7.0
    lost = (torch.arange(14)[None] >= 6) & (torch.arange(14)[None] < 13)
    found = RepeatPacket(packet_samples=3, fade=0.5)(wavs, torch.ones(1), lost)
    assert found[0, 6:].tolist() == [0.5, 1, 1.5, 0.25, 0.5, 0.75, 0.125, 7]


def test_a_short_received_run_repeats_alone():
    """Two samples between two gaps; nothing of the gap before them."""
    wavs = torch.tensor([[8.0, 8.0, 0.0, 0.0, 4.0, 2.0, 0.0, 0.0, 0.0]])
    lost = torch.tensor([[0, 0, 1, 1, 0, 0, 1, 1, 1]]).bool()
    found = RepeatPacket(packet_samples=3, fade=0.5)(wavs, torch.ones(1), lost)
    assert found[0].tolist() == [8, 8, 4, 4, 4, 2, 2, 1, 2]


def test_the_default_fade_is_10_db_in_100_ms():
    lost = mask(*range(1, 10))
    found = RepeatPacket()(torch.ones(1, 3200) * ~lost, torch.ones(1), lost)
    levels = found[0, ::PACKET]
    expected = [1.0] + [0.8**n for n in range(1, 10)]
    assert levels.tolist() == pytest.approx(expected)
    assert 20 * levels[5].log10() == pytest.approx(-9.7, abs=0.1)


# Linear prediction


@pytest.mark.parametrize("step", [0.05, 0.3, 1.3])
def test_a_tone_goes_on(step):
    wavs, lost = tone(step=step), mask(6)
    found = LinearPrediction()(wavs * ~lost, torch.ones(1), lost)
    assert (found - wavs).abs().max() < 0.15
    # Silence in its place would be as far as the tone is high.
    assert (wavs * lost).abs().max() > 0.99


def test_voiced_speech_stays_voiced():
    """Pulses at 100 Hz through a resonance: the next pulses come in time."""
    pulses = torch.zeros(6400)
    pulses[::160] = 1.0
    time = torch.arange(400)
    resonance = torch.exp(-0.02 * time) * torch.cos(0.5 * time)
    wavs = torch.nn.functional.conv1d(
        pulses[None, None], resonance.flip(0)[None, None], padding=399
    )[0, :, :6400]
    lost = mask(12, n_samples=6400)
    found = LinearPrediction()(wavs * ~lost, torch.ones(1), lost)
    error = (found - wavs)[lost].square().mean() / wavs[lost].square().mean()
    assert error < 0.1


def test_long_gaps_fade_to_silence():
    wavs = tone(9600)
    lost = torch.arange(9600)[None] >= 3200
    conceal = LinearPrediction(hold_samples=320, fade_samples=1280)
    found = conceal(wavs * ~lost, torch.ones(1), lost)[0, 3200:]
    assert (found[1600:] == 0).all()
    unfaded = LinearPrediction(hold_samples=1600, fade_samples=1280)
    full = unfaded(wavs * ~lost, torch.ones(1), lost)[0, 3200:]
    assert torch.equal(found[:321], full[:321])
    torch.testing.assert_close(found[960], full[960] * 0.5)


def test_prediction_is_in_double_and_out_in_the_inputs_type():
    lost = mask(6)
    found = LinearPrediction()(tone().float() * ~lost, torch.ones(1), lost)
    assert found.dtype == torch.float32


# Mel frames


def test_interpolation_by_hand():
    feats = torch.full((1, 8, 2), 99.0)
    received = {1: [0.0, 4.0], 2: [1.0, 8.0], 6: [3.0, 0.0]}
    lost = torch.ones(1, 8)
    for frame, values in received.items():
        feats[0, frame] = torch.tensor(values)
        lost[0, frame] = 0.0
    found = MelInterpolation()(feats, torch.ones(1), lost)
    assert found[0, :, 0].tolist() == [0, 0, 1, 1.5, 2, 2.5, 3, 3]
    assert found[0, :, 1].tolist() == [4, 4, 8, 6, 4, 2, 0, 0]


def test_frames_that_lost_little_are_kept():
    feats, lost = torch.randn(1, 6, 3), torch.zeros(1, 6)
    lost[0, 1:4] = torch.tensor([0.1, 0.11, 0.5])
    found = MelInterpolation(threshold=0.1)(feats, torch.ones(1), lost)
    changed = (found != feats).any(dim=2)[0]
    assert changed.tolist() == [False, False, True, True, False, False]
    higher = MelInterpolation(threshold=0.5)(feats, torch.ones(1), lost)
    assert torch.equal(higher, feats)


def test_mel_rows_do_not_see_each_other_or_their_padding():
    torch.manual_seed(0)
    feats, lost = torch.randn(3, 40, 4), (torch.rand(3, 40) < 0.6).float()
    lengths = torch.tensor([1.0, 0.5, 0.05])
    # The last frames are lost: the frames behind them are no speech.
    lost[1, 17:20] = 1.0
    together = MelInterpolation()(feats, lengths, lost)
    for row, end in enumerate([40, 20, 2]):
        alone = MelInterpolation()(
            feats[row : row + 1, :end],
            torch.ones(1),
            lost[row : row + 1, :end],
        )
        assert torch.equal(alone[0], together[row, :end])
        assert torch.equal(together[row, end:], feats[row, end:])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_mels_of_nothing_or_all_lost_stay(share):
    feats = torch.randn(2, 9, 4)
    lost = torch.full((2, 9), share)
    found = MelInterpolation()(feats, torch.tensor([1.0, 0.5]), lost)
    assert torch.equal(found, feats)
    assert torch.equal(MelInterpolation()(feats, torch.ones(2)), feats)


# ---- both sides of a gap ---------------------------------------------------


def glide():
    """A tone of 200 to 600 Hz in a second, and a gap of 50 ms."""
    time = torch.arange(16000) / 16000
    wavs = torch.sin(2 * torch.pi * (200 * time + 200 * time**2))[None]
    lost = torch.zeros(1, 16000, dtype=torch.bool)
    lost[:, 8000:8800] = True
    return wavs, lost


def test_two_sides_know_more_than_one():
    wavs, lost = glide()
    errors = [
        (conceal(wavs * ~lost, torch.ones(1), lost) - wavs).norm()
        for conceal in (
            LinearPrediction(hold_samples=800),
            TwoSidedPrediction(),
        )
    ]
    assert errors[1] < 0.8 * errors[0]


def test_two_sides_are_the_same_backwards():
    wavs, lost = glide()
    conceal = TwoSidedPrediction()
    there = conceal(wavs * ~lost, torch.ones(1), lost)
    wavs, lost = wavs.flip(1), lost.flip(1)
    back = conceal(wavs * ~lost, torch.ones(1), lost).flip(1)
    torch.testing.assert_close(there, back, atol=1e-5, rtol=0)
    assert not torch.equal(there, wavs.flip(1))


def test_two_sides_meet_what_was_received():
    wavs, lost = glide()
    found = TwoSidedPrediction()(wavs * ~lost, torch.ones(1), lost)
    assert torch.equal(found[~lost], wavs[~lost])
    steps = found.diff(dim=1).abs()
    assert steps.max() < 2 * wavs.diff(dim=1).abs().max()


@pytest.mark.parametrize("place", [slice(0, 800), slice(15200, 16000)])
def test_at_an_end_of_the_file_one_side_fills_the_gap(place):
    wavs = glide()[0]
    lost = torch.zeros(1, 16000, dtype=torch.bool)
    lost[:, place] = True
    found = TwoSidedPrediction()(wavs * ~lost, torch.ones(1), lost)
    assert found[:, place].norm() > 0.5 * wavs[:, place].norm()


def test_two_sides_do_not_look_past_the_end_or_into_other_gaps():
    wavs, lost = glide()
    lost[:, 9000:9500] = True
    wavs, lengths = wavs * ~lost, torch.tensor([0.75])
    conceal = TwoSidedPrediction()
    lost[:, 11500:12000] = True
    alone = conceal(wavs[:, :12000], torch.ones(1), lost[:, :12000])
    wavs[:, 12000:] = 9.0
    found = conceal(wavs, lengths, lost)
    assert torch.equal(found[:, :12000], alone)
    lost_loud = torch.where(lost, 9.0, wavs)
    assert torch.equal(conceal(lost_loud, lengths, lost), found)
