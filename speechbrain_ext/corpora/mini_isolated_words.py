"""Words that the mini corpus's voices speak one at a time."""

import hashlib
import json
import os

from tqdm import tqdm

from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.mini import (
    draw_rendition,
    draw_voices,
    generator,
    save_rendition,
)
from speechbrain_ext.corpora.pico import SAMPLE_RATE, synthesise
from speechbrain_ext.corpora.segments import SEGMENT_SECONDS
from speechbrain_ext.files import make_folder_once

#: To be raised when a change below gives other bytes for the same words.
VERSION = 1
SPLITS = ("train", "valid", "test")
_SEED = 1234
# Apart from the streams that the mini corpus itself takes.
_STREAM = 1000
_AT_ONCE = 256


def prepare_isolated_words(folder, words, n_workers=None):
    """Let each voice of the mini corpus say each word once.

    Voices of train, valid and test are the mini corpus's, disjoint. The same
    words give the same bytes on every machine.

    Arguments
    ---------
    folder : Path
        The cache folder, in which the recordings get one of their own.
    words : list of str
        What is said.
    n_workers : int, optional
        Processes that speak; as many as there are cores when not given.

    Returns
    -------
    dict
        Rows of a manifest by split; the text of each is one word.

    Raises
    ------
    UserError
        When ``py-nanotts`` is missing or the folder cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> rows = prepare_isolated_words(Path(tempfile.mkdtemp()), ["morning"])
    >>> len(rows["train"]), rows["test"][0]["wrd"]
    (40, 'morning')
    """
    settings = json.dumps([VERSION, _SEED, list(words)])
    name = hashlib.sha256(settings.encode()).hexdigest()[:12]
    final = folder / f"mini-words-{name}"
    n_workers = n_workers or os.cpu_count() or 1
    made = make_folder_once(
        final, lambda partial: _speak(partial, final, words, n_workers)
    )
    return {split: read_manifest(made / f"{split}.csv") for split in SPLITS}


def _speak(partial, final, words, n_workers):
    voices = draw_voices(_SEED)
    for place, split in enumerate(SPLITS):
        (partial / split).mkdir()
        rng = generator(_SEED, _STREAM + place)
        renditions = [
            (word, voice, *draw_rendition(rng, word, voice))
            for word in words
            for voice in voices[split]
        ]
        rows = []
        bar = tqdm(
            total=len(renditions),
            desc=f"isolated words: {split}",
            unit="words",
        )
        with bar:
            for first in range(0, len(renditions), _AT_ONCE):
                part = renditions[first : first + _AT_ONCE]
                speech = synthesise([each[2] for each in part], n_workers)
                rows += _save(partial, split, first, part, speech)
                bar.update(len(part))
        for row in rows:
            row["wav"] = final / row["wav"]
        write_manifest(partial / f"{split}.csv", rows)


def _save(folder, split, first, renditions, speech):
    """Write what fits into a segment; return its rows."""
    rows = []
    for number, (rendition, samples) in enumerate(
        zip(renditions, speech, strict=True), start=first
    ):
        word, voice, _, noise, noise_seed = rendition
        duration = len(samples) / SAMPLE_RATE
        if duration > SEGMENT_SECONDS:
            continue
        name = f"word-{split}-{number:05d}"
        file = f"{split}/{name}.wav"
        save_rendition(folder / file, samples, noise, noise_seed)
        rows.append(
            {
                "ID": name,
                "duration": duration,
                "wav": file,
                "spk_id": voice.name,
                "wrd": word,
            }
        )
    return rows
