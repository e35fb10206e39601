"""Senone targets from Kaldi's text files."""

import gzip
import pickle

import pytest
import torch

from speechbrain_ext.corpora.alignments import Alignments, read_alignments
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.kaldi_archive import kaldi_frames
from speechbrain_ext.features.log_magnitude import LogMagnitude

# ali-to-pdf ends its lines with a space.
TEXT = "011c02010 3 3 5 \n011c02020 0 1998 \n440c020f0 7 \n"


@pytest.fixture(params=["alignments.txt", "alignments.txt.gz"])
def path(request, tmp_path):
    return tmp_path / request.param


def write(path, text):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.write(text)
    return path


def refused(path, text, **settings):
    write(path, text)
    with pytest.raises(UserError) as caught:
        read_alignments(path, **settings)
    message = str(caught.value)
    assert "\n" not in message and message.startswith(str(path))
    return message


def test_every_line_in_any_order(path):
    alignments = read_alignments(write(path, TEXT))
    assert len(alignments) == 3
    assert list(alignments) == ["011c02010", "011c02020", "440c020f0"]
    for name, targets in [
        ("440c020f0", [7]),
        ("011c02010", [3, 3, 5]),
        ("011c02020", [0, 1998]),
        ("440c020f0", [7]),
    ]:
        assert alignments[name].dtype == torch.int64
        assert alignments[name].tolist() == targets
    assert "011c02010" in alignments and "nobody" not in alignments


def test_sent_to_a_worker(path):
    alignments = pickle.loads(pickle.dumps(read_alignments(write(path, TEXT))))
    assert alignments["011c02010"].tolist() == [3, 3, 5]


def test_a_big_file_needs_little_memory(tmp_path):
    line = " ".join(["1234"] * 50_000)
    path = write(
        tmp_path / "big.txt", "".join(f"u{i} {line}\n" for i in range(8))
    )
    assert len(pickle.dumps(read_alignments(path))) < 2000
    assert read_alignments(path)["u7"].tolist() == [1234] * 50_000


def test_empty_lines_are_no_utterances(path):
    alignments = read_alignments(write(path, "\na 1\n\nb 2 2\n"))
    assert alignments["b"].tolist() == [2, 2]


# What is wrong


def test_an_id_twice(path):
    message = refused(path, "a 1\nb 2\na 3\n")
    assert "line 3: a is there twice" in message


@pytest.mark.parametrize("target", ["1999", "-1", "70000"])
def test_a_target_outside(path, target):
    message = refused(path, f"a 1\nb 2 {target} 3\n")
    assert f"line 2: b has the target {target}; expected 0 to 1998" in message


def test_fewer_classes(path):
    assert "expected 0 to 2" in refused(path, "a 0 1 2 3\n", n_targets=3)


@pytest.mark.parametrize("word", ["1.5", "SIL", "9" * 30])
def test_no_whole_numbers(path, word):
    message = refused(path, f"a 1\nb {word}\n")
    assert "line 2: not an ID and whole numbers" in message


def test_no_targets(path):
    assert "line 1: a has no targets" in refused(path, "a\nb 1\n")


def test_empty(path):
    assert "no utterances" in refused(path, "\n")


def test_no_file(path):
    with pytest.raises(UserError, match="No such file"):
        read_alignments(path)


def test_not_compressed_whatever_the_name_says(tmp_path):
    path = tmp_path / "ali.gz"
    path.write_text(TEXT)
    with pytest.raises(UserError, match="ali.gz: not readable"):
        read_alignments(path)


def test_cut_off(tmp_path):
    path = write(tmp_path / "ali.gz", TEXT * 1)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match="ali.gz: not readable"):
        read_alignments(path)


def test_changed_since(tmp_path):
    path = write(tmp_path / "ali.txt", TEXT)
    alignments = read_alignments(path)
    write(path, "new 1 2 3 4\n" + TEXT)
    with pytest.raises(UserError, match="changed since it was read"):
        alignments["011c02020"]


def test_required_utterances(path):
    alignments = read_alignments(write(path, TEXT))
    alignments.require(["011c02020", "011c02010"])
    with pytest.raises(UserError, match="no alignment of x and 1 more"):
        alignments.require(["011c02020", "x", "y"])


# Frames


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (8, [3, 3, 4, 5, 6, 6, 6, 6]),
        (6, [3, 3, 4, 5, 6, 6]),
        (5, [3, 3, 4, 5, 6]),
        (4, [3, 3, 4, 5]),
        (2, [3, 3]),
        (1, [3]),
    ],
)
def test_frames_more_and_fewer(path, n_frames, expected):
    alignments = read_alignments(write(path, "a 3 4 5 6\n"))
    assert alignments.targets("a", n_frames).tolist() == expected


def test_targets_begin_where_they_are_said_to(path):
    alignments = read_alignments(write(path, "a 3 4 5 6\n"))
    assert alignments.targets("a", 5, first=0).tolist() == [3, 4, 5, 6, 6]
    assert alignments.targets("a", 6, first=2).tolist() == [3, 3, 3, 4, 5, 6]


@pytest.mark.parametrize("n_samples", [400, 559, 560, 16000, 16039, 16040])
def test_each_target_is_at_its_frame(path, n_samples):
    """Frames that Kaldi has keep the targets that Kaldi gave them."""
    n_kaldi = 1 + (n_samples - 400) // 160
    line = " ".join(map(str, range(n_kaldi)))
    alignments = read_alignments(write(path, f"a {line}\n"))
    features = LogMagnitude(window_ms=25, hop_ms=10)
    feats = features(torch.zeros(1, n_samples), torch.ones(1))
    targets = alignments.targets("a", feats.shape[1])
    kept = kaldi_frames(targets[:, None], n_samples)[:, 0]
    assert kept.tolist() == list(range(n_kaldi))


def test_alignments_of_another_recording(path):
    alignments = Alignments(
        write(path, TEXT), name_of=lambda name: name[:-1] + "0"
    )
    assert alignments.targets("011c02017", 3).tolist() == [3, 3, 3]
    alignments.require(["440c020f7", "011c02023"])
    with pytest.raises(UserError, match="no alignment of 050c01010;"):
        alignments.require(["050c01012"])


def test_too_many_frames(path):
    alignments = read_alignments(write(path, "a 3 4 5 6\n"))
    assert len(alignments.targets("a", 9)) == 9
    with pytest.raises(UserError, match="a has 4 targets for 10 frames"):
        alignments.targets("a", 10)
    with pytest.raises(UserError, match="expected at most 0 more or"):
        alignments.targets("a", 5, tolerance=0)
    with pytest.raises(UserError, match="no alignment of b;"):
        alignments.targets("b", 4)
