"""LibriSpeech as it is unpacked: folders of FLAC files and transcripts."""

from pathlib import Path

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    is_prepared,
    mark_prepared,
    newest,
    read_text,
)
from speechbrain_ext.errors import UserError

#: Manifests and the splits that they gather.
SPLITS = {
    "train": ("train-clean-100",),
    "valid": ("dev-clean",),
    "test": ("test-clean",),
}


def prepare_librispeech(data_folder, save_folder, splits=None):
    """Write manifests of LibriSpeech (Panayotov et al., 2015).

    Its layout is ``<split>/<speaker>/<chapter>/<speaker>-<chapter>-<n>.flac``,
    with ``<speaker>-<chapter>.trans.txt`` beside the FLAC files. Transcripts,
    upper-case there, are lower-cased. Nothing is done when the manifests are
    newer than the transcripts and made of the same splits.

    Arguments
    ---------
    data_folder : str or Path
        The folder ``LibriSpeech`` or the one that holds it.
    save_folder : str or Path
        Where to write the manifests.
    splits : dict or sequence of str, optional
        From a manifest's name to the splits that it gathers, for example
        ``{"train": ["train-clean-100", "train-clean-360"]}``; a sequence of
        splits makes a manifest of each. :data:`SPLITS` when not given.

    Returns
    -------
    dict
        From the manifest's name to its Path, ``<save_folder>/<name>.csv``.

    Raises
    ------
    UserError
        When the folder is not LibriSpeech or lacks a split, when a transcript
        is unreadable or empty, and for the first audio file without a
        transcript or transcript without an audio file.

    Example
    -------
    >>> prepare_librispeech("no/such/folder", "out", ["dev-clean"])
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no such folder; expected \
LibriSpeech (or the folder that holds it)
    """
    if splits is None:
        splits = SPLITS
    if not isinstance(splits, dict):
        splits = {split: [split] for split in splits}
    manifests = {}
    for name, parts in splits.items():
        # A name on its own, from a command line, is not a list of letters.
        parts = [parts] if isinstance(parts, str) else list(parts)
        folders = [find_split(data_folder, part) for part in parts]
        manifests[name] = Path(save_folder) / f"{name}.csv"
        _prepare(folders, manifests[name])
    return manifests


def find_split(data_folder, split):
    """Find a split's folder.

    Arguments
    ---------
    data_folder : str or Path
        The folder ``LibriSpeech`` or the one that holds it.
    split : str
        For example ``train-clean-100``.

    Returns
    -------
    Path

    Raises
    ------
    UserError
        When there is none.

    Example
    -------
    >>> find_split("no/such/folder", "dev-clean")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no such folder; expected \
LibriSpeech (or the folder that holds it)
    """
    data_folder = Path(data_folder)
    if not data_folder.is_dir():
        raise UserError(
            f"{data_folder}: no such folder; expected LibriSpeech "
            "(or the folder that holds it)"
        )
    for folder in (data_folder, data_folder / "LibriSpeech"):
        if (folder / split).is_dir():
            return (folder / split).resolve()
    raise UserError(
        f"{data_folder}: holds no LibriSpeech split {split}; expected "
        f"{split}/<speaker>/<chapter>/*.flac in it or in its LibriSpeech"
    )


def _prepare(folders, manifest):
    transcripts = []
    for folder in folders:
        found = sorted(folder.glob("*/*/*.trans.txt"))
        if not found:
            raise UserError(
                f"{folder}: holds no transcripts; expected "
                "<speaker>/<chapter>/<speaker>-<chapter>.trans.txt"
            )
        transcripts += found
    settings = {
        "folders": [str(folder) for folder in folders],
        "transcripts": len(transcripts),
        "newest": newest(transcripts),
    }
    if is_prepared([manifest], settings):
        return
    texts = {}
    for transcript in transcripts:
        texts.update(_read_chapter(transcript))
    durations = audio_durations(list(texts), f"LibriSpeech: {manifest.stem}")
    write_manifest(
        manifest,
        (
            {
                "ID": flac.stem,
                "duration": duration,
                "wav": flac,
                "spk_id": flac.stem.split("-")[0],
                "wrd": text,
            }
            for (flac, text), duration in zip(
                texts.items(), durations, strict=True
            )
        ),
    )
    mark_prepared([manifest], settings)


def _read_chapter(transcript):
    """Read what is said in each FLAC file of a chapter."""
    texts = {}
    lines = read_text(transcript, "LibriSpeech's transcripts").splitlines()
    for line in lines:
        utterance, _, text = line.strip().partition(" ")
        if not utterance:
            continue
        flac = transcript.parent / f"{utterance}.flac"
        if not text.strip():
            raise UserError(f"{transcript}: {utterance} has no transcript")
        texts[flac] = text.strip().lower()
    for flac in sorted(transcript.parent.glob("*.flac")):
        if flac not in texts:
            raise UserError(f"{flac}: has no transcript in {transcript.name}")
    return texts
