"""From a data folder of any known layout to a recipe's manifests."""

from pathlib import Path

from speechbrain_ext.corpora.allsstar import prepare_allsstar
from speechbrain_ext.corpora.fleurs import prepare_fleurs
from speechbrain_ext.corpora.fusion_corpus import (
    aishell_speech,
    mini_noises,
    mini_speech,
    write_fusion_manifests,
)
from speechbrain_ext.corpora.librispeech import prepare_librispeech
from speechbrain_ext.corpora.ljspeech import prepare_ljspeech
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corpora.mixture_manifests import (
    write_mixture_manifests,
    write_noise_manifests,
)
from speechbrain_ext.corpora.noise_mixtures import SNR_RANGES
from speechbrain_ext.corpora.noisy_mini import prepare_noisy_mini
from speechbrain_ext.corpora.plc_challenge import prepare_plc_challenge
from speechbrain_ext.corpora.pnl100 import find_pnl100
from speechbrain_ext.corpora.voicebank import prepare_voicebank
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import cache_folder


def prepare_corpus(
    data_folder,
    save_folder,
    train_splits=("train-clean-100",),
    valid_splits=("dev-clean",),
    test_splits=("test-clean",),
    train_minutes=36.0,
):
    """Write ``train.csv``, ``valid.csv`` and ``test.csv``.

    Arguments
    ---------
    data_folder : str or Path
        The folder of LibriSpeech or of Voicebank + DEMAND, or a folder in
        LJSpeech's layout. Empty: the mini corpus, made in the cache folder on
        first use.
    save_folder : str or Path
        Where to write the manifests.
    train_splits : sequence of str
        LibriSpeech's splits to train on.
    valid_splits : sequence of str
        LibriSpeech's splits to validate on.
    test_splits : sequence of str
        LibriSpeech's splits to test on.
    train_minutes : float
        Minutes of the mini corpus to train on.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``.

    Raises
    ------
    UserError
        When the folder is missing or has none of the layouts.

    Example
    -------
    >>> prepare_corpus("nowhere", "manifests")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; ...
    """
    if not str(data_folder or ""):
        folder = cache_folder() / f"mini-{float(train_minutes):g}-minutes"
        return prepare_mini(folder, save_folder, train_minutes=train_minutes)
    folder = Path(data_folder)
    if not folder.is_dir():
        raise UserError(
            f"{data_folder}: no such folder; expected LibriSpeech or a folder "
            "in LJSpeech's layout (leave data_folder empty for the mini corpus)"
        )
    if (folder / "metadata.csv").is_file():
        return prepare_ljspeech(folder, save_folder)
    if (folder / "clean_trainset_28spk_wav").is_dir():
        return prepare_voicebank(folder, save_folder)
    splits = {
        "train": list(train_splits),
        "valid": list(valid_splits),
        "test": list(test_splits),
    }
    return prepare_librispeech(folder, save_folder, splits)


def prepare_noisy_corpus(
    data_folder, save_folder, noise_folder="", train_minutes=36.0, repeat=False
):
    """Write manifests of pairs of clean and noisy speech.

    Arguments
    ---------
    data_folder : str or Path
        Voicebank + DEMAND's folder. Empty: the noisy mini corpus, made in the
        cache folder on first use.
    save_folder : str or Path
        Where to write the manifests.
    noise_folder : str or Path
        Recordings of noise for the noisy mini corpus. Empty: noise is
        synthesised.
    train_minutes : float
        Minutes of the noisy mini corpus to train on.
    repeat : bool
        Whether a recording of noise that is shorter than the speech starts
        again at its end.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``; of the
        noisy mini corpus also for ``"train-noise"``, ``"valid-noise"`` and
        ``"test-noise"``.

    Raises
    ------
    UserError
        When the folder is missing or has another layout, or the noises cannot
        be used.

    Example
    -------
    >>> prepare_noisy_corpus("nowhere", "manifests")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; expected ...
    """
    if str(data_folder or ""):
        if not Path(data_folder).is_dir():
            raise UserError(
                f"{data_folder}: no such folder; expected Voicebank + DEMAND's "
                "(leave data_folder empty for the noisy mini corpus)"
            )
        return prepare_voicebank(data_folder, save_folder)
    size = f"{float(train_minutes):g}-minutes"
    return _cached_noisy_mini(
        "noisy-mini",
        size,
        save_folder,
        noise_folder,
        train_minutes=train_minutes,
        repeat=repeat,
    )


