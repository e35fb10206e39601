"""scores.json: what each utterance of enhanced speech scored."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.results import (
    check_same_utterances,
    read_utterances,
    write_utterances,
)
from speechbrain_ext.metrics.bootstrap import paired_bootstrap

# Of a test set with levels; the width of ranges where there are none, in dB.
_MOST_LEVELS, _BIN = 10, 5.0


@dataclass(frozen=True)
class EnhancementScores:
    """A system's scores, utterance by utterance.

    Arguments
    ---------
    system : str
        Which system.
    ids : list of str
        The utterances' ids.
    snrs : list of float
        What each one's SNR was, in dB; NaN where that is not known.
    scores : dict of str to list of float
        By metric, [utterances]; NaN where a clip has none.
    backend : str
        What ran it.
    test_set : str
        On what.
    corruption : str
        With which damage.
    seed : int
        The seed of the damage.
    level : float or None
        How much of it; None where each utterance has its own.

    Example
    -------
    >>> noisy = EnhancementScores(
    ...     "noisy", ["a", "b"], [0, 5], {"pesq": [1.5, math.nan]}
    ... )
    >>> noisy.undefined("pesq")
    ['b']
    """

    system: str
    ids: list
    snrs: list
    scores: dict
    backend: str = "torch"
    test_set: str = "test"
    corruption: str = "noise"
    seed: int = 0
    level: float | None = None

    def undefined(self, metric):
        """Name the clips that have no score.

        Arguments
        ---------
        metric : str
            For example ``pesq``, which a clip without an utterance has not.

        Returns
        -------
        list of str
        """
        return [
            name
            for name, value in zip(self.ids, self.scores[metric], strict=True)
            if math.isnan(value)
        ]

    def between(self, low, high):
        """Keep the utterances of a range of SNRs.

        Arguments
        ---------
        low, high : float
            In dB, both included.

        Returns
        -------
        EnhancementScores
        """
        kept = [
            place for place, snr in enumerate(self.snrs) if low <= snr <= high
        ]
        return dataclasses.replace(
            self,
            ids=[self.ids[place] for place in kept],
            snrs=[self.snrs[place] for place in kept],
            scores={
                metric: [values[place] for place in kept]
                for metric, values in self.scores.items()
            },
        )

    def compare(self, baseline, metric):
        """Compare with another system on the same utterances.

        Clips that have no score under one of them do not count.

        Arguments
        ---------
        baseline : EnhancementScores
            Of the other system.
        metric : str
            By what.

        Returns
        -------
        speechbrain_ext.metrics.bootstrap.Comparison
            Of the means; intervals are paired over utterances.

        Raises
        ------
        UserError
            When the utterances are others, or none counts.
        """
        pairs = self.paired(baseline, metric)
        if not len(pairs):
            raise UserError(
                f"{metric}: no clip of {self.test_set} has one of both "
                f"{self.system} and {baseline.system}"
            )
        return paired_bootstrap(*pairs.T)

    def paired(self, baseline, metric):
        """Pick the clips that have a score under both systems.

        Arguments
        ---------
        baseline : EnhancementScores
            Of the other system.
        metric : str
            Which scores.

        Returns
        -------
        numpy.ndarray
            The baseline's and this system's, [clips, 2].

        Raises
        ------
        UserError
            When the utterances are others.
        """
        check_same_utterances(self, baseline)
        pairs = np.array([baseline.scores[metric], self.scores[metric]]).T
        return pairs[np.isfinite(pairs).all(axis=1)]


def pool_scores(rows, levels=None):
    """Average a system's scores over levels, utterance by utterance.

    Arguments
    ---------
    rows : sequence of EnhancementScores
        One system's, a level each, of the same utterances.
    levels : sequence of float or None
        Which levels; None takes all.

    Returns
    -------
    EnhancementScores or None
        Without a score for an utterance that lacks one at some level; None
        where a level is missing, or all are.

    Raises
    ------
    UserError
        When the levels' utterances differ.

    Example
    -------
    >>> one = EnhancementScores("a", ["u"], [5], {"pesq": [2.0]}, level=0.1)
    >>> other = EnhancementScores("a", ["u"], [5], {"pesq": [1.0]}, level=0.2)
    >>> pool_scores([one, other], (0.1, 0.2)).scores
    {'pesq': [1.5]}
    """
    if levels is not None:
        rows = [
            row
            for level in levels
            for row in rows
            if row.level is not None
            and math.isclose(row.level, level, abs_tol=1e-6)
        ]
        if len(rows) != len(levels):
            return None
    if not rows:
        return None
    for row in rows:
        check_same_utterances(row, rows[0])
    scores = {
        metric: np.mean([row.scores[metric] for row in rows], axis=0).tolist()
        for metric in rows[0].scores
        if all(metric in row.scores for row in rows)
    }
    return dataclasses.replace(rows[0], scores=scores)


def snr_bins(snrs):
    """Make a range of each SNR that there is, or ranges of 5 dB.

    The latter where they were drawn from a range: more than ten, or some that
    are no multiple of half a decibel.

    Arguments
    ---------
    snrs : iterable of float
        In dB; NaN where one is not known.

    Returns
    -------
    list of tuple of float
        From and to, in dB, in order, both ends included.

    Example
    -------
    >>> snr_bins([5.0, 0.0, math.nan, 5.0])
    [(0.0, 0.0), (5.0, 5.0)]
    >>> [f"{low:g} to {high:g}" for low, high in snr_bins(range(11))]
    ['0 to 5', '5 to 10']
    """
    known = {float(snr) for snr in snrs if math.isfinite(snr)}
    drawn = len(known) > _MOST_LEVELS or any(snr % 0.5 for snr in known)
    if not drawn:
        return [(snr, snr) for snr in sorted(known)]
    edges = np.arange(
        _BIN * math.floor(min(known) / _BIN), max(known) + _BIN, _BIN
    ).tolist()
    if edges[-2] == max(known):
        edges.pop()
    # An edge belongs to what begins there, the last one to what ends there.
    ends = [math.nextafter(edge, -math.inf) for edge in edges[1:-1]]
    return list(zip(edges, [*ends, edges[-1]]))


def collect_scores(system, ids, snrs, rows, **description):
    """Collect what :func:`~speechbrain_ext.metrics.scoring.score_pairs` found.

    Arguments
    ---------
    system : str
        Which system.
    ids : sequence of str
        The utterances' ids, in the order of the pairs.
    snrs : sequence of float
        What each one's SNR was, in dB.
    rows : sequence of dict
        Scores of the pairs.
    **description : dict
        What else :class:`EnhancementScores` says.

    Returns
    -------
    EnhancementScores

    Example
    -------
    >>> rows = [{"name": "a.wav", "pesq": 2.5, "no_utterance": False}]
    >>> collect_scores("mask", ["a"], [5], rows, test_set="mini").scores
    {'pesq': [2.5]}
    """
    metrics = [name for name in rows[0] if name not in ("name", "no_utterance")]
    scores = {metric: [row[metric] for row in rows] for metric in metrics}
    return EnhancementScores(
        system, list(ids), list(snrs), scores, **description
    )


def write_scores(path, systems):
    """Write scores.json, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The file.
    systems : sequence of EnhancementScores
        What to write.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "scores.json"
    >>> scores = EnhancementScores("mask", ["a"], [5], {"pesq": [math.nan]})
    >>> write_scores(file, [scores])
    >>> read_scores(file)[0].undefined("pesq")
    ['a']
    """
    write_utterances(path, [_plain(dataclasses.asdict(one)) for one in systems])


def _plain(value):
    """JSON has no name for what is not finite: null stands for it."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def read_scores(path):
    """Read scores.json.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    list of EnhancementScores

    Raises
    ------
    UserError
        When it is missing or no such file.

    Example
    -------
    >>> read_scores("nowhere.json")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.json: not readable as an \
evaluation's scores.json
    """
    return read_utterances(path, _from_plain, "scores.json")


def _from_plain(scores, snrs, **rest):
    def floats(values):
        """Take null for what is undefined."""
        return [math.nan if value is None else value for value in values]

    scores = {metric: floats(values) for metric, values in scores.items()}
    return EnhancementScores(scores=scores, snrs=floats(snrs), **rest)
