"""CSIG, CBAK and COVL against two programs that others wrote."""

import math

import numpy as np
import pytest
from scipy import signal

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.metrics import composite as composite_module
from speechbrain_ext.metrics.composite import (
    HOP,
    WINDOW,
    composite,
    log_likelihood_ratio,
    segmental_snr,
    weighted_spectral_slope,
)

SENTENCES = (
    "The quick brown fox jumps over the lazy dog near the river bank.",
    "She had your dark suit in greasy wash water all year.",
    "Please call Stella and ask her to bring these things from the store.",
    "We were away a year ago, and nobody noticed the garden had changed.",
    "Six spoons of fresh snow peas, five thick slabs of blue cheese.",
)

# What two independent programs say of the ten pairs that ``pairs`` makes:
#
# - pysepm 0.1 (schmiph2/pysepm, itself checked against the MATLAB program that
#   comes with Loizou's book): CSIG, CBAK, COVL of ``composite(...)``;
# - composite_eval.py of SpeechBrain's recipe Voicebank/MTL/ASR_enhance, which
#   computed the numbers of Plantinga et al. (2022): CSIG, CBAK, COVL.
#
# They agree but for the segmental SNR in CBAK: SpeechBrain's program takes the
# means off and scales the estimate to the reference's peak before it, which the
# paper does not say and the authors' program has in a comment only. Ours
# follows the paper.
OTHERS = {
    "white, 20 dB": ((2.6357, 2.9552, 2.2315), (2.6357, 2.9508, 2.2315)),
    "pink, 15 dB": ((2.7505, 2.5922, 2.0905), (2.7505, 2.5888, 2.0905)),
    "brown, 10 dB": ((5.0, 3.8814, 4.9179), (5.0, 3.8219, 4.9178)),
    "brown, 0 dB": ((4.2840, 2.6476, 3.6030), (4.2849, 2.6396, 3.6042)),
    "hum, 10 dB": ((3.4706, 2.2302, 2.6032), (3.4706, 2.2382, 2.6032)),
    "voices, 12 dB": ((3.5740, 2.6121, 2.6523), (3.5740, 2.5210, 2.6523)),
    "pink, subtracted": ((3.8878, 2.9239, 3.1663), (3.8878, 2.9772, 3.1663)),
    "brown, subtracted": ((4.8414, 3.5672, 4.3336), (4.8350, 3.4861, 4.3250)),
    "low pass": ((1.6822, 4.7341, 3.1956), (1.6823, 4.7363, 3.1956)),
    "clipped, offset": ((3.4205, 2.0215, 2.4208), (3.4254, 1.6514, 2.4273)),
}


def coloured_noise(n, seed, slope):
    """Noise whose amplitude falls with frequency to the power of ``slope``."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    frequency = np.arange(len(spectrum), dtype=float)
    frequency[0] = 1.0
    return np.fft.irfft(spectrum * frequency**-slope, n)


def add(speech, noise, snr):
    """Add noise at an SNR in dB."""
    power_ratio = (speech**2).sum() / (noise**2).sum()
    return speech + noise * np.sqrt(power_ratio / 10 ** (snr / 10))


def subtract_spectrum(noisy):
    """Take a noise floor off each frequency: musical noise is what remains."""
    _, _, spectrum = signal.stft(noisy, nperseg=512)
    magnitude = np.abs(spectrum)
    floor = 1.5 * np.median(magnitude, axis=1, keepdims=True)
    gain = np.maximum(1 - floor / np.maximum(magnitude, 1e-9), 0.2)
    return signal.istft(gain * spectrum, nperseg=512)[1][: len(noisy)]


def to_16_bit(wav):
    """Round as a file does, so that no machine's last digit matters."""
    return np.clip(np.round(wav * 32768), -32768, 32767) / 32768


@pytest.fixture(scope="module")
def pairs():
    """Ten pairs of reference and estimate by name, [time] each."""
    speech = synthesise(
        Request(text, ("en-US", "en-GB")[place % 2])
        for place, text in enumerate(SENTENCES)
    )
    # In a room: digital silence is where programs have no common answer.
    rooms = [
        to_16_bit(add(wav / 32768, coloured_noise(len(wav), place, 0.5), 35))
        for place, wav in enumerate(speech)
    ]

    def noisy(place, slope, snr):
        noise = coloured_noise(len(rooms[place]), 10 + place, slope)
        return add(rooms[place], noise, snr)

    time = np.arange(len(rooms[4])) / SAMPLE_RATE
    hum = sum(np.sin(100 * np.pi * k * time) / k for k in range(1, 40, 2))
    length = len(rooms[0])
    voices = np.resize(rooms[1], length) + np.resize(rooms[2][::-1], length)
    estimates = {
        "white, 20 dB": (0, noisy(0, 0.0, 20)),
        "pink, 15 dB": (1, noisy(1, 0.5, 15)),
        "brown, 10 dB": (2, noisy(2, 1.0, 10)),
        "brown, 0 dB": (3, noisy(3, 1.0, 0)),
        "hum, 10 dB": (4, add(rooms[4], hum, 10)),
        "voices, 12 dB": (0, add(rooms[0], voices, 12)),
        "pink, subtracted": (1, subtract_spectrum(noisy(1, 0.5, 15))),
        "brown, subtracted": (2, subtract_spectrum(noisy(2, 1.0, 5))),
        "low pass": (3, signal.lfilter(*signal.butter(2, 0.5), rooms[3])),
        "clipped, offset": (4, np.clip(0.5 * rooms[4], -0.1, 0.1) + 0.01),
    }
    return {
        name: (rooms[place], to_16_bit(estimate))
        for name, (place, estimate) in estimates.items()
    }


