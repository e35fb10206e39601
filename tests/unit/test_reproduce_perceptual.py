"""The tool that reproduces the perceptual-loss paper: plan, tables, claims."""

import math

import pytest
import yaml

from speechbrain_ext.brains.experiment import parse_arguments
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import plantinga2021 as paper
from speechbrain_ext.evaluation.claims import (
    HELD,
    NOT_HELD,
    NOT_MEASURED,
    UNDECIDED,
    claims_report,
)
from speechbrain_ext.evaluation.enhancement_report import TABLE_VII_BINS
from speechbrain_ext.evaluation.enhancement_scores import (
    EnhancementScores,
    write_scores,
)
from speechbrain_ext.evaluation.word_errors import WordErrors, write_word_errors

UTTERANCES = 12


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("reproduce_perceptual")


@pytest.fixture
def plan(tool, tmp_path):
    """A reproduction of the quick size."""
    return tool.Reproduction(tool.SIZES["quick"], tmp_path, "torch")


def options(step, monkeypatch):
    """What train.py makes of a step's command; refuses unknown keys."""
    monkeypatch.chdir(step.cwd)
    file, _, overrides = parse_arguments(list(step.command[2:]))
    return file, overrides


# --- The plan


def test_models_of_a_stage_have_as_many_updates(tool, plan, monkeypatch):
    """The same speech, epochs and batches, as options that train.py takes."""
    decisive = ("train_csv", "valid_csv", "number_of_epochs", "batch_seconds")
    for stage in tool.STAGES:
        settings = set()
        for step in plan.trainings(stage):
            _, overrides = options(step, monkeypatch)
            settings.add(tuple(overrides[key] for key in decisive))
            assert overrides["output_folder"] == str(step.folder)
            assert overrides["skip_prep"] is True
            assert overrides["evaluate"] is None
        assert len(settings) == 1, stage.name


def test_a_stage_begins_with_what_the_one_before_wrote(tool, plan, monkeypatch):
    for before, stage in zip(tool.STAGES, tool.STAGES[1:]):
        made = {str(step.folder / "model") for step in plan.trainings(before)}
        for step in plan.trainings(stage):
            _, overrides = options(step, monkeypatch)
            assert overrides[stage.source_key] in made
            assert [str(each) for each in step.inputs] == [
                overrides[stage.source_key]
            ]


def test_an_enhancer_has_its_perceptual_model_s_shape(tool, plan, monkeypatch):
    """What stage 1 was given and what stage 2 builds is one architecture."""
    shape = {
        "channels": "perceptual_channels",
        "dense": "perceptual_dense",
        "targets": "targets",
        "n_channels": "n_channels",
        "decoder_neurons": "decoder_neurons",
        "rnn_layers": "rnn_layers",
        "rnn_neurons": "rnn_neurons",
    }

    def values(step, keys):
        file, overrides = options(step, monkeypatch)
        loader = type("Plain", (yaml.SafeLoader,), {})
        loader.add_multi_constructor("!", lambda *_: None)
        plain = {**yaml.load(open(file), loader), **overrides}
        return [plain.get(key) for key in keys]

    models = {
        str(step.folder / "model"): values(step, shape)
        for step in plan.trainings(tool.PERCEPTUAL)
    }
    for step in plan.trainings(tool.ENHANCERS):
        source = str(step.inputs[0])
        assert values(step, shape.values()) == models[source], step.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("L1", {"perceptual_weight": 0}),
        ("perceptual", {}),
        ("block2", {"perceptual_layers": ["block2"]}),
        ("word-pieces", {"targets": "word-pieces"}),
        ("log-mel-40", {"n_channels": 40}),
        ("dnn", {"perceptual_layers": ["dnn"]}),
    ],
)
def test_an_enhancer_is_what_its_name_says(
    tool, plan, monkeypatch, name, expected
):
    (step,) = (
        step
        for step in plan.trainings(tool.ENHANCERS)
        if step.folder.name == name
    )
    file, overrides = options(step, monkeypatch)
    crdnn = name in ("cnn1", "cnn2", "cnn3", "rnn", "dnn")
    assert ("crdnn" in file) == crdnn
    own = ("perceptual_weight", "perceptual_layers", "targets", "n_channels")
    assert {key: overrides[key] for key in own if key in overrides} == expected


def test_a_recogniser_of_clean_speech_hears_none_else(tool, plan, monkeypatch):
    folders = {
        step.folder.name: options(step, monkeypatch)[1]
        for step in plan.trainings(tool.RECOGNISERS)
    }
    clean = folders[tool.CLEAN_TRAINED]
    assert clean["augmentation"] is None and clean["bypass_enhancer"] is True
    assert not any(clean["noisy"].values())
    assert folders["joint-L1"]["front_end_frozen"] is False
    assert "front_end_frozen" not in folders["frozen-L1"]


