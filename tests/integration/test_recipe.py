"""The packet-loss recipe: train.py from its command line to its results."""

import errno
import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from speechbrain import Stage
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.brains.checkpoints import AtomicCheckpointer
from speechbrain_ext.brains.experiment import parse_arguments
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.criteria.recognition import WhisperCrossEntropy
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.frontends.light_adapter import LightAdapter
from speechbrain_ext.inference import PacketLossASR

#: What the uninterrupted run is given, and the interrupted ones as well: five
#: batches an epoch, an optimiser's step after every second one.
STEPS = ("--grad_accumulation_factor=2",)

# Runs train.py and ends its process with SIGKILL at a given point. Batches are
# counted: what is resumed must not be trained again.
KILLED = """
import os, runpy, signal, sys
import torch
from speechbrain_ext.brains.restoration import RestorationBrain

point, epoch, call, counts, *sys.argv = sys.argv[1:]
calls = []

def count(self, batch):
    with open(counts, "a") as file:
        file.write(f"{self.epoch}\\n")
    return fit_batch(self, batch)

def die(self, *arguments, **named):
    calls.append(self.epoch)
    if calls.count(int(epoch)) == int(call):
        if point == "_save_intra_epoch_ckpt":
            torch.save = die_halfway
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *arguments, **named)

def die_halfway(state, path):
    with open(path, "wb") as file:
        file.write(b"half of what it would be")
    os.kill(os.getpid(), signal.SIGKILL)

fit_batch = RestorationBrain.fit_batch
RestorationBrain.fit_batch = count
original = getattr(RestorationBrain, point)
setattr(RestorationBrain, point, die)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def trained(run_program, few_steps, recipe, tmp_path_factory):
    """A run of the command that nothing interrupts: folder and process."""
    folder = tmp_path_factory.mktemp("runs") / "uninterrupted"
    ran = run_program(
        ["train.py", *few_steps(folder, *STEPS, "--tensorboard=True")], recipe
    )
    assert ran.returncode == 0, ran.stderr
    return folder, ran


def checkpoints(folder):
    """The checkpoints in an output folder, the newest first."""
    found = Checkpointer(folder / "save").find_checkpoints()
    return sorted(found, key=lambda found: -found.meta["unixtime"])


def weights(folder):
    """The front-end's weights in the newest checkpoint."""
    file = checkpoints(folder)[0].path / "front_end.ckpt"
    return torch.load(file, weights_only=True)


