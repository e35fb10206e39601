"""A recipe in a copy of SpeechBrain, where this package cannot be imported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import speechbrain

RECIPE = "recipes/LibriSpeech/ASR/packet_loss"


def test_a_recipe_trains_without_this_package(
    repository, few_steps, run_program, tmp_path
):
    checkout = tmp_path / "checkout"
    shutil.copytree(
        Path(speechbrain.__file__).parent,
        checkout / "speechbrain",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    exported = run_program(
        [repository / "tools/export_upstream.py", RECIPE, "--to", checkout],
        repository,
    )
    assert exported.returncode == 0, exported.stderr
    blocked = tmp_path / "blocked" / "speechbrain_ext"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('blocked')\n")
    path = f"{blocked.parent}:{checkout}"
    imported = run_program(
        ["-c", "import speechbrain_ext"], tmp_path, PYTHONPATH=path
    )
    assert "ImportError: blocked" in imported.stderr
    ran = run_program(
        [
            "train.py",
            *few_steps(tmp_path / "out", "--debug"),
        ],
        checkout / RECIPE,
        PYTHONPATH=path,
    )
    assert ran.returncode == 0, ran.stderr
    model = tmp_path / "out" / "model"
    assert (model / "front_end.safetensors").is_file()
    interface = json.loads((model / "config.json").read_text())["interface"]
    assert interface == "speechbrain.inference.robust.PacketLossASR"
    # The model's folder was loaded, and evaluated.
    assert (tmp_path / "out" / "results.json").is_file()
    text = (model / "hyperparams.yaml").read_text()
    assert "!new:speechbrain.lobes.models.frontends." in text
    assert "speechbrain_ext." not in text


def test_the_command_says_in_one_line_what_is_wrong(repository, tmp_path):
    ran = subprocess.run(
        [sys.executable, "tools/export_upstream.py", RECIPE, "--to", tmp_path],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and ran.stderr.count("\n") == 1
