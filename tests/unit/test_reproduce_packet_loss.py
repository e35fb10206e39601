"""The tool that reproduces the packet-loss paper: its plan and its steps."""

import json
import sys
import time

import pytest

from speechbrain_ext.brains.experiment import parse_arguments
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import dissen2024 as paper


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("reproduce_packet_loss")


@pytest.fixture
def step(tool, tmp_path):
    """Make a step that runs a line of Python in a folder of its own."""

    def make(line, name="step", inputs=()):
        return tool.Step(
            name,
            (sys.executable, "-c", line),
            tmp_path / "steps" / name,
            1.0,
            inputs=tuple(inputs),
        )

    return make


def test_a_finished_step_is_not_run_again(tool, step, tmp_path):
    count = tmp_path / "count"
    line = f"open({str(count)!r}, 'a').write('x')"
    for _ in range(2):
        tool.Runner(1).run("Counting", [step(line)])
    assert count.read_text() == "x"
    tool.Runner(1).run("Counting", [step(line + "  # changed")])
    assert count.read_text() == "xx"


def test_other_inputs_run_a_step_again(tool, step, tmp_path):
    count, model = tmp_path / "count", tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("1")
    line = f"open({str(count)!r}, 'a').write('x')"
    for weights in ("1", "1", "2"):
        (model / "weights").write_text(weights)
        tool.Runner(1).run("Counting", [step(line, inputs=[model])])
    assert count.read_text() == "xx"


def test_an_unfinished_step_goes_on_where_it_was(tool, step):
    """Its folder stays; that of another command does not."""
    begun = step("raise SystemExit(3)")
    with pytest.raises(UserError, match="step: ended with status 3"):
        tool.Runner(1).run("Failing", [begun])
    (begun.folder / "checkpoint").write_text("half")
    with pytest.raises(UserError):
        tool.Runner(1).run("Failing", [step("raise SystemExit(3)")])
    assert (begun.folder / "checkpoint").exists()
    tool.Runner(1).run("Working", [step("pass")])
    assert not (begun.folder / "checkpoint").exists()


def test_a_failure_ends_the_others_and_names_its_log(tool, step):
    failing = step("import time; time.sleep(1); raise ValueError('why')", "a")
    lasting = step("import time; time.sleep(60)", "b")
    start = time.monotonic()
    with pytest.raises(UserError, match=r"a: .*ValueError: why.*log_of_step"):
        tool.Runner(2).run("Failing", [failing, lasting])
    assert time.monotonic() - start < 30
    assert not lasting.is_finished()


def test_steps_run_side_by_side_on_a_core_each(tool, step, tmp_path):
    line = (
        "import os, pathlib, time; here = pathlib.Path({mine!r}); "
        "here.write_text(os.environ['OMP_NUM_THREADS']); "
        "[time.sleep(0.1) for _ in range(200) "
        "if not pathlib.Path({other!r}).exists()]; "
        "assert pathlib.Path({other!r}).exists()"
    )
    files = [str(tmp_path / name) for name in ("a", "b")]
    steps = [
        step(line.format(mine=mine, other=other), name)
        for name, mine, other in zip("ab", files, reversed(files))
    ]
    tool.Runner(2).run("Meeting", steps)
    assert [open(file).read() for file in files] == ["1", "1"]


# --- The plan


@pytest.fixture
def plan(tool, tmp_path):
    """A reproduction whose speech is there."""
    run = tool.Reproduction(tool.SIZES["quick"], tmp_path, "torch", None, None)
    run.train_csv, run.valid_csv = (
        tmp_path / "train.csv",
        tmp_path / "valid.csv",
    )
    return run


def test_every_training_has_as_many_updates(tool, plan, monkeypatch):
    """The same speech, epochs and batches, as options that train.py takes."""
    decisive = (
        "train_csv",
        "number_of_epochs",
        "batch_seconds",
        "test_rates",
        "skip_prep",
    )
    settings = set()
    for each in plan.trainings():
        monkeypatch.chdir(each.cwd)
        _, _, overrides = parse_arguments(list(each.command[2:]))
        settings.add(json.dumps([overrides[key] for key in decisive]))
        assert overrides["output_folder"] == str(each.folder)
    assert len(settings) == 1
    assert json.loads(settings.pop())[1:] == [2, 16, [], True]


