"""Data of the downstream tasks: commands, speakers, trials."""

import csv
import re
from collections import Counter

import numpy
import pytest
import soundfile

from speechbrain_ext.corpora import mini_commands, superb
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.fluent_commands import prepare_fluent_commands
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.mini_commands import (
    INTENTS,
    SLOTS,
    prepare_mini_commands,
    random_command,
)
from speechbrain_ext.corpora.mini_trials import prepare_mini_trials
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.corpora.trials import all_trials, read_trials, write_trials
from speechbrain_ext.corpora.voxceleb import TRAIN_SECONDS, prepare_voxceleb
from speechbrain_ext.errors import UserError

SPLITS = ("train", "valid", "test")
RATE = 16000


def write(path, seconds, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = numpy.random.default_rng(seed).standard_normal(
        round(seconds * RATE)
    )
    soundfile.write(path, 0.1 * samples, RATE)
    return path


def refused(function, *arguments, expected):
    with pytest.raises(UserError, match=expected) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)


# ---- commands of the mini corpus ------------------------------------------


def words(text):
    return re.sub(r"[^a-z{} ]", "", text.lower())


def test_no_two_intents_or_splits_share_a_phrasing():
    phrasings = [
        words(phrasing)
        for splits in INTENTS.values()
        for split in splits.values()
        for phrasing in split
    ]
    assert len(INTENTS) == 10
    assert len(set(phrasings)) == len(phrasings)
    for splits in INTENTS.values():
        for split, least in zip(SPLITS, (7, 2, 3)):
            assert len(splits[split]) >= least


def test_all_slots_are_used_and_have_entries():
    text = repr(INTENTS)
    assert set(re.findall(r"\{(\w+)\}", text)) == set(SLOTS)
    for entries in SLOTS.values():
        assert len(set(entries)) == len(entries) >= 5 and all(entries)


def test_commands_are_sentences():
    rng = numpy.random.default_rng(0)
    for intent in INTENTS:
        for split in SPLITS:
            for _ in range(20):
                command = random_command(rng, intent, split)
                assert re.fullmatch(r"[A-Z][A-Za-z' ,-]+[.?]", command)
                assert "  " not in command


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """A few commands; tests must not change them."""
    return prepare_mini_commands(
        {"train": 4, "valid": 1, "test": 12},
        folder=tmp_path_factory.mktemp("commands"),
        n_workers=1,
    )


def test_commands_are_spoken(commands):
    rows = {split: read_manifest(path) for split, path in commands.items()}
    assert {name: len(some) for name, some in rows.items()} == {
        "train": 4,
        "valid": 1,
        "test": 12,
    }
    counts = Counter(row["intent"] for row in rows["test"])
    assert set(counts) == set(INTENTS) and max(counts.values()) == 2
    for row in rows["test"]:
        assert soundfile.info(row["wav"]).duration == row["duration"] > 0.5
    voices = [{row["spk_id"] for row in rows[split]} for split in SPLITS]
    assert not voices[0] & voices[2] and not voices[1] & voices[2]


def test_commands_are_made_once_and_the_same(commands, tmp_path, monkeypatch):
    sizes = {"train": 4, "valid": 1, "test": 12}
    folder = commands["test"].parents[1]
    monkeypatch.setattr(mini_commands, "synthesise", None)
    assert prepare_mini_commands(sizes, folder=folder) == commands
    monkeypatch.undo()
    small = {"train": 1, "valid": 1, "test": 1}
    made = prepare_mini_commands(small, folder=tmp_path, n_workers=1)
    first, again = (
        read_manifest(manifests["test"])[0] for manifests in (commands, made)
    )
    assert open(first["wav"], "rb").read() == open(again["wav"], "rb").read()
    assert first["wrd"] == again["wrd"]


# ---- Fluent Speech Commands -----------------------------------------------

FLUENT = {
    "train": [
        ("a1", "s1", "turn on the lights", "activate", "lights", "none"),
        ("a2", "s2", "bring me the newspaper", "bring", "newspaper", "none"),
    ],
    "valid": [("b1", "s3", "lights on", "activate", "lights", "none")],
    "test": [
        ("c1", "s4", "kitchen lights on", "activate", "lights", "kitchen")
    ],
}
FLUENT_HEADER = (
    "",
    "path",
    "speakerId",
    "transcription",
    "action",
    "object",
    "location",
)


