"""The data of spectrogram fusion (paper 4, section 4.1): speech and noise.

AISHELL-1 and PNL 100 Nonspeech Sounds, or what stands in for them where nothing
can be downloaded: matrix sentences that SVOX Pico speaks, in synthesised noise.
"""

import itertools
import re
from pathlib import Path

import numpy

from speechbrain_ext.corpora.aishell1 import prepare_aishell1
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corpora.mini_noise import make_mini_noise
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.corpora.noise_mixtures import (
    list_at_each_snr,
    list_mixtures,
    split_kinds,
)
from speechbrain_ext.corpora.noisy_mini import speak_babble
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import cache_folder, make_folder_once

#: dB: seen in training, and not.
SEEN_SNRS = (0.0, 5.0, 10.0, 15.0, 20.0)
UNSEEN_SNRS = (-5.0, 2.5, 7.5, 12.5, 17.5)
#: Each test set's speech and SNRs.
TEST_SETS = {"test_1": ("dev", SEEN_SNRS), "test_2": ("test", UNSEEN_SNRS)}
#: What each has of the recordings of noise; no two have any of one kind.
NOISE_SHARES = {"train": 0.7, "test_1": 0.15, "test_2": 0.15}
#: The share of AISHELL-1's speakers in training that are validated on instead:
#: the paper, which takes the last epoch, needs none.
VALID_SPEAKERS = 0.015


def letters(text):
    """Reduce English to lower-case letters, spaces and apostrophes.

    Arguments
    ---------
    text : str
        A sentence.

    Returns
    -------
    str

    Example
    -------
    >>> letters("It is twenty-one o'clock, Peter!")
    "it is twenty one o'clock peter"
    """
    return " ".join(re.sub(r"[^a-z']+", " ", text.lower()).split())


def aishell_speech(data_folder, save_folder, seed):
    """List AISHELL-1's utterances, some of train's to validate on.

    Arguments
    ---------
    data_folder : str or Path
        The folder ``data_aishell`` or the one that holds it.
    save_folder : Path
        Where to write manifests of its splits.
    seed : int
        Of who is validated on: 1.5 % of the speakers in train.

    Returns
    -------
    dict
        A manifest's rows for ``"train"``, ``"valid"``, ``"dev"`` and
        ``"test"``.

    Raises
    ------
    UserError
        As :func:`~speechbrain_ext.corpora.aishell1.prepare_aishell1`'s; when
        train has one speaker only.

    Example
    -------
    >>> aishell_speech("nowhere", Path("out"), 1)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; expected ...
    """
    manifests = prepare_aishell1(data_folder, save_folder)
    rows = {split: read_manifest(path) for split, path in manifests.items()}
    speakers = sorted({row["spk_id"] for row in rows["train"]})
    if len(speakers) < 2:
        raise UserError(
            f"{data_folder}: one speaker in train; expected two at least, as "
            "some are validated on"
        )
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    count = max(1, round(VALID_SPEAKERS * len(speakers)))
    held = {speakers[place] for place in rng.permutation(len(speakers))[:count]}
    parts = {"train": [], "valid": []}
    for row in rows["train"]:
        parts["valid" if row["spk_id"] in held else "train"].append(row)
    return {**parts, "dev": rows["dev"], "test": rows["test"]}


