"""SpeechBrain's CSV manifests: one utterance a line, checked when read."""

import csv
import math
from pathlib import Path

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write, describe

#: What each line holds: a unique name, seconds, the audio file, who speaks and
#: what is said.
COLUMNS = ("ID", "duration", "wav", "spk_id", "wrd")


def read_manifest(path):
    """Read a manifest and check every line of it.

    SpeechBrain's workers meet a bad line minutes into a training and wrap what
    they raise; reading the manifest first says the same in one line.

    Arguments
    ---------
    path : str or Path
        A CSV file with the columns ``ID,duration,wav,spk_id,wrd``, in any
        order; more columns are kept. ``$data_root`` or any other variable in
        ``wav`` is not replaced: paths are absolute, or relative to the working
        folder.

    Returns
    -------
    list of dict
        One for each utterance, in the file's order; ``duration`` is a float in
        seconds, everything else a string.

    Raises
    ------
    UserError
        When the file is missing, is not text or holds no utterance; when a
        column is missing (named); and, by the utterance's ID, for a duplicate
        ID, a duration that is not a positive number, an audio file that does
        not exist or an empty transcript.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a.wav").touch()
    >>> row = dict(
    ...     ID="a", duration=1.5, wav=folder / "a.wav", spk_id="s", wrd="Hi."
    ... )
    >>> write_manifest(folder / "train.csv", [row])
    >>> read_manifest(folder / "train.csv")[0]["duration"]
    1.5
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a CSV manifest")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            _check_columns(path, reader.fieldnames)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = describe(error) if isinstance(error, OSError) else error
        raise UserError(
            f"{path}: not a readable CSV manifest ({reason})"
        ) from error
    if not rows:
        raise UserError(f"{path}: no utterances; expected at least one line")
    seen = set()
    for number, row in enumerate(rows, start=1):
        _check_row(path, number, row, seen)
    return rows


def write_manifest(path, rows):
    """Write a manifest, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The CSV file to write.
    rows : iterable of dict
        One for each utterance, in the order to be written, with the keys
        ``ID``, ``duration`` (seconds), ``wav``, ``spk_id`` and ``wrd``.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "test.csv"
    >>> write_manifest(
    ...     file, [dict(ID="a", duration=2, wav="a.wav", spk_id="s", wrd="Hi.")]
    ... )
    >>> print(file.read_text(), end="")
    ID,duration,wav,spk_id,wrd
    a,2.0,a.wav,s,Hi.
    """
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            # repr keeps every digit: samples = duration * rate stays exact.
            duration = repr(float(row["duration"]))
            writer.writerow({**row, "duration": duration})


def _check_columns(path, names):
    missing = [name for name in COLUMNS if name not in (names or ())]
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(missing)}; "
            f"expected the columns {','.join(COLUMNS)}"
        )


def _check_row(path, number, row, seen):
    """Check one line; its duration becomes a float."""
    utterance = (row["ID"] or "").strip()
    if not utterance:
        raise UserError(f"{path}: utterance {number} has an empty ID")
    where = f"{path}: {utterance}"
    if None in row or None in row.values():
        raise UserError(f"{where}: more or fewer values than columns")
    if utterance in seen:
        raise UserError(f"{where}: the ID appears twice; expected unique IDs")
    seen.add(utterance)
    row["duration"] = _duration(where, row["duration"])
    if not Path(row["wav"]).is_file():
        raise UserError(f"{where}: no audio file {row['wav'] or '(empty)'}")
    if not row["wrd"].strip():
        raise UserError(f"{where}: empty transcript (wrd); expected text")


def _duration(where, text):
    try:
        duration = float(text)
    except ValueError:
        duration = math.nan
    if not (math.isfinite(duration) and duration > 0):
        raise UserError(
            f"{where}: duration is '{text}'; expected seconds above 0"
        )
    return duration
