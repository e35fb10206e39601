"""Pairs of files and arrays, scored in one process and in several."""

import logging
import math

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics import quality
from speechbrain_ext.metrics.composite import composite
from speechbrain_ext.metrics.scoring import (
    METRICS,
    PESQ_METRICS,
    SIGNAL_METRICS,
    names_without_utterance,
    score_pairs,
)


def noise(n, seed=0):
    """Noise that is loud enough to be an utterance, [time]."""
    return 0.1 * np.random.default_rng(seed).standard_normal(n)


def write(file, wav, rate=SAMPLE_RATE):
    """Write floats, so that files and arrays have the same samples."""
    soundfile.write(file, wav, rate, subtype="FLOAT")
    return file


@pytest.fixture
def pairs(tmp_path):
    """Four pairs, the second of them silent; the third estimate an array."""
    made = []
    for place in range(4):
        clean = noise(8000 + 800 * place, place).astype(np.float32)
        noisy = clean + noise(len(clean), 9).astype(np.float32)
        if place == 1:
            clean, noisy = 0 * clean, 0 * noisy
        reference = write(tmp_path / f"clean-{place}.wav", clean)
        if place != 2:
            noisy = write(tmp_path / f"noisy-{place}.wav", noisy)
        made.append((reference, noisy))
    return made


def test_any_number_of_processes_gives_the_same(pairs):
    one, two = (
        score_pairs(pairs, SIGNAL_METRICS, n_workers=n, progressbar=False)
        for n in (1, 2)
    )
    # As text, since NaN is not equal to itself.
    assert repr(one) == repr(two)
    names = [row["name"].rsplit("/")[-1] for row in one]
    assert names == ["noisy-0.wav", "noisy-1.wav", "clean-2.wav", "noisy-3.wav"]


def test_the_scores_are_the_metrics_own(pairs):
    pair = [soundfile.read(file, dtype="float32")[0] for file in pairs[0]]
    (row,) = score_pairs(pairs[:1], SIGNAL_METRICS, 1, progressbar=False)
    for name in ("pesq", "stoi", "estoi", "si_sdr"):
        assert row[name] == getattr(quality, name)(*pair), name
    assert (row["csig"], row["cbak"], row["covl"]) == composite(*pair)
    assert row["no_utterance"] is False
    assert set(row) == {"name", "no_utterance", *SIGNAL_METRICS}


def test_only_what_is_asked_for_is_computed(pairs, monkeypatch):
    monkeypatch.setattr(quality, "pesq", None)
    monkeypatch.setattr(quality, "dnsmos", lambda wav: quality.DNSMOS(3, 2, 1))
    wanted = ["dnsmos_bak", "dnsmos_ovrl", "stoi"]
    rows = score_pairs(pairs, wanted, 1, progressbar=False)
    assert [row["dnsmos_bak"] for row in rows] == [1] * 4
    assert [row["dnsmos_ovrl"] for row in rows] == [3] * 4
    assert not names_without_utterance(rows)


def test_a_clip_without_an_utterance_is_named_and_counted(pairs, caplog):
    with caplog.at_level(logging.WARNING):
        rows = score_pairs(pairs, PESQ_METRICS[::-1], 1, False)
    assert [row["no_utterance"] for row in rows] == [False, True, False, False]
    assert names_without_utterance(rows) == [str(pairs[1][1])]
    assert all(math.isnan(rows[1][name]) for name in PESQ_METRICS)
    assert "1 of 4" in caplog.text and "noisy-1.wav" in caplog.text


def test_other_rates_are_resampled(tmp_path):
    place = np.arange(8000) / 8000
    tone = 0.1 * np.sin(2 * np.pi * 440 * place)
    pair = [
        write(tmp_path / "clean.wav", tone, 8000),
        write(tmp_path / "noisy.wav", tone + noise(8000), 8000),
    ]
    (row,) = score_pairs([pair], ["si_sdr", "stoi"], 1, progressbar=False)
    # The noise stays below 4 kHz, so its share of the power stays too.
    assert row["si_sdr"] == pytest.approx(-3, abs=0.5)
    assert math.isfinite(row["stoi"])


@pytest.mark.parametrize("n_workers", [1, 2])
def test_pairs_that_do_not_fit_are_named(tmp_path, n_workers):
    clean = write(tmp_path / "clean.wav", noise(8000))
    short = write(tmp_path / "short.wav", noise(7999))
    with pytest.raises(UserError) as error:
        score_pairs([(clean, short)], ["si_sdr"], n_workers, progressbar=False)
    assert str(error.value).startswith(f"{short}: 7999 samples at 16000 Hz")
    assert str(clean) in str(error.value)


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (noise(100), "clean.wav: 100 samples"),
        (np.full(8000, np.nan), "clean.wav: NaN"),
        ("slow.wav", "slow.wav: 8000 samples at 8000 Hz.* 16000 Hz"),
        ("none.wav", "none.wav: no such file"),
    ],
)
def test_bad_estimates_are_named(tmp_path, monkeypatch, estimate, message):
    monkeypatch.chdir(tmp_path)
    write("clean.wav", noise(8000))
    write("slow.wav", noise(8000), 8000)
    with pytest.raises(UserError, match=message):
        score_pairs([("clean.wav", estimate)], ["si_sdr"], progressbar=False)


def test_unknown_metrics_are_named():
    with pytest.raises(UserError, match="metrics: no mos; expected pesq, "):
        score_pairs([], ["pesq", "mos"])


def test_nothing_to_score():
    assert score_pairs([], METRICS, progressbar=False) == []


def test_this_process_keeps_its_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        score_pairs([(noise(800), noise(800))], ["si_sdr"], 1, False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
