"""Which systems are as good as the best one, for a table's bold figures.

Paper 3 (Sato et al., 2025, Table 1): bold is what a t-test at 5 % does not tell
from the best. It is paired, over utterances; equal error rates, which no
utterance has, are compared by their paired bootstrap.
"""

import math

import numpy as np
from scipy.stats import ttest_rel

from speechbrain_ext.evaluation.claims import COUNTED, EER, RATES

LEVEL = 0.05


def as_good_as_best(systems, metric):
    """Name the best system, and those that are not significantly different.

    Arguments
    ---------
    systems : sequence
        Of the same utterances:
        :class:`~speechbrain_ext.evaluation.word_errors.WordErrors` for
        ``"wer"`` and ``"cer"``, whose utterances' error counts are compared,
        :class:`~speechbrain_ext.evaluation.trial_scores.TrialScores` for
        ``"eer"``, otherwise
        :class:`~speechbrain_ext.evaluation.enhancement_scores.EnhancementScores`.
    metric : str
        By what; more is better, but for error rates.

    Returns
    -------
    set of str
        Their names; empty where there is none that has the metric.

    Example
    -------
    >>> from speechbrain_ext.evaluation.enhancement_scores import (
    ...     EnhancementScores,
    ... )
    >>> ids, snrs = list("abcd"), [0] * 4
    >>> best, same, worse = (
    ...     EnhancementScores(name, ids, snrs, {"sdr": values})
    ...     for name, values in (
    ...         ("best", [9.0, 9.1, 9.0, 9.2]),
    ...         ("same", [9.3, 8.6, 9.2, 8.9]),
    ...         ("worse", [4.0, 4.1, 4.2, 4.1]),
    ...     )
    ... )
    >>> sorted(as_good_as_best([worse, same, best], "sdr"))
    ['best', 'same']
    """
    figures = [_figure(one, metric) for one in systems]
    known = [
        (figure, one)
        for figure, one in zip(figures, systems, strict=True)
        if math.isfinite(figure)
    ]
    if not known:
        return set()
    pick = min if metric in RATES else max
    _, best = pick(known, key=lambda pair: pair[0])
    return {
        one.system
        for _, one in known
        if one is best or not _differs(one, best, metric)
    }


def _figure(system, metric):
    if metric == EER:
        return system.eer.value
    if metric in COUNTED:
        return system.wer
    values = np.array(system.scores.get(metric, []), dtype=float)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else math.nan


def _differs(system, best, metric):
    if metric == EER:
        _, low, high = system.compare(best).difference
        return low > 0 or high < 0
    if metric in COUNTED:
        pairs = np.array([best.errors, system.errors], dtype=float)
    else:
        pairs = system.paired(best, metric).T
    difference = pairs[1] - pairs[0]
    if len(difference) < 2 or not difference.any():
        return False
    if np.ptp(difference) == 0:
        # The same on every utterance: the test would divide by 0.
        return True
    return bool(ttest_rel(*pairs).pvalue < LEVEL)
