"""The tool that reproduces the fusion paper: its plan, and what it evaluates."""

import pytest

from speechbrain_ext.evaluation import (
    fusion_systems,
    fusion_tables,
    shi2021 as paper,
)


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("reproduce_fusion")


@pytest.fixture
def plan(tool, tmp_path):
    """A reproduction of the full size."""
    return tool.Reproduction(tool.SIZES["full"], tmp_path)


def test_all_that_is_compared_has_as_many_updates(plan, settings):
    steps = plan.joint_trainings()
    found = [settings(step) for step in steps]
    for key in (
        *("train_csv", "valid_csv", "noise_csv", "asr_folder"),
        *("number_of_epochs", "batch_seconds", "lr", "snrs", "seed"),
    ):
        assert len({str(one[key]) for one in found}) == 1, key
    for one, step in zip(found, steps, strict=True):
        assert one["skip_prep"] is True and one["evaluate"] is None
        assert one["output_folder"] == str(step.folder)
        assert one["test_csv"] == one["valid_csv"] != one["train_csv"]
        assert one["asr_folder"] == str(plan.recogniser)


def test_each_system_is_what_its_name_says(plan, settings):
    found = {
        step.name.removeprefix("training "): settings(step)
        for step in plan.joint_trainings()
    }
    joint = [
        paper.joint(front_end, beta)
        for beta in (1.0, 0.5)
        for front_end in paper.FRONT_ENDS
    ]
    assert list(found) == [*joint, paper.NOISY]
    for name in joint:
        assert found[name]["beta"] == (0.5 if name.endswith("0.5") else 1)
        assert found[name].get("gamma", 0) == 0
        output = found[name].get("output", name.partition("_")[0].lower())
        assert output == name.partition("_")[0].lower()
    assert found[paper.NOISY]["output"] == "noisy"


def test_each_model_is_made_before_it_is_used(plan):
    stages = [
        [plan.enhancement()],
        [plan.fusion()],
        plan.joint_trainings(),
        plan.evaluations(),
    ]
    made = {plan.recogniser}
    for steps in stages:
        for step in steps:
            models = {path for path in step.inputs if path.suffix != ".csv"}
            assert models <= made, step.name
            assert " " not in step.folder.name and "," not in step.folder.name
        made |= {step.folder / "model" for step in steps}
    assert [step.command[-1] for step in plan.evaluations()] == [
        *("test_1", "test_2")
    ]


def test_all_rows_of_the_paper_s_tables_are_evaluated(plan, monkeypatch):
    monkeypatch.setattr(fusion_systems, "load_fusion_model", str)
    systems = plan.systems()
    read = {name for name, one in systems.items() if one.reads}
    assert read == {*paper.TABLE_2, paper.CLEAN, paper.BARE}
    assert {name for name, one in systems.items() if one.scored} == {
        *paper.TABLE_1
    }
    for name in paper.TABLE_1:
        output = name.rpartition("_")[2].lower()
        if name == paper.ORIGINAL:
            output = "noisy"
        elif output in ("separate", "joint"):
            output = name.partition("_")[0].lower()
        assert systems[name].output == output
    joint = systems[paper.joint(paper.FUSION)].model
    assert {systems[paper.head(one)].model for one in paper.FRONT_ENDS[:2]} == {
        joint
    }
    assert systems[paper.CLEAN].clean and not systems[paper.BARE].clean
    assert systems[paper.BARE].model == str(plan.recogniser)


def test_all_steps_have_estimates(tool, tmp_path):
    seconds = []
    for size in tool.SIZES.values():
        run = tool.Reproduction(size, tmp_path)
        steps = [
            run.enhancement(),
            run.fusion(),
            *run.joint_trainings(),
            *run.evaluations(),
        ]
        seconds.append(sum(step.estimate for step in steps))
    assert seconds == sorted(seconds, reverse=True)


def test_claims_and_tables_are_told_what_was_done(tool, tmp_path, monkeypatch):
    told = {}
    monkeypatch.setattr(
        fusion_tables,
        "write_fusion",
        lambda *positional, **named: (
            told.update(named, places=positional) or []
        ),
    )
    plan = tool.Reproduction(tool.SIZES["quick"], tmp_path)
    for test_set in paper.TEST_SETS:
        plan.evaluation(test_set).mkdir(parents=True)
        for name in ("spectrograms.png", "cer.png"):
            (plan.evaluation(test_set) / name).write_text(test_set)
    files = plan.write()
    folder, evaluations, note, figures = told["places"]
    assert folder == plan.folder and list(evaluations) == list(paper.TEST_SETS)
    assert told["weighted"] == (paper.FUSION,)
    assert "Size *quick*: 12 minutes" in note and "same updates" in note
    assert [file.name for file in files] == [name for _, name in figures]
    assert (plan.folder / "figure_2.png").read_text() == paper.TEST_1