def mini_speech(train_minutes, valid_utterances, test_utterances, seed):
    """Let the mini corpus's voices say matrix sentences.

    Arguments
    ---------
    train_minutes : float
        Minutes of speech to train on.
    valid_utterances : int
        How many to validate on.
    test_utterances : int
        How many in each of ``"dev"`` and ``"test"``, nearly.
    seed : int
        Of sentences and voices.

    Returns
    -------
    dict
        A manifest's rows for ``"train"``, ``"valid"``, ``"dev"`` and
        ``"test"``; no two have a sentence or a voice in common. Their text is
        of :func:`letters`.

    Raises
    ------
    UserError
        As :func:`~speechbrain_ext.corpora.mini.prepare_mini`'s.

    Example
    -------
    >>> mini_speech(0, 1, 1, 1)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: train_minutes: is 0; expected a number ...
    """
    sizes = f"{train_minutes:g}-minutes-{valid_utterances}-{test_utterances}"
    manifests = prepare_mini(
        cache_folder() / f"mini-matrix-{sizes}-seed-{seed}",
        seed=seed,
        train_minutes=train_minutes,
        valid_utterances=valid_utterances,
        test_utterances=2 * test_utterances,
        grammar="matrix",
    )
    rows = {split: read_manifest(path) for split, path in manifests.items()}
    for row in itertools.chain.from_iterable(rows.values()):
        row["wrd"] = letters(row["wrd"])
    # Voices take turns, accents too: the first half has both.
    voices = list(dict.fromkeys(row["spk_id"] for row in rows["test"]))
    dev = voices[: (len(voices) + 1) // 2]
    parts = {"dev": [], "test": []}
    for row in rows.pop("test"):
        parts["dev" if row["spk_id"] in dev else "test"].append(row)
    return {**rows, **parts}


def mini_noises(minutes, seed):
    """Synthesise noise of every kind, in the cache folder.

    Arguments
    ---------
    minutes : float
        How much of each kind.
    seed : int
        Of everything that is random.

    Returns
    -------
    list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them.

    Raises
    ------
    UserError
        When there are no minutes, or the cache folder cannot be written.

    Example
    -------
    >>> mini_noises(0, 1)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: noise_minutes: is 0; expected a number ...
    """
    if not minutes > 0:
        raise UserError(
            f"noise_minutes: is {minutes}; expected a number above 0"
        )
    final = cache_folder() / f"mini-noise-{minutes:g}-minutes-seed-{seed}"

    def make(partial):
        """Fill the folder with noises and their manifest."""
        speech = speak_babble(cache_folder() / "mini-babble", seed, 2.0)
        manifest = make_mini_noise(partial, speech, minutes=minutes, seed=seed)
        rows = read_rows(manifest, NOISE_COLUMNS)
        for row in rows:
            row["wav"] = final / Path(row["wav"]).relative_to(partial)
        write_rows(manifest, rows, NOISE_COLUMNS)

    folder = make_folder_once(final, make)
    return read_rows(folder / "noise.csv", NOISE_COLUMNS)


def write_fusion_manifests(speech, noises, save_folder, seed, every_snr=True):
    """Write manifests of speech, of noise, and of mixtures of both.

    Arguments
    ---------
    speech : dict
        A manifest's rows for ``"train"``, ``"valid"``, ``"dev"`` and
        ``"test"``.
    noises : list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them, of three kinds at least.
    save_folder : Path
        Where to write ``train.csv`` (clean), ``valid.csv``, ``test_1.csv`` and
        ``test_2.csv`` (mixtures), and the noises' ``train-noise.csv``,
        ``test_1-noise.csv`` and ``test_2-noise.csv``.
    seed : int
        Of the noises' split and of what is mixed with what.
    every_snr : bool
        Whether the test sets have each utterance at every SNR; else at one
        each, drawn with equal chances.

    Returns
    -------
    dict
        Their Paths by the files' stems.

    Raises
    ------
    UserError
        When there are fewer than three kinds of noise.

    Example
    -------
    >>> write_fusion_manifests({}, [], Path("out"), 1)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: noise: 0 kinds; expected at least 3, ...
    """
    parts = split_kinds(noises, NOISE_SHARES, seed)
    folder, manifests = Path(save_folder), {}
    valid = list_mixtures(
        speech["valid"], parts["train"], None, seed, snrs=SEEN_SNRS
    )
    rows = {"train": speech["train"], "valid": valid}
    for name, (split, snrs) in TEST_SETS.items():
        of_test = speech[split], parts[name]
        if every_snr:
            rows[name] = list_at_each_snr(*of_test, snrs, seed)
        else:
            rows[name] = list_mixtures(*of_test, None, seed, snrs=snrs)
    for name in rows:
        manifests[name] = folder / f"{name}.csv"
        write_manifest(manifests[name], rows[name])
    for split, part in parts.items():
        manifests[f"{split}-noise"] = folder / f"{split}-noise.csv"
        write_rows(manifests[f"{split}-noise"], part, NOISE_COLUMNS)
    return manifests
