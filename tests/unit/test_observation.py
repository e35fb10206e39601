"""Observation adding in evaluations: sweeps, and the choice on validation."""

import json

import pytest
import torch

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import (
    enhancement,
    enhancement_runs,
    enhancement_systems,
)
from speechbrain_ext.evaluation.enhancement import evaluate_enhancement
from speechbrain_ext.evaluation.enhancement_systems import EnhancementSystem
from speechbrain_ext.evaluation.observation import choose_observations
from speechbrain_ext.evaluation.results import result_row


class Silencer:
    """An enhancer after which only what was added is heard."""

    def enhance_signals(self, signals):
        return [0 * signal for signal in signals]


class Reader(torch.nn.Module):
    """Right where speech is neither too quiet nor too loud."""

    language = None

    def __init__(self, low, high):
        super().__init__()
        self.mods = torch.nn.Module()
        self.mods.back_end = torch.nn.Identity()
        self.low, self.high = low, high
        self.heard = 0

    def transcribe_signals(self, signals, lost, front_end, batch_size):
        self.heard += len(signals)
        return [
            "cats dogs" if self.low < x.abs().max() < self.high else "cats"
            for x in signals
        ]


@pytest.fixture
def manifests(tmp_path):
    """Noisy speech that is as loud as its SNR says, on both sets."""
    made = {}
    for split, levels in (("valid", (1.0, 0.8)), ("test", (0.5, 0.5, 0.5))):
        rows = []
        for place, level in enumerate(levels):
            file = tmp_path / f"{split}{place}.wav"
            save_audio(file, torch.full((1600,), level))
            rows.append(
                {
                    "ID": f"{split}{place}",
                    "duration": 0.1,
                    "wav": file,
                    "spk_id": "s",
                    "wrd": "Cats, dogs.",
                    "noisy_wav": file,
                    "snr": 5.0,
                }
            )
        made[split] = tmp_path / f"{split}.csv"
        write_manifest(made[split], rows)
    return made


@pytest.fixture
def reader(monkeypatch):
    """What reads: right from 0.25 to 0.6; the model is a Silencer."""
    reader = Reader(0.25, 0.6)
    monkeypatch.setattr(
        enhancement, "unadapted_recogniser", lambda *arguments: reader
    )
    monkeypatch.setattr(
        enhancement_systems,
        "load_enhancement_system",
        lambda source, unadapted, *rest: EnhancementSystem(
            Silencer(), unadapted
        ),
    )
    return reader


def run(manifests, folder, **settings):
    return evaluate_enhancement(
        "model=FOLDER",
        manifests["test"],
        folder,
        metrics=("sdr",),
        n_workers=1,
        progressbar=False,
        **settings,
    )


def rates(results):
    return {
        row["system"]: row["value"]
        for row in results
        if (row["metric"], row["level"]) == ("wer", None)
    }


def test_each_ratio_is_a_system(manifests, reader, tmp_path):
    found = run(manifests, tmp_path / "out", observations=(0.0, 0.1, 0.9))
    # 0.5 of the recordings: 0, 0.05 and 0.45 are heard.
    assert rates(found) == {
        "clean": 0.0,
        "noisy": 0.0,
        "model": 0.5,
        "model+OA0.1": 0.5,
        "model+OA0.9": 0.0,
    }
    sdr = {
        row["system"]: row["value"]
        for row in found
        if (row["metric"], row["level"]) == ("sdr", None)
    }
    # (0.1 s)^2 over (0.9 s)^2.
    assert sdr["model+OA0.1"] == pytest.approx(-19.08, abs=0.01)
    assert sdr["model"] == -80


def test_the_ratio_is_chosen_on_validation_and_no_other_is_tested(
    manifests, reader, tmp_path
):
    found = run(
        manifests,
        tmp_path / "out",
        observations=(0.0, 0.1, 0.4, 0.9),
        validation=manifests["valid"],
    )
    # Of 1.0 and 0.8 it reads 0.4 and 0.32; on the test set 0.9 were better.
    assert rates(found) == {
        "clean": 0.0,
        "noisy": 0.0,
        "model": 0.5,
        "model+OA0.4": 0.5,
    }
    tried = json.loads(
        (tmp_path / "out" / "validation" / "results.json").read_text()
    )
    assert rates(tried) == {
        "noisy": 0.5,
        "model": 0.5,
        "model+OA0.1": 0.5,
        "model+OA0.4": 0.0,
        "model+OA0.9": 0.5,
    }
    report = (tmp_path / "out" / "results.md").read_text()
    assert "- model: **0.4** (50.0 % with 0, 50.0 % with 0.1, 0.0 %" in report


def test_again_takes_what_is_finished(manifests, reader, tmp_path, monkeypatch):
    settings = {"observations": (0.0, 0.9), "validation": manifests["valid"]}
    first = run(manifests, tmp_path / "out", **settings)
    heard = reader.heard
    monkeypatch.setattr(
        enhancement_runs, "score_pairs", lambda *_: pytest.fail("scored again")
    )
    assert run(manifests, tmp_path / "out", **settings) == first
    assert reader.heard == heard


def test_the_smallest_of_equal_ratios_is_chosen():
    rows = [
        result_row(name, "t", "v", "noise", None, "wer", (value, 0, 1), 9, 0)
        for name, value in (
            ("a", 0.3),
            ("a+OA0.1", 0.2),
            ("a+OA0.5", 0.2),
            ("b", 0.1),
            ("b+OA0.1", 0.1),
            ("b+OA0.5", 0.3),
        )
    ]
    chosen = choose_observations(rows, ["a", "b"], (0.5, 0.1, 0.0))
    assert chosen == {"a": 0.1, "b": 0.0}


def test_what_cannot_be_chosen_is_said(manifests, tmp_path, monkeypatch):
    monkeypatch.setattr(
        enhancement_systems,
        "load_enhancement_system",
        lambda source, unadapted, *rest: EnhancementSystem(Silencer()),
    )
    with pytest.raises(UserError, match="validation: no recogniser"):
        run(
            manifests,
            tmp_path / "out",
            recogniser=None,
            validation=manifests["valid"],
        )
    with pytest.raises(UserError, match="observation: is 2; expected a ratio"):
        run(manifests, tmp_path / "out", observations=(0.0, 2.0))
