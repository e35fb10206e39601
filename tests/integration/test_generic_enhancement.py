"""Generic enhancement from exported models to tables, figure and claims."""

import importlib.util
import json
import sys
from types import SimpleNamespace

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.mixture_manifests import write_mixture_manifests
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.corpora.trials import all_trials, write_trials
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import (
    enhancement_systems,
    sato2025 as paper,
)
from speechbrain_ext.evaluation.downstream import evaluate_downstream
from speechbrain_ext.evaluation.enhancement import evaluate_enhancement
from speechbrain_ext.evaluation.enhancement_systems import (
    load_enhancement_systems,
)
from speechbrain_ext.evaluation.observation import with_observations
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.inference.export import export_generic_enhancer
from speechbrain_ext.weight_files import save_weights

FRONT_END = """\
front_end: !new:speechbrain_ext.frontends.conv_tasnet.ConvTasNetEnhancer
    N: 16
    L: 32
    B: 8
    H: 8
    X: 2
    R: 1
"""
BACK_END = """\
back_end: !new:speechbrain_ext.backends.downstream.{kind}
    upstream: !new:speechbrain_ext.backends.whisper_encoder.FrozenWhisperEncoder
        source: {source}
    n_channels: 16
    projection: 4
{more}"""
LABELS = """\
    labels: !new:speechbrain_ext.backends.labels.ManifestLabels
        manifest: elsewhere/train.csv
        column: {column}
"""
TASKS = {
    "wer": (
        "DownstreamRecogniser",
        "    hidden: 4\n"
        "    units: !new:speechbrain_ext.backends.units.Characters\n",
    ),
    "eer": (
        "DownstreamSpeakerEncoder",
        "    n_speakers: 3\n    channels: [4, 4, 4, 4, 4]\n    embedding: 3\n"
        + LABELS.format(column="spk_id"),
    ),
    "accuracy": (
        "DownstreamClassifier",
        "    sizes: [2]\n" + LABELS.format(column="intent"),
    ),
}


def export(folder, seed=0):
    """An enhancer with random weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparams.yaml").write_text(FRONT_END)
    torch.manual_seed(seed)
    export_generic_enhancer(folder, load_hyperpyyaml(FRONT_END))
    return folder / "model"


@pytest.fixture(scope="module")
def mixtures(manifests, tmp_path_factory):
    """The little corpus with noise that is added where it is read."""
    folder = tmp_path_factory.mktemp("mixtures")
    speech, noises = {}, {}
    clips = read_rows(manifests["train"], ("ID", "duration", "wav"))
    for split in ("valid", "test"):
        rows = [
            # Two voices of two utterances each.
            {**row, "intent": f"i{place % 2}", "spk_id": f"s{place % 2}"}
            for place, row in enumerate(read_manifest(manifests[split]))
        ]
        speech[split] = folder / "speech" / f"{split}.csv"
        write_manifest(speech[split], rows)
        noises[split] = folder / f"{split}-noise.csv"
        found = [{**clip, "kind": "babble"} for clip in clips]
        write_rows(
            noises[split],
            [{name: clip[name] for name in NOISE_COLUMNS} for clip in found],
            NOISE_COLUMNS,
        )
    made = write_mixture_manifests(speech, noises, folder, seed=1)
    write_trials(
        folder / "test-trials.csv", all_trials(read_manifest(made["test"]))
    )
    return made


def values(rows, metric):
    return {
        row["system"]: row["value"]
        for row in rows
        if (row["metric"], row["level"]) == (metric, None)
    }


def test_mixtures_are_scored_with_each_ratio(mixtures, tmp_path):
    model = export(tmp_path / "run")
    found = evaluate_enhancement(
        f"mine={model}",
        mixtures["test"],
        tmp_path / "out",
        metrics=("sdr", "pesq"),
        recogniser=None,
        n_workers=1,
        observations=(0.0, 0.1, 1.0),
        progressbar=False,
    )
    assert all(list(row) == list(ROW_KEYS) for row in found)
    sdr = values(found, "sdr")
    assert list(sdr) == ["clean", "noisy", "mine", "mine+OA0.1", "mine+OA1"]
    # What is heard is the mixture at the manifest's SNR, and all of it.
    rows = read_manifest(mixtures["test"])
    mean = sum(row["snr"] for row in rows) / len(rows)
    assert sdr["noisy"] == pytest.approx(mean, abs=0.3)
    assert sdr["mine+OA1"] == pytest.approx(sdr["noisy"], abs=1e-3)
    assert sdr["mine"] < sdr["mine+OA0.1"] < sdr["noisy"]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == found


@pytest.fixture
def downstream(mixtures, random_whispers, tmp_path):
    """A downstream task's folder, with random weights."""

    def make(metric):
        kind, more = TASKS[metric]
        text = BACK_END.format(kind=kind, source=random_whispers[80], more=more)
        folder = tmp_path / "downstream"
        folder.mkdir()
        (folder / "hyperparams.yaml").write_text(text)
        write_manifest(folder / "train.csv", read_manifest(mixtures["test"]))
        torch.manual_seed(0)
        model = load_hyperpyyaml(text)["back_end"]
        save_weights(folder / "model" / "back_end.safetensors", model)
        return folder

    return make


