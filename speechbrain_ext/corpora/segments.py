"""Utterances cut into segments of equal length (paper 2, section 2.1)."""

import logging
from pathlib import Path

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
)
from speechbrain_ext.corpora.prepare import prepare_corpus
from speechbrain_ext.errors import UserError

logger = logging.getLogger(__name__)

#: Of a segment: 16384 samples at 16 kHz.
SEGMENT_SECONDS = 1.024


def prepare_segments(
    data_folder,
    save_folder,
    train_splits=("train-clean-100",),
    valid_splits=("test-clean",),
    test_splits=("dev-clean",),
    train_minutes=36.0,
    names=("train", "valid", "test"),
):
    """Write manifests of segments of 1024 ms.

    Arguments
    ---------
    data_folder : str or Path
        As :func:`~speechbrain_ext.corpora.prepare.prepare_corpus` takes it;
        empty is the mini corpus.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv`` and ``test.csv``; the
        utterances' manifests are written into its ``utterances``.
    train_splits, valid_splits, test_splits : sequence of str
        LibriSpeech's; the paper monitors on test-clean and evaluates on
        dev-clean.
    train_minutes : float
        Minutes of the mini corpus to train on.
    names : sequence of str
        Which of the three manifests are wanted.

    Returns
    -------
    dict
        The manifest's Path by name.

    Raises
    ------
    UserError
        When the folder is missing or has no known layout, or all utterances are
        shorter than a segment.

    Example
    -------
    >>> prepare_segments("nowhere", "manifests")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; ...
    """
    utterances = prepare_corpus(
        data_folder,
        Path(save_folder) / "utterances",
        train_splits,
        valid_splits,
        test_splits,
        train_minutes,
    )
    manifests = {name: Path(save_folder) / f"{name}.csv" for name in names}
    for name, manifest in manifests.items():
        cut_segments(utterances[name], manifest)
    return manifests


def cut_segments(utterances, manifest):
    """Write a manifest of utterances' segments, which do not overlap.

    Arguments
    ---------
    utterances : str or Path
        Their manifest.
    manifest : str or Path
        The segments' manifest to write; each has a ``start`` in its file and
        its utterance's text.

    Raises
    ------
    UserError
        When the utterances' manifest cannot be used, or all are shorter than a
        segment.

    Example
    -------
    >>> cut_segments("nowhere.csv", "segments.csv")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: no such file; ...
    """
    write_manifest(manifest, _cut(read_manifest(utterances), utterances))


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
    if "start" not in rows[0]:
        return _cut(rows, manifest)
    for row in rows:
        if _samples(row["duration"]) != _samples(SEGMENT_SECONDS):
            raise UserError(
                f"{manifest}: {row['ID']}: lasts {row['duration']:g} s; "
                f"expected a segment of {SEGMENT_SECONDS} s where the manifest "
                "has a start"
            )
    return rows


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
    return load_audio(row["wav"], start=row["start"], duration=SEGMENT_SECONDS)


def _cut(rows, manifest):
    """Rows of segments; what is left at an utterance's end is not used."""
    length = _samples(SEGMENT_SECONDS)
    segments = [
        {
            **row,
            "ID": f"{row['ID']}-{number:03d}",
            "start": row.get("start", 0.0) + number * SEGMENT_SECONDS,
            "duration": SEGMENT_SECONDS,
        }
        for row in rows
        for number in range(_samples(row["duration"]) // length)
    ]
    if not segments:
        raise UserError(
            f"{manifest}: no file is as long as a segment; expected "
            f"{SEGMENT_SECONDS} s or more"
        )
    short = sum(_samples(row["duration"]) < length for row in rows)
    if short:
        logger.warning(
            "%s: %d of %d files are shorter than a segment of %s s and are "
            "left out",
            manifest,
            short,
            len(rows),
            SEGMENT_SECONDS,
        )
    return segments


def _samples(seconds):
    return round(seconds * SAMPLE_RATE)
