"""Reading and writing manifests: what is checked, and how it is said."""

import pytest

from speechbrain_ext.corpora.manifest import (
    COLUMNS,
    read_manifest,
    write_manifest,
)
from speechbrain_ext.errors import UserError


@pytest.fixture
def row(tmp_path):
    wav = tmp_path / "a.wav"
    wav.touch()
    return {
        "ID": "utt-1",
        "duration": "1.25",
        "wav": str(wav),
        "spk_id": "s1",
        "wrd": 'Say "hello, world".',
    }


def write_raw(path, *rows, columns=COLUMNS):
    """Write without the checks of the module under test."""
    lines = [",".join(columns)]
    lines += [",".join(str(row[column]) for column in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def error_of(path):
    with pytest.raises(UserError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_what_is_written_is_read(tmp_path, row):
    second = {**row, "ID": "utt-0", "duration": 1 / 3, "wrd": "Café, naïve?"}
    write_manifest(tmp_path / "m.csv", [row, second])
    read = read_manifest(tmp_path / "m.csv")
    assert [each["ID"] for each in read] == ["utt-1", "utt-0"]
    assert [each["duration"] for each in read] == [1.25, 1 / 3]
    assert [each["wrd"] for each in read] == [row["wrd"], "Café, naïve?"]
    assert [path.name for path in tmp_path.glob("*.csv")] == ["m.csv"]


def test_speechbrain_reads_the_same(tmp_path, row):
    from speechbrain.dataio.dataio import load_data_csv

    write_manifest(tmp_path / "m.csv", [row])
    assert load_data_csv(str(tmp_path / "m.csv")) == {
        "utt-1": {
            "duration": 1.25,
            "wav": row["wav"],
            "spk_id": "s1",
            "wrd": row["wrd"],
        }
    }


def test_a_failed_write_keeps_the_old_file(tmp_path, row):
    path = tmp_path / "m.csv"
    write_manifest(path, [row])
    before = path.read_bytes()
    with pytest.raises(KeyError):
        write_manifest(path, [row, {"ID": "no duration"}])
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.wav",
        "m.csv",
    ]


def test_an_unwritable_place_is_named(tmp_path, row):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/m.csv: cannot be written"):
        write_manifest(tmp_path / "file" / "m.csv", [row])


def test_columns_may_come_in_any_order_with_a_byte_order_mark(tmp_path, row):
    path = write_raw(
        tmp_path / "m.csv", {**row, "wrd": "Hi."}, columns=COLUMNS[::-1]
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_manifest(path)[0]["wrd"] == "Hi."


def test_a_missing_file(tmp_path):
    assert "no such file" in error_of(tmp_path / "absent.csv")


@pytest.mark.parametrize("column", COLUMNS)
def test_a_missing_column_is_named(tmp_path, row, column):
    columns = [name for name in COLUMNS if name != column]
    path = write_raw(tmp_path / "m.csv", row, columns=columns)
    assert f"no column {column};" in error_of(path)


@pytest.mark.parametrize("content", ["", "ID,duration,wav,spk_id,wrd\n"])
def test_no_utterances(tmp_path, content):
    path = tmp_path / "m.csv"
    path.write_text(content)
    error_of(path)


@pytest.mark.parametrize(
    "duration", ["0", "-1", "nan", "inf", "", "1,5", "soon"]
)
def test_a_duration_that_is_no_duration(tmp_path, row, duration):
    path = write_raw(
        tmp_path / "m.csv", {**row, "wrd": "Hi.", "duration": f'"{duration}"'}
    )
    message = error_of(path)
    assert "utt-1" in message and f"'{duration}'" in message


@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_transcript(tmp_path, row, text):
    path = write_raw(tmp_path / "m.csv", {**row, "wrd": text})
    message = error_of(path)
    assert "utt-1" in message and "empty transcript" in message


@pytest.mark.parametrize("wav", ["", "missing.wav"])
def test_a_missing_audio_file(tmp_path, row, wav):
    wav = wav and tmp_path / wav
    path = write_raw(tmp_path / "m.csv", {**row, "wrd": "Hi.", "wav": wav})
    message = error_of(path)
    assert "utt-1" in message and "no audio file" in message
    assert str(wav) in message


def test_a_duplicate_id(tmp_path, row):
    path = write_raw(tmp_path / "m.csv", *[{**row, "wrd": "Hi."}] * 2)
    assert "utt-1: the ID appears twice" in error_of(path)


@pytest.mark.parametrize("line", ["utt-1,1.0,a.wav", "utt-1,1,a.wav,s,Hi,more"])
def test_a_line_with_too_few_or_too_many_values(tmp_path, line):
    path = tmp_path / "m.csv"
    path.write_text(",".join(COLUMNS) + "\n" + line + "\n")
    assert "utt-1" in error_of(path)


def test_what_is_not_text(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(bytes(range(128, 256)))
    assert "not a readable CSV" in error_of(path)


def test_a_folder_in_place_of_a_file(tmp_path):
    assert "no such file" in error_of(tmp_path)
