"""Statistics of training speech, kept in a file."""

import hashlib
from pathlib import Path

import torch

from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.files import write_text
from speechbrain_ext.weight_files import save_weights


def fit_statistics(features, manifest, path, batch_size=64, n_workers=0):
    """Fit features to the speech of a manifest, once.

    Arguments
    ---------
    features : torch.nn.Module
        What has ``fit``, for example
        :class:`~speechbrain_ext.features.segment_log_magnitude.SegmentLogMagnitude`.
    manifest : str or Path
        The training set's.
    path : str or Path
        A ``.safetensors`` file for them; it is left as it is where it was made
        of the same manifest.
    batch_size : int
        Utterances that are read at once.
    n_workers : int
        Processes that read.

    Raises
    ------
    UserError
        When the manifest or its audio cannot be used, or the file not written.

    Example
    -------
    >>> fit_statistics(None, "nowhere.csv", "statistics.safetensors")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: ...
    """
    path = Path(path)
    record = path.with_suffix(".sha256")
    text = read_text(manifest, "a CSV manifest")
    checksum = hashlib.sha256(text.encode()).hexdigest()
    if path.is_file() and record.is_file() and record.read_text() == checksum:
        return
    dataset = manifest_dataset(manifest, noisy=False)
    dataset.set_output_keys(["sig"])
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size,
        num_workers=n_workers,
        collate_fn=_pad,
    )
    features.fit(loader)
    save_weights(path, features)
    write_text(record, checksum)


def _pad(items):
    """Waveforms of different lengths, and their relative lengths."""
    wavs = [item["sig"] for item in items]
    longest = max(map(len, wavs))
    lengths = torch.tensor([len(wav) for wav in wavs]) / longest
    return torch.nn.utils.rnn.pad_sequence(wavs, True), lengths