def assert_equal_weights(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if tolerance:
            torch.testing.assert_close(value, other[name], **tolerance)
        else:
            assert torch.equal(value, other[name]), name


def log_lines(folder):
    """The lines of train_log.txt as dictionaries, a line an epoch."""
    lines = (folder / "train_log.txt").read_text().splitlines()
    pairs = [re.findall(r"([\w ]+): ([^,\s]+)", line) for line in lines]
    return [{key.strip(): float(value) for key, value in p} for p in pairs]


def refused(run_train, capsys, arguments):
    """Run what must be refused: the line on standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run_train(arguments)
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    # A training that has begun has shown its progress.
    lines = [line for line in errors.splitlines() if "%|" not in line]
    lines = [line for line in lines if line.strip()]
    assert len(lines) == 1, errors
    (line,) = lines
    assert line.startswith("error: ") and errors.endswith(line + "\n")
    return line


# --- From end to end


def test_training_ends_with_results(trained, utterances):
    folder, ran = trained
    assert "Traceback" not in ran.stderr
    rows = json.loads((folder / "results.json").read_text())
    assert all(tuple(row) == ROW_KEYS for row in rows)
    assert {(row["system"], row["metric"]) for row in rows} == {
        ("bare", "wer"),
        ("adapted", "wer"),
        ("adapted", "wer_relative_reduction"),
    }
    for row in rows:
        assert row["backend"] == "torch" and row["test_set"] == "test"
        assert row["level"] == 0.4 and row["n"] == len(utterances)
        assert row["seed"] == 0 and isinstance(row["corruption"], str)
        if row["metric"] == "wer":
            assert 0 < row["ci_low"] <= row["value"] <= row["ci_high"]
    table = (folder / "results.md").read_text()
    assert "| bare " in table and "| adapted " in table
    # The table is what the user sees last.
    assert "| adapted " in ran.stdout
    (figure,) = folder.glob("*.png")
    assert figure.read_bytes()[:4] == b"\x89PNG"


def test_the_output_folder_keeps_the_script(trained, recipe):
    (kept,) = trained[0].glob("*.py")
    assert kept.name == "train.py"
    assert kept.read_bytes() == (recipe / "train.py").read_bytes()


def test_losses_are_logged_apart(trained):
    lines = log_lines(trained[0])
    assert [line["epoch"] for line in lines] == [1, 2]
    for line in lines:
        for stage in ("train", "valid"):
            l1, ce = line[f"{stage} l1"], line[f"{stage} ce"]
            assert l1 > 0 and ce > 0 and l1 != ce
            assert line[f"{stage} loss"] == pytest.approx(
                0.5 * l1 + 0.5 * ce, rel=0.01
            )
        assert 0 < line["valid WER"] < 200
    assert lines[1]["lr"] < lines[0]["lr"] == 1e-3


def test_tensorboard_gets_what_the_log_gets(trained):
    from tensorboard.backend.event_processing import event_accumulator

    folder = trained[0]
    (file,) = (folder / "tensorboard").rglob("events.out.*")
    events = event_accumulator.EventAccumulator(str(file))
    events.Reload()
    for stage, name in (("train", "l1"), ("valid", "ce"), ("valid", "WER")):
        values = [event.value for event in events.Scalars(f"{name}/{stage}")]
        logged = [line[f"{stage} {name}"] for line in log_lines(folder)]
        assert values == pytest.approx(logged, rel=0.01)


def test_a_checkpoint_holds_the_front_end_and_no_whisper(trained):
    adapter = LightAdapter().state_dict()
    for checkpoint in checkpoints(trained[0]):
        found = torch.load(
            checkpoint.path / "front_end.ckpt", weights_only=True
        )
        assert {name: value.shape for name, value in found.items()} == {
            name: value.shape for name, value in adapter.items()
        }
        optimiser = torch.load(
            checkpoint.path / "optimizer.ckpt", weights_only=True
        )
        assert len(optimiser["state"]) == len(adapter)
        # The weights and Adam's two moments; tiny.en alone has 150 MB.
        size = sum(path.stat().st_size for path in checkpoint.path.iterdir())
        of_adapter = sum(4 * value.numel() for value in adapter.values())
        assert 3 * of_adapter < size < 3.1 * of_adapter
        assert not any("whisper" in p.name for p in checkpoint.path.iterdir())


def test_training_changes_the_front_end(trained):
    state = weights(trained[0])
    assert state["exit.weight"].abs().max() > 0
    assert all(value.isfinite().all() for value in state.values())


def test_the_exported_model_is_the_best_checkpoint(trained, utterances):
    folder = trained[0]
    assert sorted(path.name for path in (folder / "model").iterdir()) == [
        "config.json",
        "front_end.safetensors",
        "hyperparams.yaml",
    ]
    asr = PacketLossASR.from_hparams(source=str(folder / "model"))
    best = min(checkpoints(folder), key=lambda found: found.meta["WER"])
    saved = torch.load(best.path / "front_end.ckpt", weights_only=True)
    assert_equal_weights(asr.mods.front_end.state_dict(), saved)
    assert isinstance(asr.transcribe_file(utterances[0]["wav"]), str)


def test_evaluation_alone_from_a_checkpoint(
    trained, few_steps, run_train, tmp_path
):
    """The same results, from what is saved and nothing else."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0] / "save", folder / "save")
    run_train(few_steps(folder, *STEPS, "--test_only"))
    assert (folder / "results.json").read_text() == (
        (trained[0] / "results.json").read_text()
    )
    assert not (folder / "train_log.txt").exists()


def test_evaluation_alone_needs_a_checkpoint(
    few_steps, run_train, capsys, tmp_path
):
    """An untrained front-end's results would pass for a trained one's."""
    folder = tmp_path / "run"
    line = refused(run_train, capsys, few_steps(folder, "--test_only"))
    assert str(folder / "save") in line
    assert not (folder / "results.json").exists()


def test_debug_runs_everything_and_keeps_no_checkpoint(
    few_steps, run_train, tmp_path
):
    run_train(few_steps(tmp_path, "--debug"))
    rows = json.loads((tmp_path / "results.json").read_text())
    assert {row["n"] for row in rows} == {2}
    assert not checkpoints(tmp_path)


# --- Pieces that can be left out, and gradients


@pytest.fixture
def without_evaluation(train, monkeypatch):
    """Nothing after the training."""
    for name in ("export_packet_loss_asr", "evaluate_packet_loss"):
        monkeypatch.setattr(train, name, lambda **named: None)


@pytest.mark.usefixtures("without_evaluation")
def test_a_weight_of_0_skips_the_computation(
    few_steps, run_train, tmp_path, monkeypatch
):
    def refuse(self, restoration):
        raise AssertionError("computed")

    monkeypatch.setattr(WhisperCrossEntropy, "forward", refuse)
    arguments = few_steps(tmp_path, "--ce_weight=0", "--number_of_epochs=1")
    run_train([*arguments, "--optimizer_step_limit=1"])
    (line,) = log_lines(tmp_path)
    assert "train l1" in line and not any("ce" in key for key in line)
    assert line["train loss"] == pytest.approx(0.5 * line["train l1"], 0.01)


@pytest.fixture
def make_brain(train, run_train, monkeypatch):
    """Make what train.py makes: a brain, and its data sets, before training."""

    class Stop(Exception):
        pass

    def make(arguments):
        made = []

        def stop(self, counter, *datasets, **loader_options):
            made.append((self, *datasets, loader_options))
            raise Stop

        with monkeypatch.context() as patch:
            patch.setattr(train.RestorationBrain, "fit", stop)
            with pytest.raises(Stop):
                run_train(arguments)
        return made[0]

    return make


def test_training_can_start_from_weights(
    make_brain, few_steps, changed_model_folder, tmp_path
):
    file = changed_model_folder / "front_end.safetensors"
    brain = make_brain(few_steps(tmp_path, f"--initial_weights={file}"))[0]
    assert_equal_weights(
        dict(brain.modules.front_end.state_dict()), load_file(file)
    )


@pytest.fixture
def brain(make_brain, few_steps, tmp_path):
    """The mini recipe's brain before its first step, and a batch."""
    brain, train_set, _, _ = make_brain(few_steps(tmp_path))
    loader = brain.make_dataloader(train_set, Stage.TRAIN, batch_size=2)
    brain.init_optimizers()
    brain.on_stage_start(Stage.TRAIN, 1)
    brain.step = 1
    return brain, next(iter(loader))


def test_gradients_reach_the_adapter_and_only_it(brain):
    brain, batch = brain
    front_end = brain.modules.front_end
    # Behind what starts at zero nothing has a gradient yet.
    for parameter in front_end.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.01)
    brain.modules.train()
    damaged = brain.compute_forward(batch, Stage.TRAIN)
    assert damaged.lost.any()
    for name in ("l1", "ce"):
        brain.zero_grad()
        brain.modules.criteria[name](damaged).mean().backward(retain_graph=True)
        for parameter, value in front_end.named_parameters():
            assert value.grad.abs().max() > 0, (name, parameter)
        whisper = list(brain.modules.back_end.parameters())
        assert len(whisper) > 100
        assert all(parameter.grad is None for parameter in whisper)


