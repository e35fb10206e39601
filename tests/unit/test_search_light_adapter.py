"""The tool that searches the light adapter's size."""

import pytest
import yaml

from speechbrain_ext.brains.experiment import parse_arguments


@pytest.fixture(scope="module")
def tool(load_tool):
    """The tool as a module."""
    return load_tool("search_light_adapter")


def test_all_are_trained_alike_and_with_l1_alone(tool, tmp_path, monkeypatch):
    manifests = {
        split: tmp_path / split for split in ("train", "valid", "test")
    }
    own = ("output_folder", "widths", "dilations")
    settings, folders = [], set()
    for name, (widths, dilations) in tool.CANDIDATES.items():
        step = tool.training(name, manifests, tmp_path, 12)
        monkeypatch.chdir(step.cwd)
        _, _, overrides = parse_arguments(list(step.command[2:]))
        assert overrides["widths"] == widths
        assert overrides["dilations"] == dilations
        folders.add(overrides["output_folder"])
        settings.append({k: v for k, v in overrides.items() if k not in own})
    assert len(folders) == len(tool.CANDIDATES)
    assert all(each == settings[0] for each in settings)
    assert (settings[0]["l1_weight"], settings[0]["ce_weight"]) == (1, 0)


def test_what_ships_is_among_the_candidates(tool, repository):
    folder = repository / "pretrained" / "plc-whisper-tiny.en"
    text = (folder / "hyperparams.yaml").read_text().replace("!new:", "# ")
    front_end = yaml.safe_load(text)["front_end"]
    shipped = front_end["widths"], front_end["dilations"]
    assert shipped in tool.CANDIDATES.values()


def test_the_last_epochs_l1_counts(tool, tmp_path):
    (tmp_path / "train_log.txt").write_text(
        "epoch: 1 - train l1: 3.0e-01 - valid l1: 4.00e-01, valid loss: 1\n"
        "epoch: 2 - train l1: 1.0e-01 - valid l1: 2.13e-01, valid loss: 1\n"
    )
    assert tool.valid_l1(tmp_path) == 0.213