def test_each_model_is_made_before_it_is_evaluated(tool, plan):
    made = {
        step.folder / "model"
        for stage in tool.STAGES
        for step in plan.trainings(stage)
    }
    steps = plan.evaluations()
    assert {step.folder.name for step in steps} == {"scores", "valid", "test"}
    for step in steps:
        manifest, *models = step.inputs
        assert manifest.name == (
            "valid.csv" if step.folder.name == "valid" else "test.csv"
        )
        assert models and {*models} <= made
        assert step.command[-3:] == ("--evaluate", step.folder.name, "--quick")


def test_the_claims_and_tables_name_systems_that_are_evaluated(tool):
    scored = {training.name for training in tool.ENHANCERS.trainings}
    scored |= {paper.CLEAN, paper.NOISY, paper.JOINT_L1, paper.JOINT}
    known = {paper.SCORES: scored, paper.VALID: tool.READ}
    known[paper.TEST] = tool.READ
    for claim in paper.claims():
        for one in claim.comparisons:
            assert {one.system, one.baseline} <= {*known[one.evaluation]}
    named = {*paper.TABLE_3, *paper.TABLE_4, *paper.TABLE_5, paper.L1}
    assert named <= scored
    assert {*paper.TABLE_6, *paper.TABLE_9} <= {*tool.READ}


def test_other_inputs_train_a_model_anew(tool, tmp_path):
    """A checkpoint belongs to the model that it was trained with."""
    source = tmp_path / "source"
    source.mkdir()

    def step():
        return tool.Step(
            "step",
            ("true",),
            tmp_path / "step",
            1.0,
            inputs=(source,),
            caches=False,
        )

    for weights, kept in (("1", False), ("1", True), ("2", False)):
        (source / "weights").write_text(weights)
        step().begin()
        checkpoint = tmp_path / "step" / "checkpoint"
        assert checkpoint.exists() == kept
        checkpoint.write_text("half")


def test_the_error_rate_is_the_test_stage_s(tool, tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text("epoch: 1, lr: 1.00e-03 - valid PER: 70.00\n")
    with pytest.raises(UserError, match=r"train_log\.txt: has no error rate"):
        tool.read_rate(log)
    with open(log, "a") as file:
        file.write("test: best - test nll: 2.00, test loss: 3.00, ")
        file.write("test PER: 1.23e+02\n")
    assert tool.read_rate(log) == 123


# --- Tables and claims


def scores(system, pesq):
    """A system's scores: one value, or a list."""
    if isinstance(pesq, float):
        pesq = [pesq] * UTTERANCES
    ids = [f"test-{place}" for place in range(UTTERANCES)]
    values = {"pesq": pesq, "covl": pesq, "stoi": [0.5] * UTTERANCES}
    return EnhancementScores(system, ids, [2.5] * UTTERANCES, values)


def errors(system, evaluation, counts):
    """A system's word errors of ten words each, three utterances a bin."""
    ids = [f"{evaluation}-{place}" for place in range(UTTERANCES)]
    return [
        WordErrors(
            system,
            ids[3 * place : 3 * place + 3],
            [counts] * 3,
            [10] * 3,
            "torch",
            evaluation,
            "noise",
            float(low),
            0,
        )
        for place, (low, _) in enumerate(TABLE_VII_BINS)
    ]


def as_published():
    """A world in which the order is the paper's, by whole numbers of errors."""
    pesq = {name: row[2] for name, row in paper.TABLE_3.items()}
    pesq |= {name: row[2] for name, row in paper.TABLE_4.items()}
    pesq |= {name: row[2] for name, row in paper.TABLE_5.items()}
    pesq |= {paper.NOISY: 1.97, paper.L1: 2.99}
    pesq |= {paper.JOINT_L1: 2.46, paper.JOINT: 2.44}
    valid = {paper.FROZEN_L1: 2, paper.FROZEN: 3}
    valid |= {paper.JOINT_L1: 4, paper.JOINT: 5}
    valid |= {paper.NOISY_L1: 3, paper.NOISY_PERCEPTUAL: 4}
    test = {paper.FROZEN_L1: 2, paper.FROZEN: 1}
    test |= {paper.JOINT_L1: 4, paper.JOINT: 3}
    test |= {paper.NOISY_L1: 4, paper.NOISY_PERCEPTUAL: 3, paper.NOISY: 5}
    return {
        paper.SCORES: [scores(*pair) for pair in pesq.items()],
        **{
            evaluation: [
                row
                for system, count in counts.items()
                for row in errors(system, evaluation, count)
            ]
            for evaluation, counts in (
                (paper.VALID, valid),
                (paper.TEST, test),
            )
        },
    }


def verdicts(text):
    """The claims' verdicts, in their order."""
    summary = text.split("\n\n")[1]
    return [line.split("*")[1] for line in summary.splitlines()[2:]]


def test_every_claim_holds_in_the_paper_s_world():
    claims = paper.claims()
    text = claims_report(claims, as_published())
    assert verdicts(text) == [HELD] * len(claims)


def test_claims_are_decided_one_by_one():
    """Verdicts worked out by hand."""
    results = as_published()
    # Mean differences of 0 with an interval about it; much worse; missing.
    mixed = [3.05 + 0.5 * (-1) ** place for place in range(UTTERANCES)]
    changed = {
        paper.CHARACTERS: scores(paper.CHARACTERS, mixed),
        paper.DNN: scores(paper.DNN, 3.5),
        paper.BLOCK2: None,
        # The lower error rate (80) with a PESQ that is 0.2 higher.
        paper.MELS_80: scores(paper.MELS_80, 3.23),
    }
    results[paper.SCORES] = [
        changed.get(row.system, row) for row in results[paper.SCORES]
    ]
    results[paper.SCORES] = [row for row in results[paper.SCORES] if row]
    rates = {paper.MELS_40: 60.0, paper.MELS_80: 50.0}
    found = verdicts(claims_report(paper.claims(rates), results))
    assert found[:6] == [
        UNDECIDED,
        NOT_HELD,
        NOT_MEASURED,
        NOT_HELD,
        NOT_HELD,
        HELD,
    ]
    # Were 40 the better recogniser, it would be no better a model.
    rates = {paper.MELS_40: 40.0, paper.MELS_80: 50.0}
    assert verdicts(claims_report(paper.claims(rates), results))[4] == HELD


def test_scores_and_word_errors_have_a_table_each():
    claim = paper.claims()[8]
    text = claims_report([claim], as_published())
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
    ]
    assert ["Comparison", "WER %", "Difference", "Below", "Verdict"] in rows
    assert ["Comparison", "PESQ", "Difference", "Above", "Verdict"] in rows
    assert [
        "frozen L1 against joint L1, test, all levels",
        "20.0 / 40.0",
        "-20.0 [-20.0, -20.0]",
        "0",
        HELD,
    ] in rows
    assert [
        "L1 against joint L1, scores, all levels",
        "2.99 / 2.46",
        "+0.53 [+0.53, +0.53]",
        "0",
        HELD,
    ] in rows
    assert "Of a score such as PESQ more is better" in text


