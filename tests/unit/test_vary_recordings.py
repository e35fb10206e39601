"""tools/vary_recordings.py: rooms, colours, scenes."""

import numpy as np
import pytest
import torch

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.errors import UserError


@pytest.fixture
def tool(load_tool):
    """The program as a module."""
    return load_tool("vary_recordings")


@pytest.fixture
def recordings(tmp_path):
    """Manifests of 12 utterances of a second and of 3 noises."""
    speech, noise = [], []
    rng = np.random.default_rng(0)
    for number in range(12):
        file = tmp_path / f"speech-{number}.wav"
        save_audio(file, torch.from_numpy(0.1 * rng.standard_normal(16000)))
        speech.append(
            {
                "ID": f"utterance-{number}",
                "duration": 1.0,
                "wav": file,
                "spk_id": "s",
                "wrd": "Yes.",
            }
        )
    for number in range(3):
        file = tmp_path / f"noise-{number}.wav"
        save_audio(file, torch.from_numpy(0.05 * rng.standard_normal(48000)))
        noise.append(
            {"ID": f"n{number}", "duration": 3.0, "wav": file, "kind": "hiss"}
        )
    write_manifest(tmp_path / "speech.csv", speech)
    write_rows(tmp_path / "noise.csv", noise, NOISE_COLUMNS)
    return [
        *("--speech", str(tmp_path / "speech.csv")),
        *("--noise", str(tmp_path / "noise.csv"), "--scenes", "3"),
    ]


def test_outcome_depends_on_names_and_the_seed_alone(
    tool, recordings, tmp_path
):
    for folder, workers in (("a", "1"), ("b", "3")):
        tool.main([str(tmp_path / folder), *recordings, "--workers", workers])
    tool.main([str(tmp_path / "c"), *recordings, "--seed", "1"])
    first, second, other = (tmp_path / name for name in "abc")
    files = sorted(f.relative_to(first) for f in first.rglob("*.wav"))
    for file in files:
        assert (first / file).read_bytes() == (second / file).read_bytes()
        if file.parent.name == "scenes":
            assert (first / file).read_bytes() != (other / file).read_bytes()
    rows = read_manifest(first / "speech.csv")
    varied = [row for row in rows if str(first) in str(row["wav"])]
    assert 0 < len(varied) < len(rows) == 12
    for row in varied:
        assert len(load_audio(row["wav"])) == 16000
    noise = read_rows(first / "noise.csv", NOISE_COLUMNS)
    assert [row["ID"] for row in noise] == [
        *("n0", "n2", "scene-0000", "scene-0001", "scene-0002"),
    ]


def test_a_room_has_the_ratio_and_the_decay_that_were_drawn(tool):
    rng = np.random.default_rng(0)
    response = tool.room(rng, (0.5, 0.5), (6, 6))
    assert len(response) == 8000
    direct, late = response[0] ** 2, response[1:]
    assert 10 * np.log10(direct / (late**2).sum()) == pytest.approx(6)
    # 60 dB in the reverberation time, so 30 in half of it.
    early = (late[400:1200] ** 2).mean()
    later = (late[4400:5200] ** 2).mean()
    assert 10 * np.log10(early / later) == pytest.approx(30, abs=1.5)


def test_colour_keeps_what_it_is_told_to_keep(tool):
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(1001)
    assert np.allclose(tool.colour(rng, signal, 0), signal)
    assert not np.allclose(tool.colour(rng, signal, 5), signal, atol=0.1)


def test_speech_is_at_a_level_that_was_drawn(tool):
    signal = np.random.default_rng(0).standard_normal(16000)
    for seed in range(20):
        varied = tool.vary_speech(np.random.default_rng(seed), signal)
        rms = 10 * np.log10(np.mean(varied**2))
        # With its own noise it is a little louder.
        assert -32.01 < rms < -15.9


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--scenes", "-1"], "--scenes: is -1; expected a whole number"),
        (["--noise", "nowhere"], "nowhere: no such file or folder"),
        (["--speech", "nowhere.csv"], "nowhere.csv: "),
    ],
)
def test_bad_input_is_named(tool, recordings, tmp_path, extra, message):
    with pytest.raises(UserError, match=message):
        tool.main([str(tmp_path / "out"), *recordings, *extra])
    assert not (tmp_path / "out").exists()
