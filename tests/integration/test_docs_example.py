"""The worked example of docs/guides/add-a-paper.md, as it stands there."""

import json
import re
import shutil

import pytest

_BLOCK = re.compile(
    r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", re.M | re.S
)


@pytest.fixture(scope="module")
def blocks(repository):
    """The page's blocks by their captions."""
    page = repository / "docs" / "guides" / "add-a-paper.md"
    return dict(_BLOCK.findall(page.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def checkout(blocks, repository, tmp_path_factory):
    """A copy of what the example touches, with what it adds."""
    root = tmp_path_factory.mktemp("example")
    for folder in ("speechbrain_ext", "recipes"):
        shutil.copytree(
            repository / folder,
            root / folder,
            ignore=shutil.ignore_patterns("__pycache__", "results"),
        )
    for line in blocks["commands"].splitlines():
        command, *names = line.split()
        if command == "mkdir":
            (root / names[-1]).mkdir(parents=True)
        else:
            assert command == "cp"
            shutil.copy(root / names[0], root / names[1])
    for caption, text in blocks.items():
        if "/" in caption:
            assert not (root / caption).exists()
            (root / caption).write_text(text, encoding="utf-8")
    return root


def test_its_examples_hold(blocks, checkout, run_program):
    modules = [name for name in blocks if name.endswith(".py")]
    assert len(modules) == 2
    ran = run_program(
        ["-m", "doctest", "-o", "ELLIPSIS", *modules],
        checkout,
        PYTHONPATH=str(checkout),
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_trains_and_is_evaluated(checkout, noisy, run_program, tmp_path):
    splits = {"train": "train", "valid": "valid", "test": "test"}
    splits["noise"] = "train-noise"
    ran = run_program(
        [
            "train.py",
            "hparams/mini.yaml",
            "--debug",
            "--skip_prep=True",
            *(f"--{key}_csv={noisy[name]}" for key, name in splits.items()),
            f"--output_folder={tmp_path / 'out'}",
            "--hidden_size=8",
            "--metrics=[si_sdr]",
        ],
        checkout / "recipes/LibriSpeech/enhance/mask_lstm",
        PYTHONPATH=str(checkout),
    )
    assert ran.returncode == 0, ran.stderr
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    systems = {row["system"] for row in rows}
    assert {"noisy", "mask-lstm"} <= systems
    config = json.loads((tmp_path / "out/model/config.json").read_text())
    assert config["interface"].endswith(".PerceptualEnhancer")