def _cached_noisy_mini(name, size, save_folder, noise_folder, **settings):
    """The noisy mini corpus in the cache folder, beside its clean speech."""
    noise = f"-{Path(noise_folder).resolve().name}" if noise_folder else ""
    return prepare_noisy_mini(
        cache_folder() / f"{name}-{size}{noise}",
        save_folder,
        noise_folder,
        clean_folder=cache_folder() / f"mini-{size}",
        **settings,
    )


def prepare_generic_enhancement(
    data_folder,
    save_folder,
    noise_folder="",
    train_splits=("train-clean-100", "train-clean-360", "train-other-500"),
    valid_splits=("dev-clean",),
    test_splits=("test-clean",),
    n_train=100_000,
    n_valid=5_000,
    n_test=3_000,
    seed=1234,
    train_minutes=36.0,
    test_utterances=80,
):
    """Write manifests of mixtures (section 5.1.1 of paper 3).

    SNRs are drawn uniformly, from -3 to 20 dB in train and valid, from 0 to
    10 dB in test; train, valid and test share no recording of noise.

    Arguments
    ---------
    data_folder : str or Path
        LibriSpeech's folder; its mixtures are made when they are read. Empty:
        the noisy mini corpus, made in the cache folder on first use, whose
        mixtures are files; the kinds of noise in its test are not those in
        training.
    save_folder : str or Path
        Where to write the manifests.
    noise_folder : str or Path
        Recordings of noise: the DNS Challenge's folder, or any with audio
        files. Empty, for the mini corpus: noise is synthesised.
    train_splits, valid_splits, test_splits : sequence of str
        LibriSpeech's.
    n_train, n_valid, n_test : int
        How many mixtures; the mini corpus has one an utterance.
    seed : int
        Of what is mixed with what.
    train_minutes : float
        Minutes of the mini corpus to train on.
    test_utterances : int
        How many of the mini corpus to test on.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``, and
        those of the noises, ``"train-noise"``, ``"valid-noise"`` and
        ``"test-noise"``.

    Raises
    ------
    UserError
        When a folder is missing or has another layout, or the noises cannot be
        used.

    Example
    -------
    >>> prepare_generic_enhancement("nowhere", "manifests", "noise")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; expected ...
    """
    if not str(data_folder or ""):
        size = f"{float(train_minutes):g}-minutes"
        # Another test set is another corpus.
        size += f"-{test_utterances}-test" if test_utterances != 80 else ""
        return _cached_noisy_mini(
            "noisy-mini-generic",
            size,
            save_folder,
            noise_folder,
            train_minutes=train_minutes,
            test_utterances=test_utterances,
            seed=seed,
            repeat=True,
            snr_ranges=SNR_RANGES,
        )
    splits = {"train": train_splits, "valid": valid_splits, "test": test_splits}
    speech = prepare_librispeech(
        data_folder, Path(save_folder) / "speech", splits
    )
    noises = write_noise_manifests(noise_folder, save_folder)
    counts = {"train": n_train, "valid": n_valid, "test": n_test}
    return write_mixture_manifests(speech, noises, save_folder, seed, counts)


def prepare_spectrogram_fusion(
    data_folder,
    save_folder,
    noise_folder="",
    train_minutes=36.0,
    valid_utterances=100,
    test_utterances=100,
    noise_minutes=5.0,
    seed=1234,
):
    """Write the manifests of spectrogram fusion (section 4.1 of paper 4).

    The noises are divided 70 : 15 : 15 between training and the two test sets,
    whole kinds at a time. Test set 1 is AISHELL-1's dev at the SNRs of training
    (0, 5, 10, 15 and 20 dB), test set 2 its test at others (-5, 2.5, 7.5, 12.5
    and 17.5 dB): each utterance at one of them, as the averages in the paper's
    tables tell; the mini corpus's at every one, in the same noise. Mixtures are
    made when they are read. Training's are not listed, as
    :class:`~speechbrain_ext.corruption.noise.AdditiveNoise` draws new ones in
    each epoch from ``train-noise.csv``.

    Arguments
    ---------
    data_folder : str or Path
        AISHELL-1's folder; 1.5 % of its speakers in train are validated on.
        Empty: matrix sentences that the mini corpus's voices say, made in the
        cache folder on first use.
    save_folder : str or Path
        Where to write the manifests.
    noise_folder : str or Path
        PNL 100 Nonspeech Sounds, or recordings of noise with a subfolder a
        kind. Empty, for the mini corpus: noise of twelve kinds is synthesised.
    train_minutes : float
        Minutes of the mini corpus to train on.
    valid_utterances : int
        How many of the mini corpus to validate on.
    test_utterances : int
        How many of the mini corpus are in each test set, before they are mixed.
    noise_minutes : float
        How much of each kind of noise to synthesise.
    seed : int
        Of the mini corpus, the noises' split and the mixtures.

    Returns
    -------
    dict
        The manifest's Path for ``"train"`` (clean), ``"valid"``, ``"test_1"``
        and ``"test_2"`` (mixtures), and those of the noises, ``"train-noise"``,
        ``"test_1-noise"`` and ``"test_2-noise"``.

    Raises
    ------
    UserError
        When a folder is missing or has another layout, there is no noise for
        AISHELL-1, or there are fewer than three kinds of noise.

    Example
    -------
    >>> prepare_spectrogram_fusion("nowhere", "manifests", "noise")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: noise: no such file or folder; ...
    """
    if str(data_folder or "") and not str(noise_folder or ""):
        raise UserError(
            "noise_folder: not given; expected PNL 100 Nonspeech Sounds or "
            "other recordings of noise to add to AISHELL-1"
        )
    if str(noise_folder or ""):
        noises = find_pnl100(noise_folder)
    else:
        noises = mini_noises(noise_minutes, seed)
    save_folder = Path(save_folder)
    if str(data_folder or ""):
        speech = aishell_speech(data_folder, save_folder / "speech", seed)
    else:
        speech = mini_speech(
            train_minutes, valid_utterances, test_utterances, seed
        )
    return write_fusion_manifests(
        speech, noises, save_folder, seed, every_snr=not str(data_folder or "")
    )