@pytest.fixture
def fluent(tmp_path):
    root = tmp_path / "fluent_speech_commands_dataset"
    (root / "data").mkdir(parents=True)
    for split, lines in FLUENT.items():
        with open(root / "data" / f"{split}_data.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(FLUENT_HEADER)
            for number, (name, speaker, *rest) in enumerate(lines):
                path = f"wavs/speakers/{speaker}/{name}.wav"
                write(root / path, 0.5)
                writer.writerow([number, path, speaker, *rest])
    return root


def test_fluent_commands_rows(fluent, tmp_path):
    made = prepare_fluent_commands(fluent, tmp_path / "out")
    assert {s: len(read_manifest(p)) for s, p in made.items()} == {
        "train": 2,
        "valid": 1,
        "test": 1,
    }
    assert read_manifest(made["test"])[0] == {
        "ID": "c1",
        "duration": 0.5,
        "wav": str(fluent / "wavs/speakers/s4/c1.wav"),
        "spk_id": "s4",
        "wrd": "kitchen lights on",
        "intent": "activate|lights|kitchen",
    }
    above = prepare_fluent_commands(fluent.parent, tmp_path / "again")
    assert read_manifest(above["train"]) == read_manifest(made["train"])


def test_fluent_commands_that_cannot_be_used(fluent, tmp_path):
    table = fluent / "data" / "valid_data.csv"
    text = table.read_text()
    table.write_text(text.replace("location", "place"))
    refused(
        prepare_fluent_commands,
        fluent,
        tmp_path / "out",
        expected="valid_data.csv: no column location; expected the columns",
    )
    table.write_text(text)
    (fluent / "wavs/speakers/s3/b1.wav").unlink()
    refused(
        prepare_fluent_commands,
        fluent,
        tmp_path / "out",
        expected="b1.wav: no such file; valid_data.csv names it",
    )
    table.unlink()
    refused(
        prepare_fluent_commands,
        fluent,
        tmp_path / "out",
        expected="valid_data.csv: no such file; expected a CSV table",
    )


# ---- VoxCeleb1 ------------------------------------------------------------

TRIALS = """\
1 id10007/v0/00001.wav id10007/v1/00001.wav
0 id10007/v0/00001.wav id10008/v0/00001.wav
"""


@pytest.fixture(params=["together", "apart"])
def vox(request, tmp_path):
    """Eight speakers, three videos each; the last two are tested."""
    root = tmp_path / "VoxCeleb1"
    for n in range(1, 9):
        part = "wav"
        if request.param == "apart":
            part = "test/wav" if n > 6 else "dev/wav"
        for video in ("v0", "v1", "v2"):
            folder = root / part / f"id1000{n}" / video
            for name in ("00001", "00002"):
                write(folder / f"{name}.wav", 0.2, seed=n)
    for path in root.rglob("*/v0/00002.wav"):
        write(path, 10.0)
    (root / "veri_test.txt").write_text(TRIALS)
    return root


def test_voxceleb_rows(vox, tmp_path):
    made = prepare_voxceleb(vox, tmp_path / "out")
    rows = {split: read_manifest(made[split]) for split in SPLITS}
    speakers = {s: {row["spk_id"] for row in some} for s, some in rows.items()}
    assert speakers["test"] == {"id10007", "id10008"}
    assert len(speakers["valid"]) == 3 and len(speakers["train"]) == 3
    assert not speakers["valid"] & speakers["train"]
    assert [row["ID"] for row in rows["test"]] == [
        "id10007-v0-00001",
        "id10007-v1-00001",
        "id10008-v0-00001",
    ]
    assert len(rows["train"]) == 18 and len(rows["valid"]) == 9
    assert all(row["wrd"] == row["spk_id"] for row in rows["train"])
    long = [row for row in rows["train"] if row["duration"] > 1]
    assert len(long) == 3
    for row in long:
        assert row["duration"] == TRAIN_SECONDS
        assert 0 <= row["start"] <= 10 - TRAIN_SECONDS
    assert len({row["start"] for row in long}) == 3
    assert len(manifest_dataset(made["train"])[0]["sig"]) > 0
    trials = read_trials(made["test-trials"], rows["test"])
    assert trials == [
        (1, "id10007-v0-00001", "id10007-v1-00001"),
        (0, "id10007-v0-00001", "id10008-v0-00001"),
    ]
    valid = read_trials(made["valid-trials"], rows["valid"])
    assert Counter(trial.label for trial in valid) == {1: 9, 0: 27}


def test_voxceleb_is_prepared_once(vox, tmp_path):
    made = prepare_voxceleb(vox, tmp_path / "out")
    before = made["train"].stat().st_mtime_ns
    assert prepare_voxceleb(vox, tmp_path / "out") == made
    assert made["train"].stat().st_mtime_ns == before
    prepare_voxceleb(vox, tmp_path / "out", seed=2)
    assert made["train"].stat().st_mtime_ns != before


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 id10007/v0/00001.wav", "line 3: is '1 id10007/v0/00001.wav'; exp"),
        ("2 a/b/c.wav a/b/c.wav", "line 3: is '2 a/b/c.wav a/b/c.wav'; expe"),
        (
            "1 id99999/v0/00001.wav id10007/v0/00001.wav",
            "veri_test.txt: line 3: unknown speaker id99999; expected one that",
        ),
        (
            "1 id10007/v9/00001.wav id10007/v0/00001.wav",
            "line 3: no audio file .*id10007/v9/00001.wav",
        ),
    ],
)
def test_bad_voxceleb_trials(vox, tmp_path, line, expected):
    (vox / "veri_test.txt").write_text(f"{TRIALS}{line}\n")
    refused(prepare_voxceleb, vox, tmp_path / "out", expected=expected)


