"""LJSpeech's layout, which many single-speaker corpora share."""

import itertools
from pathlib import Path

import numpy

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    is_prepared,
    mark_prepared,
    newest,
    read_text,
)
from speechbrain_ext.errors import UserError


def prepare_ljspeech(
    data_folder,
    save_folder,
    valid_fraction=0.05,
    test_fraction=0.05,
    seed=1234,
):
    """Write manifests of LJSpeech (Ito and Johnson, 2017) or of its like.

    The layout is ``metadata.csv``, lines of ``id|text|normalised text``, beside
    ``wavs/<id>.wav``. The normalised text, numbers in words, is taken where
    there is one. Nothing is done when the manifests are newer than
    ``metadata.csv`` and were made with the same arguments.

    Arguments
    ---------
    data_folder : str or Path
        The folder that holds ``metadata.csv``.
    save_folder : str or Path
        Where to write the manifests.
    valid_fraction : float
        Share of the utterances to validate on.
    test_fraction : float
        Share of the utterances to test on; 1 (with ``valid_fraction=0``) makes
        all of them a test set.
    seed : int
        Of the draw that decides which utterance goes where.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``; a split
        without utterances has none.

    Raises
    ------
    UserError
        When the folder has another layout, a line is malformed or without text,
        an audio file is missing or unreadable, or the fractions are not within
        0 and 1 together.

    Example
    -------
    >>> prepare_ljspeech("no/such/folder", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no metadata.csv; \
expected LJSpeech's layout, metadata.csv and wavs/
    """
    if min(valid_fraction, test_fraction) < 0 or (
        valid_fraction + test_fraction > 1
    ):
        raise UserError(
            f"valid_fraction, test_fraction: are {valid_fraction} and "
            f"{test_fraction}; expected two numbers from 0 with a sum up to 1"
        )
    folder = Path(data_folder)
    metadata = folder / "metadata.csv"
    for part in (metadata, folder / "wavs"):
        if not part.exists():
            raise UserError(
                f"{folder}: no {part.name}; expected LJSpeech's layout, "
                "metadata.csv and wavs/"
            )
    folder = folder.resolve()
    texts = _read_metadata(metadata)
    splits = _split(list(texts), valid_fraction, test_fraction, seed)
    manifests = {name: Path(save_folder) / f"{name}.csv" for name in splits}
    settings = {
        "folder": str(folder),
        "newest": newest([metadata]),
        "valid_fraction": valid_fraction,
        "test_fraction": test_fraction,
        "seed": seed,
    }
    if is_prepared(manifests.values(), settings):
        return manifests
    wavs = [folder / "wavs" / f"{utterance}.wav" for utterance in texts]
    durations = audio_durations(wavs, "LJSpeech")
    rows = {
        utterance: {
            "ID": utterance,
            "duration": duration,
            "wav": wav,
            "spk_id": utterance.split("-")[0][:2] or "reader",
            "wrd": texts[utterance],
        }
        for utterance, wav, duration in zip(texts, wavs, durations, strict=True)
    }
    for name, utterances in splits.items():
        write_manifest(
            manifests[name], [rows[utterance] for utterance in utterances]
        )
    mark_prepared(manifests.values(), settings)
    return manifests


def _read_metadata(metadata):
    """Read what is said in each utterance, in the file's order."""
    texts = {}
    lines = read_text(metadata, "LJSpeech's metadata").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # Quotes are part of the text there: this is no ordinary CSV.
        utterance, *columns = (part.strip() for part in line.split("|"))
        text = next((column for column in reversed(columns) if column), "")
        if not utterance or not text:
            raise UserError(
                f"{metadata}: line {number} lacks an id or a text; "
                "expected id|text|normalised text"
            )
        if utterance in texts:
            raise UserError(f"{metadata}: {utterance} appears twice")
        texts[utterance] = text
    if not texts:
        raise UserError(f"{metadata}: holds no utterances")
    return texts


def _split(utterances, valid_fraction, test_fraction, seed):
    """Draw utterances for test and validation; each split in sorted order."""
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    utterances = sorted(utterances)
    drawn = iter(rng.permutation(len(utterances)))
    sizes = {
        "test": round(test_fraction * len(utterances)),
        "valid": round(valid_fraction * len(utterances)),
        "train": len(utterances),
    }
    splits = {
        name: [utterances[i] for i in sorted(itertools.islice(drawn, size))]
        for name, size in sizes.items()
    }
    return {name: splits[name] for name in reversed(splits) if splits[name]}
