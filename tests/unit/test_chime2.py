"""CHiME-2's preparer, on a tiny tree in the corpus's layout."""

import numpy
import pytest
import soundfile

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora import chime2
from speechbrain_ext.corpora.chime2 import (
    CONDITIONS,
    SNRS,
    SPLITS,
    prepare_chime2,
    with_condition,
)
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.wsj_transcripts import (
    read_wsj_transcripts,
    spoken_words,
)
from speechbrain_ext.errors import UserError

RATE = 16000
#: Each training utterance has one SNR, each other one has all.
TRAINING = {
    "9dB": "011c0201",
    "6dB": "011c0202",
    "3dB": "011c0203",
    "0dB": "012c0201",
    "m3dB": "012c0202",
    "m6dB": "012c0203",
}


def stereo(wav, seed, seconds=0.05):
    """Write two channels that differ."""
    wav.parent.mkdir(parents=True, exist_ok=True)
    generator = numpy.random.default_rng(seed)
    samples = generator.integers(
        -(2**15), 2**15, (round(seconds * RATE), 2), dtype=numpy.int16
    )
    soundfile.write(wav, samples, RATE, "PCM_16")
    return samples


@pytest.fixture
def corpus(tmp_path):
    """LDC2017S10 and, beside it, WSJ0's transcripts."""
    root = tmp_path / "LDC2017S10" / "data" / "chime2-wsj0"
    spoken = [("si_tr_s", snr, name) for snr, name in TRAINING.items()]
    for split, name in [("si_dt_05", "050c0101"), ("si_et_05", "440c020f")]:
        spoken += [(split, snr, name) for snr in SNRS]
    seed = 0
    for split, snr, name in spoken:
        below = f"{split}/{snr}/wsj0/{split}/{name[:3]}/{name}.wav"
        for tree in ("isolated", "scaled"):
            stereo(root / tree / below, seed)
            seed += 1
    for split in ("si_tr_s", "si_dt_05"):
        for name in {name for part, _, name in spoken if part == split}:
            wav = f"wsj0/{split}/{name[:3]}/{name}.wav"
            stereo(root / "reverberated" / split / wav, seed)
            seed += 1
    dots = tmp_path / "WSJ0" / "11-13.1" / "wsj0" / "transcrp" / "dots"
    for name in {name for _, _, name in spoken}:
        dot = dots / name[:3] / f"{name[:6]}00.dot"
        dot.parent.mkdir(parents=True, exist_ok=True)
        with open(dot, "a") as file:
            file.write(f"The average rate of {name} \\.PERIOD ({name})\n")
    return tmp_path


def prepare(corpus, **settings):
    return prepare_chime2(
        corpus / "LDC2017S10",
        corpus / "out",
        **{"transcripts": corpus / "WSJ0", **settings},
    )


def rows_of(manifests, split):
    return {row["ID"]: row for row in read_manifest(manifests[split])}


def tree_of(corpus):
    return corpus / "LDC2017S10" / "data" / "chime2-wsj0"


