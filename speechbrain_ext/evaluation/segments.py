"""The segments that inpainting is measured on (paper 2, section 2.1)."""

import logging
import math

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import read_rows
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.segment_log_magnitude import SEGMENT_SAMPLES

logger = logging.getLogger(__name__)

#: Of a segment.
SECONDS = SEGMENT_SAMPLES / SAMPLE_RATE


def read_segments(manifest):
    """Read a manifest of segments, or cut a manifest's files into them.

    Arguments
    ---------
    manifest : str or Path
        A CSV file. With a column ``start`` each line is a segment of 1024 ms;
        without one, each file is cut into such segments, which do not overlap,
        and what is left at its end is not used.

    Returns
    -------
    list of dict
        A segment each, with ``ID``, ``wav``, ``start`` and ``duration``, both
        in seconds.

    Raises
    ------
    UserError
        When the manifest cannot be used, a line with a ``start`` is no segment
        of this length, or no file is as long as a segment.

    Example
    -------
    >>> read_segments("nowhere.csv")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: no such file; ...
    """
    rows = read_rows(manifest, ("ID", "duration", "wav"))
    if "start" in rows[0]:
        return [_as_segment(f"{manifest}: {row['ID']}", row) for row in rows]
    segments = [
        {
            **row,
            "ID": f"{row['ID']}-{number:03d}",
            "start": number * SECONDS,
            "duration": SECONDS,
        }
        for row in rows
        for number in range(_samples(row["duration"]) // SEGMENT_SAMPLES)
    ]
    if not segments:
        raise UserError(
            f"{manifest}: no file is as long as a segment; expected {SECONDS} "
            "s or more"
        )
    short = sum(_samples(row["duration"]) < SEGMENT_SAMPLES for row in rows)
    if short:
        logger.warning(
            "%s: %d of %d files are shorter than a segment of %s s and are "
            "left out",
            manifest,
            short,
            len(rows),
            SECONDS,
        )
    return segments


def _samples(seconds):
    return round(seconds * SAMPLE_RATE)


def _as_segment(where, row):
    try:
        start = float(row["start"])
    except ValueError:
        start = math.nan
    if not (math.isfinite(start) and start >= 0):
        raise UserError(
            f"{where}: start is '{row['start']}'; expected seconds, 0 or more"
        )
    if _samples(row["duration"]) != SEGMENT_SAMPLES:
        raise UserError(
            f"{where}: lasts {row['duration']:g} s; expected a segment of "
            f"{SECONDS} s where the manifest has a start"
        )
    return {**row, "start": start}


def load_segment(row):
    """Read a segment's samples.

    Arguments
    ---------
    row : dict
        As :func:`read_segments` gives it.

    Returns
    -------
    torch.Tensor
        [16384], float32, 16 kHz.

    Raises
    ------
    UserError
        When its file cannot be read, or ends before it.

    Example
    -------
    >>> import tempfile, torch
    >>> from speechbrain_ext.audio import save_audio
    >>> file = tempfile.mkdtemp() + "/a.wav"
    >>> save_audio(file, torch.zeros(20000))
    >>> load_segment({"ID": "a", "wav": file, "start": 0.1}).shape
    torch.Size([16384])
    """
    return load_audio(row["wav"], start=row["start"], duration=SECONDS)