@pytest.mark.parametrize("metric", TASKS)
def test_enhanced_speech_is_given_to_a_downstream_model(
    downstream, mixtures, tmp_path, metric
):
    folder = downstream(metric)
    systems = with_observations(
        load_enhancement_systems(f"mine={export(tmp_path / 'run')}"),
        (0.0, 1.0),
    )
    found = evaluate_downstream(
        systems,
        folder,
        tmp_path / "out",
        mixtures["test"],
        progressbar=False,
    )
    rates = values(found, metric)
    assert list(rates) == ["clean", "noisy", "mine", "mine+OA1"]
    # All of the observation is the observation.
    assert rates["mine+OA1"] == rates["noisy"]
    assert (tmp_path / "out" / "trials.json").is_file() == (metric == "eer")
    report = (tmp_path / "out" / "results.md").read_text()
    assert {"wer": "WER %", "eer": "EER %", "accuracy": "Accuracy"}[
        metric
    ] in report
    # Again: the texts are there, and the rest comes to the same.
    again = evaluate_downstream(
        systems, folder, tmp_path / "out", mixtures["test"], progressbar=False
    )
    assert again == found


def test_a_test_set_without_intents_is_refused(
    downstream, manifests, mixtures, tmp_path
):
    rows = read_manifest(mixtures["test"])
    for row in rows:
        del row["intent"]
    write_manifest(tmp_path / "bare.csv", rows)
    with pytest.raises(UserError, match="has no intent; expected the column"):
        evaluate_downstream(
            load_enhancement_systems(f"a={export(tmp_path / 'run')}"),
            downstream("accuracy"),
            tmp_path / "out",
            tmp_path / "bare.csv",
            progressbar=False,
        )


class Reader(torch.nn.Module):
    """Misses a word of what it is given, the more the quieter it is."""

    language = None

    def __init__(self):
        super().__init__()
        self.mods = SimpleNamespace(back_end=torch.nn.Identity())

    def transcribe_signals(self, signals, lost, front_end, batch_size):
        return ["word " * int(1000 * signal.abs().mean()) for signal in signals]


@pytest.fixture
def reproduction(repository, mixtures, tmp_path, monkeypatch):
    """A debug-sized run of the tool, its trainings done, with a fast reader."""
    monkeypatch.syspath_prepend(str(repository / "tools"))
    file = repository / "tools" / "reproduce_ssl_mse.py"
    spec = importlib.util.spec_from_file_location("reproduce_ssl_mse", file)
    tool = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, tool)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "DOWNSTREAM", {})
    monkeypatch.setattr(tool, "METRICS", ("sdr",))
    monkeypatch.setattr(tool, "RATIOS", (0.0, 0.3))
    monkeypatch.setattr(
        enhancement_systems, "unadapted_recogniser", lambda *_: Reader()
    )
    run = tool.Reproduction(tool.SIZES["debug"], tmp_path, "torch", False)
    for split in ("valid", "test"):
        rows = read_manifest(mixtures[split])[:2]
        write_manifest(run.manifest(split), rows)
    for seed, step in enumerate(run.fine_tunings()):
        export(step.folder, seed)
    yield run
    for name in ("steps", spec.name):
        sys.modules.pop(name, None)


def test_the_tool_writes_tables_figure_and_claims(reproduction):
    run = reproduction
    for step in [run.choice(), *run.evaluations()]:
        run.evaluate(step.folder.name)
    assert run.chosen() in (0.0, 0.3)
    tables, claims, results, figure = run.write()
    rows = json.loads(results.read_text())
    assert {row["test_set"] for row in rows} == {"whisper", "matched"}
    heard = {row["system"] for row in rows if row["metric"] == "wer"}
    assert {
        *("clean", "no-process", "SNR", "SNR+OA0.5", "SSL-MSE+OA0.1"),
        *("LMFB", "ASR", "SSL-MSE, alpha 0.01"),
    } <= heard
    text = tables.read_text()
    assert "**" in text and "(15.7)" in text and "Whisper base" in text
    assert figure.read_bytes()[:4] == b"\x89PNG"
    summary = claims.read_text().split("\n\n")[2].splitlines()[2:]
    assert len(summary) == len(paper.claims())
    unknown = {
        place for place, line in enumerate(summary) if "not measured" in line
    }
    # Who reads is here; the paper's SSL models and noisy training are not.
    assert not unknown & {0, 2, 3, 4, 5, 6, 7} and unknown >= {11, 12, 13}
