"""Fluent Speech Commands as it is unpacked: CSV files and WAV files."""

import csv
from pathlib import Path

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    is_prepared,
    mark_prepared,
    newest,
    read_text,
)
from speechbrain_ext.errors import UserError

#: Manifests and the files that they are made of.
SPLITS = {
    "train": "train_data.csv",
    "valid": "valid_data.csv",
    "test": "test_data.csv",
}
#: What an intent consists of; its parts stand in a manifest with this between
#: them.
SLOTS = ("action", "object", "location")
SEPARATOR = "|"
_COLUMNS = ("path", "speakerId", "transcription", *SLOTS)


def prepare_fluent_commands(data_folder, save_folder):
    """Write manifests of Fluent Speech Commands (Lugosch et al., 2019).

    Its layout is ``data/{train,valid,test}_data.csv`` and the WAV files below
    ``wavs/speakers/<speaker>/`` that they name. Nothing is done when the
    manifests are newer than the CSV files.

    Arguments
    ---------
    data_folder : str or Path
        The folder ``fluent_speech_commands_dataset`` or the one that holds it.
    save_folder : str or Path
        Where to write the manifests.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``, with
        ``intent``: ``action|object|location``.

    Raises
    ------
    UserError
        When the folder has another layout, a CSV file lacks a column, or an
        audio file is missing.

    Example
    -------
    >>> prepare_fluent_commands("no/such/folder", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: holds no \
data/train_data.csv; expected Fluent Speech Commands (or the folder that \
holds it)
    """
    folder = _find(Path(data_folder))
    tables = {split: folder / "data" / name for split, name in SPLITS.items()}
    manifests = {split: Path(save_folder) / f"{split}.csv" for split in SPLITS}
    for table in tables.values():
        if not table.is_file():
            raise UserError(f"{table}: no such file; expected a CSV table")
    settings = {"folder": str(folder), "newest": newest(tables.values())}
    if is_prepared(manifests.values(), settings):
        return manifests
    for split, table in tables.items():
        rows = [_row(folder, line) for line in _read(table)]
        durations = audio_durations(
            [row["wav"] for row in rows],
            f"Fluent Speech Commands: {split}",
            f"{table.name} names it",
        )
        for row, duration in zip(rows, durations, strict=True):
            row["duration"] = duration
        write_manifest(manifests[split], rows)
    mark_prepared(manifests.values(), settings)
    return manifests


def _find(data_folder):
    for folder in (data_folder, *sorted(data_folder.glob("*/"))):
        if (folder / "data" / SPLITS["train"]).is_file():
            return folder.resolve()
    raise UserError(
        f"{data_folder}: holds no data/{SPLITS['train']}; expected Fluent "
        "Speech Commands (or the folder that holds it)"
    )


def _read(table):
    text = read_text(table, "a CSV table")
    reader = csv.DictReader(text.splitlines(), restval="")
    missing = set(_COLUMNS) - set(reader.fieldnames or ())
    if missing:
        raise UserError(
            f"{table}: no column {', '.join(sorted(missing))}; expected the "
            f"columns {','.join(_COLUMNS)}"
        )
    return list(reader)


def _row(folder, line):
    return {
        "ID": Path(line["path"]).stem,
        "wav": folder / line["path"],
        "spk_id": line["speakerId"],
        "wrd": line["transcription"],
        "intent": SEPARATOR.join(line[slot] for slot in SLOTS),
    }