def test_voxceleb_without_trials_or_speakers(vox, tmp_path):
    (vox / "veri_test.txt").unlink()
    refused(
        prepare_voxceleb,
        vox,
        tmp_path / "out",
        expected="veri_test.txt: not readable; expected VoxCeleb1's list",
    )
    (tmp_path / "empty" / "wav").mkdir(parents=True)
    refused(
        prepare_voxceleb,
        tmp_path / "empty",
        tmp_path / "out",
        expected="empty: holds no speakers in wav; expected VoxCeleb1",
    )


# ---- trials ---------------------------------------------------------------


def test_trials_come_back(tmp_path):
    rows = [{"ID": f"{s}{n}", "spk_id": s} for s in "xyz" for n in range(3)]
    trials = all_trials(rows)
    assert Counter(trial.label for trial in trials) == {1: 9, 0: 27}
    write_trials(tmp_path / "trials.csv", trials)
    assert read_trials(tmp_path / "trials.csv", rows) == trials


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label,enrol\n1,a\n", "no column test; expected the columns label"),
        ("label,enrol,test\n1,a,b\n7,a,b\n", "trial 2: label is '7'; expected"),
        ("label,enrol,test\n1,a,b\n0,a,ghost\n", "trial 2: no utterance 'gho"),
        ("label,enrol,test\n1,a,b\n", "1 trials, not of both labels; exp"),
        ("", "no column enrol, label, test"),
    ],
)
def test_bad_trials(tmp_path, text, expected):
    file = tmp_path / "trials.csv"
    file.write_text(text)
    rows = [{"ID": "a"}, {"ID": "b"}]
    refused(read_trials, file, rows, expected=f"trials.csv: {expected}")


@pytest.fixture(scope="module")
def pico_folder(tmp_path_factory):
    """Where what Pico says for the trials is kept."""
    return tmp_path_factory.mktemp("trials")


@pytest.fixture
def recordings(tmp_path):
    """Two manifests of real people; one of them is in both."""
    manifests = []
    for number, speakers in enumerate((["ann", "bob"], ["ann"])):
        rows = [
            {
                "ID": f"prompt{n}-{speaker}",
                "duration": seconds,
                "wav": write(tmp_path / f"{number}{speaker}{n}.wav", 0.1),
                "spk_id": speaker,
                "wrd": "please hold",
            }
            for speaker in speakers
            for n, seconds in enumerate((1.0, 3.0, 4.0, 20.0))
        ]
        manifests.append(tmp_path / f"real{number}.csv")
        write_manifest(manifests[-1], rows)
    return manifests


def test_mini_trials(pico_folder, recordings, tmp_path):
    made = prepare_mini_trials(
        tmp_path, recordings, 2, folder=pico_folder, n_workers=1
    )
    rows = read_manifest(made["test"])
    counts = Counter(row["spk_id"] for row in rows)
    pico = {"us": 2, "gb": 2, "de": 2, "es": 2, "fr": 2, "it": 2}
    assert counts == {**pico, "ann": 2, "bob": 2}
    # Too short and too long ones are not taken.
    assert {r["duration"] for r in rows if r["spk_id"] in "annbob"} == {3, 4}
    trials = read_trials(made["test-trials"], rows)
    assert Counter(trial.label for trial in trials) == {1: 8, 0: 112}
    before = made["test"].read_bytes()
    prepare_mini_trials(tmp_path, recordings, 2, folder=pico_folder)
    assert made["test"].read_bytes() == before


