"""The preparers of real corpora, on tiny trees in those corpora's layouts."""

import builtins
import gzip
import logging

import av
import numpy
import pytest
import soundfile

from speechbrain_ext.corpora import asterisk, librispeech, ljspeech
from speechbrain_ext.corpora.asterisk import prepare_asterisk
from speechbrain_ext.corpora.asterisk_languages import (
    clean_prompt,
    prepare_asterisk_test,
)
from speechbrain_ext.corpora.librispeech import prepare_librispeech
from speechbrain_ext.corpora.ljspeech import prepare_ljspeech
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.errors import UserError


def tone(seconds, rate, frequency=440.0):
    time = numpy.arange(round(seconds * rate)) / rate
    return 0.5 * numpy.sin(2 * numpy.pi * frequency * time)


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


def forbid(monkeypatch, module, name):
    """Make a function of a module fail when it is called."""

    def fail(*args, **kwargs):
        raise AssertionError(f"{name} was called again")

    monkeypatch.setattr(module, name, fail)


# LibriSpeech

BOOK = {
    "dev-clean/84/121": {"84-121-0000": (1.5, "GO DO YOU HEAR")},
    "dev-clean/1272/128": {
        "1272-128-0000": (1.0, "MISTER QUILTER IS THE APOSTLE"),
        "1272-128-0001": (0.75, "NOR IS MISTER QUILTER'S MANNER"),
    },
    "test-clean/61/70": {"61-70-0000": (0.5, "HE BEGAN A CONFUSED COMPLAINT")},
}


@pytest.fixture
def libri(tmp_path):
    root = tmp_path / "LibriSpeech"
    for chapter, utterances in BOOK.items():
        folder = root / chapter
        folder.mkdir(parents=True)
        lines = []
        for name, (seconds, text) in utterances.items():
            soundfile.write(
                folder / f"{name}.flac", tone(seconds, 16000), 16000
            )
            lines.append(f"{name} {text}\n")
        speaker, chapter = chapter.split("/")[1:]
        (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
    return root


def test_librispeech_rows(libri, tmp_path):
    manifests = prepare_librispeech(
        libri, tmp_path / "out", ["dev-clean", "test-clean"]
    )
    assert manifests == {
        "dev-clean": tmp_path / "out" / "dev-clean.csv",
        "test-clean": tmp_path / "out" / "test-clean.csv",
    }
    rows = {row["ID"]: row for row in read_manifest(manifests["dev-clean"])}
    assert set(rows) == {"84-121-0000", "1272-128-0000", "1272-128-0001"}
    assert rows["1272-128-0001"] == {
        "ID": "1272-128-0001",
        "duration": 0.75,
        "wav": str(libri / "dev-clean/1272/128/1272-128-0001.flac"),
        "spk_id": "1272",
        "wrd": "nor is mister quilter's manner",
    }


def test_librispeech_from_the_folder_above(libri, tmp_path):
    here = prepare_librispeech(libri, tmp_path / "a", ["dev-clean"])
    above = prepare_librispeech(libri.parent, tmp_path / "b", ["dev-clean"])
    assert read_manifest(here["dev-clean"]) == read_manifest(above["dev-clean"])


def test_librispeech_gathers_splits(libri, tmp_path):
    manifests = prepare_librispeech(
        libri,
        tmp_path / "out",
        {"train": ["dev-clean", "test-clean"], "test": "test-clean"},
    )
    assert len(read_manifest(manifests["train"])) == 4
    assert len(read_manifest(manifests["test"])) == 1


def test_librispeech_is_prepared_once(libri, tmp_path, monkeypatch):
    prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])
    with monkeypatch.context() as patch:
        forbid(patch, librispeech, "write_manifest")
        prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])
    # A newer transcript, or another corpus at the same place, is prepared.
    transcript = libri / "dev-clean/84/121/84-121.trans.txt"
    transcript.write_text("84-121-0000 STAY\n")
    manifests = prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])
    rows = {row["ID"]: row for row in read_manifest(manifests["dev-clean"])}
    assert rows["84-121-0000"]["wrd"] == "stay"


def test_librispeech_notices_other_splits(libri, tmp_path):
    prepare_librispeech(libri, tmp_path / "out", {"test": ["dev-clean"]})
    manifests = prepare_librispeech(
        libri, tmp_path / "out", {"test": ["test-clean"]}
    )
    assert len(read_manifest(manifests["test"])) == 1


