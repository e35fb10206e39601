"""FLEURS, ALLSSTAR and the PLC challenge: tiny trees in their exact layouts."""

import re

import numpy
import pytest
import soundfile
import torch

from speechbrain_ext.corpora import fleurs, plc_challenge
from speechbrain_ext.corpora.allsstar import prepare_allsstar
from speechbrain_ext.corpora.fleurs import prepare_fleurs
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.plc_challenge import prepare_plc_challenge
from speechbrain_ext.corpora.prepare import prepare_test_set
from speechbrain_ext.corpora.textgrid import Interval, read_textgrid
from speechbrain_ext.corruption.loss_models import TraceLoss
from speechbrain_ext.errors import UserError


def write_tone(path, seconds, rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    time = numpy.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.5 * numpy.sin(2765 * time), rate)


def user_error(call, *arguments, **options):
    """Return the one line that a call ends with."""
    with pytest.raises(UserError) as error:
        call(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


# FLEURS

SPANISH = [
    "1904\t10005.wav\tEl gato duerme, ¿no?\tel gato duerme no"
    "\te l | g a t o | d u e r m e | n o |\t24000\tFEMALE",
    '1905\t10006.wav\t"Sí", dijo.\tsí dijo\ts í | d i j o |\t16000\tMALE',
]


def write_fleurs(folder, lines=SPANISH, audio="audio/test"):
    folder.mkdir(parents=True)
    (folder / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in SPANISH:
        columns = line.split("\t")
        write_tone(folder / audio / columns[1], int(columns[5]) / 16000)
    return folder


@pytest.mark.parametrize("audio", ["audio/test", "test"])
def test_fleurs_rows(tmp_path, audio):
    folder = write_fleurs(tmp_path / "es_419", audio=audio)
    manifests = prepare_fleurs(folder, tmp_path / "out")
    assert manifests == {"test": tmp_path / "out" / "test.csv"}
    first, second = read_manifest(manifests["test"])
    assert first == {
        "ID": "10005",
        "duration": 1.5,
        "wav": str(folder / audio / "10005.wav"),
        "spk_id": "female",
        "wrd": "el gato duerme no",
    }
    assert (second["ID"], second["wrd"]) == ("10006", "sí dijo")


def test_fleurs_is_prepared_once(tmp_path, monkeypatch):
    folder = write_fleurs(tmp_path / "es_419")
    prepare_fleurs(folder, tmp_path / "out")
    monkeypatch.setattr(fleurs, "audio_durations", None)
    prepare_fleurs(folder, tmp_path / "out")


def test_fleurs_keeps_the_first_of_two_lines(tmp_path, caplog):
    again = SPANISH[0].replace("el gato duerme no", "otra cosa")
    folder = write_fleurs(tmp_path / "es_419", [*SPANISH, again])
    rows = read_manifest(prepare_fleurs(folder, tmp_path / "out")["test"])
    assert [row["wrd"] for row in rows] == ["el gato duerme no", "sí dijo"]
    assert "line 3 names 10005.wav again" in caplog.text


def test_fleurs_without_its_table(tmp_path):
    folder = write_fleurs(tmp_path / "es_419")
    (folder / "test.tsv").unlink()
    for prepare in (prepare_fleurs, prepare_test_set):
        message = user_error(prepare, folder, tmp_path / "out")
        assert message.startswith(f"{folder}: no test.tsv; expected FLEURS'")


def test_fleurs_that_is_packed_still(tmp_path):
    folder = write_fleurs(tmp_path / "es_419", audio="elsewhere")
    message = user_error(prepare_fleurs, folder, tmp_path / "out")
    assert message.startswith(f"{folder}: no audio/test")
    (folder / "audio").mkdir()
    (folder / "audio" / "test.tar.gz").touch()
    message = user_error(prepare_fleurs, folder, tmp_path / "out")
    assert f"tar -C {folder}/audio -xzf" in message


def test_fleurs_without_an_audio_file(tmp_path):
    folder = write_fleurs(tmp_path / "es_419")
    (folder / "audio/test/10006.wav").unlink()
    message = user_error(prepare_fleurs, folder, tmp_path / "out")
    assert message.startswith(f"{folder}/audio/test/10006.wav: no such file")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1\ta.wav\ttext", "line 1 has 3 columns; expected 7"),
        ("1\t\tA.\ta\ta |\t16000\tMALE", "line 1 lacks a file name"),
        ("1\ta.wav\tA.\t\ta |\t16000\tMALE", "line 1 lacks a file name"),
        ("", "holds no utterances"),
    ],
)
def test_fleurs_with_a_bad_line(tmp_path, line, expected):
    folder = write_fleurs(tmp_path / "es_419", [line])
    assert expected in user_error(prepare_fleurs, folder, tmp_path / "out")


