"""Utterances cut into segments of equal length (paper 2, section 2.1)."""

from pathlib import Path

from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.prepare import prepare_corpus
from speechbrain_ext.errors import UserError

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


def cut_segments(utterances, manifest, seconds=SEGMENT_SECONDS):
    """Cut utterances into segments that do not overlap.

    What is left at an utterance's end is not used.

    Arguments
    ---------
    utterances : str or Path
        Their manifest.
    manifest : str or Path
        The segments' manifest to write; each has a ``start`` in its file and
        its utterance's text.
    seconds : float
        Of a segment.

    Raises
    ------
    UserError
        When all utterances are shorter.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a.wav").touch()
    >>> row = dict(
    ...     ID="a", duration=2.5, wav=folder / "a.wav", spk_id="s", wrd="Hi."
    ... )
    >>> write_manifest(folder / "utterances.csv", [row])
    >>> cut_segments(folder / "utterances.csv", folder / "segments.csv")
    >>> rows = read_manifest(folder / "segments.csv")
    >>> [(row["ID"], row["start"]) for row in rows]
    [('a-000', 0.0), ('a-001', 1.024)]
    """
    segments = [
        {
            **row,
            "ID": f"{row['ID']}-{number:03d}",
            "start": row.get("start", 0.0) + number * seconds,
            "duration": seconds,
        }
        for row in read_manifest(utterances)
        # Durations are in whole samples; what is a hair short is not.
        for number in range(int(row["duration"] / seconds + 1e-6))
    ]
    if not segments:
        raise UserError(
            f"{utterances}: no utterance is as long as a segment; expected "
            f"{seconds} s or more"
        )
    write_manifest(manifest, segments)
