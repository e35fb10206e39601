"""errors.json: word errors an utterance, by which any two systems compare."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write
from speechbrain_ext.metrics.bootstrap import paired_bootstrap


@dataclass(frozen=True)
class WordErrors:
    """A system's word errors at one level, summed over the damage seeds.

    Arguments
    ---------
    system : str
        Which system.
    ids : sequence of str
        The utterances' ids.
    errors : sequence of int
        Word errors of each.
    words : sequence of int
        Reference words of each, counted once a damage seed.
    backend : str
        What ran it.
    test_set : str
        On what.
    corruption : str
        With which damage.
    level : float
        How much of it.
    seed : int
        The first seed of the damage.

    Example
    -------
    >>> errors = WordErrors(
    ...     "bare", ["a"], [1], [4], "torch", "test", "spans", 0.4, 0
    ... )
    >>> errors.wer
    0.25
    """

    system: str
    ids: list
    errors: list
    words: list
    backend: str
    test_set: str
    corruption: str
    level: float
    seed: int

    @property
    def wer(self):
        """float : The word error rate of all utterances."""
        return float(sum(self.errors) / sum(self.words))

    def compare(self, baseline):
        """Compare with another system on the same utterances.

        Arguments
        ---------
        baseline : WordErrors
            Of the other system, at the same level.

        Returns
        -------
        Comparison
            As :func:`~speechbrain_ext.metrics.bootstrap.paired_bootstrap` returns it.

        Raises
        ------
        UserError
            When the utterances are others.
        """
        if list(self.ids) != list(baseline.ids):
            raise UserError(
                f"{self.system} and {baseline.system}: scored on other "
                f"utterances of {self.test_set}; expected the same"
            )
        return paired_bootstrap(baseline.errors, self.errors, self.words)


def write_word_errors(path, rows):
    """Write errors.json, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The file.
    rows : list of WordErrors
        What to write.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "errors.json"
    >>> write_word_errors(file, [])
    >>> read_word_errors(file)
    []
    """
    lines = [json.dumps(_plain(row)) for row in rows]
    with atomic_write(path) as temporary:
        temporary.write_text(
            "[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8"
        )


def _plain(row):
    return {
        **asdict(row),
        "ids": list(row.ids),
        "errors": [int(count) for count in row.errors],
        "words": [int(count) for count in row.words],
        "level": float(row.level),
    }


def read_word_errors(path):
    """Read errors.json.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    list of WordErrors

    Raises
    ------
    UserError
        When it is missing or no such file.

    Example
    -------
    >>> read_word_errors("nowhere.json")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.json: not readable as an \
evaluation's errors.json
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
        return [WordErrors(**row) for row in rows]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: not readable as an evaluation's errors.json"
        ) from error
