"""Praat's TextGrid files: intervals of time with a text, in tiers."""

import re
from pathlib import Path
from typing import NamedTuple

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import describe

# A quote within a text is doubled; numbers stand alone, or after "xmin =".
_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|(?<![\w.\[])(-?\d+(?:\.\d*)?(?:e-?\d+)?)\b(?![\]:])'
)


class Interval(NamedTuple):
    """A stretch of a recording and what is said there; times in seconds."""

    start: float
    end: float
    text: str


def read_textgrid(path):
    """Read the interval tiers of a TextGrid, of the long or the short kind.

    Arguments
    ---------
    path : str or Path
        The file, in UTF-8 or UTF-16, as Praat writes it.

    Returns
    -------
    dict
        A list of :class:`Interval` for each interval tier's name, in the
        file's order; tiers of points are left out.

    Raises
    ------
    UserError
        When the file is missing or is no TextGrid.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.TextGrid"
    >>> _ = file.write_text(
    ...     'File type = "ooTextFile"\\nObject class = "TextGrid"\\n\\n'
    ...     '0\\n1.5\\n<exists>\\n1\\n"IntervalTier"\\n"word"\\n0\\n1.5\\n1\\n'
    ...     '0\\n1.5\\n"Say ""hi""."\\n'
    ... )
    >>> read_textgrid(file)
    {'word': [Interval(start=0.0, end=1.5, text='Say "hi".')]}
    """
    tokens = iter(_tokens(path))
    tiers = {}
    try:
        if [next(tokens), next(tokens)] != ["ooTextFile", "TextGrid"]:
            raise ValueError
        next(tokens), next(tokens)
        for _ in range(int(next(tokens))):
            kind, name = next(tokens), next(tokens)
            next(tokens), next(tokens)
            # A point has a time and a text, an interval two times and a text.
            columns = 3 if kind == "IntervalTier" else 2
            rows = [
                [next(tokens) for _ in range(columns)]
                for _ in range(int(next(tokens)))
            ]
            if kind == "IntervalTier":
                tiers[name] = [
                    Interval(float(start), float(end), str(text).strip())
                    for start, end, text in rows
                ]
    except (StopIteration, RuntimeError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: truncated or damaged; expected a TextGrid of Praat's"
        ) from error
    return tiers


def _tokens(path):
    """The file's texts as str and its numbers as float, in order."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {describe(error)}") from error
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        # What Praat writes is older than UTF-8 on some machines.
        text = data.decode("latin-1")
    for match in _TOKEN.finditer(text):
        quoted, number = match.groups()
        yield float(number) if quoted is None else quoted.replace('""', '"')
