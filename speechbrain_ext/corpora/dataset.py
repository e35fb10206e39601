"""From a manifest to what a Brain iterates over."""

import logging
from pathlib import Path

from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.noise_mixtures import MixtureReader
from speechbrain_ext.corpora.preparation import check_pairs
from speechbrain_ext.errors import UserError

logger = logging.getLogger(__name__)


def manifest_dataset(manifest, max_seconds=30.0, text_column="wrd", noisy=True):
    """Make a data set of utterances with their text.

    The manifest is checked before any worker process starts: a worker would
    wrap the one line that a person should see.

    Arguments
    ---------
    manifest : str or Path
        A CSV file as :func:`speechbrain_ext.corpora.manifest.read_manifest`
        takes it.
    max_seconds : float
        Longer utterances are left out: Whisper takes 30 s at once.
    text_column : str
        The column that ``wrd`` is read from; utterances where it is empty are
        left out, with a warning that counts them.
    noisy : bool
        Whether to read the noisy recordings, where there are any, or to mix
        the mixtures.

    Returns
    -------
    DynamicItemDataset
        Items with ``id``, ``sig`` ([time], 16 kHz; of a manifest with
        ``start``, the segment from there) and ``wrd``; ``noisy``
        ([time], the damaged ``sig``) and ``phn`` (phones separated by spaces,
        empty where they are not known) where the manifest has ``noisy_wav``
        or ``noise_wav``, and ``phn``. The manifest's other columns can be asked
        for.

    Raises
    ------
    UserError
        When the manifest or a file that it names cannot be used, or a clean
        and a noisy file differ in length or rate.

    Example
    -------
    >>> manifest_dataset("nowhere.csv")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: ...
    """
    rows = {
        row["ID"]: dict(row)
        for row in read_manifest(manifest)
        if row["duration"] <= max_seconds
    }
    if text_column != "wrd":
        rows = _with_text(rows, text_column, manifest)
    for row in rows.values():
        row.pop("ID")
    columns = next(iter(rows.values()), {}).keys()
    dataset = DynamicItemDataset(rows)
    if "start" in columns:
        dataset.add_dynamic_item(
            _load_segment, takes=["wav", "start", "duration"], provides="sig"
        )
    else:
        dataset.add_dynamic_item(load_audio, takes="wav", provides="sig")
    keys = ["id", "sig", "wrd"]
    if noisy and "noisy_wav" in columns:
        pairs = [(row["wav"], row["noisy_wav"]) for row in rows.values()]
        check_pairs(pairs, f"checking {Path(manifest).name}")
        dataset.add_dynamic_item(
            load_audio, takes="noisy_wav", provides="noisy"
        )
        keys.append("noisy")
    elif noisy and "noise_wav" in columns:
        dataset.add_dynamic_item(
            MixtureReader(),
            takes=["sig", "noise_wav", "noise_start", "snr"],
            provides="noisy",
        )
        keys.append("noisy")
    if "phn" in columns:
        keys.append("phn")
    dataset.set_output_keys(keys)
    return dataset


def _load_segment(path, start, duration):
    return load_audio(path, start=start, duration=duration)


def _with_text(rows, column, manifest):
    """Rows whose ``wrd`` is another column's text."""
    kept = {
        name: {**row, "wrd": row[column]}
        for name, row in rows.items()
        if row.get(column)
    }
    if not kept:
        raise UserError(
            f"{manifest}: no utterance has a {column}; expected a column of "
            "this name with some text"
        )
    if len(kept) < len(rows):
        logger.warning(
            "%s: %d of %d utterances have no %s and are left out",
            manifest,
            len(rows) - len(kept),
            len(rows),
            column,
        )
    return kept