def test_a_step_changes_the_adapter_and_only_it(brain):
    brain, batch = brain
    before = {
        name: value.clone()
        for name, value in brain.modules.state_dict().items()
    }
    learns = [id(p) for g in brain.optimizer.param_groups for p in g["params"]]
    adapter = [id(p) for p in brain.modules.front_end.parameters()]
    assert sorted(learns) == sorted(adapter)
    brain.modules.train()
    assert not any(part.training for part in brain.modules.back_end.modules())
    brain.fit_batch(batch)
    changed = {
        name
        for name, value in brain.modules.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"front_end.exit.weight", "front_end.exit.bias"}


@pytest.mark.usefixtures("without_evaluation")
def test_a_seed_decides_the_weights(few_steps, run_train, tmp_path):
    found = []
    for number, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(number)
        arguments = few_steps(folder, f"--seed={seed}", "--num_workers=0")
        run_train([*arguments, "--optimizer_step_limit", "2"])
        found.append(weights(folder))
        state = yaml.safe_load(
            (checkpoints(folder)[0].path / "brain.ckpt").read_text()
        )
        assert state["optimizer_step"] == 2
    assert_equal_weights(found[0], found[1])
    assert not torch.equal(found[0]["exit.weight"], found[2]["exit.weight"])


# --- Interrupted


