"""What tools/bench/train_step.py measures is a training step of the recipe."""

import argparse
import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

NUMBER = r"\d+\.\d+"


@pytest.fixture
def tool(repository, monkeypatch):
    folder = repository / "tools" / "bench"
    # As for a script: the folder's other files can be imported.
    monkeypatch.syspath_prepend(folder)
    spec = importlib.util.spec_from_file_location(
        "train_step", folder / "train_step.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def settings():
    return argparse.Namespace(
        threads=torch.get_num_threads(), batch=1, steps=1, front_ends=["light"]
    )


def test_a_step_learns(tool, settings, manifests, monkeypatch):
    """The timed steps change the front-end and leave Whisper alone."""
    made = []

    def remember(*arguments):
        brain = make_brain(*arguments)
        before = {
            name: value.clone()
            for name, value in brain.modules.front_end.state_dict().items()
        }
        made.append((brain, before))
        return brain

    make_brain = tool.make_brain
    monkeypatch.setattr(tool, "make_brain", remember)
    seconds, megabytes, loading = tool.time_steps(
        "light", "fp32", "batch", manifests["train"], 1, settings
    )
    assert seconds > 0 and megabytes > 100 and 0 < loading < 1
    (brain, before), after = made[0], made[0][0].modules.front_end.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in brain.modules.back_end.parameters())


def test_the_last_line_is_the_ratios(
    tool, settings, manifests, monkeypatch, capsys
):
    # In this process: what is tested is what is printed of the times.
    monkeypatch.setattr(
        tool, "ProcessPoolExecutor", lambda n, mp_context: ThreadPoolExecutor(n)
    )
    monkeypatch.setattr(tool, "speech", lambda: manifests["train"])
    times = {
        ("fp32", "30s"): 8.0,
        ("fp32", "batch"): 2.0,
        ("bf16", "30s"): 4.0,
        ("bf16", "batch"): 1.0,
    }
    monkeypatch.setattr(
        tool,
        "time_steps",
        lambda front_end, precision, context, *rest: (
            times[precision, context],
            700.0,
            0.02,
        ),
    )
    tool.measure(settings)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "light: bf16/fp32 2.00 batch/30s 4.00 loading 2.0 %"
    rows = [line for line in lines if line.startswith("light ")]
    assert len(rows) == 4
    assert all(re.search(rf"{NUMBER}\s+700\s+2\.0 %$", row) for row in rows)
