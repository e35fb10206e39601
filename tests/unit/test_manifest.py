"""Reading and writing manifests: what is checked, and how it is said."""

import numpy
import pytest
import soundfile
import torch
from speechbrain.dataio.dataloader import make_dataloader

from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
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


# Optional columns


def noisy_row(row, **changes):
    noisy = {"noisy_wav": row["wav"], "snr": 2.5, "noise": "hum", "phn": "HH"}
    return {**row, **noisy, **changes}


def test_optional_columns_are_written_where_rows_have_them(tmp_path, row):
    row["start"] = 0.25
    rows = [noisy_row(row), noisy_row(row, ID="utt-2", snr=None, phn="")]
    write_manifest(tmp_path / "m.csv", rows)
    header = [*COLUMNS, "noisy_wav", "snr", "noise", "phn", "start"]
    written = (tmp_path / "m.csv").read_text().splitlines()[0]
    assert written == ",".join(header)
    read = read_manifest(tmp_path / "m.csv")
    assert read == [{**each, "duration": 1.25} for each in rows]
    write_manifest(tmp_path / "again.csv", read)
    written = (tmp_path / "m.csv").read_bytes()
    assert (tmp_path / "again.csv").read_bytes() == written


def test_all_optional_columns(tmp_path, row):
    row.update(start=0.25, noise_wav=row["wav"], noise_start=0.5, seed="1")
    rows = [noisy_row(row, intent="call")]
    write_manifest(tmp_path / "m.csv", rows)
    header = ",".join((*COLUMNS, *OPTIONAL_COLUMNS))
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == header
    read = read_manifest(tmp_path / "m.csv")
    assert read == [{**each, "duration": 1.25} for each in rows]


def test_some_optional_columns(tmp_path, row):
    rows = [{**row, "phn": "HH"}, {**row, "ID": "utt-2"}]
    write_manifest(tmp_path / "m.csv", rows)
    text = (tmp_path / "m.csv").read_text()
    assert text.startswith("ID,duration,wav,spk_id,wrd,phn\n")
    assert [each["phn"] for each in read_manifest(tmp_path / "m.csv")] == [
        "HH",
        "",
    ]


def test_a_manifest_without_them_is_as_it_was(tmp_path, row):
    write_manifest(tmp_path / "m.csv", [{**row, "wrd": "Hi."}])
    assert (tmp_path / "m.csv").read_text() == (
        f"ID,duration,wav,spk_id,wrd\nutt-1,1.25,{row['wav']},s1,Hi.\n"
    )


@pytest.mark.parametrize("noisy", ["", "gone.wav"])
def test_a_missing_noisy_file(tmp_path, row, noisy):
    path = tmp_path / "m.csv"
    write_manifest(path, [noisy_row(row, noisy_wav=noisy)])
    message = error_of(path)
    assert message.endswith(f"utt-1: no noisy audio file {noisy or '(empty)'}")


@pytest.mark.parametrize("snr", ["nan", "loud", "inf"])
def test_an_snr_that_is_none(tmp_path, row, snr):
    write_manifest(tmp_path / "m.csv", [noisy_row(row, snr=snr)])
    message = error_of(tmp_path / "m.csv")
    assert message.endswith(f"snr is '{snr}'; expected a number in dB")


def test_manifests_of_other_columns(tmp_path, row):
    columns = ("ID", "duration", "wav", "kind")
    rows = [{"ID": "a", "duration": 2.0, "wav": row["wav"], "kind": "hum"}]
    write_rows(tmp_path / "noise.csv", rows, columns)
    assert read_rows(tmp_path / "noise.csv", columns) == rows
    with pytest.raises(UserError, match="no column kind; expected the columns"):
        write_manifest(tmp_path / "m.csv", [row])
        read_rows(tmp_path / "m.csv", columns)


# Data sets


def pair(tmp_path, clean=(800, 16000), noisy=(800, 16000)):
    """Write a pair of (samples, rate) and its manifest."""
    files = {}
    for name, (n_samples, rate), level in (
        ("wav", clean, 0.25),
        ("noisy_wav", noisy, 0.5),
    ):
        files[name] = tmp_path / f"{name}.wav"
        soundfile.write(files[name], numpy.full(n_samples, level), rate)
    row = dict(ID="u", duration=0.05, spk_id="s", wrd="Hi.", phn="HH AY")
    write_manifest(tmp_path / "m.csv", [{**row, **files, "snr": 5}])
    return tmp_path / "m.csv"


def test_a_data_set_of_pairs(tmp_path):
    dataset = manifest_dataset(pair(tmp_path))
    (batch,) = make_dataloader(dataset)
    assert batch.sig.data.tolist() == [[0.25] * 800]
    assert batch.noisy.data.tolist() == [[0.5] * 800]
    assert (batch.id, batch.wrd, batch.phn) == (["u"], ["Hi."], ["HH AY"])
    dataset.set_output_keys(["snr", "noisy"])
    assert dataset[0]["snr"] == 5.0


def test_pairs_are_resampled_alike(tmp_path):
    path = pair(tmp_path, clean=(2400, 48000), noisy=(2400, 48000))
    item = manifest_dataset(path)[0]
    assert item["sig"].shape == item["noisy"].shape == torch.Size([800])


def test_a_data_set_without_pairs_has_what_it_had(tmp_path):
    path = pair(tmp_path)
    rows = read_manifest(path)
    write_manifest(path, [{key: rows[0][key] for key in COLUMNS}])
    assert set(manifest_dataset(path)[0]) == {"id", "sig", "wrd"}


@pytest.mark.parametrize(
    ("noisy", "numbers"),
    [
        ((801, 16000), "801 samples, and its clean recording .* has 800;"),
        ((800, 8000), "8000 Hz, and its clean recording .* has 16000 Hz;"),
    ],
)
def test_a_pair_that_does_not_fit(tmp_path, noisy, numbers):
    path = pair(tmp_path, noisy=noisy)
    with pytest.raises(UserError, match=f"noisy_wav.wav: {numbers}") as caught:
        manifest_dataset(path)
    assert "\n" not in str(caught.value)