def test_each_system_is_made_before_it_is_evaluated(tool):
    made = {training.folder for training in tool.TRAININGS}
    made |= {f"small/{name}" for name in tool.CLASSICAL}
    assert set(tool.TRANSPLANTS.values()) <= made
    made |= {f"large/{name}" for name in tool.TRANSPLANTS}
    evaluated = {*tool.SMALL_SYSTEMS.values(), *tool.LARGE_SYSTEMS.values()}
    assert evaluated == made


def test_the_claims_name_systems_that_are_evaluated(tool):
    systems = {
        paper.SMALL: tool.SMALL_SYSTEMS,
        paper.TRACES_SMALL: tool.SMALL_SYSTEMS,
        paper.LARGE: tool.LARGE_SYSTEMS,
        paper.TRACES_LARGE: tool.LARGE_SYSTEMS,
        paper.OTHER_ENGLISH: tool.OWN_AND_FINE_TUNED,
        paper.SPANISH: tool.OWN_AND_FINE_TUNED,
    }
    for claim in paper.claims({}):
        for one in claim.comparisons:
            known = {"bare", *systems.get(one.evaluation, tool.OWN)}
            assert {one.system, one.baseline} <= known, claim.text


@pytest.mark.parametrize("name", ["full", "quick", "debug"])
def test_the_claims_name_rates_that_are_evaluated(tool, name):
    size = tool.SIZES[name]
    languages = dict.fromkeys(paper.LANGUAGES, size.language_rates)
    english = (paper.SMALL, paper.LARGE, paper.OTHER_ENGLISH)
    levels = {**dict.fromkeys(english, size.rates), **languages}
    for claim in paper.claims(levels):
        for one in claim.comparisons:
            rates = languages.get(one.evaluation, size.rates)
            assert {*(one.levels or ())} <= {*rates}, claim.text
            # Recorded losses alone have no rates.
            traces = (paper.TRACES_SMALL, paper.TRACES_LARGE)
            assert one.levels or one.evaluation in traces


def test_an_evaluation_is_one_command_for_all_systems(plan, tool, synthesised):
    tests = {
        "es": (synthesised, tool.OWN_AND_FINE_TUNED, (0.0, 0.1, 0.4), "es")
    }
    (each,) = plan.evaluations(tests)
    line = " ".join(each.command)
    assert f"CE+L1={plan.model('large/CE+L1')}" in line
    assert f"fine-tuned={plan.model('large/fine-tuned')}" in line
    # The quick run has no rate of 0.1.
    assert line.endswith("--rates 0.0 0.4 --language es")
    assert "--backend torch" in line


def test_recorded_losses_are_drawn_once(plan, tmp_path, synthesised):
    folders = [plan._recorded(synthesised, name) for name in ("a", "b")]
    traces = [
        sorted((folder / "lossy_signals").glob("*_is_lost.txt"))
        for folder in folders
    ]
    assert len(traces[0]) == 2
    for one, other in zip(*traces, strict=True):
        assert one.read_text() == other.read_text() != ""
        assert "1" in one.read_text()
    assert (folders[0] / "transcripts.txt").read_text().count("\n") == 2


@pytest.fixture
def synthesised(tmp_path):
    """A manifest of two utterances of noise."""
    import torch

    from speechbrain_ext.audio import save_audio

    rows = []
    for number in range(2):
        wav = tmp_path / f"u{number}.wav"
        save_audio(wav, 0.1 * torch.randn(16000))
        rows.append(
            {
                "ID": wav.stem,
                "duration": 1.0,
                "wav": wav,
                "spk_id": "s",
                "wrd": "Hello there.",
            }
        )
    write_manifest(tmp_path / "two.csv", rows)
    return tmp_path / "two.csv"


def test_the_seconds_of_all_runs_count(tool, step, tmp_path):
    """A program that was stopped and began again took both times."""
    line = "import time, pathlib; time.sleep(0.3); pathlib.Path('{}').stat()"
    flag = tmp_path / "flag"
    one = step(line.format(flag))
    with pytest.raises(UserError, match="status 1"):
        tool.Runner(1).run("Failing", [one])
    assert one.seconds > 0.3
    flag.touch()
    tool.Runner(1).run("Going on", [one])
    assert one.seconds > 0.6
