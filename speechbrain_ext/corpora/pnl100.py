"""PNL 100 Nonspeech Sounds (Guoning Hu), recordings of twenty kinds of noise."""

import re
from pathlib import Path

from speechbrain_ext.corpora.noise_files import find_noises
from speechbrain_ext.errors import UserError

COUNT = 100
#: The number of the last recording of each kind, as the corpus's page groups
#: them; the first is the one after the kind before. The page counts N88 both as
#: a click and as laughter: here it is a click.
LAST = {
    "crowd": 17,
    "machine": 29,
    "alarm-and-siren": 43,
    "traffic-and-car": 46,
    "animal": 55,
    "water": 69,
    "wind": 78,
    "bell": 82,
    "cough": 85,
    "clap": 86,
    "snore": 87,
    "click": 88,
    "laugh": 90,
    "yawn": 92,
    "cry": 93,
    "shower": 94,
    "tooth-brushing": 95,
    "footsteps": 97,
    "door": 98,
    "phone-dialling": 100,
}
_NAME = re.compile(r"n(\d{1,3})", re.I)


def kind_of(number):
    """Name the kind of a recording.

    Arguments
    ---------
    number : int
        From 1 to 100.

    Returns
    -------
    str

    Example
    -------
    >>> kind_of(1), kind_of(44), kind_of(100)
    ('crowd', 'traffic-and-car', 'phone-dialling')
    """
    return next(kind for kind, last in LAST.items() if number <= last)


def find_pnl100(folder):
    """List the recordings of PNL 100 Nonspeech Sounds, or of another folder.

    Arguments
    ---------
    folder : str or Path
        Where ``n1.wav`` to ``n100.wav`` are, at any depth; or any source that
        :func:`~speechbrain_ext.corpora.noise_files.find_noises` takes, whose
        kinds are then its subfolders or files.

    Returns
    -------
    list of dict
        As ``find_noises`` returns them, ``kind`` one of :data:`LAST` where this
        is PNL 100, which are sorted by number.

    Raises
    ------
    UserError
        When there is nothing there, a file is not audio, or some of the hundred
        are missing.

    Example
    -------
    >>> find_pnl100("nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such file or folder; ...
    """
    rows = find_noises(folder)
    numbers = {row["wav"]: _number(row) for row in rows}
    if not all(numbers.values()):
        return rows
    missing = sorted(set(range(1, COUNT + 1)) - set(numbers.values()))
    if missing or len(rows) != COUNT:
        names = ", ".join(f"n{number}" for number in missing[:3])
        raise UserError(
            f"{folder}: has {len(rows)} of the recordings of PNL 100"
            f"{', without ' + names if names else ''}; expected n1.wav to "
            "n100.wav, once each"
        )
    return sorted(
        ({**row, "kind": kind_of(numbers[row["wav"]])} for row in rows),
        key=lambda row: numbers[row["wav"]],
    )


def _number(row):
    """The number in the file's name, or 0 where this is not of the corpus."""
    found = _NAME.fullmatch(Path(row["wav"]).stem)
    number = int(found[1]) if found else 0
    return number if number <= COUNT else 0