@pytest.fixture(scope="module")
def interrupted(run_program, few_steps, recipe, tmp_path_factory):
    """Killed while it validates, then while it saves, then left to end.

    The output folder, what was there after the second kill, and the epochs
    of the batches that each of the three runs trained on.
    """
    folder = tmp_path_factory.mktemp("runs") / "interrupted"
    arguments = few_steps(
        folder, *STEPS, "--ckpt_interval_minutes=0", "--ckpt_interval_steps=1"
    )
    trained_on = []

    def run(point, epoch, call):
        counts = folder.parent / f"{point}.txt"
        ran = run_program(
            ["-c", KILLED, point, epoch, call, counts, "train.py", *arguments],
            recipe,
        )
        trained_on.append([int(line) for line in counts.read_text().split()])
        return ran

    ran = run("evaluate_batch", 1, 1)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    ran = run("_save_intra_epoch_ckpt", 2, 2)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    left = sorted(path.name for path in (folder / "save").iterdir())
    ran = run("on_fit_start", -1, 1)
    assert ran.returncode == 0, ran.stderr
    return folder, left, trained_on


def test_a_run_goes_on_inside_the_epoch(interrupted):
    """Saved after batches 2 and 4 of 5; nothing else is trained again."""
    assert interrupted[2] == [[1] * 5, [1] + [2] * 4, [2] * 3]


def test_a_kill_while_saving_leaves_no_broken_checkpoint(interrupted):
    folder, left, _ = interrupted
    unfinished = [name for name in left if not name.startswith("CKPT+")]
    assert len(unfinished) == 1 and len(left) > 1
    assert not (folder / "save" / unfinished[0]).exists()
    for path in (folder / "save").iterdir():
        assert path.name.startswith("CKPT+") and (path / "CKPT.yaml").exists()


def test_interruptions_change_nothing(interrupted, trained):
    assert_equal_weights(weights(interrupted[0]), weights(trained[0]))
    for name in ("train_log.txt", "results.json"):
        assert (interrupted[0] / name).read_text() == (
            (trained[0] / name).read_text()
        )
    optimisers = [
        torch.load(
            checkpoints(folder)[0].path / "optimizer.ckpt", weights_only=True
        )
        for folder in (interrupted[0], trained[0])
    ]
    for one, other in zip(*(o["state"].values() for o in optimisers)):
        assert_equal_weights(one, other)


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of the finished run, to be broken."""
    return Path(shutil.copytree(trained[0], tmp_path / "run"))


@pytest.mark.parametrize(
    ("name", "size"),
    [("front_end", 100_000), ("front_end", 0), ("optimizer", 1000)]
    + [("counter", 0), ("brain", 5), ("scheduler", 10)],
)
def test_a_truncated_checkpoint_is_named(
    finished, few_steps, run_train, capsys, name, size
):
    newest = checkpoints(finished)[0].path
    file = newest / f"{name}.ckpt"
    file.write_bytes(file.read_bytes()[:size])
    arguments = few_steps(finished, *STEPS, "--number_of_epochs=3")
    line = refused(run_train, capsys, arguments)
    assert str(newest) in line
    assert newest.exists()
    # Its log has the line as well, beside what led to it.
    assert line.removeprefix("error: ") in (finished / "log.txt").read_text()


def test_a_checkpoint_of_another_front_end_is_named(
    finished, few_steps, run_train, capsys
):
    arguments = few_steps(finished, *STEPS, "--informed=False")
    assert str(finished) in refused(run_train, capsys, arguments)


# --- A disk that is full


def no_space(*arguments, **named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("without_evaluation")
def test_a_full_disk_ends_the_training_in_one_line(
    finished, few_steps, run_train, capsys, monkeypatch
):
    def files():
        return {
            path: path.read_bytes()
            for path in sorted((finished / "save").rglob("*.*"))
            if path.is_file()
        }

    before = files()
    monkeypatch.setattr(torch, "save", no_space)
    arguments = few_steps(finished, *STEPS, "--number_of_epochs=3")
    line = refused(run_train, capsys, arguments)
    assert str(finished / "save") in line and "No space left" in line
    assert files() == before


@pytest.fixture
def saver(tmp_path):
    """A checkpointer with one checkpoint, and its model, changed since."""
    model = torch.nn.Linear(100, 100)
    saver = AtomicCheckpointer(tmp_path / "save", {"model": model})
    saver.save_checkpoint(name="first")
    before = model.weight.detach().clone()
    torch.nn.init.zeros_(model.weight)
    return saver, model, before


def assert_first_is_whole(saver, model, before):
    (path,) = saver.checkpoints_dir.iterdir()
    assert path.name == "CKPT+first"
    saver.recover_if_possible()
    assert torch.equal(model.weight, before)


@pytest.mark.parametrize(
    ("module", "name"), [(torch, "save"), (os, "fsync"), (os, "makedirs")]
)
def test_a_checkpoint_that_cannot_be_written(saver, monkeypatch, module, name):
    with monkeypatch.context() as patch:
        patch.setattr(module, name, no_space)
        with pytest.raises(UserError, match="No space left"):
            saver[0].save_checkpoint(name="second")
    assert_first_is_whole(*saver)
    saver[0].save_checkpoint(name="second")
    assert len(saver[0].find_checkpoints()) == 2


@pytest.mark.parametrize("n_bytes", [100, 3000])
def test_a_disk_that_fills_up_while_saving(saver, n_bytes):
    """The operating system itself refuses, in the middle of a file."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, most))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            saver[0].save_checkpoint(name="second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert_first_is_whole(*saver)


