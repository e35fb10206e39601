"""PESQ, STOI, SI-SDR and DNSMOS of single utterances."""

import math
import sys

import numpy as np
import pesq as pesq_package
import pystoi
import pytest
import torch
from hypothesis import (
    given,
    strategies as st,
)

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics import quality


def bursts(n, seed=0):
    """Noise that comes and goes like syllables, [time]."""
    rng = np.random.default_rng(seed)
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * 4 * np.arange(n) / SAMPLE_RATE)
    return 0.1 * swell * rng.standard_normal(n)


@pytest.fixture(scope="module")
def pair():
    """Speech-like bursts, clean and in noise."""
    clean = bursts(2 * SAMPLE_RATE)
    return clean, clean + 0.05 * np.random.default_rng(1).standard_normal(
        len(clean)
    )


def test_the_packages_own_values(pair):
    assert quality.pesq(*pair) == pesq_package.pesq(SAMPLE_RATE, *pair, "wb")
    assert quality.stoi(*pair) == pystoi.stoi(*pair, SAMPLE_RATE)
    expected = pystoi.stoi(*pair, SAMPLE_RATE, extended=True)
    assert quality.estoi(*pair) == pytest.approx(expected, abs=1e-9)


def test_tensors_are_as_good_as_arrays(pair):
    tensors = [torch.from_numpy(wav).requires_grad_() for wav in pair]
    for metric in (
        quality.pesq,
        quality.stoi,
        quality.estoi,
        quality.si_sdr,
    ):
        value = metric(*tensors)
        assert value == metric(*pair)
        assert type(value) is float
        assert metric(pair[0], pair[0]) > value


def test_pesq_says_where_it_finds_no_utterance(pair):
    clean, noisy = pair
    silence = np.zeros_like(clean)
    for nothing in (
        (silence, noisy),
        (clean, silence),
        (silence, silence),
        (clean, 1e-30 * noisy),
        (clean[:3999], clean[:3999]),
    ):
        assert math.isnan(quality.pesq(*nothing))
    assert quality.pesq(clean[:4000], clean[:4000]) > 4


def test_stoi_says_where_there_is_too_little_speech(pair):
    for n in (100, 3000, 6000):
        assert math.isnan(quality.stoi(*(wav[:n] for wav in pair)))
        assert math.isnan(quality.estoi(*(wav[:n] for wav in pair)))
    assert quality.stoi(pair[0], 0 * pair[0]) == pytest.approx(0)


def test_estoi_neither_uses_nor_moves_the_global_randomness(pair):
    np.random.seed(1)
    first = quality.estoi(pair[0], 0 * pair[0])
    drawn = np.random.random()
    np.random.seed(1)
    assert np.random.random() == drawn
    assert quality.estoi(pair[0], 0 * pair[0]) == first


@given(
    gain=st.floats(1e-5, 1e3),
    offset=st.floats(-1, 1),
    snr=st.floats(-40, 60),
)
def test_si_sdr_is_the_ratio_of_orthogonal_parts(gain, offset, snr):
    place = 2 * np.pi * np.arange(1000) / 1000
    reference, noise = np.sin(3 * place), np.sin(5 * place)
    estimate = gain * (reference + 10 ** (-snr / 20) * noise) + offset
    found = quality.si_sdr(0.01 * reference + 3, estimate)
    assert found == pytest.approx(snr, abs=0.1)


def test_si_sdr_has_ends():
    wav = bursts(1000)
    assert quality.si_sdr(wav, wav) == pytest.approx(80, abs=1)
    assert quality.si_sdr(wav, 0 * wav) == pytest.approx(-80)
    assert math.isnan(quality.si_sdr(0 * wav, wav))


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        # The reference is [3, 4, 0], with an energy of 25.
        # An orthogonal error with an energy of 1: 25 / 1.
        ([3.0, 4.0, 1.0], 13.979),
        # Half as loud: what is there, 25 / 4, over what is missing, 25 / 4.
        ([1.5, 2.0, 0.0], 0.0),
        # Twice as loud: 100 / 25; its SNR is 0 dB.
        ([6.0, 8.0, 0.0], 6.021),
        # The projection (9 / 25) [3, 4, 0] has 81 / 25; the error has 16.
        ([3.0, 0.0, 0.0], 10 * math.log10(81 / 25 / 16)),
        # A constant is an error too.
        ([4.0, 5.0, 1.0], 10 * math.log10(32**2 / 25 / 3)),
        ([3.0, 4.0, 0.0], 80.0),
        ([0.0, 0.0, 0.0], -80.0),
        ([0.0, 0.0, 1.0], -80.0),
    ],
)
def test_sdr_by_hand(estimate, expected):
    found = quality.sdr([3.0, 4.0, 0.0], estimate)
    assert found == pytest.approx(expected, abs=1e-3)


def test_sdr_of_a_silent_reference_is_undefined():
    assert math.isnan(quality.sdr([0.0, 0.0], [1.0, 0.0]))


