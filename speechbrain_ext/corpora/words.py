"""Words one at a time, to classify (paper 2, section 2.4)."""

import re
from collections import Counter
from pathlib import Path

from speechbrain_ext.corpora.librispeech import find_split
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.mini_isolated_words import prepare_isolated_words
from speechbrain_ext.corpora.segments import SEGMENT_SECONDS, prepare_segments
from speechbrain_ext.corpora.word_alignments import read_word_alignments
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import cache_folder, write_text

#: The file with the words, one a line, beside the manifests.
WORDS = "words.txt"
#: Letters of the shortest word.
SHORTEST = 4
#: The folder with the manifest of the segments that statistics are taken from.
SEGMENTS = "segments"


def prepare_words(
    data_folder,
    save_folder,
    n_words=1000,
    train_splits=("train-clean-100",),
    valid_splits=("test-clean",),
    test_splits=("dev-clean",),
    train_minutes=36.0,
):
    """Write manifests of the most frequent words, and the words.

    Arguments
    ---------
    data_folder : str or Path
        LibriSpeech's folder, with ``<speaker>-<chapter>.alignment.txt`` beside
        the transcripts. Empty: the mini corpus, whose words are spoken one at
        a time by its voices.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv``, ``test.csv``, ``words.txt``
        and, of whole segments to take statistics from, ``segments/train.csv``.
    n_words : int
        How many words; the paper: 1000, of at least four letters.
    train_splits, valid_splits, test_splits : sequence of str
        LibriSpeech's.
    train_minutes : float
        Minutes of the mini corpus that its words are counted in.

    Returns
    -------
    dict
        The manifest's Path by name.

    Raises
    ------
    UserError
        When the folder is missing, has no alignments, or has fewer words.

    Example
    -------
    >>> prepare_words("nowhere", "manifests")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; ...
    """
    save_folder = Path(save_folder)
    parts = dict(train=train_splits, valid=valid_splits, test=test_splits)
    prepare_segments(
        data_folder,
        save_folder / SEGMENTS,
        **{f"{name}_splits": splits for name, splits in parts.items()},
        train_minutes=train_minutes,
        names=["train"],
    )
    if str(data_folder or ""):
        rows = {
            name: [
                row
                for split in splits
                for row in _aligned_words(find_split(data_folder, split))
            ]
            for name, splits in parts.items()
        }
        counts = Counter(row["wrd"] for row in rows["train"])
        words = frequent_words(counts, n_words, data_folder)
    else:
        words = _words_of_texts(
            save_folder / SEGMENTS / "utterances" / "train.csv", n_words
        )
        rows = prepare_isolated_words(cache_folder(), words)
    write_text(save_folder / WORDS, "\n".join(words) + "\n")
    chosen = set(words)
    manifests = {name: save_folder / f"{name}.csv" for name in rows}
    for name, manifest in manifests.items():
        kept = [row for row in rows[name] if row["wrd"] in chosen]
        if not kept:
            raise UserError(
                f"{data_folder}: {name} has none of the words; expected some "
                "of the training set's most frequent"
            )
        write_manifest(manifest, kept)
    return manifests


def frequent_words(counts, n_words, where):
    """Choose the most frequent words of four letters and more.

    Arguments
    ---------
    counts : collections.Counter
        How often each word is said.
    n_words : int
        How many are wanted.
    where : str or Path
        What was counted, for the message of an error.

    Returns
    -------
    list of str
        The most frequent first; of equally frequent ones in the alphabet's
        order.

    Raises
    ------
    UserError
        When there are fewer.

    Example
    -------
    >>> counts = Counter(["with", "with", "a", "a", "a", "from", "been"])
    >>> frequent_words(counts, 2, "train.csv")
    ['with', 'been']
    """
    long = [word for word in counts if len(word) >= SHORTEST]
    if len(long) < n_words:
        raise UserError(
            f"{where}: has {len(long)} words of {SHORTEST} letters or more; "
            f"expected {n_words} (n_words)"
        )
    return sorted(long, key=lambda word: (-counts[word], word))[:n_words]


def _words_of_texts(manifest, n_words):
    counts = Counter(
        word
        for row in read_manifest(manifest)
        for word in re.findall(r"[a-z']+", row["wrd"].lower())
    )
    return frequent_words(counts, n_words, manifest)


def _aligned_words(folder):
    """Rows of a split's words that are no longer than a segment."""
    alignments = sorted(folder.glob("*/*/*.alignment.txt"))
    if not alignments:
        raise UserError(
            f"{folder}: holds no word alignments; expected "
            "<speaker>/<chapter>/<speaker>-<chapter>.alignment.txt"
        )
    for alignment in alignments:
        for utterance, words in read_word_alignments(alignment).items():
            for number, (word, start, end) in enumerate(words):
                if len(word) >= SHORTEST and 0 < end - start <= SEGMENT_SECONDS:
                    yield {
                        "ID": f"{utterance}-{number:03d}",
                        "duration": end - start,
                        "wav": alignment.parent / f"{utterance}.flac",
                        "spk_id": utterance.partition("-")[0],
                        "wrd": word,
                        "start": start,
                    }
