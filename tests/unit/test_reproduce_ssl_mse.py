"""The tool that reproduces the SSL-MSE paper: its plan, and what it evaluates."""

import json

import pytest

from speechbrain_ext.evaluation import sato2025 as paper
from speechbrain_ext.evaluation.enhancement_systems import EnhancementSystem
from speechbrain_ext.evaluation.results import result_row


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("reproduce_ssl_mse")


@pytest.fixture
def plan(tool, tmp_path):
    """A reproduction of the full size."""
    return tool.Reproduction(tool.SIZES["full"], tmp_path, "torch")


# --- The plan


def test_enhancers_have_as_many_updates(plan, settings):
    """The same speech, start, rate, epochs and batches, and no evaluation."""
    steps = plan.fine_tunings()
    found = [settings(step) for step in steps]
    first = settings(plan.pretraining())
    sizes = "NLBHPXR"
    for key in (
        *("train_csv", "valid_csv", "noise_csv", "pretrain_folder"),
        *("number_of_epochs", "batch_seconds", "lr", *sizes),
    ):
        assert len({str(one[key]) for one in found}) == 1
    for one, step in zip(found, steps, strict=True):
        assert one["skip_prep"] is True and one["evaluate"] is None
        assert one["output_folder"] == str(step.folder)
        assert [one[key] for key in sizes] == [first[key] for key in sizes]
        assert one["pretrain_folder"] == f"{first['output_folder']}/model"
        assert str(step.inputs[0]) == one["pretrain_folder"]
        assert one["test_csv"] == one["valid_csv"] != one["train_csv"]


def test_an_enhancer_is_what_its_name_says(tool, plan, settings):
    found = {
        step.name.removeprefix("training "): settings(step)
        for step in plan.fine_tunings()
    }
    assert len(found) == 1 + 3 * len(plan.size.alphas)
    # Only the SNR loss has no other.
    assert (found["SNR"]["ssl_weight"], found["SNR"]["snr_weight"]) == (0, 1)
    for alpha in plan.size.alphas:
        for name, key in (("SSL-MSE", "ssl"), ("LMFB", "lmfb"), ("ASR", "asr")):
            one = found[paper.alpha_system(name, alpha)]
            assert one[f"{key}_weight"] == 1
            assert one["snr_weight"] == alpha
    assert found["SSL-MSE"]["ssl_source"] == tool.SOURCE
    assert found["ASR"]["recogniser_source"] == tool.SOURCE


def test_what_judges_is_no_loss(tool, plan, settings):
    steps = plan.judges()
    found = {step.folder.name: settings(step) for step in steps}
    assert sorted(found) == ["asr", "asr-robust", "ic", "ic-robust"]
    for name, one in found.items():
        assert one["upstream_source"] == tool.JUDGE != tool.SOURCE
        assert one["n_channels"] == tool.JUDGE_CHANNELS
        assert one["noise_robust"] == name.endswith("-robust")
        data = "commands" if name.startswith("ic") else "speech"
        assert f"/{data}/train.csv" in one["train_csv"]


def test_each_model_is_made_before_it_is_evaluated(tool, plan):
    made = {step.folder / "model" for step in plan.fine_tunings()}
    judges = {step.folder / "model" for step in plan.judges()}
    seen = set()
    steps = [plan.choice(), *plan.evaluations()]
    for step in steps:
        manifest, *rest = step.inputs
        assert manifest.suffix == ".csv"
        models = {path for path in rest if path.name == "model"}
        assert models <= made | judges
        seen |= models
        assert step.command[-2:] == ("--evaluate", step.folder.name)
    assert seen == made | judges
    assert [step.folder.name for step in steps] == [
        *("validation", "whisper", "matched", "asr", "asr-robust"),
        *("ic", "ic-robust", "asv"),
    ]
    # The ratio of the test is known before.
    assert steps[0].folder / "results.json" in steps[1].inputs


def test_without_resemblyzer_speakers_are_not_verified(tool, tmp_path):
    plan = tool.Reproduction(tool.SIZES["debug"], tmp_path, "torch", False)
    names = [step.folder.name for step in plan.evaluations()]
    assert "asv" not in names and "whisper" in names


def test_folders_have_no_spaces(plan):
    for step in [*plan.fine_tunings(), *plan.judges(), *plan.evaluations()]:
        assert " " not in step.folder.name and "," not in step.folder.name


def test_all_steps_have_estimates(tool, tmp_path):
    seconds = []
    for size in tool.SIZES.values():
        run = tool.Reproduction(size, tmp_path, "torch")
        steps = [
            run.pretraining(),
            *run.fine_tunings(),
            *run.judges(),
            run.choice(),
            *run.evaluations(),
        ]
        seconds.append(sum(step.estimate for step in steps))
    assert seconds == sorted(seconds, reverse=True)


# --- Evaluation


@pytest.fixture
def chosen(plan):
    """The validation set chose 0.3 for SSL-MSE."""
    rows = [
        result_row(name, "t", "valid", "noise", None, "wer", (rate, 0, 1), 9, 0)
        for ratio, rate in zip(
            (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), (5, 3, 2, 1, 3, 4)
        )
        for name in (f"SSL-MSE+OA{ratio:g}".removesuffix("+OA0"),)
    ]
    folder = plan.evaluation("validation")
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(rows))
    return plan


def test_the_test_set_hears_the_paper_s_ratios_and_the_choice(
    chosen, monkeypatch
):
    from speechbrain_ext.evaluation import enhancement_systems

    monkeypatch.setattr(
        enhancement_systems,
        "load_enhancement_system",
        lambda source, unadapted: EnhancementSystem(str(source)),
    )
    assert chosen.chosen() == 0.3
    systems = chosen._on_test()
    assert list(systems) == [
        *("clean", "no-process", "SNR", "SNR+OA0.1", "SNR+OA0.5"),
        *("SSL-MSE", "SSL-MSE+OA0.1", "SSL-MSE+OA0.3", "SSL-MSE+OA0.5"),
        *("LMFB", "ASR"),
    ]
    assert systems["clean"].clean and not systems["no-process"].clean
    assert systems["SSL-MSE+OA0.3"].enhancer.endswith("models/SSL-MSE/model")
    assert systems["SSL-MSE+OA0.3"].observation == 0.3


def test_claims_and_tables_are_told_what_was_done(chosen, monkeypatch):
    from speechbrain_ext.evaluation import generic_enhancement_report

    told = {}
    monkeypatch.setattr(
        generic_enhancement_report,
        "write_generic_enhancement",
        lambda *positional, **named: told.update(named, places=positional),
    )
    chosen.write()
    folder, evaluations, inference, alphas, note = told["places"]
    assert folder == chosen.folder and inference == "Whisper base"
    assert evaluations["signal"] == evaluations["whisper"]
    assert told["tasks"] == ("whisper", "matched", "asr", "ic", "asv")
    assert told["chosen"] == 0.3
    assert (told["small"], told["large"]) == (0.01, 10.0)
    assert alphas == chosen.size.alphas
    for stand_in in ("whisper-tiny.en", "Whisper base", "resemblyzer", "0.3"):
        assert stand_in in note
    assert "WavLM" in told["not_run"]
