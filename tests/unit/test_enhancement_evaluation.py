"""Evaluation of enhancement: what it writes of systems that are known."""

import json

import pytest
import torch

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.enhancement import (
    evaluate_enhancement,
    evaluate_enhancement_systems,
)
from speechbrain_ext.evaluation.enhancement_systems import (
    CLEAN,
    NOISY,
    EnhancementSystem,
)
from speechbrain_ext.evaluation.phoneme_report import read_texts
from speechbrain_ext.evaluation.word_errors import read_word_errors

METRICS = ("stoi", "si_sdr")


class Halver:
    """An enhancer that halves, and counts what it is given."""

    def __init__(self):
        self.heard = 0

    def enhance_signals(self, signals):
        self.heard += len(signals)
        return [signal / 2 for signal in signals]


class BackEnd:
    """What stands for a recogniser's weights."""

    beam_size = 1


class Parrot(torch.nn.Module):
    """Hears every word of quiet speech, and one word of loud speech."""

    language = None

    def __init__(self):
        super().__init__()
        self.mods = torch.nn.Module()
        self.mods.back_end = BackEnd()
        self.calls = 0

    def transcribe_signals(self, signals, lost, front_end, batch_size):
        assert not front_end and not any(part.any() for part in lost)
        self.calls += 1
        return [
            "cats dogs birds fish" if x.abs().max() < 0.3 else "cats"
            for x in signals
        ]


@pytest.fixture
def rows(tmp_path):
    generator = torch.Generator().manual_seed(0)
    found = []
    for place, snr in enumerate((0, 0, 10)):
        clean = 0.1 * torch.randn(16000 + 1600 * place, generator=generator)
        noise = torch.randn(len(clean), generator=generator)
        noisy = clean + 0.1 * noise * 10 ** (-snr / 20)
        noisy = noisy / noisy.abs().max() * 0.5
        for name, signal in (("clean", clean), ("noisy", noisy)):
            save_audio(tmp_path / f"{place}-{name}.wav", signal)
        found.append(
            {
                "ID": f"utterance-{place}",
                "duration": len(clean) / 16000,
                "wav": tmp_path / f"{place}-clean.wav",
                "spk_id": "s",
                "wrd": "Cats, dogs, birds, fish.",
                "noisy_wav": tmp_path / f"{place}-noisy.wav",
                "snr": snr,
            }
        )
    write_manifest(tmp_path / "test.csv", found)
    return read_manifest(tmp_path / "test.csv")


def run(systems, rows, folder, **settings):
    return evaluate_enhancement_systems(
        systems,
        rows,
        folder,
        metrics=METRICS,
        n_workers=1,
        progressbar=False,
        **settings,
    )


def value(results, system, metric, level=None):
    (row,) = (
        row
        for row in results
        if (row["system"], row["metric"], row["level"])
        == (system, metric, level)
    )
    return row["value"]


def test_word_error_rates_by_system_and_snr(rows, tmp_path):
    parrot = Parrot()
    systems = {
        NOISY: EnhancementSystem(recogniser=parrot),
        "half": EnhancementSystem(Halver(), parrot),
    }
    results = run(systems, rows, tmp_path / "out")
    assert value(results, NOISY, "wer") == 0.75
    assert value(results, "half", "wer") == 0
    assert value(results, "half", "wer", 10.0) == 0
    assert value(results, "half", "wer_relative_reduction", 0.0) == 1
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written == results
    errors = read_word_errors(tmp_path / "out" / "errors.json")
    assert [(e.system, e.level, e.errors) for e in errors if e.level == 0] == [
        (NOISY, 0.0, [3, 3]),
        ("half", 0.0, [0, 0]),
    ]
    report = (tmp_path / "out" / "results.md").read_text()
    assert "half: reduction %" in report and "75.0 [75.0, 75.0]" in report


def test_scores_are_those_of_the_speech_that_is_heard(rows, tmp_path):
    systems = {
        CLEAN: EnhancementSystem(clean=True),
        NOISY: EnhancementSystem(),
        "half": EnhancementSystem(Halver()),
    }
    results = run(systems, rows, tmp_path / "out")
    assert value(results, CLEAN, "stoi") == pytest.approx(1)
    noisy = value(results, NOISY, "si_sdr")
    assert value(results, NOISY, "si_sdr", 10.0) > value(
        results, NOISY, "si_sdr", 0.0
    )
    # Neither measure hears a scale.
    assert value(results, "half", "si_sdr") == pytest.approx(noisy)
    assert value(results, "half", "si_sdr_gain") == pytest.approx(0, abs=1e-6)


def test_texts_of_an_earlier_run_are_taken(rows, tmp_path):
    parrot = Parrot()
    systems = {NOISY: EnhancementSystem(recogniser=parrot)}
    first = run(systems, rows, tmp_path / "out", batch_size=2)
    assert parrot.calls == 2
    assert run(systems, rows, tmp_path / "out", batch_size=2) == first
    assert parrot.calls == 2
    # Other speech has other texts.
    systems["half"] = EnhancementSystem(Halver(), parrot)
    run(systems, rows, tmp_path / "out", batch_size=2)
    assert parrot.calls == 4


def test_texts_are_what_the_phoneme_analysis_reads(rows, tmp_path):
    systems = {NOISY: EnhancementSystem(recogniser=Parrot())}
    run(systems, rows, tmp_path / "out")
    file = tmp_path / "out" / "transcripts.jsonl"
    snrs = {row["ID"]: row["snr"] for row in rows}
    found = read_texts(file, NOISY, "noise", [10], snrs)
    assert found == {("noise", None, 0): {"utterance-2": "cats"}}


def test_enhanced_speech_is_kept_where_asked(rows, tmp_path):
    systems = {NOISY: EnhancementSystem(), "half": EnhancementSystem(Halver())}
    run(systems, rows, tmp_path / "out", save=True)
    kept = sorted((tmp_path / "out" / "enhanced").rglob("*.wav"))
    assert [f"{f.parent.name}/{f.stem}" for f in kept] == [
        f"half/{row['ID']}" for row in rows
    ]


def test_a_manifest_without_noise_is_refused(rows, tmp_path):
    for row in rows:
        del row["noisy_wav"], row["snr"]
    write_manifest(tmp_path / "clean.csv", rows)
    with pytest.raises(UserError, match=r"clean\.csv: .*noisy_wav"):
        evaluate_enhancement(
            "model", tmp_path / "clean.csv", tmp_path / "out", recogniser=None
        )
    assert not (tmp_path / "out").exists()
