"""When LibriSpeech's words are said: the alignments in its tree."""

import math
import re
from typing import NamedTuple

from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.errors import UserError

_LINE = re.compile(r'(\S+)\s+"([^"]*)"\s+"([^"]*)"\s*')


class TimedWord(NamedTuple):
    """A word and when it is said, in seconds."""

    word: str
    start: float
    end: float


def read_word_alignments(path):
    """Read when the words of a chapter are said.

    A line of ``<speaker>-<chapter>.alignment.txt`` is an utterance, its words
    in capitals with commas between them, empty where nobody speaks, and when
    each of them ends: ``61-70968-0000 ",HE,BEGAN," "0.42,0.60,0.98,1.2"``.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    dict
        A list of :class:`TimedWord`, in lower case, by utterance.

    Raises
    ------
    UserError
        When it is unreadable; and, with the line's number, for a line that is
        none, or whose times are not one a word or run backwards.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "61-70968.alignment.txt"
    >>> _ = file.write_text('61-70968-0000 ",HE,BEGAN" "0.42,0.60,0.98"\\n')
    >>> read_word_alignments(file)["61-70968-0000"][1]
    TimedWord(word='began', start=0.6, end=0.98)
    """
    expected = 'word alignments (ID "WORD,..." "seconds,...")'
    found = {}
    for number, line in enumerate(
        read_text(path, expected).splitlines(), start=1
    ):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UserError(f"{path}: line {number}: expected {expected}")
        utterance, words, ends = match.groups()
        found[utterance] = _timed(
            words.split(","), ends.split(","), f"{path}: line {number}"
        )
    return found


def _timed(words, ends, where):
    try:
        ends = [float(end) for end in ends]
    except ValueError:
        ends = [math.nan]
    starts = [0.0, *ends[:-1]]
    in_order = all(start <= end for start, end in zip(starts, ends))
    if len(words) != len(ends) or not in_order:
        raise UserError(
            f"{where}: has {len(words)} words; expected as many times, none "
            "before the one in front of it"
        )
    return [
        TimedWord(word.lower(), start, end)
        for word, start, end in zip(words, starts, ends)
        if word
    ]