def test_librispeech_without_an_audio_file(libri, tmp_path):
    flac = libri / "dev-clean/1272/128/1272-128-0001.flac"
    flac.unlink()
    with pytest.raises(UserError, match="no such file") as caught:
        prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])
    assert str(flac) in one_line(caught)
    assert not (tmp_path / "out" / "dev-clean.csv").exists()


def test_librispeech_with_a_broken_audio_file(libri, tmp_path):
    flac = libri / "dev-clean/1272/128/1272-128-0001.flac"
    flac.write_bytes(flac.read_bytes()[:20])
    with pytest.raises(UserError, match="not a readable audio") as caught:
        prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])
    assert str(flac) in one_line(caught)


def test_librispeech_with_audio_that_has_no_transcript(libri, tmp_path):
    chapter = libri / "dev-clean/84/121"
    soundfile.write(chapter / "84-121-0001.flac", tone(1, 16000), 16000)
    with pytest.raises(UserError, match="84-121-0001.flac: has no transcript"):
        prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])


def test_librispeech_with_an_empty_transcript(libri, tmp_path):
    (libri / "dev-clean/84/121/84-121.trans.txt").write_text("84-121-0000\n")
    with pytest.raises(UserError, match="84-121-0000 has no transcript"):
        prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])


def test_librispeech_keeps_the_old_manifest_on_failure(libri, tmp_path):
    manifest = prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])[
        "dev-clean"
    ]
    before = manifest.read_bytes()
    (libri / "dev-clean/84/121/84-121.trans.txt").write_text("84-121-0000\n")
    with pytest.raises(UserError):
        prepare_librispeech(libri, tmp_path / "out", ["dev-clean"])
    assert manifest.read_bytes() == before


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("absent", "absent: no such folder; expected LibriSpeech"),
        (".", "holds no LibriSpeech split dev-clean; expected dev-clean/"),
        ("empty", "dev-clean: holds no transcripts; expected"),
    ],
)
def test_a_folder_that_is_not_librispeech(tmp_path, folder, expected):
    (tmp_path / "empty" / "dev-clean").mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        prepare_librispeech(tmp_path / folder, tmp_path / "out", ["dev-clean"])
    assert expected in one_line(caught)


# LJSpeech