def prepare_test_set(data, save_folder, language=None):
    """Find or make the manifest of a test set.

    Arguments
    ---------
    data : str or Path
        A CSV manifest; or a folder in the layout of LJSpeech (all of it is
        the test set), FLEURS (one language, or the folder above with the
        languages), ALLSSTAR (talkers of Mandarin who speak English), the PLC
        challenge's blind set or Voicebank + DEMAND.
    save_folder : str or Path
        Where to write the manifest.
    language : str or None
        The code of what is spoken: which of FLEURS' languages.

    Returns
    -------
    manifest : Path
        The CSV manifest.
    name : str
        The test set's name in results: the file's or the folder's.
    traces : Path or None
        A folder of lost-packet files, where the test set brings its own; for
        :class:`~speechbrain_ext.corruption.loss_models.TraceLoss`.

    Raises
    ------
    UserError
        When there is no such file or folder, or it has none of the layouts.

    Example
    -------
    >>> prepare_test_set("nowhere", "manifests")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such file or folder; ...
    """
    data = Path(data)
    if data.is_file():
        return data, data.stem, None
    if not data.is_dir():
        raise UserError(
            f"{data}: no such file or folder; expected a CSV manifest or a "
            "test set's folder"
        )
    # As given, "." and "corpus/.." have no name.
    name = data.resolve().name
    if (data / "metadata.csv").is_file():
        manifests = prepare_ljspeech(data, save_folder, 0.0, 1.0)
        return manifests["test"], name, None
    if (data / "clean_testset_wav").is_dir():
        manifests = prepare_voicebank(data, save_folder, ["test"])
        return manifests["test"], name, None
    if next(data.rglob("*_is_lost.txt"), None) is not None:
        manifests, traces = prepare_plc_challenge(data, save_folder)
        return manifests["test"], name, traces
    if next(data.rglob("ALL_*.wav"), None) is not None:
        return prepare_allsstar(data, save_folder)["test"], name, None
    fleurs = _fleurs_folder(data, language)
    if fleurs is not None:
        manifests = prepare_fleurs(fleurs, save_folder)
        return manifests["test"], f"fleurs-{fleurs.resolve().name}", None
    raise UserError(
        f"{data}: not a test set; expected the layout of LJSpeech "
        "(metadata.csv), FLEURS (test.tsv), ALLSSTAR (ALL_*.wav), the PLC "
        "challenge (*_is_lost.txt) or Voicebank (clean_testset_wav)"
    )


def _fleurs_folder(data, language):
    """The folder of one of FLEURS' languages, if this is FLEURS."""
    if (data / "test.tsv").is_file() or (data / "audio").is_dir():
        return data
    for above in (data, data / "data"):
        folders = sorted(table.parent for table in above.glob("*/test.tsv"))
        if not folders:
            continue
        # Whisper says zh where FLEURS says cmn, and so on: name those.
        of_language = [
            folder
            for folder in folders
            if language and folder.name.split("_")[0] == language
        ]
        if len(of_language) == 1:
            return of_language[0]
        raise UserError(
            f"{data}: has FLEURS' {', '.join(f.name for f in folders)}; "
            "expected the folder of one language, or that language's code"
        )
    return None
