"""From a manifest to what a Brain iterates over."""

from speechbrain.dataio.dataset import DynamicItemDataset

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.manifest import read_manifest


def manifest_dataset(manifest, max_seconds=30.0):
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

    Returns
    -------
    DynamicItemDataset
        Items with ``id``, ``sig`` ([time], 16 kHz), ``wrd`` and ``duration``.

    Raises
    ------
    UserError
        When the manifest or a file that it names cannot be used.

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
    for row in rows.values():
        row.pop("ID")
    dataset = DynamicItemDataset(rows)
    dataset.add_dynamic_item(load_audio, takes="wav", provides="sig")
    dataset.set_output_keys(["id", "sig", "wrd"])
    return dataset
