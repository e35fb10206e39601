"""Words one at a time: from alignments, from Pico, and into segments."""

from collections import Counter

import pytest
import soundfile
import torch

from speechbrain_ext.backends.units import ListedWords
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.mini_isolated_words import prepare_isolated_words
from speechbrain_ext.corpora.word_alignments import read_word_alignments
from speechbrain_ext.corpora.words import frequent_words, prepare_words
from speechbrain_ext.corruption.word_placement import WordPlacement
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.features.statistics import fit_statistics

ALIGNMENT = '1-2-0000 ",WITH,A,MORNING,WITH," "0.2,0.5,0.6,1.2,1.5,1.7"\n'


@pytest.fixture
def librispeech(tmp_path):
    """Three splits of one utterance, with words and when they are said."""
    root = tmp_path / "LibriSpeech"
    for split in ("train-clean-100", "test-clean", "dev-clean"):
        folder = root / split / "1" / "2"
        folder.mkdir(parents=True)
        samples = torch.randn(int(1.7 * 16000)) * 0.1
        soundfile.write(folder / "1-2-0000.flac", samples.numpy(), 16000)
        (folder / "1-2.trans.txt").write_text("1-2-0000 WITH A MORNING WITH\n")
        (folder / "1-2.alignment.txt").write_text(ALIGNMENT)
    return root


def test_words_are_cut_where_the_alignment_has_them(librispeech, tmp_path):
    out = tmp_path / "out"
    manifests = prepare_words(librispeech, out, n_words=2)
    assert (out / "words.txt").read_text() == "with\nmorning\n"
    rows = read_manifest(manifests["train"])
    found = [(row["wrd"], row["start"], row["duration"]) for row in rows]
    assert found == [
        ("with", 0.2, pytest.approx(0.3)),
        ("morning", 0.6, pytest.approx(0.6)),
        ("with", 1.2, pytest.approx(0.3)),
    ]
    assert len(manifest_dataset(manifests["valid"])[1]["sig"]) == 9600


def test_a_word_that_is_longer_than_a_segment_is_left_out(
    librispeech, tmp_path
):
    for file in librispeech.rglob("*.alignment.txt"):
        file.write_text('1-2-0000 "WITH,MORNING" "0.3,1.7"\n')
    manifests = prepare_words(librispeech, tmp_path / "out", n_words=1)
    assert [row["wrd"] for row in read_manifest(manifests["test"])] == ["with"]


def test_a_corpus_without_alignments(librispeech, tmp_path):
    (librispeech / "dev-clean/1/2/1-2.alignment.txt").unlink()
    with pytest.raises(UserError, match="dev-clean: holds no word alignments"):
        prepare_words(librispeech, tmp_path / "out", n_words=2)


def test_too_few_words(librispeech, tmp_path):
    message = "has 2 words of 4 letters or more; expected 1000 "
    with pytest.raises(UserError, match=message):
        prepare_words(librispeech, tmp_path / "out")


def test_equally_frequent_words_are_in_the_alphabets_order():
    counts = Counter({"zebra": 2, "apple": 1, "berry": 1, "the": 9})
    assert frequent_words(counts, 3, "x") == ["zebra", "apple", "berry"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1-2-0000 WITH 0.3", "line 2: expected word alignments"),
        ('1-2-0000 "A,B" "0.3"', "line 2: has 2 words; expected as many times"),
        ('1-2-0000 "A,B" "0.3,x"', "line 2: has 2 words"),
        ('1-2-0000 "A,B" "0.3,0.2"', "line 2: has 2 words"),
    ],
)
def test_broken_alignments_are_named(tmp_path, line, said):
    file = tmp_path / "1-2.alignment.txt"
    file.write_text(f"{ALIGNMENT}{line}\n")
    with pytest.raises(UserError, match=said) as error:
        read_word_alignments(file)
    assert str(error.value).startswith(str(file))


def test_isolated_words_are_the_same_for_any_number_of_workers(tmp_path):
    words = ["morning", "church"]
    made = [
        prepare_isolated_words(tmp_path / str(n), words, n_workers=n)
        for n in (1, 2)
    ]
    for split, voices in (("train", 40), ("valid", 8), ("test", 8)):
        one, other = made[0][split], made[1][split]
        assert len(one) == 2 * voices
        for row, same in zip(one, other, strict=True):
            assert row["ID"] == same["ID"] and row["wrd"] == same["wrd"]
            bytes_of_both = [open(r["wav"], "rb").read() for r in (row, same)]
            assert bytes_of_both[0] == bytes_of_both[1]
    speakers = [{row["spk_id"] for row in made[0][s]} for s in made[0]]
    assert not speakers[0] & speakers[1] and not speakers[1] & speakers[2]


def test_a_word_is_moved_and_nothing_else_in_validation():
    feats = torch.randn(1, 40, 128)
    placed, lost = WordPlacement(1)(feats, torch.ones(1), ["a"], epoch=0)
    start = int(placed[0].any(dim=1).nonzero()[0])
    assert torch.equal(placed[0, start : start + 40], feats[0])
    assert placed.count_nonzero() == feats.count_nonzero()
    assert not lost.any()


def test_training_masks_frames_and_channels():
    feats = torch.ones(1, 60, 128)
    place = WordPlacement(1)
    seen = torch.stack(
        [
            place(feats, torch.ones(1), ["a"], epoch=e)[0][0]
            for e in range(1, 50)
        ]
    )
    inside = seen.any(dim=2).sum(dim=1)
    # Two masks of a fifth of the word, at the most; of 20 channels each.
    assert inside.min() >= 60 - 24 and inside.min() < 60
    channels = seen.any(dim=1).sum(dim=1)
    assert channels.min() >= 128 - 40 and channels.min() < 128
    assert len({tuple(each.any(dim=1).tolist()) for each in seen}) > 10


def test_places_depend_on_no_other_word():
    feats, lengths = torch.randn(2, 50, 128), torch.tensor([1.0, 0.5])
    place = WordPlacement(1)
    both, _ = place(feats, lengths, ["a", "b"], epoch=3)
    alone, _ = place(feats[1:, :25], torch.ones(1), ["b"], epoch=3)
    assert torch.equal(both[1], alone[0])


def test_a_word_that_is_not_listed(tmp_path):
    (tmp_path / "words.txt").write_text("morning\n")
    with pytest.raises(UserError, match=r"words\.txt: no 'church' in it"):
        ListedWords(tmp_path / "words.txt").encode("church")


def test_statistics_are_taken_once_and_anew_for_other_speech(
    librispeech, tmp_path
):
    manifests = prepare_words(librispeech, tmp_path, n_words=2)
    file = tmp_path / "features.safetensors"
    features = SegmentLogMagnitude("griffin-lim")
    fit_statistics(features, manifests["train"], file)
    assert features.mean.any()
    again = SegmentLogMagnitude("griffin-lim")
    fit_statistics(again, manifests["train"], file)
    assert not again.mean.any(), "it reads what it need not"
    manifests["train"].write_bytes(manifests["valid"].read_bytes())
    fit_statistics(again, manifests["train"], file)
    assert again.mean.any()


@pytest.mark.parametrize("size", [1, 3])
def test_statistics_do_not_depend_on_batches(librispeech, tmp_path, size):
    manifests = prepare_words(librispeech, tmp_path, n_words=2)
    one, other = (SegmentLogMagnitude("griffin-lim") for _ in range(2))
    fit_statistics(one, manifests["train"], tmp_path / "1.safetensors")
    fit_statistics(other, manifests["train"], tmp_path / "2.safetensors", size)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.deviation, other.deviation)