def test_a_bug_in_saving_keeps_its_traceback(saver, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        saver[0].save_checkpoint(name="second")


def test_what_a_kill_left_is_cleared_away(saver):
    saver, model, before = saver
    left = saver.checkpoints_dir / "unfinished.CKPT+second"
    shutil.copytree(saver.checkpoints_dir / "CKPT+first", left)
    (left / "model.ckpt").write_bytes(b"half")
    again = AtomicCheckpointer(saver.checkpoints_dir, {"model": model})
    assert_first_is_whole(again, model, before)


# --- Several processes


@pytest.fixture
def torchrun(run_program, recipe):
    """Run train.py in two processes on CPUs."""

    def run(arguments):
        launcher = "-m torch.distributed.run --standalone --nproc_per_node=2"
        ran = run_program([*launcher.split(), "train.py", *arguments], recipe)
        assert ran.returncode == 0, ran.stderr

    return run


def moments(folder):
    """Adam's running means of the gradients, a tensor a parameter."""
    path = checkpoints(folder)[0].paramfiles["optimizer"]
    state = torch.load(path, weights_only=True)["state"]
    return [state[index]["exp_avg"] for index in sorted(state)]


def test_two_processes_train_as_one(
    torchrun, few_steps, manifests, run_train, request, tmp_path
):
    """Two batches for each of two processes, or all four for one.

    One step each: losses are those of the untrained front-end, so they show
    that the same packets were lost; DDP averages gradients as accumulation
    does; and validation follows with the same weights.
    """
    four = tmp_path / "four.csv"
    lines = manifests["train"].read_text().splitlines(keepends=True)
    four.write_text("".join(lines[:5]))
    more = "--number_of_epochs=1", f"--train_csv={four}"
    one, two = tmp_path / "one", tmp_path / "two"
    torchrun(few_steps(two, *more, "--grad_accumulation_factor=2"))
    request.getfixturevalue("without_evaluation")
    run_train(few_steps(one, *more, "--grad_accumulation_factor=4"))
    assert (two / "train_log.txt").read_text() == (
        (one / "train_log.txt").read_text()
    )
    metas = [checkpoints(folder)[0].meta["WER"] for folder in (one, two)]
    assert metas[0] == metas[1]
    # Adam's first moments are the gradients. The weights would not do: its
    # first step is lr * sign, also of a gradient that rounding makes.
    for ours, theirs in zip(moments(one), moments(two), strict=True):
        tolerance = 1e-4 * ours.abs().max().item()
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=tolerance)
    assert weights(two)["exit.weight"].abs().max() > 1e-4
    assert (two / "results.json").exists()


