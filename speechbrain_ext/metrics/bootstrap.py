"""Bootstrap intervals over utterances: of a rate, a mean, two systems' gap."""

import math
from typing import NamedTuple

import numpy as np

# Bounds the memory of resampling a set of thousands of utterances.
_RESAMPLES_AT_ONCE = 500


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two systems on the same utterances.

    ``difference`` is system minus baseline, ``relative_reduction`` the share of
    the baseline's error rate that is gone: 0 where neither has an error, minus
    infinity where the baseline alone has none.
    """

    baseline: Estimate
    system: Estimate
    difference: Estimate
    relative_reduction: Estimate


def paired_bootstrap(
    baseline,
    system,
    words=None,
    seed=0,
    resamples=5000,
    confidence=0.95,
):
    """Compare two systems by a paired bootstrap over utterances.

    Each resample draws utterances with replacement, the same for both systems
    and for each of the four figures (Bisani and Ney, "Bootstrap estimates for
    confidence intervals in ASR performance evaluation", ICASSP 2004). Where
    each utterance was decoded under several damage seeds, hand over its sums:
    the seeds are not independent speech.

    Arguments
    ---------
    baseline : sequence of float
        The baseline's word errors or scores, [utterances].
    system : sequence of float
        The system's, [utterances].
    words : sequence of int or None
        Reference words, [utterances], each 1 or more, where word error rates
        are compared; None compares the means of scores.
    seed : int
        Seed of the resampling.
    resamples : int
        How many.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    Comparison
        Rates (fractions) or means, with percentile intervals.

    Example
    -------
    >>> compared = paired_bootstrap([4, 2, 3, 0], [2, 1, 3, 0], [9, 8, 9, 5])
    >>> round(compared.baseline.value, 3), round(compared.system.value, 3)
    (0.29, 0.194)
    >>> round(compared.relative_reduction.value, 3)
    0.333
    >>> compared.difference.high <= 0
    True
    >>> paired_bootstrap([2.0, 3.0], [2.5, 3.5]).difference
    Estimate(value=0.5, low=0.5, high=0.5)
    """
    baseline, system, total = _resampled_sums(
        [baseline, system, _weights(words, baseline)], seed, resamples
    )
    figures = (
        baseline / total,
        system / total,
        (system - baseline) / total,
        relative_reduction(baseline, system),
    )
    return Comparison(*(interval(figure, confidence) for figure in figures))


def bootstrap_interval(
    values, words=None, seed=0, resamples=5000, confidence=0.95
):
    """A rate or a mean with its bootstrap interval over utterances.

    Arguments
    ---------
    values : sequence of float
        Word errors or scores, [utterances].
    words : sequence of int or None
        Reference words, [utterances], each 1 or more, for a word error rate;
        None is the mean of scores.
    seed : int
        Seed of the resampling: :func:`paired_bootstrap` draws the same.
    resamples : int
        How many.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    Estimate
        A rate (a fraction) or a mean, with a percentile interval.

    Example
    -------
    >>> bootstrap_interval([1, 1, 1], [4, 4, 4])
    Estimate(value=0.25, low=0.25, high=0.25)
    >>> bootstrap_interval([1.0, 3.0]).value
    2.0
    """
    values, total = _resampled_sums(
        [values, _weights(words, values)], seed, resamples
    )
    return interval(values / total, confidence)


def _weights(words, values):
    return np.ones(len(values)) if words is None else words


def _resampled_sums(columns, seed, resamples):
    """Sums over all utterances, then over each resample: [columns, 1 + n]."""
    data = np.array(columns, dtype=float).T
    n = len(data)
    generator = np.random.default_rng(seed)
    sums = [data.sum(axis=0, keepdims=True)]
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        # How often each utterance is in each resample. scipy.stats.bootstrap
        # would draw anew for each figure and has no answer for a 0/0.
        size = min(_RESAMPLES_AT_ONCE, resamples - start)
        counts = generator.multinomial(n, np.full(n, 1 / n), size=size)
        sums.append(counts @ data)
    return np.concatenate(sums).T


def interval(figures, confidence=0.95):
    """A figure with the interval that its resamples span.

    Arguments
    ---------
    figures : numpy.ndarray
        [1 + resamples]: that of all utterances, then those of the resamples.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    Estimate
        The first figure, with the others' quantiles; NaN where there are none.

    Example
    -------
    >>> interval(np.array([2.0, 1.0, 2.0, 3.0]))
    Estimate(value=2.0, low=1.0, high=3.0)
    """
    if len(figures) < 2:
        return Estimate(float(figures[0]), math.nan, math.nan)
    tail = (1 - confidence) / 2
    # Without interpolation, which cannot take an infinite neighbour.
    low, high = np.quantile(
        figures[1:], [tail, 1 - tail], method="inverted_cdf"
    )
    return Estimate(float(figures[0]), float(low), float(high))


def relative_reduction(baseline, system):
    """The share of a baseline's figure that is gone.

    Arguments
    ---------
    baseline, system : numpy.ndarray
        Of one shape; of errors, so that less is better.

    Returns
    -------
    numpy.ndarray
        0 where both are equal, minus infinity where the baseline alone is 0.

    Example
    -------
    >>> relative_reduction(np.array([4.0, 0.0]), np.array([3.0, 0.0]))
    array([0.25, 0.  ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        reduction = 1 - system / baseline
    return np.where(system == baseline, 0.0, reduction)