@pytest.mark.parametrize("name", OTHERS)
def test_agrees_with_pysepm(pairs, name):
    assert composite(*pairs[name]) == pytest.approx(OTHERS[name][0], abs=0.02)


@pytest.mark.parametrize("name", OTHERS)
def test_agrees_with_speechbrain_but_for_the_estimates_scale(pairs, name):
    reference, estimate = pairs[name]
    own = composite(reference, estimate)
    csig, cbak, covl = OTHERS[name][1]
    assert (own.csig, own.covl) == pytest.approx((csig, covl), abs=0.02)
    reference, scaled = reference - reference.mean(), estimate - estimate.mean()
    scaled *= np.abs(reference).max() / np.abs(scaled).max()
    difference = segmental_snr(reference, scaled) - segmental_snr(*pairs[name])
    assert own.cbak + 0.063 * difference == pytest.approx(cbak, abs=0.02)


def test_scores_are_limited(pairs):
    reference, _ = pairs["low pass"]
    assert composite(reference, reference) == (5, 5, 5)
    noise = coloured_noise(len(reference), 0, 0.0)
    assert composite(reference, noise) == (1, 1, 1)


def test_without_an_utterance_nothing_is_predicted():
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    for pair in ((noise, 0 * noise), (0 * noise, noise)):
        assert all(map(math.isnan, composite(*pair)))
    assert all(math.isnan(part) for part in composite(noise, noise, math.nan))


def test_pesq_may_be_known_already(pairs):
    pair = pairs["hum, 10 dB"]
    low, high = (composite(*pair, pesq_score=score) for score in (1.5, 2.5))
    assert np.subtract(high, low) == pytest.approx([0.603, 0.478, 0.805])


# ---- the parts ---------------------------------------------------------------


def test_segmental_snr_by_hand():
    """Half of the frames at 20 dB, half limited to 35 dB."""
    wav = np.random.default_rng(0).standard_normal(100 * WINDOW)
    estimate = wav.copy()
    estimate[: 50 * WINDOW] *= 0.9
    # Seven frames reach over the border.
    n_frames = (len(wav) - WINDOW) // HOP
    assert segmental_snr(wav, estimate) == pytest.approx(27.5, abs=0.2)
    assert n_frames == 396
    assert segmental_snr(wav, -9 * wav) == pytest.approx(-10)
    assert segmental_snr(wav, wav) == pytest.approx(35)


def test_llr_by_hand():
    """The reference's own prediction error, and that of a known filter."""
    wav = np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE)
    # White noise through a pole: order 1 predicts it, its error is the noise.
    reference = signal.lfilter([1], [1, -0.9], wav)
    # A white estimate's filter predicts nothing: its error is the reference.
    expected = math.log(1 / (1 - 0.9**2))
    found = log_likelihood_ratio(reference, wav)
    assert found == pytest.approx(expected, abs=0.15)
    assert log_likelihood_ratio(reference, 0.1 * reference) < 1e-9


def test_the_worst_frames_do_not_count():
    rng = np.random.default_rng(0)
    wav = rng.standard_normal(100 * HOP)
    estimate = wav.copy()
    # In three of 96 frames.
    estimate[300:310] = 0
    assert segmental_snr(wav, estimate) < 35
    assert log_likelihood_ratio(wav, estimate) == pytest.approx(0, abs=1e-9)
    assert weighted_spectral_slope(wav, estimate) == pytest.approx(0, abs=1e-9)
    estimate[: 50 * HOP] = rng.standard_normal(50 * HOP)
    assert log_likelihood_ratio(wav, estimate) > 0.05
    assert weighted_spectral_slope(wav, estimate) > 5


def test_slopes_do_not_depend_on_levels():
    rng = np.random.default_rng(0)
    pair = rng.standard_normal((2, SAMPLE_RATE))
    expected = weighted_spectral_slope(*pair)
    assert weighted_spectral_slope(*(0.1 * pair)) == pytest.approx(expected)
    assert weighted_spectral_slope(*pair[::-1]) == pytest.approx(expected)


def test_digital_silence_is_no_trouble():
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    gaps = noise.copy()
    gaps[4000:8000] = 0
    for pair in ((noise, gaps), (gaps, noise), (gaps, gaps)):
        assert np.isfinite(composite(*pair)).all()
    assert log_likelihood_ratio(gaps, gaps) == pytest.approx(0, abs=1e-9)


def test_the_blocks_of_a_long_file_do_not_show(monkeypatch):
    pair = np.random.default_rng(0).standard_normal((2, SAMPLE_RATE))
    parts = (segmental_snr, log_likelihood_ratio, weighted_spectral_slope)
    whole = [part(*pair) for part in parts]
    monkeypatch.setattr(composite_module, "_BLOCK", 7)
    assert [part(*pair) for part in parts] == pytest.approx(whole)


def test_too_short_a_signal_is_refused():
    with pytest.raises(ValueError, match="600 samples"):
        segmental_snr(np.ones(599), np.ones(599))