@pytest.fixture
def lj(tmp_path):
    root = tmp_path / "lj"
    (root / "wavs").mkdir(parents=True)
    lines = []
    for number in range(20):
        name = f"LJ001-{number:04d}"
        soundfile.write(
            root / "wavs" / f"{name}.wav",
            tone(0.1 * (number + 1), 22050),
            22050,
        )
        lines.append(
            f'{name}|He said "{number}".|He said "number", {number}.\n'
        )
    (root / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return root


def identities(manifests):
    return {
        name: [row["ID"] for row in read_manifest(path)]
        for name, path in manifests.items()
    }


def test_ljspeech_rows(lj, tmp_path):
    manifests = prepare_ljspeech(lj, tmp_path / "out", 0, 1)
    assert list(manifests) == ["test"]
    rows = read_manifest(manifests["test"])
    assert [row["ID"] for row in rows] == sorted(row["ID"] for row in rows)
    assert len(rows) == 20
    assert rows[4] == {
        "ID": "LJ001-0004",
        "duration": 0.5,
        "wav": str(lj / "wavs" / "LJ001-0004.wav"),
        "spk_id": "LJ",
        "wrd": 'He said "number", 4.',
    }


def test_ljspeech_splits(lj, tmp_path):
    first = identities(prepare_ljspeech(lj, tmp_path / "a", 0.1, 0.25))
    assert {name: len(ids) for name, ids in first.items()} == {
        "train": 13,
        "valid": 2,
        "test": 5,
    }
    assert len(set().union(*first.values())) == 20
    assert first == identities(prepare_ljspeech(lj, tmp_path / "b", 0.1, 0.25))
    other = prepare_ljspeech(lj, tmp_path / "c", 0.1, 0.25, seed=2)
    assert identities(other) != first


def test_ljspeech_splits_do_not_depend_on_the_order_of_lines(lj, tmp_path):
    first = identities(prepare_ljspeech(lj, tmp_path / "a", 0.1, 0.1))
    lines = (lj / "metadata.csv").read_text().splitlines(keepends=True)
    (lj / "metadata.csv").write_text("".join(lines[::-1]))
    assert identities(prepare_ljspeech(lj, tmp_path / "b", 0.1, 0.1)) == first


def test_ljspeech_without_normalised_text(lj, tmp_path):
    (lj / "metadata.csv").write_text("LJ001-0000|Plain.\nLJ001-0001|Raw.|\n\n")
    manifests = prepare_ljspeech(lj, tmp_path / "out", 0, 1)
    assert [row["wrd"] for row in read_manifest(manifests["test"])] == [
        "Plain.",
        "Raw.",
    ]


def test_ljspeech_is_prepared_once(lj, tmp_path, monkeypatch):
    prepare_ljspeech(lj, tmp_path / "out", 0, 1)
    with monkeypatch.context() as patch:
        forbid(patch, ljspeech, "write_manifest")
        prepare_ljspeech(lj, tmp_path / "out", 0, 1)
    manifests = prepare_ljspeech(lj, tmp_path / "out", 0, 0.5)
    assert len(read_manifest(manifests["test"])) == 10


@pytest.mark.parametrize("missing", ["metadata.csv", "wavs"])
def test_a_folder_that_is_not_ljspeech(lj, tmp_path, missing):
    (lj / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"lj: no {missing}; expected LJSpeech"):
        prepare_ljspeech(lj, tmp_path / "out")


def test_ljspeech_without_an_audio_file(lj, tmp_path):
    (lj / "wavs" / "LJ001-0007.wav").unlink()
    with pytest.raises(UserError, match="LJ001-0007.wav: no such file"):
        prepare_ljspeech(lj, tmp_path / "out")


def test_ljspeech_with_text_in_place_of_audio(lj, tmp_path):
    (lj / "wavs" / "LJ001-0007.wav").write_text("not audio")
    with pytest.raises(UserError, match="LJ001-0007.wav: not a readable audio"):
        prepare_ljspeech(lj, tmp_path / "out")


def test_ljspeech_with_a_file_of_no_seconds(lj, tmp_path):
    soundfile.write(lj / "wavs" / "LJ001-0007.wav", numpy.zeros(0), 22050)
    with pytest.raises(UserError, match="LJ001-0007.wav: holds no samples"):
        prepare_ljspeech(lj, tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("LJ001-0001", "line 2 lacks an id or a text"),
        ("LJ001-0001||", "line 2 lacks an id or a text"),
        ("|Text.|Text.", "line 2 lacks an id or a text"),
        ("LJ001-0000|Again.", "LJ001-0000 appears twice"),
    ],
)
def test_ljspeech_with_a_bad_line(lj, tmp_path, line, expected):
    (lj / "metadata.csv").write_text(f"LJ001-0000|Fine.\n{line}\n")
    with pytest.raises(UserError, match=f"metadata.csv: {expected}"):
        prepare_ljspeech(lj, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_ljspeech_with_bad_metadata(lj, tmp_path, content):
    (lj / "metadata.csv").write_bytes(content)
    with pytest.raises(UserError, match="metadata.csv: "):
        prepare_ljspeech(lj, tmp_path / "out")


@pytest.mark.parametrize("fractions", [(-0.1, 0.1), (0.6, 0.6), (0, 1.5)])
def test_ljspeech_with_impossible_fractions(lj, tmp_path, fractions):
    with pytest.raises(UserError, match="valid_fraction, test_fraction: "):
        prepare_ljspeech(lj, tmp_path / "out", *fractions)


# Asterisk's prompts

PROMPTS = """\
; Sounds in English

hello-world: Hello world.
conf-kicked: You have been kicked from this conference
dir-multi: ... for the  second extension ...
digits/40: forty
beep: [this is a simple beep tone]
join: <beep ascending>
silence/1: (1 second of silence)
letters/at: at [@]
dictate/help: press * to pause, i will press # to exit (note: fast)
queue-announce: All of our represenatives are busy.
conf-a: the leader is not here yet
conf-b: The leader is not here yet.
absent: There is no file of this one.
too-short: Oh.
too-long: And so on and so on.
priv-callpending: I have a caller waiting, who says:
ask: Change to which folder?
"""
LENGTHS = {"too-short": 0.4, "too-long": 28.5}


def write_g722(path, samples):
    """Encode [time], int16 at 16 kHz, as a bare G.722 stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="g722") as container:
        stream = container.add_stream("g722", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            samples[None], format="s16", layout="mono"
        )
        frame.sample_rate = 16000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Folder and transcripts in the package's layout; not to be changed."""
    root = tmp_path_factory.mktemp("prompts")
    sounds = root / "usr/share/asterisk/sounds/en_US_f_Allison"
    for line in PROMPTS.splitlines()[2:]:
        name = line.split(":")[0]
        if name != "absent":
            samples = tone(LENGTHS.get(name, 1.0), 16000) * 32767
            write_g722(sounds / f"{name}.g722", samples.astype(numpy.int16))
    folder = root / "usr/share/doc/asterisk-core-sounds-en"
    folder.mkdir(parents=True)
    transcripts = folder / "core-sounds-en.txt.gz"
    transcripts.write_bytes(gzip.compress(PROMPTS.encode()))
    return sounds, transcripts


def prompt_rows(manifests):
    return {
        row["ID"].removeprefix("asterisk-"): row
        for manifest in manifests.values()
        for row in read_manifest(manifest)
    }


def test_asterisk_texts(prompts, tmp_path):
    manifests = prepare_asterisk(*prompts, tmp_path, valid_utterances=2)
    rows = prompt_rows(manifests)
    assert {name: row["wrd"] for name, row in rows.items()} == {
        "hello-world": "Hello world.",
        "conf-kicked": "You have been kicked from this conference.",
        "dir-multi": "For the second extension.",
        "digits-40": "Forty.",
        "letters-at": "At.",
        "dictate-help": "Press star to pause, I will press pound to exit.",
        "queue-announce": "All of our representatives are busy.",
        "conf-a": "The leader is not here yet.",
        "conf-b": "The leader is not here yet.",
        "priv-callpending": "I have a caller waiting, who says.",
        "ask": "Change to which folder?",
    }


def test_asterisk_audio(prompts, tmp_path):
    manifests = prepare_asterisk(*prompts, tmp_path, valid_utterances=2)
    row = prompt_rows(manifests)["digits-40"]
    assert row["wav"] == str(tmp_path / "wav" / "digits" / "40.wav")
    samples, rate = soundfile.read(row["wav"])
    assert (rate, len(samples), row["duration"]) == (16000, 16000, 1.0)
    # The tone that went in comes out: its energy stays at 440 Hz.
    spectrum = numpy.abs(numpy.fft.rfft(samples * numpy.hanning(16000))) ** 2
    assert spectrum[435:446].sum() > 0.99 * spectrum.sum()
    assert abs(numpy.sqrt((samples[1000:-1000] ** 2).mean()) - 0.3535) < 0.02


def test_asterisk_holds_out_whole_texts(prompts, tmp_path):
    manifests = prepare_asterisk(*prompts, tmp_path / "a", valid_utterances=4)
    valid = read_manifest(manifests["valid"])
    train = read_manifest(manifests["train"])
    assert 4 <= len(valid) <= 5
    assert all(len(row["wrd"].split()) >= 4 for row in valid)
    assert not {row["wrd"] for row in valid} & {row["wrd"] for row in train}
    again = prepare_asterisk(*prompts, tmp_path / "b", valid_utterances=4)
    assert identities(again) == identities(manifests)


def test_asterisk_names_prompts_without_a_file(prompts, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        prepare_asterisk(*prompts, tmp_path, valid_utterances=2)
    assert "without a sound file: absent" in caplog.text


def test_asterisk_is_prepared_once(prompts, tmp_path, monkeypatch):
    prepare_asterisk(*prompts, tmp_path, valid_utterances=2)
    with monkeypatch.context() as patch:
        forbid(patch, asterisk, "write_manifest")
        prepare_asterisk(*prompts, tmp_path, valid_utterances=2)
    manifests = prepare_asterisk(*prompts, tmp_path, valid_utterances=1)
    assert len(read_manifest(manifests["valid"])) <= 2


def test_asterisk_reads_plain_transcripts(prompts, tmp_path):
    plain = tmp_path / "core-sounds-en.txt"
    plain.write_text("hello-world: Hello.\nask: Which one of these?\n")
    manifests = prepare_asterisk(
        prompts[0], plain, tmp_path / "out", valid_utterances=1
    )
    assert identities(manifests) == {
        "train": ["asterisk-hello-world"],
        "valid": ["asterisk-ask"],
    }


def test_asterisk_without_the_decoder(prompts, tmp_path, monkeypatch):
    real = builtins.__import__

    def no_av(name, *args, **kwargs):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_av)
    with pytest.raises(UserError, match="av: not installed.*pip install av"):
        prepare_asterisk(*prompts, tmp_path)


def test_asterisk_in_a_wrong_folder(prompts, tmp_path):
    with pytest.raises(UserError, match="absent: no such folder; expected"):
        prepare_asterisk(tmp_path / "absent", prompts[1], tmp_path / "out")
    with pytest.raises(UserError, match="holds none of the prompts") as caught:
        prepare_asterisk(tmp_path, prompts[1], tmp_path / "out")
    assert str(tmp_path) in one_line(caught)


def test_asterisk_with_unreadable_transcripts(prompts, tmp_path):
    truncated = tmp_path / "truncated.txt.gz"
    truncated.write_bytes(prompts[1].read_bytes()[:100])
    not_gzip = tmp_path / "not.txt.gz"
    not_gzip.write_text(PROMPTS)
    for path in (tmp_path / "absent.txt.gz", truncated, not_gzip):
        with pytest.raises(UserError, match="not readable; expected") as caught:
            prepare_asterisk(prompts[0], path, tmp_path / "out")
        assert str(path) in one_line(caught)


def test_asterisk_with_a_line_without_a_name(prompts, tmp_path):
    odd = tmp_path / "odd.txt"
    odd.write_text("hello-world: Hello.\nno colon here\n")
    with pytest.raises(UserError, match="odd.txt: line 2: expected name: text"):
        prepare_asterisk(prompts[0], odd, tmp_path / "out")


def test_asterisk_with_too_few_prompts(prompts, tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("ask: Change to which folder?\n")
    with pytest.raises(
        UserError, match="holds 1 usable prompts; expected more"
    ):
        prepare_asterisk(prompts[0], few, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.csv"))


def test_asterisk_with_a_sound_of_no_bytes(prompts, tmp_path):
    (tmp_path / "hello-world.g722").touch()
    with pytest.raises(UserError, match="hello-world.g722: ") as caught:
        prepare_asterisk(tmp_path, prompts[1], tmp_path / "out")
    assert "G.722" in one_line(caught)


# Asterisk's prompts in other languages


@pytest.mark.parametrize(
    ("language", "raw", "text"),
    [
        (
            "es",
            "Esta a punto de entrar. Use el numero de esta persona",
            "Está a punto de entrar. Use el número de esta persona.",
        ),
        ("es", "...o la tecla de numero", "O la tecla de número."),
        (
            "es",
            "Por favor ingese su contrasena...",
            "Por favor ingrese su contraseña.",
        ),
        (
            "fr",
            "Vous etes le prochain appellant \u201d",
            "Vous êtes le prochain appelant.",
        ),
        ("it", "E' ora la prima in lista", "È ora la prima in lista."),
        ("ru", "В этот момент точное время", "В этот момент точное время."),
        ("es", "Marque 2 para llamar a otro numero.", ""),
        ("es", "Sus saludos [temporales] estan en uso", ""),
        ("it", "Il messaggio sar? inviato ora", ""),
        ("it", "Il saluto eliminato vm-then-pound: poi premere", ""),
        ("fr", "Tentative de placement", ""),
    ],
)
def test_prompts_of_other_languages(language, raw, text):
    assert clean_prompt(raw, language) == text


def test_asterisk_in_another_language(tmp_path):
    sounds = tmp_path / "es_MX_f_Allison"
    for name in ("vm-intro", "again", "short", "goodbye"):
        seconds = 0.2 if name == "short" else 1.0
        sounds.mkdir(exist_ok=True)
        samples = (20000 * tone(seconds, 16000)).astype("int16")
        write_g722(sounds / f"{name}.g722", samples)
    transcripts = tmp_path / "core-sounds-es.txt"
    transcripts.write_text(
        "\ufeff; Core Asterisk Sounds in Spanish\n\n"
        "vm-intro: Por favor deje su mensaje despues del tono\n"
        "again: Por favor deje su mensaje despues del tono.\n"
        "short: Lo siento, no comprendi su respuesta\n"
        "goodbye: Hasta luego\n"
        "gone: La conferencia ha sido bloqueada\n",
        encoding="utf-8",
    )
    manifest = prepare_asterisk_test(
        sounds, transcripts, tmp_path / "out", "es"
    )
    (row,) = read_manifest(manifest)
    assert row["wrd"] == "Por favor deje su mensaje después del tono."
    assert (row["ID"], row["spk_id"]) == ("asterisk-vm-intro", "allison")
    assert row["duration"] == 1.0
    transcripts.write_text("vm-intro: Adiós\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        prepare_asterisk_test(sounds, transcripts, tmp_path / "out", "es")
    assert "holds none of the longer prompts" in one_line(caught)
