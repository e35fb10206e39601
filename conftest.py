"""What every test and docstring example runs under, alone or all together."""

import os
import random
import sys

import pytest


def pytest_configure(config):
    """Settle what libraries read from the environment when they are imported.

    Subprocesses that tests start inherit it.

    Arguments
    ---------
    config : pytest.Config
        Has the folder where pytest keeps its own cache.
    """
    # Results must not depend on what the machine has or on what its user
    # downloaded, and no test may wait for a network.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["MPLBACKEND"] = "Agg"
    cache = getattr(config, "cache", None)
    if cache is not None:
        # By default both stand in the user's home.
        os.environ["HF_HOME"] = str(cache.mkdir("huggingface"))
        os.environ["HF_HUB_CACHE"] = str(cache.mkdir("huggingface") / "hub")
        os.environ["MPLCONFIGDIR"] = str(cache.mkdir("matplotlib"))
    _settle_hypothesis()


def _settle_hypothesis():
    from hypothesis import HealthCheck, settings

    # The same examples on every run and machine; slowness is no failure.
    settings.register_profile(
        "repository",
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("repository")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    """Let Hypothesis ask every loaded module for its file.

    SpeechBrain's stand-ins for optional modules answer by importing them, and
    fail where what they need (k2, for example) is not installed.
    """
    importutils = sys.modules.get("speechbrain.utils.importutils")
    if importutils is not None:
        importutils.LazyModule.__file__ = None


@pytest.fixture(autouse=True, scope="session")
def _few_threads():
    """Use two threads however many cores there are."""
    # Whatever needs torch has imported it by now; the rest need not wait.
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(autouse=True)
def _same_randomness():
    """Give a test the same global random numbers in any order of tests."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def _examples_leave_no_files(request, tmp_path_factory, monkeypatch):
    """Run a docstring's example in an empty folder."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path_factory.mktemp("example"))
