"""The benchmarks run and end with the line that others read."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_ext.errors import UserError

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench"
NUMBER = r"\d+\.\d+"


@pytest.fixture
def bench(monkeypatch, capsys):
    """A function that runs a benchmark and returns the lines it prints."""

    def run(name, *arguments):
        module = load(name)
        threads = ["--threads", str(torch.get_num_threads())]
        monkeypatch.setattr(sys, "argv", [name, *threads, *arguments])
        module.main()
        return capsys.readouterr().out.splitlines()

    return run


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_frontend_cost(bench):
    lines = bench("frontend_cost", "--seconds", "1", "--rounds", "1")
    pattern = f"light/encoder ({NUMBER}) unet/encoder ({NUMBER})"
    light, unet = re.fullmatch(pattern, lines[-1]).groups()
    assert float(light) > 0 and float(unet) > 0
    names = [line.split()[0] for line in lines[-4:-1]]
    assert names == ["encoder", "light", "unet"]


def test_train_context(bench):
    lines = bench(
        "train_context", "--seconds", "0.5", "--batch", "1", "--rounds", "1"
    )
    (ratio,) = re.fullmatch(f"batch/30s ({NUMBER})", lines[-1]).groups()
    assert float(ratio) > 0


def test_the_light_adapter_is_the_exported_one(tmp_path, monkeypatch):
    module = load("frontend_cost")
    (tmp_path / "hyperparams.yaml").write_text(
        "front_end: &front_end "
        "!new:speechbrain_ext.frontends.light_adapter.LightAdapter\n"
        "    widths: [1, 2, 3]\n"
        "modules: {front_end: *front_end}\n"
    )
    assert module.light_settings(tmp_path) == {"widths": [1, 2, 3]}
    with pytest.raises(UserError, match="nowhere/hyperparams.yaml: no such"):
        module.light_settings("nowhere")
    # Where nothing ships yet, the settings that will.
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "none")
    assert module.light_settings(tmp_path / "none") == module.SETTINGS


@pytest.mark.parametrize("name", ["frontend_cost", "train_context"])
def test_help_teaches(bench, capsys, name):
    with pytest.raises(SystemExit) as stop:
        bench(name, "--help")
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"python tools/bench/{name}.py --" in said
    assert "The last line reads: " in said
