"""Fixtures that several test files share."""

import importlib.util
import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def random_whispers(tmp_path_factory):
    """Folders of tiny Whispers with random weights, by their mel bins.

    Their tokens are tiny.en's.
    """
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from speechbrain_ext.backends.weights import resolve

    published = resolve("openai/whisper-tiny.en")
    folders = {}
    for n_mels in (80, 128):
        folder = tmp_path_factory.mktemp("whispers") / f"mels-{n_mels}"
        shutil.copytree(
            published, folder, ignore=shutil.ignore_patterns("*.safetensors")
        )
        config = WhisperConfig.from_pretrained(published)
        for side in ("encoder", "decoder"):
            setattr(config, f"{side}_layers", 1)
            setattr(config, f"{side}_attention_heads", 2)
            setattr(config, f"{side}_ffn_dim", 16)
        config.d_model, config.num_mel_bins = 16, n_mels
        torch.manual_seed(n_mels)
        WhisperForConditionalGeneration(config).save_pretrained(folder)
        folders[n_mels] = folder
    return folders


@pytest.fixture(scope="session")
def debug_data(repository):
    """The tool that makes what the recipes' debug flags name, as a module."""
    file = repository / "tools" / "debug_data.py"
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def speechbrain_source(debug_data, tmp_path_factory):
    """A folder as the hub has SpeechBrain's recognisers; its weights are random.

    Read only.
    """
    folder = tmp_path_factory.mktemp("recognisers") / "asr-crdnn-rnnlm"
    return debug_data.make_recogniser(folder)