@pytest.mark.parametrize("above", ["", "data"])
def test_fleurs_language_is_chosen_by_its_code(tmp_path, above):
    root = tmp_path / "fleurs"
    write_fleurs(root / above / "es_419")
    write_fleurs(root / above / "fr_fr")
    manifest, name, traces = prepare_test_set(root, tmp_path / "out", "fr")
    assert (name, traces) == ("fleurs-fr_fr", None)
    assert "fr_fr" in read_manifest(manifest)[0]["wav"]
    for code in (None, "de"):
        message = user_error(prepare_test_set, root, tmp_path / "out", code)
        assert "es_419, fr_fr" in message


# TextGrids

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4.0
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "ALL_005 - utt"
        xmin = 0
        xmax = 4.0
        intervals: size = 4
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1.75
            text = "the boy said ""no"" 2 times"
        intervals [3]:
            xmin = 1.75
            xmax = 2.5
            text = "<BR>"
        intervals [4]:
            xmin = 2.5
            xmax = 3.9
            text = "a tin cup <LG>"
    item [2]:
        class = "TextTier"
        name = "notes"
        xmin = 0
        xmax = 4.0
        points: size = 1
        points [1]:
            number = 0.1
            mark = "start"
    item [3]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 4.0
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 4.0
            text = "cup"
