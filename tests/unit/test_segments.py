"""Segments of utterances, and what is read of them."""

import pytest
import torch

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.segments import SEGMENT_SECONDS, cut_segments
from speechbrain_ext.errors import UserError


def utterance(folder, name, samples):
    file = folder / f"{name}.wav"
    save_audio(file, torch.linspace(-0.9, 0.9, samples))
    return {
        "ID": name,
        "duration": samples / 16000,
        "wav": file,
        "spk_id": "s",
        "wrd": "Hi.",
    }


@pytest.fixture
def manifest(tmp_path):
    rows = [utterance(tmp_path, "a", 2 * 16384), utterance(tmp_path, "b", 800)]
    write_manifest(tmp_path / "utterances.csv", rows)
    return tmp_path / "utterances.csv"


def test_segments_do_not_overlap_and_rests_are_left_out(manifest, tmp_path):
    cut_segments(manifest, tmp_path / "segments.csv")
    rows = read_manifest(tmp_path / "segments.csv")
    # An utterance of exactly two segments has two, in spite of rounding.
    assert [row["ID"] for row in rows] == ["a-000", "a-001"]
    assert [row["start"] for row in rows] == [0.0, SEGMENT_SECONDS]
    assert {row["duration"] for row in rows} == {SEGMENT_SECONDS}


def test_a_data_set_of_segments_reads_them_alone(manifest, tmp_path):
    cut_segments(manifest, tmp_path / "segments.csv")
    data = manifest_dataset(tmp_path / "segments.csv")
    whole = load_audio(tmp_path / "a.wav")
    assert torch.equal(data[0]["sig"], whole[:16384])
    assert torch.equal(data[1]["sig"], whole[16384:])


def test_a_segment_of_another_rate_has_as_many_seconds(tmp_path):
    file = tmp_path / "a.wav"
    save_audio(file, torch.zeros(16000), sample_rate=8000)
    assert len(load_audio(file, start=0.5, duration=1.024)) == 16384


def test_only_short_utterances(tmp_path):
    write_manifest(tmp_path / "u.csv", [utterance(tmp_path, "b", 800)])
    with pytest.raises(
        UserError, match=r"u\.csv: no file is as long as a segment"
    ):
        cut_segments(tmp_path / "u.csv", tmp_path / "segments.csv")
    assert not (tmp_path / "segments.csv").exists()


def test_a_segment_past_the_end_is_named(tmp_path):
    row = {**utterance(tmp_path, "a", 16000), "start": 0.5, "duration": 1.024}
    write_manifest(tmp_path / "segments.csv", [row])
    data = manifest_dataset(tmp_path / "segments.csv")
    with pytest.raises(UserError, match=r"a\.wav: ends before 1\.524 s"):
        data[0]


@pytest.mark.parametrize("start", ["-1", "early", "nan"])
def test_a_start_that_is_none(tmp_path, start):
    row = {**utterance(tmp_path, "a", 16000), "start": start}
    write_manifest(tmp_path / "segments.csv", [row])
    with pytest.raises(UserError, match=f"a: start is '{start}'; expected"):
        read_manifest(tmp_path / "segments.csv")
