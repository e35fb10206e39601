"""Voicebank + DEMAND: a tiny tree in the published layout."""

import numpy
import pytest
import soundfile
import torch
import torchaudio

from speechbrain_ext.corpora import prepare, voicebank
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.voicebank import prepare_voicebank
from speechbrain_ext.errors import UserError

TEXTS = {
    "trainset_28spk": {
        "p226_001": "Please call Stella.",
        "p227_001": "Ask her to bring\n these things.",
        "p227_002": "We also need a xyzzy.",
        "p287_001": "Hello.",
    },
    "testset": {"p232_001": "Please call Stella.", "p257_001": "Hello."},
}
LOGS = {
    "trainset_28spk": "p226_001 cafe 5.0\np227_001 babble 0\np227_002 ssn 15\n",
    "testset": "p232_001 bus 17.5\n\np257_001 living 2.5\n",
}


def signals(name, rate):
    """Clean and noisy, [time]; the same for any rate."""
    time = numpy.arange(rate // 2) / rate
    pitch = 100 + 10 * int(name[1:4])
    clean = 0.3 * numpy.sin(2 * numpy.pi * pitch * time)
    return clean, clean + 0.1 * numpy.sin(2 * numpy.pi * 777 * time)


def write_corpus(root, rate):
    for half, texts in TEXTS.items():
        folders = [f"clean_{half}_wav", f"noisy_{half}_wav", f"{half}_txt"]
        for folder in folders:
            (root / folder).mkdir(parents=True)
        for name, text in texts.items():
            for folder, signal in zip(folders, signals(name, rate)):
                soundfile.write(root / folder / f"{name}.wav", signal, rate)
            (root / f"{half}_txt" / f"{name}.txt").write_text(text + " \n")
        (root / f"log_{half}.txt").write_text(LOGS[half])
    return root


@pytest.fixture
def corpus(tmp_path):
    """The corpus as it is published, at 48 kHz."""
    return write_corpus(tmp_path / "voicebank", 48000)


def rows_of(manifests):
    return {
        split: {row["ID"]: row for row in read_manifest(path)}
        for split, path in manifests.items()
    }


def refused(corpus, tmp_path, expected, **options):
    with pytest.raises(UserError, match=expected) as caught:
        prepare_voicebank(corpus, tmp_path / "out", **options)
    assert "\n" not in str(caught.value)


def test_splits_and_columns(corpus, tmp_path, caplog):
    manifests = prepare_voicebank(corpus, tmp_path / "out")
    assert manifests == {
        split: tmp_path / "out" / f"{split}.csv"
        for split in ("train", "valid", "test")
    }
    rows = rows_of(manifests)
    assert {split: list(some) for split, some in rows.items()} == {
        "train": ["p227_001", "p227_002"],
        "valid": ["p226_001", "p287_001"],
        "test": ["p232_001", "p257_001"],
    }
    wav = tmp_path / "out" / "wav"
    assert rows["test"]["p232_001"] == {
        "ID": "p232_001",
        "duration": 0.5,
        "wav": str(wav / "clean_testset_wav" / "p232_001.wav"),
        "spk_id": "p232",
        "wrd": "Please call Stella.",
        "noisy_wav": str(wav / "noisy_testset_wav" / "p232_001.wav"),
        "snr": 17.5,
        "noise": "bus",
        "phn": "P L IY Z K AO L S T EH L AH",
    }
    assert rows["train"]["p227_001"]["wrd"] == "Ask her to bring these things."
    assert rows["train"]["p227_002"]["phn"] == ""
    assert "xyzzy (1)" in caplog.text
    # The log does not say how this one was made.
    assert rows["valid"]["p287_001"]["snr"] is None
    assert rows["valid"]["p287_001"]["noise"] == ""


def test_recordings_are_resampled(corpus, tmp_path):
    rows = rows_of(prepare_voicebank(corpus, tmp_path / "out"))["test"]
    for name, row in rows.items():
        for key, signal in zip(("wav", "noisy_wav"), signals(name, 48000)):
            samples, rate = soundfile.read(row[key])
            expected = torchaudio.functional.resample(
                torch.tensor(signal), 48000, 16000
            )
            assert rate == 16000
            assert samples == pytest.approx(expected.numpy(), abs=1e-4)


def test_recordings_of_16_khz_are_used_where_they_are(tmp_path):
    corpus = write_corpus(tmp_path / "voicebank", 16000)
    rows = rows_of(prepare_voicebank(corpus, tmp_path / "out"))
    row = rows["train"]["p227_001"]
    assert row["wav"] == str(corpus / "clean_trainset_28spk_wav/p227_001.wav")
    assert row["noisy_wav"].startswith(str(corpus))
    assert not (tmp_path / "out" / "wav").exists()


def test_an_interrupted_run_goes_on_where_it_stopped(
    corpus, tmp_path, monkeypatch
):
    written, real = [], voicebank.save_audio

    def save(path, signal):
        written.append(path.name)
        if len(written) == 4:
            raise KeyboardInterrupt
        real(path, signal)

    monkeypatch.setattr(voicebank, "save_audio", save)
    monkeypatch.setattr(voicebank.os, "cpu_count", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        prepare_voicebank(corpus, tmp_path / "out", ["test", "valid"])
    assert not (tmp_path / "out" / "test.csv").exists()
    done = len(list((tmp_path / "out").rglob("*.wav")))
    assert done < 8
    written[:] = ["again"] * 4
    prepare_voicebank(corpus, tmp_path / "out", ["test", "valid"])
    assert len(written) - 4 == 8 - done


def test_it_is_prepared_once(corpus, tmp_path, monkeypatch):
    prepare_voicebank(corpus, tmp_path / "out", ["test"])
    with monkeypatch.context() as patch:
        patch.setattr(voicebank, "_rows", None)
        prepare_voicebank(corpus, tmp_path / "out", ["test"])
    # Another split does not touch what is there; a new log is read.
    prepare_voicebank(corpus, tmp_path / "out")
    (corpus / "logfiles").mkdir()
    log = corpus / "log_testset.txt"
    log.write_text("p232_001 bus 1\n")
    rows = rows_of(prepare_voicebank(corpus, tmp_path / "out"))
    assert rows["test"]["p232_001"]["snr"] == 1
    log.rename(corpus / "logfiles" / log.name)
    rows = rows_of(prepare_voicebank(corpus, tmp_path / "out"))
    assert rows["test"]["p232_001"]["snr"] == 1


def test_without_logs_there_are_no_such_columns(corpus, tmp_path):
    for half in LOGS:
        (corpus / f"log_{half}.txt").unlink()
    for rows in rows_of(prepare_voicebank(corpus, tmp_path / "out")).values():
        for row in rows.values():
            assert not row.keys() & {"snr", "noise"}


def test_a_user_s_lexicon(corpus, tmp_path):
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("HELLO  HH AH0 L OW1\n")
    manifests = prepare_voicebank(corpus, tmp_path, ["valid"], lexicon)
    phones = [row["phn"] for row in read_manifest(manifests["valid"])]
    assert phones == ["", "HH AH L OW"]
    lexicon.write_text("HELLO  HH XX\n")
    refused(corpus, tmp_path, "line 1: phone XX of 'hello'", lexicon=lexicon)


@pytest.mark.parametrize(
    "folder",
    [
        "clean_trainset_28spk_wav",
        "noisy_testset_wav",
        "trainset_28spk_txt",
    ],
)
def test_a_missing_folder(corpus, tmp_path, folder):
    (corpus / folder).rename(tmp_path / "elsewhere")
    refused(corpus, tmp_path, f"voicebank: no {folder}; expected Voicebank")


@pytest.mark.parametrize(
    "file",
    [
        "clean_trainset_28spk_wav/p227_001.wav",
        "noisy_testset_wav/p232_001.wav",
        "testset_txt/p232_001.txt",
    ],
)
def test_a_missing_file(corpus, tmp_path, file):
    (corpus / file).unlink()
    refused(corpus, tmp_path, f"{file}: no such file; expected a clean and a")


def test_no_speakers_to_validate_on(corpus, tmp_path):
    for speaker in voicebank.VALID_SPEAKERS:
        for path in corpus.rglob(f"{speaker}_*"):
            path.unlink()
    refused(corpus, tmp_path, "holds no recording of the valid speakers")


def test_a_file_without_text(corpus, tmp_path):
    (corpus / "testset_txt" / "p232_001.txt").write_text(" \n")
    refused(corpus, tmp_path, "p232_001.txt: holds no text; expected what is")


@pytest.mark.parametrize(
    ("samples", "rate", "expected"),
    [
        (24001, 48000, "24001 samples, and its clean .* has 24000; expected"),
        (24000, 16000, "16000 Hz, and its clean .* has 48000 Hz; expected"),
    ],
)
def test_a_pair_that_does_not_fit(corpus, tmp_path, samples, rate, expected):
    path = corpus / "noisy_testset_wav" / "p257_001.wav"
    soundfile.write(path, numpy.zeros(samples), rate)
    refused(corpus, tmp_path, f"p257_001.wav: {expected}")
    assert not (tmp_path / "out" / "test.csv").exists()


@pytest.mark.parametrize("line", ["p232_001 bus", "p232_001 bus loud", "x"])
def test_a_malformed_log(corpus, tmp_path, line):
    (corpus / "log_testset.txt").write_text(f"p257_001 bus 5\n{line}\n")
    refused(corpus, tmp_path, f"log_testset.txt: line 2 is '{line}'; expected")


def test_a_split_that_there_is_not(corpus, tmp_path):
    refused(corpus, tmp_path, "splits: .* no dev; expected", splits=["dev"])


def test_it_is_recognised(corpus, tmp_path, monkeypatch):
    manifests = prepare.prepare_corpus(corpus, tmp_path / "a")
    pairs = prepare.prepare_noisy_corpus(corpus, tmp_path / "b")
    for split, manifest in manifests.items():
        assert read_manifest(manifest)[0]["ID"].startswith("p2")
        assert pairs[split] == tmp_path / "b" / f"{split}.csv"
    manifest, name, traces = prepare.prepare_test_set(corpus, tmp_path / "c")
    assert manifest == tmp_path / "c" / "test.csv"
    assert (name, traces) == ("voicebank", None)
    assert not (tmp_path / "c" / "train.csv").exists()


def test_no_folder_is_the_noisy_mini_corpus(tmp_path, monkeypatch):
    called = {}

    def prepare_noisy_mini(data_folder, *arguments, **options):
        called.update(options, data_folder=data_folder, rest=arguments)

    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(tmp_path))
    monkeypatch.setattr(prepare, "prepare_noisy_mini", prepare_noisy_mini)
    prepare.prepare_noisy_corpus("", "out", "my/street", train_minutes=3)
    assert called == {
        "data_folder": tmp_path / "noisy-mini-3-minutes-street",
        "rest": ("out", "my/street"),
        "train_minutes": 3,
        "repeat": False,
        "clean_folder": tmp_path / "mini-3-minutes",
    }