@given(gain=st.floats(0.1, 10), snr=st.floats(-20, 40))
def test_sdr_is_the_si_sdr_of_what_has_the_right_level(gain, snr):
    """Le Roux et al.: they differ where the level does."""
    place = 2 * np.pi * np.arange(1000) / 1000
    reference, noise = np.sin(3 * place), np.sin(5 * place)
    estimate = reference + 10 ** (-snr / 20) * noise
    level = quality.si_sdr(reference, gain * estimate)
    assert quality.sdr(reference, estimate) == pytest.approx(level, abs=0.05)
    # 10 log10(gain^2 ||s||^2 / ||s - gain s_hat||^2)
    expected = 10 * math.log10(
        gain**2 / ((1 - gain) ** 2 + gain**2 * 10 ** (-snr / 10))
    )
    assert quality.sdr(reference, gain * estimate) == pytest.approx(
        expected, abs=1e-6
    )


def test_si_sdr_leaves_its_arguments_alone():
    pair = torch.randn(2, 100)
    before = pair.clone()
    quality.si_sdr(*pair)
    assert torch.equal(pair, before)


def test_raw_pesq_is_p862s_scale(pair):
    """P.862.1 maps it to what the package returns."""
    wav, other = pair
    raw = quality.raw_pesq(wav, other)
    mapped = 0.999 + 4 / (1 + math.exp(4.6607 - 1.4945 * raw))
    package = pesq_package.pesq(SAMPLE_RATE, wav, other, "nb")
    assert mapped == pytest.approx(package, abs=1e-6)
    # P.862's highest, and what silence has.
    assert quality.raw_pesq(wav, wav) == pytest.approx(4.5, abs=0.01)
    assert math.isnan(quality.raw_pesq(wav, 0 * wav))


@pytest.mark.parametrize(
    ("package", "metric"),
    [
        ("pesq", quality.pesq),
        ("pesq", quality.raw_pesq),
        ("pystoi", quality.stoi),
        ("pystoi", quality.estoi),
        ("speechmos", lambda _, estimate: quality.dnsmos(estimate)),
        ("speechmos", lambda _, estimate: quality.plcmos(estimate)),
        # speechmos imports it without saying so to pip.
        ("librosa", lambda _, estimate: quality.dnsmos(estimate)),
    ],
)
def test_without_its_package(package, metric, pair, monkeypatch):
    quality._dnsmos_model.cache_clear()
    quality._plcmos_model.cache_clear()
    for name in ("dnsmos", "plcmos"):
        monkeypatch.delitem(sys.modules, f"speechmos.{name}", raising=False)
        if "speechmos" in sys.modules:
            monkeypatch.delattr(sys.modules["speechmos"], name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as caught:
        metric(*pair)
    message = str(caught.value)
    assert message.startswith(f"{package}: not installed") and (
        "pip install 'speechbrain-ext[metrics,pesq]'" in message
    )
    assert "\n" not in message
    assert quality.si_sdr(*pair) < 80


def test_dnsmos_is_the_packages(pair):
    from speechmos import dnsmos

    loud = 30 * pair[1]
    expected = dnsmos.run(np.clip(loud, -1, 1), SAMPLE_RATE)
    found = quality.dnsmos(loud)
    assert found == pytest.approx(
        [expected[f"{name}_mos"] for name in ("ovrl", "sig", "bak")], abs=1e-4
    )


def test_plcmos_is_the_packages_with_the_same_raters(pair):
    from speechmos import plcmos

    loud = 30 * pair[1]
    np.random.seed(0)
    expected = plcmos.PLCMOS().get_mos(np.clip(loud, -1, 1).astype(float))
    before = np.random.get_state()[1].copy()
    assert quality.plcmos(loud) == pytest.approx(expected, abs=1e-4)
    assert quality.plcmos(loud) == quality.plcmos(loud)
    assert (np.random.get_state()[1] == before).all()


def test_plcmos_hears_lost_packets():
    time = np.arange(32000) / SAMPLE_RATE
    voice = sum(np.sin(2 * np.pi * 120 * n * time) / n for n in range(1, 20))
    voice = 0.05 * voice * (1 + np.sin(2 * np.pi * 4 * time))
    gone = np.arange(32000) // 320 % 3 == 0
    assert quality.plcmos(voice) > quality.plcmos(voice * ~gone)


@pytest.mark.parametrize(
    "pair",
    [
        (np.ones(4), np.ones(5)),
        (np.ones((1, 4)), np.ones((1, 4))),
        (np.ones(0), np.ones(0)),
        (np.ones(4), np.full(4, np.nan)),
    ],
)
def test_what_is_no_pair_of_signals_is_refused(pair):
    for metric in (quality.pesq, quality.stoi, quality.si_sdr):
        with pytest.raises(ValueError, match="expected"):
            metric(*pair)
