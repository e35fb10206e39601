"""What the unit tests share."""

import importlib.util
import sys

import pytest


@pytest.fixture
def wavs():
    """Noise that swells, 1.5 s, and a tone that rises, 0.9 s."""
    import torch

    time = torch.arange(24000) / 16000
    noise = 0.1 * torch.randn(24000) * (4 * time).sin()
    tone = 0.3 * torch.sin(2 * torch.pi * (300 + 400 * time) * time)
    return torch.stack([noise, tone.masked_fill(time >= 0.9, 0.0)])


@pytest.fixture
def settings(monkeypatch):
    """Say what train.py makes of a step's command: ``settings(step)``.

    Refuses unknown keys.
    """
    import yaml

    from speechbrain_ext.brains.experiment import parse_arguments

    loader = type("Plain", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda *_: None)

    def read(step):
        monkeypatch.chdir(step.cwd)
        file, _, overrides = parse_arguments(list(step.command[2:]))
        with open(file) as text:
            return {**yaml.load(text, loader), **overrides}

    return read


@pytest.fixture(scope="module")
def load_tool(repository):
    """Load a script of tools/ as a module: ``load_tool(name)``."""
    folder = repository / "tools"
    known = set(sys.modules)
    # As for a script: the folder's other files can be imported.
    sys.path.insert(0, str(folder))

    def load(name):
        spec = importlib.util.spec_from_file_location(
            name, folder / f"{name}.py"
        )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    yield load
    sys.path.remove(str(folder))
    for name in {*sys.modules} - known:
        if (
            name.partition(".")[0] in {"bench", "steps"}
            or (folder / f"{name}.py").is_file()
        ):
            del sys.modules[name]
