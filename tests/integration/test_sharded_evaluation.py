"""Evaluations that two processes share, beside those of one."""

import json

import pytest

from speechbrain_ext.cli import main
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.evaluation.enhancement import evaluate_enhancement_systems
from speechbrain_ext.evaluation.enhancement_systems import EnhancementSystem
from speechbrain_ext.evaluation.fusion import evaluate_fusion_systems
from speechbrain_ext.evaluation.inpainting import evaluate_inpainting_systems
from speechbrain_ext.evaluation.sharding import ALONE, shared_evaluation

TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")


class Echo:
    """An enhancer that says how many signals are in a batch."""

    def enhance_signals(self, signals):
        """Add an echo, later in larger batches."""
        return [signal + signal.roll(len(signals)) for signal in signals]


class Fusion(Echo):
    """A system of fusion, whose texts say how many signals are in a batch."""

    output, clean, scored, reads = "noisy", False, True, True
    enhance = Echo.enhance_signals

    def transcribe(self, signals):
        """Count the batch."""
        return [f"{len(signals)} {len(signal)}" for signal in signals]

    def fingerprint(self):
        """Stand for nothing."""
        return ""


def evaluate(manifest, folder, shards=ALONE):
    """Evaluate enhancement, fusion and inpainting, on three utterances."""
    rows = read_manifest(manifest)
    options = {"progressbar": False, "batch_size": 2, "shards": shards}
    evaluate_enhancement_systems(
        {"noisy": EnhancementSystem(), "echo": EnhancementSystem(Echo())},
        rows[:3],
        folder / "enhancement",
        metrics=("si_sdr", "stoi"),
        **options,
    )
    evaluate_fusion_systems(
        {"noisy": Fusion()},
        rows[:3],
        folder / "fusion",
        metrics=("si_sdr",),
        panels=False,
        **options,
    )
    rows = [
        {**row, "start": 0.1, "word": "", "phones": "", "frames": 1}
        for row in rows[:3]
    ]
    evaluate_inpainting_systems(
        {},
        rows,
        folder / "inpainting",
        kinds=["time"],
        sizes=[0.2],
        metrics=["stoi"],
        ceiling=False,
        n_panels=0,
        **options,
    )


def results(folder):
    """Contents of everything that a run writes, by its path."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder): file.read_bytes() for file in files}


def test_two_processes_write_what_one_writes(
    noisy, tmp_path, run_program, repository
):
    (one, two) = tmp_path / "one", tmp_path / "two"
    evaluate(noisy["test"], one)
    script = tmp_path / "share.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(repository / 'tests/integration')!r})\n"
        "from pathlib import Path\n"
        "import test_sharded_evaluation as shared\n"
        "with shared.shared_evaluation() as shards:\n"
        "    assert shards.count == 2\n"
        "    shared.evaluate(sys.argv[1], Path(sys.argv[2]), shards)\n"
    )
    ran = run_program([*TWO, script, noisy["test"], two], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert results(two) == results(one)
    rows = json.loads((two / "enhancement" / "results.json").read_text())
    assert max(row["n"] for row in rows) == 3
    assert (two / "fusion" / "results.json").is_file()


def test_the_command_line_shares_lost_packets(
    manifests, changed_model_folder, tmp_path, run_program
):
    """The text of each utterance, and what one process had finished."""
    arguments = [
        "evaluate",
        f"--model={changed_model_folder}",
        f"--data={manifests['test']}",
        "--rates=0.4",
        "--batch-size=1",
    ]
    main([*arguments, f"--out={tmp_path / 'one'}"])
    ran = run_program(
        [*TWO, "-m", "speechbrain_ext.cli", *arguments, "--out=two"], tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    one, two = tmp_path / "one", tmp_path / "two"
    assert results(two) == results(one)
    # The first process alone says what was found.
    assert ran.stdout.count("WER") == 1


def test_bad_input_ends_every_process(
    changed_model_folder, tmp_path, run_program
):
    arguments = [
        "evaluate",
        f"--model={changed_model_folder}",
        "--data=nowhere.csv",
        "--out=out",
    ]
    ran = run_program([*TWO, "-m", "speechbrain_ext.cli", *arguments], tmp_path)
    assert ran.returncode != 0
    assert "error: nowhere.csv: no such file or folder" in ran.stderr
    assert not (tmp_path / "out" / "results.json").exists()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_card_for_each_process(rank, monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_RANK", rank)
    with pytest.raises(SystemExit):
        main(
            ["enhance", "a.wav", "b.wav", "--model"]
            + ["pretrained/mimic-enhance-mini", "--device", "cuda"]
        )
    assert f"--device cuda:{rank}: cannot be used" in capsys.readouterr().err


def test_alone_without_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with shared_evaluation() as shards:
        assert shards is ALONE
