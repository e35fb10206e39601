"""From a data folder of any known layout to a recipe's three manifests."""

from pathlib import Path

from speechbrain_ext.corpora.librispeech import prepare_librispeech
from speechbrain_ext.corpora.ljspeech import prepare_ljspeech
from speechbrain_ext.corpora.mini import prepare_mini
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
        LibriSpeech's folder, or a folder in LJSpeech's layout. Empty: the mini
        corpus, made in the cache folder on first use.
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
    splits = {
        "train": list(train_splits),
        "valid": list(valid_splits),
        "test": list(test_splits),
    }
    return prepare_librispeech(folder, save_folder, splits)