def test_a_clip_without_pesq_leaves_its_pair_out():
    results = as_published()
    place = [row.system for row in results[paper.SCORES]].index(paper.L1)
    lost = [math.nan] + [2.99] * (UTTERANCES - 1)
    results[paper.SCORES][place] = scores(paper.L1, lost)
    assert verdicts(claims_report(paper.claims(), results))[5] == HELD
    results[paper.SCORES][place] = scores(paper.L1, [math.nan] * UTTERANCES)
    assert verdicts(claims_report(paper.claims(), results))[5] == NOT_MEASURED


def test_tables_show_the_paper_s_numbers_beside_ours():
    text = paper.tables(as_published(), {paper.PHONES: 61.26})
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
    ]
    quality = "3.05 [3.05, 3.05] (3.05)", "3.05 [3.05, 3.05] (3.74)"
    assert ["phonemes, PER", "61.3 (14.6)", *quality] in rows
    frozen = next(row for row in rows if row[0] == paper.FROZEN and row[1:3])
    assert frozen[3:] == [
        "0.500 [0.500, 0.500]",
        "30.0 [30.0, 30.0] (2.9)",
        "10.0 [10.0, 10.0] (2.8)",
    ]
    # Three utterances of each set, 3 and 1 errors in ten words of each.
    by_snr = [row for row in rows if row[0] == paper.FROZEN][1]
    value, _, number = by_snr[1].partition(" ")
    assert value == "20.0" and number.endswith("(5.3)")
    assert ["noisy-trained, L1", "30.0 [30.0, 30.0] (3.4)"] == next(
        row for row in rows if row[0] == paper.NOISY_L1
    )[:2]
    assert any(row[:2] == ["SERGAN", "- (2.62)"] for row in rows)


def test_a_reproduction_is_written_from_evaluations(tmp_path):
    folders = {}
    for name, rows in as_published().items():
        folders[name] = tmp_path / name
        of_scores = name == paper.SCORES
        write_scores(folders[name] / "scores.json", rows if of_scores else [])
        write_word_errors(
            folders[name] / "errors.json", [] if of_scores else rows
        )
    files = paper.write_reproduction(tmp_path, folders, {}, "Note.")
    assert [file.name for file in files] == ["tables.md", "claims.md"]
    assert all("Note." in file.read_text() for file in files)
    assert "3.05 [3.05, 3.05] (3.05)" in files[0].read_text()


def test_what_the_paper_prints_is_whole():
    """What two tables say of one system is the same."""
    assert paper.TABLE_4[paper.PHONES][2:] == paper.TABLE_6[paper.FROZEN][:2]
    assert paper.TABLE_4[paper.PHONES][1:] == paper.TABLE_5[paper.PHONES][1:]
    assert paper.TABLE_6[paper.NOISY][2:] == paper.TABLE_9[paper.NOISY]
    assert paper.TABLE_6[paper.NOISY][:2] == paper.TABLE_8[paper.NOISY][::3]
    best = paper.TABLE_3[paper.CNN3][2:]
    assert best == paper.TABLE_8[paper.PHONES][::3]
    assert {len(row) for row in paper.TABLE_7.values()} == {len(TABLE_VII_BINS)}
