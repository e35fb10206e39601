"""errors.json: word errors an utterance, by which any two systems compare."""

from dataclasses import asdict, dataclass

from speechbrain_ext.evaluation.results import (
    check_same_utterances,
    read_utterances,
    result_row,
    write_utterances,
)
from speechbrain_ext.metrics.bootstrap import (
    bootstrap_interval,
    paired_bootstrap,
)


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
    level : float or None
        How much of it; None is all levels together.
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
        check_same_utterances(self, baseline)
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
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "errors.json"
    >>> write_word_errors(file, [])
    >>> read_word_errors(file)
    []
    """
    write_utterances(path, [_plain(row) for row in rows])


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
    return read_utterances(path, WordErrors, "errors.json")


def word_error_rows(systems, baseline, metric="wer"):
    """Make rows of results.json: error rates, and reductions of a baseline's.

    Arguments
    ---------
    systems : sequence of WordErrors
        At one level; those without utterances have no row.
    baseline : str
        The name of the one that the others are compared with, if it is there.
    metric : str
        What the rate is called: ``cer`` where characters were counted.

    Returns
    -------
    list of dict
        ``wer`` for each and ``wer_relative_reduction`` for the others.

    Raises
    ------
    UserError
        When the systems' utterances differ.

    Example
    -------
    >>> def errors(name, count):
    ...     about = "torch", "test", "spans", 0.4, 0
    ...     return WordErrors(name, ["a"], [count], [4], *about)
    >>> rows = word_error_rows([errors("bare", 2), errors("ours", 1)], "bare")
    >>> [(row["metric"], row["value"]) for row in rows]
    [('wer', 0.5), ('wer', 0.25), ('wer_relative_reduction', 0.5)]
    """
    reference = next((one for one in systems if one.system == baseline), None)
    rows = []
    for one in systems:
        if not len(one.ids):
            continue
        estimates = {metric: bootstrap_interval(one.errors, one.words)}
        if reference is not None and one is not reference:
            compared = one.compare(reference)
            estimates[f"{metric}_relative_reduction"] = (
                compared.relative_reduction
            )
        rows += [
            result_row(
                one.system,
                one.backend,
                one.test_set,
                one.corruption,
                one.level,
                name,
                estimate,
                len(one.ids),
                one.seed,
            )
            for name, estimate in estimates.items()
        ]
    return rows