def test_a_speaker_of_one_recording_makes_no_trials(
    pico_folder, recordings, tmp_path
):
    rows = [r for r in read_manifest(recordings[0]) if r["duration"] != 3]
    write_manifest(recordings[0], rows)
    with pytest.raises(UserError, match="recordings: 1 of ann last 2 to 12 s"):
        prepare_mini_trials(
            tmp_path, recordings[:1], 2, folder=pico_folder, n_workers=1
        )


# ---- all of it with noise -------------------------------------------------


@pytest.fixture
def noise_folder(tmp_path):
    for n in range(4):
        write(tmp_path / "noise" / f"n{n}.wav", 2.0, seed=n)
    return tmp_path / "noise"


def test_intents_in_noise(fluent, noise_folder, tmp_path):
    made = superb.prepare_intents(fluent, tmp_path / "out", noise_folder)
    noises = []
    for split in SPLITS:
        rows = read_manifest(made[split])
        assert all(row["intent"].count("|") == 2 for row in rows)
        assert "noisy" in manifest_dataset(made[split])[0]
        noises.append({row["noise_wav"] for row in rows})
    assert not set.intersection(*noises)
    assert 0 <= read_manifest(made["test"])[0]["snr"] <= 10


def test_verification_in_noise(vox, noise_folder, tmp_path):
    made = superb.prepare_verification(vox, tmp_path / "out", noise_folder)
    for split in ("valid", "test"):
        rows = read_manifest(made[split])
        assert read_trials(made[f"{split}-trials"], rows)
        assert made[f"{split}-trials"].parent == made[split].parent
    item = manifest_dataset(made["train"], text_column="spk_id")[0]
    assert item["noisy"].shape == item["sig"].shape
    assert item["wrd"].startswith("id1000")


def test_real_corpora_want_real_noise(fluent, tmp_path):
    refused(
        superb.prepare_intents,
        fluent,
        tmp_path / "out",
        expected="noise_folder: not given; expected recordings",
    )


def test_recognition_in_noise(noise_folder, tmp_path):
    libri = tmp_path / "LibriSpeech"
    for split in ("train-clean-100", "dev-clean", "test-clean"):
        folder = libri / split / "1" / "2"
        write(folder / "1-2-0000.flac", 0.5)
        (folder / "1-2.trans.txt").write_text("1-2-0000 GOOD MORNING\n")
    made = superb.prepare_recognition(libri, tmp_path / "out", noise_folder)
    (row,) = read_manifest(made["test"])
    assert row["ID"] == "1-2-0000" and row["wrd"] == "good morning"
    assert 0 <= row["snr"] <= 10 and row["noise_wav"]


def test_mini_data_in_the_mini_corpus_s_noise(
    commands, pico_folder, tmp_path, monkeypatch
):
    noise = tmp_path / "noise.csv"
    clip = write(tmp_path / "n.wav", 9.0)
    row = {"ID": "n", "duration": 9.0, "wav": clip, "kind": "hum"}
    write_rows(noise, [row], NOISE_COLUMNS)
    monkeypatch.setattr(
        superb,
        "prepare_generic_enhancement",
        lambda *_, **__: {f"{split}-noise": noise for split in SPLITS},
    )
    monkeypatch.setattr(superb, "prepare_mini_commands", lambda: commands)
    made = superb.prepare_intents("", tmp_path / "intents")
    assert {row["noise"] for row in read_manifest(made["test"])} == {"hum"}
    monkeypatch.setattr(
        superb,
        "prepare_mini_trials",
        lambda folder: prepare_mini_trials(
            folder, utterances=2, folder=pico_folder, n_workers=1
        ),
    )
    rows = [
        {**row, "ID": f"{row['ID']}-{n}", "spk_id": f"s{n % 2}"}
        for row in read_manifest(commands["valid"])
        for n in range(4)
    ]
    write_manifest(tmp_path / "valid.csv", rows)
    commands = {**commands, "valid": tmp_path / "valid.csv"}
    monkeypatch.setattr(
        superb, "prepare_corpus", lambda *_, **__: dict(commands)
    )
    made = superb.prepare_verification("", tmp_path / "speakers")
    assert len(read_trials(made["valid-trials"])) == 6
    assert len(read_trials(made["test-trials"])) == 66
    assert "noisy" in manifest_dataset(made["test"])[0]
