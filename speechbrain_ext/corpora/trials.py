"""Trials of speaker verification: two utterances, of one speaker or two."""

import csv
import itertools
from typing import NamedTuple

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write, describe

#: Whether one speaker says both (1) or not (0), and the utterances' IDs.
COLUMNS = ("label", "enrol", "test")


class Trial(NamedTuple):
    """One question: do both utterances have the same speaker?

    Arguments
    ---------
    label : int
        1 where they do, 0 where they do not.
    enrol, test : str
        The utterances' IDs.

    Example
    -------
    >>> Trial(1, "a", "b").enrol
    'a'
    """

    label: int
    enrol: str
    test: str


def all_trials(rows):
    """Compare each utterance with each other one.

    Arguments
    ---------
    rows : list of dict
        A manifest's, with ``ID`` and ``spk_id``.

    Returns
    -------
    list of Trial

    Example
    -------
    >>> rows = [{"ID": n, "spk_id": n[0]} for n in ("x1", "x2", "y1")]
    >>> [tuple(trial) for trial in all_trials(rows)]
    [(1, 'x1', 'x2'), (0, 'x1', 'y1'), (0, 'x2', 'y1')]
    """
    return [
        Trial(int(one["spk_id"] == other["spk_id"]), one["ID"], other["ID"])
        for one, other in itertools.combinations(rows, 2)
    ]


def write_trials(path, trials):
    """Write trials, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The CSV file.
    trials : iterable of Trial
        What it shall hold.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/trials.csv"
    >>> write_trials(file, [Trial(1, "a", "b")])
    >>> print(open(file).read(), end="")
    label,enrol,test
    1,a,b
    """
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(trials)


def read_trials(path, rows=None):
    """Read trials and check every line.

    Arguments
    ---------
    path : str or Path
        A CSV file with the columns ``label,enrol,test``.
    rows : list of dict, optional
        The manifest's that the trials are of; its IDs are what they may name.

    Returns
    -------
    list of Trial

    Raises
    ------
    UserError
        When the file is missing or has other columns, for a label that is
        neither 0 nor 1 or an utterance that the manifest does not have, and
        when all trials have one label.

    Example
    -------
    >>> read_trials("nowhere.csv")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: cannot be read: ...
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = set(COLUMNS) - set(reader.fieldnames or ())
            lines = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = describe(error) if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read: {reason}") from error
    if missing:
        raise UserError(
            f"{path}: no column {', '.join(sorted(missing))}; expected the "
            f"columns {','.join(COLUMNS)}"
        )
    known = None if rows is None else {row["ID"] for row in rows}
    trials = [
        _trial(f"{path}: trial {number}", line, known)
        for number, line in enumerate(lines, start=1)
    ]
    if len({trial.label for trial in trials}) < 2:
        raise UserError(
            f"{path}: {len(trials)} trials, not of both labels; expected pairs "
            "of one speaker (1) and of two (0)"
        )
    return trials


def _trial(where, line, known):
    label, *names = (line[column] or "" for column in COLUMNS)
    if label not in ("0", "1"):
        raise UserError(f"{where}: label is '{label}'; expected 0 or 1")
    for name in names:
        if known is not None and name not in known:
            raise UserError(
                f"{where}: no utterance '{name}' of a known speaker; expected "
                "an ID of the manifest"
            )
    return Trial(int(label), *names)
