"""The tool that compares the light adapter with the paper's U-Net."""

import argparse

import pytest

from speechbrain_ext.brains.experiment import parse_arguments
from speechbrain_ext.evaluation.word_errors import WordErrors


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("compare_front_ends")


@pytest.fixture
def arguments(tmp_path):
    return argparse.Namespace(out=str(tmp_path), epochs=3, train_minutes=36)


def test_all_are_trained_alike(tool, arguments, tmp_path, monkeypatch):
    """The same speech, epochs, batches and precision for each."""
    manifests = {
        split: tmp_path / f"{split}.csv" for split in ("train", "valid", "test")
    }
    own = ("output_folder", "widths", "dilations", "informed")
    settings = []
    for name in tool.SYSTEMS:
        step = tool.training(name, 3, manifests, arguments)
        monkeypatch.chdir(step.cwd)
        _, options, overrides = parse_arguments(list(step.command[2:]))
        assert overrides["output_folder"] == str(step.folder)
        settings.append(
            {key: overrides[key] for key in overrides if key not in own}
        )
    assert settings[0] == settings[1] == settings[2]
    assert settings[0]["number_of_epochs"] == 3
    assert settings[0]["train_csv"] == str(manifests["train"])


def test_the_ratio_is_of_the_word_error_rates(tool):
    def row(system, errors):
        words = [10] * len(errors)
        ids = [str(index) for index in range(len(errors))]
        return WordErrors(
            system, ids, errors, words, "torch", "mini", "ge", 0.3, 0
        )

    rows = [row(tool.UNET, [4, 4, 4]), row(tool.LIGHT, [2, 2, 2])]
    ((light, unet, *ratio),) = tool.ratios(rows, tool.LIGHT)
    assert (light.system, unet.system) == (tool.LIGHT, tool.UNET)
    assert ratio == pytest.approx([0.5, 0.5, 0.5])
    uneven = [row(tool.UNET, [4, 2, 6]), row(tool.LIGHT, [2, 3, 2])]
    _, _, value, low, high = next(tool.ratios(uneven, tool.LIGHT))
    assert value == pytest.approx(7 / 12) and low < value < high
