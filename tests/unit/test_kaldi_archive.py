"""Features as Kaldi archives: read back by an independent library."""

import os
import sys

import kaldiio
import numpy
import pytest
import torch
import torchaudio

from speechbrain_ext.errors import UserError
from speechbrain_ext.features.kaldi_archive import (
    kaldi_frames,
    read_archive,
    write_archive,
)
from speechbrain_ext.features.log_magnitude import LogMagnitude


def utterances():
    torch.manual_seed(0)
    return [
        ("440c020f7", "440", torch.randn(5, 257)),
        ("011c02012", "011", torch.randn(3, 257)),
        ("011c02023", "011", torch.randn(1, 257, dtype=torch.float64)),
    ]


def refused(folder, items):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError) as caught:
        write_archive(folder / "feats", items)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert before == after
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_round_trip_with_kaldiio(tmp_path):
    ark, scp = write_archive(tmp_path / "enhanced" / "feats", utterances())
    assert (ark.name, scp.name) == ("feats.ark", "feats.scp")
    assert len(os.listdir(tmp_path / "enhanced")) == 2
    found = kaldiio.load_scp(str(scp))
    # Sorted by ID, as Kaldi's scripts want it.
    assert list(found) == ["011c02012", "011c02023", "440c020f7"]
    for name, _, feats in utterances():
        assert found[name].dtype == numpy.float32
        assert (found[name] == feats.float().numpy()).all()
    # The archive alone, in the order in which it was written.
    names = [name for name, _ in kaldiio.load_ark(str(ark))]
    assert names == ["440c020f7", "011c02012", "011c02023"]


def test_round_trip_with_ours(tmp_path):
    _, scp = write_archive(tmp_path / "feats", utterances())
    archive = read_archive(scp)
    assert len(archive) == 3 and "440c020f7" in archive
    for name, _, feats in utterances():
        assert torch.equal(archive[name], feats.float())


def test_one_utterance_at_a_time(tmp_path):
    def made():
        for item in utterances():
            yield item

    write_archive(tmp_path / "feats", made())
    assert len(read_archive(tmp_path / "feats.scp")) == 3


def test_an_old_archive_is_replaced(tmp_path):
    write_archive(tmp_path / "feats", utterances())
    new = [("a1", "a", torch.ones(2, 3, requires_grad=True))]
    write_archive(tmp_path / "feats", new)
    archive = read_archive(tmp_path / "feats.scp")
    assert list(archive) == ["a1"] and archive["a1"].sum() == 6
    assert sorted(os.listdir(tmp_path)) == ["feats.ark", "feats.scp"]


def test_names_with_dots(tmp_path):
    ark, scp = write_archive(tmp_path / "snr.9", utterances())
    assert (ark.name, scp.name) == ("snr.9.ark", "snr.9.scp")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("011c02012", "011", torch.ones(2, 257)), "comes twice"),
        (("", "", torch.ones(2, 257)), "the ID ''"),
        (("a b", "a", torch.ones(2, 257)), "the ID 'a b'"),
        (("a\n", "a", torch.ones(2, 257)), "expected one without spaces"),
        (("012c0201", "011", torch.ones(2, 257)), "begin with their speaker's"),
        (("012c0201", "", torch.ones(2, 257)), "begin with their speaker's"),
        (("012c0201", "012", torch.ones(2, 256)), "frames of 257 channels"),
        (("012c0201", "012", torch.ones(0, 257)), "(0, 257); expected frames"),
        (("012c0201", "012", torch.ones(257)), "(257,); expected frames"),
        (("012c0201", "012", torch.full((2, 257), torch.nan)), "has NaN"),
    ],
)
def test_both_or_neither(tmp_path, there, item, message):
    if there:
        write_archive(tmp_path / "feats", utterances()[:1])
    assert message in refused(tmp_path, [*utterances(), item])


def test_nothing_to_write(tmp_path):
    assert "no utterances to write" in refused(tmp_path, [])


def test_a_failing_generator_leaves_nothing(tmp_path):
    def made():
        yield utterances()[0]
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError):
        write_archive(tmp_path / "feats", made())
    assert os.listdir(tmp_path) == []


def test_no_index_points_into_another_archive(tmp_path, monkeypatch):
    """Whenever the power goes, an index and its archive belong together."""
    write_archive(tmp_path / "feats", utterances())
    replace = os.replace

    def fail_for_the_index(source, target):
        if str(target).endswith(".scp"):
            raise OSError(5, "power failure")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_for_the_index)
    with pytest.raises(UserError, match="power failure"):
        write_archive(tmp_path / "feats", utterances()[::-1])
    assert os.listdir(tmp_path) == ["feats.ark"]


def test_a_path_with_a_space(tmp_path):
    with pytest.raises(UserError, match="has a space in its path"):
        write_archive(tmp_path / "my feats", utterances())


# Reading


def test_no_index(tmp_path):
    with pytest.raises(UserError, match="nowhere.scp: not readable"):
        read_archive(tmp_path / "nowhere.scp")


def test_not_an_index(tmp_path):
    (tmp_path / "a.scp").write_text("one\n")
    with pytest.raises(UserError, match="a.scp: not readable; expected an in"):
        read_archive(tmp_path / "a.scp")


def test_the_archive_is_gone(tmp_path):
    ark, scp = write_archive(tmp_path / "feats", utterances())
    ark.unlink()
    with pytest.raises(UserError, match="440c020f7: nothing to read at"):
        read_archive(scp)["440c020f7"]


def test_commands_are_not_run(tmp_path):
    scp = tmp_path / "feats.scp"
    scp.write_text(f"a touch {tmp_path}/ran |\n")
    with pytest.raises(UserError, match="a: a command; expected"):
        read_archive(scp)["a"]
    assert os.listdir(tmp_path) == ["feats.scp"]


# Kaldi's frames


@pytest.mark.parametrize("n_samples", [400, 559, 560, 16000, 16079, 16080])
def test_as_many_frames_as_kaldi(n_samples):
    theirs = torchaudio.compliance.kaldi.spectrogram(
        torch.randn(1, n_samples), sample_frequency=16000
    )
    features = LogMagnitude(window_ms=25, hop_ms=10)
    ours = features(torch.zeros(1, n_samples), torch.ones(1))[0]
    assert kaldi_frames(ours, n_samples).shape == theirs.shape


def test_the_nearest_frames_of_kaldi():
    """A click is loudest in the same frame of both."""
    wav = torch.zeros(1, 8000)
    wav[0, 25 * 160 + 200] = 1000.0
    theirs = torchaudio.compliance.kaldi.spectrogram(
        wav, dither=0.0, sample_frequency=16000
    )
    feats = LogMagnitude(window_ms=25, hop_ms=10)(wav, torch.ones(1))
    ours = kaldi_frames(feats[0], 8000)
    assert ours.shape == theirs.shape
    assert theirs[:, 100].argmax() == ours[:, 100].argmax() == 25


def test_without_kaldiio(tmp_path, monkeypatch):
    _, scp = write_archive(tmp_path / "there", utterances())
    archive = read_archive(scp)
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    expected = r"kaldiio: not installed.*'speechbrain-ext\[kaldi\]'"
    with pytest.raises(UserError, match=expected):
        archive["011c02012"]
    with pytest.raises(UserError, match=expected):
        write_archive(tmp_path / "feats", utterances())
    assert {path.name for path in tmp_path.iterdir()} == {
        "there.ark",
        "there.scp",
    }