def refused(corpus, **settings):
    with pytest.raises(UserError) as caught:
        prepare(corpus, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert not (corpus / "out").exists()
    return message


# Rows


def test_every_recording_has_a_row(corpus):
    manifests = prepare(corpus, channel="mean")
    assert list(manifests) == list(SPLITS)
    train = rows_of(manifests, "train")
    assert {name: row["snr"] for name, row in train.items()} == {
        "011c02012": 9,
        "011c02023": 6,
        "011c02034": 3,
        "012c02015": 0,
        "012c02026": -3,
        "012c02037": -6,
    }
    assert [
        (name, row["snr"]) for name, row in rows_of(manifests, "test").items()
    ] == [
        ("440c020f2", 9),
        ("440c020f3", 6),
        ("440c020f4", 3),
        ("440c020f5", 0),
        ("440c020f6", -3),
        # The paper's Fig. 3 shows this one.
        ("440c020f7", -6),
    ]
    assert len(rows_of(manifests, "valid")) == 6


def test_rows(corpus):
    row = rows_of(prepare(corpus, channel="mean"), "test")["440c020f7"]
    below = "si_et_05/m6dB/wsj0/si_et_05/440/440c020f.wav"
    assert row == {
        "ID": "440c020f7",
        "duration": 0.05,
        "wav": str(tree_of(corpus) / "scaled" / below),
        "noisy_wav": str(tree_of(corpus) / "isolated" / below),
        "snr": -6.0,
        "spk_id": "440",
        "wrd": "the average rate of 440c020f period",
    }


def test_reverberated_references(corpus):
    manifests = prepare(
        corpus,
        channel="mean",
        reference="reverberated",
        splits=["train", "valid"],
    )
    folder = tree_of(corpus) / "reverberated" / "si_dt_05"
    assert {row["wav"] for row in rows_of(manifests, "valid").values()} == {
        str(folder / "wsj0/si_dt_05/050/050c0101.wav")
    }


@pytest.mark.parametrize("below", ["", "data", "data/chime2-wsj0"])
def test_the_folder_or_one_above(corpus, below):
    manifests = prepare_chime2(
        corpus / "LDC2017S10" / below,
        corpus / "out",
        corpus / "WSJ0",
        splits=["test"],
    )
    assert list(manifests) == ["test"]


def test_upper_case_names_are_lowered(corpus):
    folder = tree_of(corpus)
    for wav in sorted(folder.rglob("050c0101.wav")):
        wav.rename(wav.with_name("050C0101.wav"))
    assert "050c01017" in rows_of(prepare(corpus, channel="mean"), "valid")


def test_what_other_systems_leave_is_no_recording(corpus):
    wav = next((tree_of(corpus) / "isolated/si_et_05").rglob("440c020f.wav"))
    wav.with_name("._440c020f.wav").write_bytes(b"")
    assert len(rows_of(prepare(corpus, channel="mean"), "test")) == 6


# Channels


@pytest.mark.parametrize(("channel", "number"), [("left", 0), ("right", 1)])
def test_one_channel_is_copied_bit_by_bit(corpus, channel, number):
    row = rows_of(prepare(corpus, channel=channel), "test")["440c020f7"]
    for column, tree in [("wav", "scaled"), ("noisy_wav", "isolated")]:
        below = "si_et_05/m6dB/wsj0/si_et_05/440/440c020f.wav"
        original, _ = soundfile.read(
            tree_of(corpus) / tree / below, dtype="int16"
        )
        copy, rate = soundfile.read(row[column], dtype="int16")
        assert rate == RATE
        assert (copy == original[:, number]).all()


def test_mean_copies_nothing(corpus):
    row = rows_of(prepare(corpus, channel="mean"), "test")["440c020f7"]
    written = {path.name for path in (corpus / "out").rglob("*")}
    assert not any(name.endswith((".wav", ".flac")) for name in written)
    both, _ = soundfile.read(row["wav"], dtype="float32")
    assert load_audio(row["wav"]).tolist() == pytest.approx(
        both.mean(axis=1).tolist(), abs=1e-6
    )


def test_done_once(corpus, monkeypatch):
    prepare(corpus)

    def fail(*args):
        raise AssertionError("prepared again")

    monkeypatch.setattr(chime2, "_prepare", fail)
    prepare(corpus)
    with pytest.raises(AssertionError):
        prepare(corpus, channel="mean")
    dot = next((corpus / "WSJ0").rglob("440c0200.dot"))
    dot.write_text("Something else (440c020f)\n")
    with pytest.raises(AssertionError):
        prepare(corpus)


def test_the_corpus_is_left_as_it_is(corpus):
    before = sorted(tree_of(corpus).rglob("*"))
    prepare(corpus)
    assert sorted(tree_of(corpus).rglob("*")) == before


# What is wrong


def test_not_this_corpus(corpus):
    with pytest.raises(UserError, match="no chime2-wsj0/isolated; expected"):
        prepare_chime2(corpus / "WSJ0", corpus / "out")


def test_no_transcripts(corpus):
    message = refused(corpus, transcripts=None)
    assert "LDC2017S10: no transcripts (*.dot); expected" in message


def test_an_utterance_without_transcript(corpus):
    next((corpus / "WSJ0").rglob("011c0200.dot")).unlink()
    message = refused(corpus)
    assert "no transcript of 011c0201 and 2 more; expected" in message


def test_an_archive_still_packed(corpus):
    for wav in (tree_of(corpus) / "isolated/si_et_05/m6dB").rglob("*.wav"):
        wav.unlink()
    message = refused(corpus, splits=["test"])
    assert "si_et_05/m6dB: no recordings; expected all SNRs" in message


def test_a_missing_reference(corpus):
    wav = next((tree_of(corpus) / "scaled/si_et_05/m6dB").rglob("*.wav"))
    wav.unlink()
    message = refused(corpus, splits=["test"])
    assert "440c020f.wav: no recording of the same name in scaled" in message


def test_no_references_at_all(corpus):
    message = refused(corpus, reference="reverberated", splits=["test"])
    assert "reverberated/si_et_05: no recordings" in message


def test_a_reference_of_another_length(corpus):
    wav = next((tree_of(corpus) / "scaled/si_et_05/m6dB").rglob("*.wav"))
    stereo(wav, 0, seconds=0.06)
    message = refused(corpus, splits=["test"])
    assert "800 samples" in message and "960; expected the same" in message


def test_mono_where_a_channel_is_wanted(corpus):
    for tree in ("isolated", "scaled"):
        for wav in (tree_of(corpus) / tree / "si_et_05").rglob("*.wav"):
            soundfile.write(wav, [0.0] * 800, RATE)
    with pytest.raises(UserError, match="one channel; expected stereo"):
        prepare(corpus, splits=["test"], channel="right")


def test_unknown_channel(corpus):
    assert refused(corpus, channel="both").startswith("channel: 'both'")


# IDs and transcripts


def test_conditions_are_kaldis():
    names = ["clean", "reverberated", "9dB", "6dB", "3dB", "0dB"]
    names += ["m3dB", "m6dB"]
    assert [CONDITIONS[name] for name in names] == list("01234567")
    assert with_condition("440c020f7", "reverberated") == "440c020f1"
    assert with_condition("440c020f7", None) == "440c020f7"
    with pytest.raises(UserError, match="'12dB'; expected null or one of"):
        with_condition("440c020f7", "12dB")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            r"Of course there isn\'t any [misc_noise]",
            "of course there isn't any",
        ),
        ("[loud_breath] The [<door_slam] set [/phone_ring]", "the set"),
        (r"about \$ .  forty ~", "about $ forty"),
        (r"he \"DOUBLE-QUOTE no ,COMMA", "he double quote no comma"),
        (
            r"\%PERCENT --DASH \-HYPHEN a \.PERIOD",
            "percent dash hyphen a period",
        ),
        ("*misread* <deleted> wo:rd !loud", "misread deleted word loud"),
        ("(un)finished", "unfinished"),
        (r"I\. B\. M\. twenty-one 'til A", "i. b. m. twenty-one 'til a"),
    ],
)
def test_spoken_words(text, words):
    assert spoken_words(text) == words


def test_transcripts_in_all_forms(tmp_path):
    (tmp_path / "DISK").mkdir()
    (tmp_path / "DISK" / "440C0200.DOT").write_text("One (440C0201)\n\n")
    (tmp_path / "dt05.trn").write_text("Two (050c0101)\n")
    (tmp_path / "notes.txt").write_text("no transcript\n")
    assert read_wsj_transcripts(tmp_path) == {
        "440c0201": "One",
        "050c0101": "Two",
    }
    kaldi = tmp_path / "text"
    kaldi.write_text("011c02012 THREE FOUR\n011c0202 FIVE\n")
    assert read_wsj_transcripts(kaldi) == {
        "011c0201": "THREE FOUR",
        "011c0202": "FIVE",
    }


def test_a_line_of_another_form_is_named(tmp_path):
    (tmp_path / "a.dot").write_text("One (440c0201)\nTwo\n")
    with pytest.raises(UserError, match=r"a.dot: line 2: expected a text and"):
        read_wsj_transcripts(tmp_path)