def test_two_processes_validate_as_one(
    torchrun, few_steps, manifests, make_brain, tmp_path, monkeypatch
):
    """The paper's network has running averages; five batches are not even."""
    arguments = [
        word for word in few_steps(tmp_path) if "batch_seconds" not in word
    ]
    arguments[0] = "hparams/plc_whisper.yaml"
    arguments += [
        *("--data_folder=", "--whisper_source=openai/whisper-tiny.en"),
        *("--language=null", "--context=batch", "--beam_size=1"),
        *("--width=4", "--depth=1", "--n_bottleneck=1", "--num_workers=0"),
        *("--batch_size=1", "--number_of_epochs=1", "--valid_batch_size=1"),
        f"--valid_csv={manifests['train']}",
    ]
    torchrun(arguments)
    brain, _, valid_set, options = make_brain(arguments)
    found = []
    monkeypatch.setattr(
        type(brain),
        "on_stage_end",
        lambda self, *rest: found.append(self._gather_stats()),
    )
    checkpoint = brain.checkpointer.recover_if_possible()
    loader = brain.make_dataloader(
        valid_set, Stage.VALID, **options["valid_loader_kwargs"]
    )
    brain._fit_valid(loader, epoch=1, enable=False)
    assert found[0]["WER"] == checkpoint.meta["WER"] > 0
    (line,) = log_lines(tmp_path)
    for name in ("l1", "ce"):
        assert found[0][name] == pytest.approx(line[f"valid {name}"], rel=0.01)


# --- Bad input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--l1_wieght", "0"], ["--l1_wieght", "--l1_weight"]),
        (["--lr"], ["--lr"]),
        (["--train_csv=gone.csv"], ["gone.csv"]),
        (["--valid_csv=gone.csv"], ["gone.csv"]),
        (["--test_csv=gone.csv"], ["gone.csv"]),
        (["--test_csv=gone.csv", "--test_only"], ["gone.csv"]),
        (["--valid_rate=1.5"], ["1.5"]),
        (["--test_rates=[0, -0.1]"], ["-0.1"]),
        (["--rates=[0.1, 2]", "--rate_weights=[1, 1]"], ["2"]),
        (["--rate_weights=[1]"], ["rate_weights"]),
        (["--mean_burst=0.5"], ["mean_burst"]),
        (["--whisper_source=gone/at/all"], ["gone/at/all"]),
        (["--initial_weights=gone.safetensors"], ["gone.safetensors"]),
        (["--skip_prep=False", "--data_folder=gone"], ["gone"]),
        (["--skip_prep=False", "--data_folder=hparams"], ["hparams"]),
    ],
)
def test_what_is_wrong_is_said_before_the_training(
    few_steps, run_train, capsys, tmp_path, train, monkeypatch, arguments, said
):
    def refuse(*arguments, **named):
        raise AssertionError("trained")

    monkeypatch.setattr(train.RestorationBrain, "fit_batch", refuse)
    line = refused(run_train, capsys, few_steps(tmp_path, *arguments))
    assert all(word in line for word in said)


def test_an_output_folder_that_cannot_be_is_named(
    few_steps, run_train, capsys, tmp_path
):
    file = tmp_path / "file"
    file.write_text("a file")
    line = refused(run_train, capsys, few_steps(file / "run"))
    assert str(file) in line
    assert file.read_text() == "a file"


def test_a_bad_manifest_is_named_before_the_training(
    few_steps, run_train, capsys, manifests, tmp_path
):
    """What the manifest's own tests have, on the way that a user takes."""
    manifest = tmp_path / "bad.csv"
    good = manifests["train"].read_text()
    first = read_manifest(manifests["train"])[0]
    for old, new, said in (
        (",wrd\n", ",text\n", "wrd"),
        (first["wav"], "/gone.wav", "/gone.wav"),
        (first["wrd"], "", first["ID"]),
    ):
        manifest.write_text(good.replace(old, new, 1))
        arguments = few_steps(tmp_path / "run", f"--train_csv={manifest}")
        line = refused(run_train, capsys, arguments)
        assert str(manifest) in line and said in line


def test_the_command_says_one_line_and_exits_with_2(
    run_program, few_steps, recipe, tmp_path
):
    arguments = few_steps(tmp_path / "run", "--epochs", "3")
    ran = run_program(["train.py", *arguments], recipe)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: --epochs:")
    assert not (tmp_path / "run").exists()


def test_the_command_line_is_speechbrains(recipe, few_steps, tmp_path):
    """A value with = in it, a list, a number that YAML takes for a string."""
    arguments = few_steps(tmp_path / "a=b", "--lr", "1e-3", "--device=cpu")
    arguments[0] = str(recipe / arguments[0])
    _, options, overrides = parse_arguments(arguments)
    assert overrides["output_folder"] == str(tmp_path / "a=b")
    assert overrides["lr"] == 1e-3 and overrides["test_rates"] == [0.4]
    assert options.device == "cpu"
