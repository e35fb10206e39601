"""From manifests of speech and a folder of noise to manifests of mixtures."""

from pathlib import Path

from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS, find_noises
from speechbrain_ext.corpora.noise_mixtures import (
    SNR_RANGES,
    list_mixtures,
    split_noises,
)
from speechbrain_ext.corpora.preparation import (
    is_prepared,
    mark_prepared,
    newest,
)
from speechbrain_ext.errors import UserError

#: Where the DNS Challenge (Reddy et al., Interspeech 2021) has its noise.
DNS_FOLDERS = (
    "noise_fullband",
    "noise",
    "datasets_fullband/noise_fullband",
    "datasets/noise",
)


def write_noise_manifests(noise_folder, save_folder):
    """Write what train, valid and test have of a folder's recordings.

    :func:`~speechbrain_ext.corpora.noise_mixtures.split_noises` divides them.
    Nothing is done where that was done before.

    Arguments
    ---------
    noise_folder : str or Path
        The DNS Challenge's folder or any other that has audio files, of any
        rate, somewhere below it.
    save_folder : str or Path
        Where to write ``train-noise.csv``, ``valid-noise.csv`` and
        ``test-noise.csv``.

    Returns
    -------
    dict
        Their Paths by ``"train"``, ``"valid"`` and ``"test"``.

    Raises
    ------
    UserError
        When no folder is given, it is missing or has fewer than three
        recordings, or one is not audio.

    Example
    -------
    >>> write_noise_manifests("", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: noise_folder: not given; expected ...
    """
    if not str(noise_folder or ""):
        raise UserError(
            "noise_folder: not given; expected recordings of noise, for "
            "example the DNS Challenge's noise_fullband"
        )
    folder = _find_noise(Path(noise_folder))
    manifests = {
        split: Path(save_folder) / f"{split}-noise.csv" for split in SNR_RANGES
    }
    files = [path for path in folder.rglob("*") if path.is_file()]
    settings = {
        "folder": str(folder.resolve()),
        "files": len(files),
        "newest": newest(files),
    }
    if not is_prepared(manifests.values(), settings, _read_noise):
        for split, rows in split_noises(find_noises(folder)).items():
            write_rows(manifests[split], rows, NOISE_COLUMNS)
        mark_prepared(manifests.values(), settings)
    return manifests


def _read_noise(manifest):
    return read_rows(manifest, NOISE_COLUMNS)


def _find_noise(folder):
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected recordings of noise"
        )
    for name in DNS_FOLDERS:
        if (folder / name).is_dir():
            return folder / name
    return folder


def write_mixture_manifests(speech, noises, save_folder, seed, counts=None):
    """Write manifests of mixtures, unless that was done before.

    Arguments
    ---------
    speech : dict
        A manifest's Path by ``"train"``, ``"valid"`` and ``"test"``.
    noises : dict
        The same of manifests of noise.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv`` and ``test.csv``; not where
        those of the speech are.
    seed : int
        Of what is mixed with what.
    counts : dict, optional
        How many mixtures each has; each utterance is in one where none are
        given.

    Returns
    -------
    dict
        Their Paths by split, and those of the noises by ``"train-noise"`` and
        so on.

    Raises
    ------
    UserError
        When a manifest cannot be used, or a count is below 1.

    Example
    -------
    >>> write_mixture_manifests({}, {}, "out", 1, {"test": 0})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: test: 0 mixtures; expected 1 or more
    """
    counts = dict(counts or {})
    for split, count in counts.items():
        if count < 1:
            raise UserError(f"{split}: {count} mixtures; expected 1 or more")
    manifests = {split: Path(save_folder) / f"{split}.csv" for split in speech}
    settings = {
        "speech": [str(path) for path in speech.values()],
        "noises": [str(noises[split]) for split in speech],
        "newest": newest([*speech.values(), *noises.values()]),
        "seed": seed,
        "counts": counts,
        "snr_ranges": {name: list(dB) for name, dB in SNR_RANGES.items()},
    }
    if not is_prepared(manifests.values(), settings):
        for split, manifest in manifests.items():
            mixtures = list_mixtures(
                read_manifest(speech[split]),
                _read_noise(noises[split]),
                SNR_RANGES[split],
                seed,
                counts.get(split),
            )
            write_manifest(manifest, mixtures)
        mark_prepared(manifests.values(), settings)
    return manifests | {f"{name}-noise": path for name, path in noises.items()}
