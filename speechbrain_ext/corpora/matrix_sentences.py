"""Matrix sentences: a small vocabulary in which no word tells the next.

As in the sentence tests of audiology (Hagerman, Scandinavian Audiology 11,
1982), a sentence takes one word from each of a few columns, so that a million
of them share 70 words. A recogniser of them is learnt within minutes, and what
it gets wrong in noise is what it did not hear.
"""

import zlib

from speechbrain_ext.corpora.mini_words import entries

#: What is chosen from, in the order of a sentence. Speech alone decides the
#: spelling of each.
COLUMNS = (
    entries("""
        Peter, Alice, Thomas, Laura, Daniel, Emma, William, Olivia, George,
        Susan"""),
    entries("""
        bought, lost, found, painted, carried, ordered, noticed, borrowed,
        kept, wanted"""),
    entries("""
        two, three, four, five, six, seven, nine, eleven, twelve, twenty"""),
    entries("""
        old, green, cheap, heavy, pretty, dark, large, small, silver, yellow"""),
    entries("""
        bottles, ships, chairs, rings, tables, toys, spoons, windows, flowers,
        boxes"""),
    entries("""
        on Monday, on Friday, yesterday, in April, last winter, this morning,
        at midnight, before breakfast, after the concert, in the garden"""),
)


def random_sentence(rng):
    """Draw a sentence: cased, with a full stop.

    Arguments
    ---------
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    str
        One English sentence.

    Example
    -------
    >>> import numpy
    >>> random_sentence(numpy.random.default_rng(1))
    'Daniel ordered eleven yellow bottles on Friday.'
    """
    words = [column[int(rng.integers(len(column)))] for column in COLUMNS]
    return f"{' '.join(words)}."


def grammar_checksum():
    """Sum up all words, to know whether they have changed.

    Returns
    -------
    int
        A CRC-32.
    """
    return zlib.crc32(repr(COLUMNS).encode())