"""

SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
4
<exists>
1
"IntervalTier"
"word"
0
4
5
0
0.5
"sp"
0.5
0.9
"THE"
0.95
1.5
"CUP"
1.5
2.2
"sp"
2.2
3
"FELL"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrids_of_praat(tmp_path, encoding):
    file = tmp_path / "a.TextGrid"
    file.write_bytes(LONG.encode(encoding))
    tiers = read_textgrid(file)
    assert list(tiers) == ["ALL_005 - utt", "words"]
    assert tiers["ALL_005 - utt"][1] == Interval(
        0.5, 1.75, 'the boy said "no" 2 times'
    )
    file.write_bytes(SHORT.replace("CUP", "CÚP").encode(encoding))
    assert [row.text for row in read_textgrid(file)["word"]] == [
        *("sp", "THE", "CÚP", "sp", "FELL")
    ]


def test_a_truncated_textgrid_is_a_clear_error(tmp_path):
    file = tmp_path / "a.TextGrid"
    for length in range(0, len(SHORT) - 8, 7):
        file.write_text(SHORT[:length])
        assert str(file) in user_error(read_textgrid, file)
    assert "cannot be read" in user_error(read_textgrid, tmp_path / "b")


# ALLSSTAR


@pytest.fixture
def allsstar(tmp_path):
    folder = tmp_path / "ALLSSTAR"
    for name, grid in {
        "HT1/ALL_005_M_CMN_ENG_HT1": LONG,
        "HT1/ALL_012_F_CMN_ENG_HT1": SHORT,
        "DHR/ALL_012_F_CMN_ENG_DHR": SHORT,
        "HT1/ALL_020_F_SPA_ENG_HT1": SHORT,
        "ST/ALL_005_M_CMN_CMN_ST1": SHORT,
    }.items():
        write_tone(folder / f"{name}.wav", 4.0, 22050)
        (folder / f"{name}.TextGrid").write_text(grid)
    return folder


def test_allsstar_is_cut_into_utterances(allsstar, tmp_path):
    manifest = prepare_allsstar(allsstar, tmp_path / "out")["test"]
    rows = {row["ID"]: row for row in read_manifest(manifest)}
    assert {name: row["wrd"] for name, row in rows.items()} == {
        "ALL_005_M_CMN_ENG_HT1-000": 'the boy said "no" 2 times',
        "ALL_005_M_CMN_ENG_HT1-001": "a tin cup",
        "ALL_012_F_CMN_ENG_HT1-000": "THE CUP",
        "ALL_012_F_CMN_ENG_HT1-001": "FELL",
        "ALL_012_F_CMN_ENG_DHR-000": "THE CUP",
        "ALL_012_F_CMN_ENG_DHR-001": "FELL",
    }
    row = rows["ALL_005_M_CMN_ENG_HT1-000"]
    assert row["spk_id"] == "ALL_005"
    samples, rate = soundfile.read(row["wav"])
    assert (rate, len(samples)) == (16000, round(1.45 * 16000))
    assert row["duration"] == len(samples) / rate


def test_allsstar_by_language_and_task(allsstar, tmp_path):
    def names(**choice):
        folder = tmp_path / "-".join(map(str, choice.values()))
        rows = read_manifest(
            prepare_allsstar(allsstar, folder, **choice)["test"]
        )
        return sorted({row["ID"][:-4] for row in rows})

    assert names(first_language="SPA") == ["ALL_020_F_SPA_ENG_HT1"]
    assert len(names(first_language=None)) == 4
    assert names(tasks=["DHR"]) == ["ALL_012_F_CMN_ENG_DHR"]
    assert names(spoken_language="CMN") == ["ALL_005_M_CMN_CMN_ST1"]


def test_allsstar_without_what_it_needs(allsstar, tmp_path):
    out = tmp_path / "out"
    message = user_error(prepare_allsstar, allsstar, out, "KOR")
    assert "no recording ALL_*_KOR_ENG_*.wav" in message
    grid = allsstar / "HT1" / "ALL_005_M_CMN_ENG_HT1.TextGrid"
    grid.write_text(SHORT.replace('"word"', '"phone"'))
    message = user_error(prepare_allsstar, allsstar, out)
    assert f"{grid}: tiers phone; expected one of utterances" in message
    grid.unlink()
    message = user_error(prepare_allsstar, allsstar, out)
    assert "no ALL_005_M_CMN_ENG_HT1.TextGrid beside it" in message


# The PLC challenge

TEXTS = {"0": "hello there", "10": "is anybody home", "2": "yes, speaking"}


@pytest.fixture
def blind_set(tmp_path):
    """Traces beside the lossy audio: of 2, 2.01 and 2.01 seconds."""
    folder = tmp_path / "blind"
    for name, (seconds, lines) in {
        "0": (2.0, 100),
        "10": (2.01, 100),
        "2": (2.01, 101),
    }.items():
        write_tone(folder / "lossy_signals" / f"{name}.wav", seconds, 48000)
        trace = "".join(f"{int(line % 3 == 1)}\n" for line in range(lines))
        (folder / "lossy_signals" / f"{name}_is_lost.txt").write_text(trace)
    (folder / "transcripts.txt").write_text(
        "".join(f"{name}.wav\t{text}\n" for name, text in TEXTS.items())
    )
    return folder


def test_plc_challenge_rows_and_traces(blind_set, tmp_path):
    manifest, name, traces = prepare_test_set(blind_set, tmp_path / "out")
    assert name == "blind"
    rows = read_manifest(manifest)
    assert [row["ID"] for row in rows] == ["0", "2", "10"]
    assert {row["ID"]: row["wrd"] for row in rows} == TEXTS
    assert rows[0]["wav"] == str(blind_set / "lossy_signals" / "0.wav")
    lost = TraceLoss(traces)([100, 101, 101], ["0", "2", "10"], 0, 0)
    expected = torch.arange(100) % 3 == 1
    assert torch.equal(lost[0, :100], expected)
    assert torch.equal(lost[2, :100], expected) and not lost[2, 100]
    assert lost.sum(dim=1).tolist() == [33, 34, 33]


def test_plc_challenge_with_traces_elsewhere(blind_set, tmp_path):
    (blind_set / "meta").mkdir()
    (blind_set / "clean").mkdir()
    for trace in (blind_set / "lossy_signals").glob("*.txt"):
        trace.rename(blind_set / "meta" / trace.name)
    for wav in (blind_set / "lossy_signals").glob("*.wav"):
        (blind_set / "clean" / wav.name).touch()
    (manifests, _) = prepare_plc_challenge(blind_set, tmp_path / "out")
    assert "/lossy_signals/" in read_manifest(manifests["test"])[0]["wav"]


@pytest.mark.parametrize(("lines", "packets"), [(200, 100), (50, 100)])
def test_a_trace_of_other_packets(blind_set, tmp_path, lines, packets):
    trace = blind_set / "lossy_signals" / "0_is_lost.txt"
    trace.write_text("0\n" * lines)
    message = user_error(prepare_plc_challenge, blind_set, tmp_path / "out")
    assert message.startswith(
        f"{trace}: {lines} lines for {packets} packets of 20 ms in 0.wav"
    )
    assert "another length" in message


def test_plc_challenge_without_what_it_needs(blind_set, tmp_path):
    out = tmp_path / "out"
    transcripts = blind_set / "transcripts.txt"
    text = transcripts.read_text()
    transcripts.write_text(re.sub("(?m)^10.*\n", "", text))
    message = user_error(prepare_plc_challenge, blind_set, out)
    assert message.startswith(f"{transcripts}: no text of 10;")
    transcripts.write_text("0.wav\n")
    assert "line 1: expected" in user_error(
        prepare_plc_challenge, blind_set, out
    )
    transcripts.unlink()
    assert "no transcripts.txt" in user_error(
        prepare_plc_challenge, blind_set, out
    )
    transcripts.write_text(text)
    (blind_set / "lossy_signals" / "2.wav").unlink()
    message = user_error(prepare_plc_challenge, blind_set, out)
    assert "2_is_lost.txt: no 2.wav beside it" in message
    assert not out.exists()


def test_plc_challenge_is_prepared_once(blind_set, tmp_path, monkeypatch):
    prepare_plc_challenge(blind_set, tmp_path / "out")
    monkeypatch.setattr(plc_challenge, "audio_durations", None)
    prepare_plc_challenge(blind_set, tmp_path / "out")


# Any of them


def test_other_test_sets(tmp_path, allsstar):
    _, name, traces = prepare_test_set(allsstar, tmp_path / "out")
    assert (name, traces) == ("ALLSSTAR", None)
    lj = tmp_path / "lj"
    write_tone(lj / "wavs" / "LJ-1.wav", 1.0)
    (lj / "metadata.csv").write_text("LJ-1|Two.|Two.\n")
    manifest, name, _ = prepare_test_set(lj, tmp_path / "lj-out")
    assert (name, len(read_manifest(manifest))) == ("lj", 1)
    assert prepare_test_set(manifest, tmp_path) == (manifest, "test", None)
    (tmp_path / "empty").mkdir()
    message = user_error(prepare_test_set, tmp_path / "empty", tmp_path / "x")
    for corpus in ("LJSpeech", "FLEURS", "ALLSSTAR", "PLC challenge"):
        assert corpus in message
    message = user_error(prepare_test_set, tmp_path / "gone", tmp_path / "x")
    assert "gone: no such file or folder" in message
