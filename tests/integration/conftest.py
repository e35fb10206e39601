"""What the integration tests share: a little speech, a model, and programs.

What is tested is imported where it is used: this file is read before the root
conftest.py has settled what libraries read from the environment.
"""

import contextlib
import importlib.util
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

#: No program of these tests runs longer, in seconds.
_PATIENCE = 400


@pytest.fixture(scope="session")
def manifests(tmp_path_factory):
    """The smallest mini corpus that serves all tests: manifest by split."""
    from speechbrain_ext.corpora.mini import prepare_mini

    return prepare_mini(
        tmp_path_factory.mktemp("mini corpus"),
        train_minutes=0.3,
        valid_utterances=4,
        test_utterances=4,
    )


@pytest.fixture(scope="session")
def utterances(manifests):
    """The test split's rows."""
    from speechbrain_ext.corpora.manifest import read_manifest

    return read_manifest(manifests["test"])


@pytest.fixture(scope="session")
def noisy(debug_data, manifests, tmp_path_factory):
    """The little corpus in noise: manifest by split, and of the noises."""
    from speechbrain_ext.corpora.noisy_mini import prepare_noisy_mini

    folder = tmp_path_factory.mktemp("noisy")
    return prepare_noisy_mini(
        folder / "corpus",
        noise_folder=debug_data.make_noise(folder / "noise"),
        train_minutes=0.3,
        valid_utterances=4,
        test_utterances=4,
        clean_folder=manifests["train"].parent,
        n_workers=1,
    )


@pytest.fixture(scope="session")
def logged():
    """Read a training's first line of losses: ``logged(folder)``."""

    def read(folder):
        line = (folder / "train_log.txt").read_text().splitlines()[0]
        pairs = re.findall(r"([\w ]+): ([^,\s]+)", line)
        return {key.strip(): float(value) for key, value in pairs}

    return read


@pytest.fixture(scope="session")
def recipe(repository):
    """The folder of the recipe."""
    return repository / "recipes" / "LibriSpeech" / "ASR" / "packet_loss"


@pytest.fixture(scope="session")
def run_program(repository):
    """Run a Python program as a user does, in a folder of its own choice.

    ``run_program(arguments, cwd)`` gives what ``subprocess.run`` gives.
    """

    def run(arguments, cwd, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONPATH": str(repository),
                # Several processes share few cores here.
                "OMP_NUM_THREADS": "1",
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )

    return run


@pytest.fixture(scope="session")
def few_steps(manifests):
    """Arguments of train.py for the mini recipe on the little corpus.

    Five training utterances, each a batch of its own.
    """

    def arguments(output_folder, *more):
        return [
            "hparams/mini.yaml",
            f"--output_folder={output_folder}",
            "--skip_prep=True",
            *(f"--{split}_csv={path}" for split, path in manifests.items()),
            "--number_of_epochs=2",
            "--batch_seconds=3",
            "--test_rates=[0.4]",
            *more,
        ]

    return arguments


@pytest.fixture(scope="session")
def loaded_train():
    """A context that has a recipe's train.py, by the recipe's folder."""
    return _loaded_train


@contextlib.contextmanager
def _loaded_train(recipe):
    """The train.py as a module; its logging is put back."""
    spec = importlib.util.spec_from_file_location(
        f"{recipe.name}_train", recipe / "train.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield module
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture
def train(recipe, loaded_train, monkeypatch):
    """The recipe's train.py as a module, and what it changes put back."""
    monkeypatch.chdir(recipe)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("SB_GLOBAL_SEED", "0")
    with loaded_train(recipe) as module:
        yield module


@pytest.fixture
def run_train(train):
    """Run train.py in this process, as its last lines do."""
    from speechbrain_ext.brains.experiment import parse_arguments
    from speechbrain_ext.errors import exit_on_user_error

    def run(arguments):
        with exit_on_user_error():
            train.main(*parse_arguments([str(part) for part in arguments]))

    return run


@pytest.fixture(scope="session")
def experiment(recipe, tmp_path_factory):
    """An output folder of the mini recipe before its first step."""
    from hyperpyyaml import resolve_references

    folder = tmp_path_factory.mktemp("experiment")
    with open(recipe / "hparams" / "mini.yaml", encoding="utf-8") as file:
        resolved = resolve_references(file).getvalue()
    (folder / "hyperparams.yaml").write_text(resolved, encoding="utf-8")
    return folder


def export(experiment, front_end, folder):
    """Write a model's folder."""
    from speechbrain_ext.corruption.packet_loss import (
        GilbertElliottLoss,
        WaveformPacketLoss,
    )
    from speechbrain_ext.inference.export import export_packet_loss_asr

    damage = WaveformPacketLoss(GilbertElliottLoss(), seed=0)
    export_packet_loss_asr(experiment, front_end, damage, folder)
    return folder


@pytest.fixture(scope="session")
def model_folder(experiment, tmp_path_factory):
    """A model whose front-end changes nothing: read only."""
    from speechbrain_ext.frontends.light_adapter import LightAdapter

    folder = tmp_path_factory.mktemp("models") / "untrained"
    return export(experiment, LightAdapter(), folder)


@pytest.fixture(scope="session")
def changed_model_folder(experiment, tmp_path_factory):
    """A model whose front-end changes what is near a loss: read only."""
    import torch

    from speechbrain_ext.frontends.light_adapter import LightAdapter

    front_end = LightAdapter()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in front_end.exit.parameters():
            parameter.normal_(0, 0.1, generator=generator)
    folder = tmp_path_factory.mktemp("models") / "changed"
    return export(experiment, front_end, folder)


@pytest.fixture(scope="session")
def ljspeech(utterances, tmp_path_factory):
    """The test split in LJSpeech's layout."""
    folder = tmp_path_factory.mktemp("little-lj")
    (folder / "wavs").mkdir()
    lines = []
    for row in utterances:
        name = row["ID"]
        (folder / "wavs" / f"{name}.wav").symlink_to(row["wav"])
        lines.append(f"{name}|{row['wrd']}|{row['wrd']}\n")
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def speech(utterances, tmp_path):
    """A wav file of speech, the test's own, and what is said in it."""
    file = tmp_path / "speech.wav"
    file.write_bytes(Path(utterances[0]["wav"]).read_bytes())
    return file
