"""AISHELL-1 (O-COCOSDA, 2017) as it is unpacked: read speech, Mandarin."""

import logging
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

logger = logging.getLogger(__name__)

SPLITS = ("train", "dev", "test")
TRANSCRIPT = Path("transcript", "aishell_transcript_v0.8.txt")


def prepare_aishell1(data_folder, save_folder, splits=SPLITS):
    """Write a manifest of each split of AISHELL-1.

    Its layout is ``wav/<split>/<speaker>/<utterance>.wav`` and
    ``transcript/aishell_transcript_v0.8.txt``, a line an utterance. The words
    of the transcripts are joined, as Mandarin is written. Utterances without a
    line there are left out, with a warning that counts them. Nothing is done
    where that was done before.

    Arguments
    ---------
    data_folder : str or Path
        The folder ``data_aishell`` or the one that holds it.
    save_folder : str or Path
        Where to write the manifests.
    splits : sequence of str
        Of :data:`SPLITS`.

    Returns
    -------
    dict
        From the split to its manifest's Path, ``<save_folder>/<split>.csv``.

    Raises
    ------
    UserError
        When the folder is not AISHELL-1, a transcript is unreadable or names an
        utterance twice, or a split is missing, still packed or without any
        transcript.

    Example
    -------
    >>> prepare_aishell1("nowhere", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; expected ...
    """
    folder = _find(Path(data_folder))
    transcript = folder / TRANSCRIPT
    files = {split: _list(folder, split) for split in splits}
    manifests = {split: Path(save_folder) / f"{split}.csv" for split in splits}
    settings = {
        "folder": str(folder),
        "files": [len(paths) for paths in files.values()],
        "newest": newest([transcript]),
    }
    if not is_prepared(manifests.values(), settings):
        texts = _read_transcript(transcript)
        for split, paths in files.items():
            _prepare(manifests[split], split, paths, texts, transcript)
        mark_prepared(manifests.values(), settings)
    return manifests


def _find(data_folder):
    if not data_folder.is_dir():
        raise UserError(
            f"{data_folder}: no such folder; expected AISHELL-1's data_aishell "
            "(or the folder that holds it)"
        )
    for folder in (data_folder, data_folder / "data_aishell"):
        if (folder / TRANSCRIPT).is_file():
            return folder.resolve()
    raise UserError(
        f"{data_folder}: not AISHELL-1; expected {TRANSCRIPT} in it or in its "
        "data_aishell"
    )


def _list(folder, split):
    paths = sorted((folder / "wav" / split).glob("*/*.wav"))
    if not paths:
        raise UserError(
            f"{folder / 'wav' / split}: no recordings; expected "
            f"wav/{split}/<speaker>/<utterance>.wav (each speaker's archive "
            "has to be unpacked)"
        )
    return paths


def _read_transcript(path):
    texts = {}
    lines = read_text(path, "AISHELL-1's transcripts").splitlines()
    for line in filter(str.strip, lines):
        utterance, *words = line.split()
        if utterance in texts:
            raise UserError(
                f"{path}: {utterance} has two lines; expected one each"
            )
        if not words:
            raise UserError(f"{path}: {utterance} has no transcript")
        texts[utterance] = "".join(words)
    return texts


def _prepare(manifest, split, paths, texts, transcript):
    known = [path for path in paths if path.stem in texts]
    if not known:
        raise UserError(
            f"{transcript}: has no line of the {len(paths)} utterances in "
            f"{split}; expected the utterance's name, then its words"
        )
    if len(known) < len(paths):
        logger.warning(
            "AISHELL-1: %d of %d utterances in %s have no transcript and are "
            "left out",
            len(paths) - len(known),
            len(paths),
            split,
        )
    durations = audio_durations(known, f"AISHELL-1: {split}", "expected speech")
    write_manifest(
        manifest,
        [
            {
                "ID": path.stem,
                "duration": duration,
                "wav": path,
                "spk_id": path.parent.name,
                "wrd": texts[path.stem],
            }
            for path, duration in zip(known, durations, strict=True)
        ],
    )
