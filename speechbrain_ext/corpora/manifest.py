"""SpeechBrain's CSV manifests: one utterance a line, checked when read."""

import csv
import math
from pathlib import Path

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write, describe

#: What each line holds: a unique name, seconds, the audio file, who speaks and
#: what is said.
COLUMNS = ("ID", "duration", "wav", "spk_id", "wrd")
#: What a line may hold besides: the damaged recording of ``wav``, its SNR in
#: dB, the noise in it, the phones that are said, separated by spaces, where in
#: ``wav`` the utterance starts, in seconds; of a mixture that is made when it
#: is read, the recording of noise, where in it the noise starts, in seconds,
#: and the seed that it was drawn with; what the speaker wants.
OPTIONAL_COLUMNS = (
    "noisy_wav",
    "snr",
    "noise",
    "phn",
    "start",
    "noise_wav",
    "noise_start",
    "seed",
    "intent",
)


def read_manifest(path):
    """Read a manifest and check every line of it.

    SpeechBrain's workers meet a bad line minutes into a training and wrap what
    they raise; reading the manifest first says the same in one line.

    Arguments
    ---------
    path : str or Path
        A CSV file with the columns ``ID,duration,wav,spk_id,wrd``, in any
        order, and perhaps any of :data:`OPTIONAL_COLUMNS`; more columns are
        kept.
        ``$data_root`` or any other variable in ``wav`` is not replaced: paths
        are absolute, or relative to the working folder.

    Returns
    -------
    list of dict
        One for each utterance, in the file's order; ``duration`` is a float in
        seconds, as are ``start`` and ``noise_start``, ``snr`` a float in dB or
        None, everything else a string.

    Raises
    ------
    UserError
        When the file is missing, is not text or holds no utterance; when a
        column is missing (named); and, by the utterance's ID, for a duplicate
        ID, a duration that is not a positive number, an SNR or a start that is
        no number, an audio file that does not exist or an empty transcript.

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
    rows = read_rows(path, COLUMNS)
    for row in rows:
        _check_utterance(f"{path}: {row['ID'].strip()}", row)
    return rows


def read_rows(path, columns):
    """Read a manifest of any audio files and check what all of them share.

    Arguments
    ---------
    path : str or Path
        A CSV file.
    columns : sequence of str
        What it must have; ``ID``, ``duration`` and ``wav`` among them.

    Returns
    -------
    list of dict
        One for each line, in the file's order; ``duration``, and ``start`` and
        ``noise_start``, where there is one, are floats in seconds, everything
        else a string.

    Raises
    ------
    UserError
        As :func:`read_manifest`'s, without the text's.

    Example
    -------
    >>> read_rows("noise.csv", ("ID", "duration", "wav", "kind"))
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: noise.csv: no such file; ...
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a CSV manifest")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            _check_columns(path, reader.fieldnames, columns)
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
        ``ID``, ``duration`` (seconds), ``wav``, ``spk_id`` and ``wrd``. Those
        of :data:`OPTIONAL_COLUMNS` are written that any of them has.

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
    rows = list(rows)
    optional = [
        name for name in OPTIONAL_COLUMNS if any(name in row for row in rows)
    ]
    write_rows(path, rows, (*COLUMNS, *optional))


def write_rows(path, rows, columns):
    """Write a manifest of any audio files, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The CSV file to write.
    rows : iterable of dict
        One for each line, in the order to be written.
    columns : sequence of str
        What to write of each, ``duration`` (seconds) among them.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "noise.csv"
    >>> write_rows(file, [{"ID": "a", "duration": 2}], ("ID", "duration"))
    >>> print(file.read_text(), end="")
    ID,duration
    a,2.0
    """
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            # repr keeps every digit: samples = duration * rate stays exact.
            duration = repr(float(row["duration"]))
            writer.writerow({**row, "duration": duration})


def _check_columns(path, names, expected):
    missing = [name for name in expected if name not in (names or ())]
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(missing)}; "
            f"expected the columns {','.join(expected)}"
        )


def _check_row(path, number, row, seen):
    """Check one line; its duration and its start become floats."""
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
    for name in ("start", "noise_start"):
        if name in row:
            row[name] = _start(where, name, row[name])
    if not Path(row["wav"]).is_file():
        raise UserError(f"{where}: no audio file {row['wav'] or '(empty)'}")


def _check_utterance(where, row):
    """Check what only utterances have; an SNR becomes a float or None."""
    if not row["wrd"].strip():
        raise UserError(f"{where}: empty transcript (wrd); expected text")
    noisy = row.get("noisy_wav")
    if noisy is not None and not Path(noisy).is_file():
        raise UserError(f"{where}: no noisy audio file {noisy or '(empty)'}")
    if "snr" in row:
        row["snr"] = _snr(where, row["snr"])
    if "noise_wav" in row:
        _check_mixture(where, row)


def _check_mixture(where, row):
    if not Path(row["noise_wav"]).is_file():
        name = row["noise_wav"] or "(empty)"
        raise UserError(f"{where}: no recording of noise {name}")
    if row.get("noise_start") is None or row.get("snr") is None:
        raise UserError(
            f"{where}: noise_wav without noise_start and snr; expected where "
            "the noise starts in it (seconds) and the SNR (dB)"
        )


def _snr(where, text):
    if not text.strip():
        return None
    snr = _number(text)
    if not math.isfinite(snr):
        raise UserError(f"{where}: snr is '{text}'; expected a number in dB")
    return snr


def _start(where, name, text):
    start = _number(text)
    if not (math.isfinite(start) and start >= 0):
        raise UserError(f"{where}: {name} is '{text}'; expected seconds from 0")
    return start


def _duration(where, text):
    duration = _number(text)
    if not (math.isfinite(duration) and duration > 0):
        raise UserError(
            f"{where}: duration is '{text}'; expected seconds above 0"
        )
    return duration


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan
