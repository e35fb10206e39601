"""What evaluations of noisy speech share: each system on the same recordings."""

import math

from speechbrain_ext.evaluation.claims import pool_levels
from speechbrain_ext.evaluation.word_errors import WordErrors, word_error_rows


def spoken_id(name, snr):
    """Name what was said and how, without the SNR that is added to an ID.

    Arguments
    ---------
    name : str
        A mixture's ID.
    snr : float
        Its SNR, in dB.

    Returns
    -------
    str

    Example
    -------
    >>> spoken_id("a-7--5dB", -5.0), spoken_id("a-7", -5.0)
    ('a-7', 'a-7')
    """
    return name.removesuffix(f"-{snr:g}dB") if math.isfinite(snr) else name


def error_rows(errors, snrs, bins, baseline, **description):
    """Make rows of results.json and of errors.json.

    Where an utterance was mixed at several SNRs, and its IDs say so, it counts
    once in the intervals of all SNRs: what it says is as hard at each.

    Arguments
    ---------
    errors : dict
        :class:`~speechbrain_ext.metrics.wer.WordErrorRate` by system.
    snrs : dict
        Each utterance's SNR, in dB.
    bins : sequence of tuple of float
        SNRs that are put together, in dB, both ends included.
    baseline : str
        The system that the others are compared with.
    **description : dict
        ``backend`` and ``test_set``.

    Returns
    -------
    rows : list of dict
        All SNRs, then each range; the metric has the error rate's name.
    counted : list of WordErrors
        Each range's.

    Example
    -------
    >>> from speechbrain_ext.metrics.wer import WordErrorRate
    >>> errors = WordErrorRate()
    >>> errors.append(["a-0dB", "a-5dB"], ["one two", "two"], ["one", "two"])
    >>> rows, counted = error_rows(
    ...     {"noisy": errors},
    ...     {"a-0dB": 0.0, "a-5dB": 5.0},
    ...     [(0.0, 0.0), (5.0, 5.0)],
    ...     "noisy",
    ...     backend="torch",
    ...     test_set="test",
    ... )
    >>> [(row["level"], row["value"], row["n"]) for row in rows]
    [(None, 0.5, 1), (0.0, 1.0, 1), (5.0, 0.0, 1)]
    """
    rows, counted = [], []
    for low, high in [(None, None), *bins]:
        systems = [
            WordErrors(
                name,
                *_between(score, snrs, low, high),
                corruption="noise",
                level=low,
                seed=0,
                **description,
            )
            for name, score in errors.items()
        ]
        # Sums over what differs in nothing but its SNR.
        systems = [pool_levels([one]) for one in systems]
        for metric in dict.fromkeys(one.name for one in errors.values()):
            of_metric = [
                one for one in systems if errors[one.system].name == metric
            ]
            rows += word_error_rows(of_metric, baseline, metric.lower())
        if low is not None:
            counted += [one for one in systems if one.ids]
    return rows, counted


def _between(score, snrs, low, high):
    """Ids, errors and words of a range of SNRs."""
    kept = [
        (spoken_id(name, snrs[name]), *counts)
        for name, *counts in zip(score.ids, score.errors, score.words)
        if low is None or low <= snrs[name] <= high
    ]
    return [list(column) for column in zip(*kept)] or ([], [], [])
