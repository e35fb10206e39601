"""Data for SUPERB's tasks, with noise (section 5.1.3 of paper 3).

Each manifest names a noise for each utterance, at -3 to 20 dB in train and
valid and at 0 to 10 dB in test; whether it is added, who reads it decides.
Official training leaves it out, noise-robust training does not.
"""

from pathlib import Path

from speechbrain_ext.corpora.fluent_commands import prepare_fluent_commands
from speechbrain_ext.corpora.librispeech import prepare_librispeech
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.mini_commands import prepare_mini_commands
from speechbrain_ext.corpora.mini_trials import prepare_mini_trials
from speechbrain_ext.corpora.mixture_manifests import (
    write_mixture_manifests,
    write_noise_manifests,
)
from speechbrain_ext.corpora.noise_mixtures import SNR_RANGES
from speechbrain_ext.corpora.prepare import (
    prepare_corpus,
    prepare_generic_enhancement,
)
from speechbrain_ext.corpora.trials import all_trials, read_trials, write_trials
from speechbrain_ext.corpora.voxceleb import prepare_voxceleb

#: Where the manifests without noise are, below those with it.
SPEECH = "speech"


def prepare_recognition(
    data_folder,
    save_folder,
    noise_folder="",
    train_splits=("train-clean-100",),
    valid_splits=("dev-clean",),
    test_splits=("test-clean",),
    seed=1234,
    train_minutes=36.0,
):
    """Write manifests for speech recognition.

    Arguments
    ---------
    data_folder : str or Path
        LibriSpeech's folder. Empty: the noisy mini corpus.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv`` and ``test.csv``.
    noise_folder : str or Path
        As :func:`~speechbrain_ext.corpora.prepare.prepare_generic_enhancement`
        takes it.
    train_splits, valid_splits, test_splits : sequence of str
        LibriSpeech's.
    seed : int
        Of the noise.
    train_minutes : float
        Minutes of the mini corpus to train on.

    Returns
    -------
    dict
        The Path by name.

    Raises
    ------
    UserError
        When a folder is missing or has another layout.

    Example
    -------
    >>> prepare_recognition("nowhere", "manifests", "noise")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; expected ...
    """
    if not str(data_folder or ""):
        return prepare_generic_enhancement(
            "", save_folder, noise_folder, train_minutes=train_minutes
        )
    splits = {"train": train_splits, "valid": valid_splits, "test": test_splits}
    speech = prepare_librispeech(
        data_folder, Path(save_folder) / SPEECH, splits
    )
    noises = write_noise_manifests(noise_folder, save_folder)
    return write_mixture_manifests(speech, noises, save_folder, seed)


def prepare_verification(
    data_folder,
    save_folder,
    noise_folder="",
    trials_file=None,
    seed=1234,
    train_minutes=36.0,
):
    """Write manifests and trials for speaker verification.

    Arguments
    ---------
    data_folder : str or Path
        VoxCeleb1's folder. Empty: the mini corpus's voices to train and
        validate on, and to test on those of
        :func:`~speechbrain_ext.corpora.mini_trials.prepare_mini_trials`.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv``, ``test.csv``,
        ``valid-trials.csv`` and ``test-trials.csv``.
    noise_folder : str or Path
        As :func:`~speechbrain_ext.corpora.prepare.prepare_generic_enhancement`
        takes it.
    trials_file : str or Path, optional
        As :func:`~speechbrain_ext.corpora.voxceleb.prepare_voxceleb` takes it.
    seed : int
        Of the noise and of where training cuts.
    train_minutes : float
        Minutes of the mini corpus to train on.

    Returns
    -------
    dict
        The Path by name.

    Raises
    ------
    UserError
        When a folder is missing or has another layout, or the trials name
        what is not there.

    Example
    -------
    >>> prepare_verification("nowhere", "manifests", "noise")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: holds no wav; expected ...
    """
    speech_folder = Path(save_folder) / SPEECH
    if str(data_folder or ""):
        made = prepare_voxceleb(data_folder, speech_folder, trials_file, seed)
    else:
        made = prepare_corpus("", speech_folder, train_minutes=train_minutes)
        made["valid-trials"] = speech_folder / "valid-trials.csv"
        write_trials(
            made["valid-trials"], all_trials(read_manifest(made["valid"]))
        )
        made |= prepare_mini_trials(speech_folder)
    speech = {name: made[name] for name in SNR_RANGES}
    noises = _noises(data_folder, noise_folder, save_folder, train_minutes)
    manifests = write_mixture_manifests(speech, noises, save_folder, seed)
    for split in ("valid", "test"):
        name = f"{split}-trials"
        trials = read_trials(made[name], read_manifest(manifests[split]))
        manifests[name] = Path(save_folder) / f"{name}.csv"
        write_trials(manifests[name], trials)
    return manifests


def prepare_intents(
    data_folder, save_folder, noise_folder="", seed=1234, train_minutes=36.0
):
    """Write manifests for intent classification.

    Arguments
    ---------
    data_folder : str or Path
        Fluent Speech Commands' folder. Empty: commands that the mini corpus's
        voices say, made in the cache folder on first use.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv`` and ``test.csv``, with
        ``intent``.
    noise_folder : str or Path
        As :func:`~speechbrain_ext.corpora.prepare.prepare_generic_enhancement`
        takes it.
    seed : int
        Of the noise.
    train_minutes : float
        Minutes of the noisy mini corpus whose noise is taken.

    Returns
    -------
    dict
        The Path by name.

    Raises
    ------
    UserError
        When a folder is missing or has another layout.

    Example
    -------
    >>> prepare_intents("nowhere", "manifests", "noise")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: holds no data/train_data.csv; ...
    """
    if str(data_folder or ""):
        speech = prepare_fluent_commands(
            data_folder, Path(save_folder) / SPEECH
        )
    else:
        speech = prepare_mini_commands()
    noises = _noises(data_folder, noise_folder, save_folder, train_minutes)
    return write_mixture_manifests(speech, noises, save_folder, seed)


def _noises(data_folder, noise_folder, save_folder, train_minutes):
    """Manifests of noise by split; a real corpus wants real noise."""
    if str(noise_folder or "") or str(data_folder or ""):
        return write_noise_manifests(noise_folder, save_folder)
    made = prepare_generic_enhancement("", None, train_minutes=train_minutes)
    return {split: made[f"{split}-noise"] for split in SNR_RANGES}
