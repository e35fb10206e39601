"""Bootstrap intervals of an equal error rate, over utterances."""

import numpy as np

from speechbrain_ext.metrics.bootstrap import (
    Comparison,
    interval,
    relative_reduction,
)

# Bounds the memory: weights of as many trials at once.
_WEIGHTS_AT_ONCE = 2_000_000


def eer_interval(scores, trials, seed=0, resamples=1000, confidence=0.95):
    """The equal error rate with its bootstrap interval over utterances.

    A resample draws utterances with replacement; a trial counts as often as
    both of its utterances were drawn, in pairs. Trials themselves are not drawn:
    those that share an utterance are not independent.

    Arguments
    ---------
    scores : sequence of float
        [trials]; of one speaker's trials they are higher.
    trials : sequence of tuple
        [trials] of (label, enrol, test): 1 where both utterances have one
        speaker, 0 where they have not; the utterances' names.
    seed : int
        Seed of the resampling: :func:`compare_eer` draws the same.
    resamples : int
        How many.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    Estimate
        A fraction, with a percentile interval.

    Raises
    ------
    ValueError
        When all trials have one label.

    Example
    -------
    >>> trials = [(1, "a", "b"), (0, "a", "c"), (0, "b", "c")]
    >>> eer_interval([0.9, 0.1, 0.2], trials).value
    0.0
    """
    figures = _resampled(scores, trials, seed, resamples)
    return interval(figures[np.isfinite(figures)], confidence)


def compare_eer(
    baseline, system, trials, seed=0, resamples=1000, confidence=0.95
):
    """Compare two systems on the same trials, by a paired bootstrap.

    Arguments
    ---------
    baseline, system : sequence of float
        Scores, [trials].
    trials : sequence of tuple
        As :func:`eer_interval` takes them.
    seed : int
        Seed of the resampling.
    resamples : int
        How many.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    Comparison
        Rates (fractions), with percentile intervals.

    Example
    -------
    >>> trials = [(1, "a", "b"), (0, "a", "c"), (0, "b", "c")]
    >>> compared = compare_eer([0.1, 0.9, 0.9], [0.9, 0.1, 0.1], trials)
    >>> compared.difference.value
    -1.0
    """
    baseline, system = (
        _resampled(scores, trials, seed, resamples)
        for scores in (baseline, system)
    )
    # A resample without trials of one label has no rate, of either system.
    some = np.isfinite(baseline)
    baseline, system = baseline[some], system[some]
    figures = (
        baseline,
        system,
        system - baseline,
        relative_reduction(baseline, system),
    )
    return Comparison(*(interval(figure, confidence) for figure in figures))


def _resampled(scores, trials, seed, resamples):
    """Rates of all utterances, then of each resample: [1 + n]."""
    labels, enrol, test = zip(*trials, strict=True)
    if len(set(labels)) < 2:
        raise ValueError("expected trials of one speaker and of two")
    names, places = np.unique([*enrol, *test], return_inverse=True)
    enrol, test = places.reshape(2, -1)
    order = np.argsort(scores, kind="stable")[::-1]
    ranked = np.asarray(scores, dtype=float)[order]
    # Where a run of equal scores ends: no threshold is inside of it.
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    same = np.asarray(labels, dtype=bool)[order]
    generator = np.random.default_rng(seed)
    figures, n = [], len(names)
    size = max(1, _WEIGHTS_AT_ONCE // len(labels))
    counts = np.ones((1, n))
    while True:
        weights = (counts[:, enrol] * counts[:, test])[:, order]
        figures.append(_rates(weights, same, ends))
        if resamples <= 0:
            return np.concatenate(figures)
        drawn = min(size, resamples)
        counts = generator.multinomial(n, np.full(n, 1 / n), size=drawn)
        resamples -= drawn


def _rates(weights, same, ends):
    """Where misses and false alarms are as frequent: [resamples].

    The straight line between two thresholds counts, as in S3PRL's SUPERB.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        hits, alarms = (
            np.cumsum(weights * of, axis=1)[:, ends]
            / (weights * of).sum(axis=1, keepdims=True)
            for of in (same, ~same)
        )
    start = np.zeros((len(weights), 1))
    alarms = np.concatenate([start, alarms], axis=1)
    # Below 0 at the highest threshold, above it at the lowest.
    gaps = alarms + np.concatenate([start, hits], axis=1) - 1
    after = np.argmax(gaps >= 0, axis=1)[:, None]
    low, high = (
        np.take_along_axis(gaps, place, axis=1) for place in (after - 1, after)
    )
    first, last = (
        np.take_along_axis(alarms, place, axis=1)
        for place in (after - 1, after)
    )
    with np.errstate(invalid="ignore"):
        return (first + (last - first) * -low / (high - low))[:, 0]
