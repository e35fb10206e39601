"""FLEURS (Conneau et al., SLT 2022): read speech in 102 languages."""

import logging
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

#: What a line of a TSV file holds; there is no header.
_COLUMNS = (
    "id",
    "file_name",
    "raw_transcription",
    "transcription",
    "letters",
    "num_samples",
    "gender",
)

logger = logging.getLogger(__name__)


def prepare_fleurs(data_folder, save_folder, splits=("test",)):
    """Write manifests of one of FLEURS' languages.

    The layout is that of the files as they are distributed, unpacked:
    ``test.tsv`` beside ``audio/test/*.wav`` (or ``test/*.wav``), in the
    language's folder (``es_419``). The texts are the corpus's transcriptions:
    lower case, without punctuation. Nothing is done when the manifests are
    newer than the TSV files.

    Arguments
    ---------
    data_folder : str or Path
        The language's folder.
    save_folder : str or Path
        Where to write the manifests.
    splits : sequence of str
        Of ``train``, ``dev`` and ``test``.

    Returns
    -------
    dict
        The manifest's Path for each split.

    Raises
    ------
    UserError
        When a TSV file or the audio is missing or packed still, a line is
        malformed, or an audio file is missing or unreadable.

    Example
    -------
    >>> prepare_fleurs("no/such/es_419", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/es_419: no test.tsv; expected \
FLEURS' layout, test.tsv and audio/test/
    """
    folder = Path(data_folder)
    manifests = {}
    for split in splits:
        table = folder / f"{split}.tsv"
        if not table.is_file():
            raise UserError(
                f"{folder}: no {table.name}; expected FLEURS' layout, "
                f"{table.name} and audio/{split}/"
            )
        manifests[split] = _prepare_split(table, Path(save_folder))
    return manifests


def _prepare_split(table, save_folder):
    split = table.stem
    manifest = save_folder / f"{split}.csv"
    settings = {"table": str(table.resolve()), "newest": newest([table])}
    if is_prepared([manifest], settings):
        return manifest
    utterances = _read_table(table)
    audio = _audio_folder(table).resolve()
    wavs = [audio / row["file_name"] for row in utterances]
    durations = audio_durations(wavs, f"FLEURS {split}")
    write_manifest(
        manifest,
        [
            {
                "ID": wav.stem,
                "duration": duration,
                "wav": wav,
                # The corpus does not say who speaks.
                "spk_id": row["gender"].lower(),
                "wrd": row["transcription"],
            }
            for row, wav, duration in zip(
                utterances, wavs, durations, strict=True
            )
        ],
    )
    mark_prepared([manifest], settings)
    return manifest


def _audio_folder(table):
    split = table.stem
    for folder in (table.parent / "audio" / split, table.parent / split):
        if folder.is_dir():
            return folder
    archive = table.parent / "audio" / f"{split}.tar.gz"
    if archive.is_file():
        raise UserError(
            f"{archive}: packed still; unpack it there: "
            f"tar -C {archive.parent} -xzf {archive}"
        )
    raise UserError(
        f"{table.parent}: no audio/{split}; expected FLEURS' layout, "
        f"{table.name} and audio/{split}/"
    )


def _read_table(table):
    rows = {}
    lines = read_text(table, "FLEURS' transcripts").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # Quotes are part of the text there: this is no ordinary CSV.
        values = [value.strip() for value in line.split("\t")]
        if len(values) != len(_COLUMNS):
            raise UserError(
                f"{table}: line {number} has {len(values)} columns; expected "
                f"{len(_COLUMNS)} with tabs between them: "
                f"{', '.join(_COLUMNS)}"
            )
        row = dict(zip(_COLUMNS, values))
        if not row["file_name"] or not row["transcription"]:
            raise UserError(
                f"{table}: line {number} lacks a file name or a text"
            )
        if rows.setdefault(row["file_name"], row) is not row:
            logger.warning(
                "%s: line %d names %s again; the first one counts",
                *(table, number, row["file_name"]),
            )
    if not rows:
        raise UserError(f"{table}: holds no utterances")
    return list(rows.values())
