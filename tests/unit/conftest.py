"""What the unit tests share."""

import importlib.util
import sys

import pytest


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
