"""What a paper claims, beside what was measured: held, not held, undecided.

A claim is one or more comparisons of two systems' word error rates on the same
damaged speech. The rule is :func:`verdict`'s, and stands in the report.
"""

import math
from dataclasses import dataclass

import numpy as np

from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.word_errors import WordErrors

HELD = "held"
NOT_HELD = "not held"
UNDECIDED = "undecided at this size"
NOT_MEASURED = "not measured"

_RULE = """\
A comparison is *system less baseline* in points of WER, with its 95 % interval
(paired bootstrap over utterances, {resamples} resamples, errors of the levels
summed). A comparison says that this difference is below a margin: 0 where one
system is to beat another, more where it may be a little worse. It is **held**
where the whole interval is below the margin, **not held** where the whole
interval is above it, and **undecided at this size** otherwise. A claim is held
where all of its comparisons are, not held where one is not, and undecided
otherwise. Intervals are over utterances of one training each: another training
seed may differ by more. No correction is made for the number of comparisons.
"""


@dataclass(frozen=True)
class Comparison:
    """One system's word error rate is below another's, or not far above it.

    Arguments
    ---------
    evaluation : str
        Which evaluation's results.
    system : str
        What is said to be better.
    baseline : str
        Than what.
    levels : tuple of float or None
        The loss rates whose errors are summed; None takes all there are.
    margin : float
        The difference of the word error rates, a fraction, that the claim
        stays below.

    Example
    -------
    >>> Comparison("english", "CE", "bare", (0.2, 0.4)).margin
    0.0
    """

    evaluation: str
    system: str
    baseline: str
    levels: tuple | None = None
    margin: float = 0.0


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and the comparisons that it stands on.

    Arguments
    ---------
    text : str
        What the paper says.
    source : str
        Where it says so.
    comparisons : tuple of Comparison
        What has to be measured.

    Example
    -------
    >>> Claim("CE beats L1.", "section 3.3", ()).source
    'section 3.3'
    """

    text: str
    source: str
    comparisons: tuple


def verdict(difference, margin=0.0):
    """Decide a comparison by its interval.

    Arguments
    ---------
    difference : Estimate
        System less baseline, with its interval.
    margin : float
        What the claim says that the difference is below.

    Returns
    -------
    str
        ``HELD``, ``NOT_HELD`` or ``UNDECIDED``.

    Example
    -------
    >>> from speechbrain_ext.metrics.wer import Estimate
    >>> verdict(Estimate(-0.1, -0.2, -0.05))
    'held'
    >>> verdict(Estimate(0.01, -0.02, 0.05))
    'undecided at this size'
    """
    if difference.high < margin:
        return HELD
    if difference.low > margin:
        return NOT_HELD
    return UNDECIDED


def joint_verdict(verdicts):
    """Decide a claim by its comparisons.

    Arguments
    ---------
    verdicts : sequence of str
        One for each comparison.

    Returns
    -------
    str

    Example
    -------
    >>> joint_verdict([HELD, UNDECIDED])
    'undecided at this size'
    """
    verdicts = set(verdicts)
    for decisive in (NOT_HELD, NOT_MEASURED, UNDECIDED):
        if decisive in verdicts:
            return decisive
    return HELD if verdicts else NOT_MEASURED


def pool_levels(rows, levels=None):
    """Sum a system's errors over levels.

    Arguments
    ---------
    rows : sequence of WordErrors
        One system's on one test set, a level each.
    levels : sequence of float or None
        Which levels; None takes all.

    Returns
    -------
    WordErrors or None
        Errors and words of each utterance, summed; None where a level is
        missing.

    Example
    -------
    >>> one = WordErrors("a", ["u"], [1], [4], "torch", "test", "gap", 0.2, 0)
    >>> other = WordErrors("a", ["u"], [2], [4], "torch", "test", "gap", 0.4, 0)
    >>> pool_levels([one, other], (0.2, 0.4)).wer
    0.375
    """
    if levels is not None:
        rows = [
            row
            for level in levels
            for row in rows
            if math.isclose(row.level, level, abs_tol=1e-6)
        ]
        if len(rows) != len(levels):
            return None
    if not rows:
        return None
    first = rows[0]
    return WordErrors(
        first.system,
        first.ids,
        np.sum([row.errors for row in rows], axis=0).tolist(),
        np.sum([row.words for row in rows], axis=0).tolist(),
        first.backend,
        first.test_set,
        first.corruption,
        first.level,
        first.seed,
    )


def measure(comparison, results):
    """Compare two systems as a claim asks.

    Arguments
    ---------
    comparison : Comparison
        What to compare.
    results : dict
        List of :class:`WordErrors` by evaluation.

    Returns
    -------
    speechbrain_ext.metrics.wer.Comparison or None
        None where something was not measured.

    Example
    -------
    >>> measure(Comparison("english", "CE", "bare"), {}) is None
    True
    """
    rows = results.get(comparison.evaluation, [])
    pooled = [
        pool_levels(
            [row for row in rows if row.system == name], comparison.levels
        )
        for name in (comparison.system, comparison.baseline)
    ]
    if None in pooled:
        return None
    system, baseline = pooled
    return system.compare(baseline)


def claims_report(claims, results, note=""):
    """Write claims.md's text: each claim, what was measured, the verdict.

    Arguments
    ---------
    claims : sequence of Claim
        What the paper says.
    results : dict
        List of :class:`WordErrors` by evaluation.
    note : str
        A paragraph below the title: what stands in for what.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> claim = Claim(
    ...     "CE beats L1.",
    ...     "section 3.3",
    ...     (Comparison("english", "CE", "L1"),),
    ... )
    >>> "| not measured" in claims_report([claim], {})
    True
    """
    summary, details = [["#", "The paper's claim", "Verdict"]], []
    for number, claim in enumerate(claims, start=1):
        found = [measure(each, results) for each in claim.comparisons]
        verdicts = [
            NOT_MEASURED
            if one is None
            else verdict(one.difference, comparison.margin)
            for one, comparison in zip(found, claim.comparisons, strict=True)
        ]
        together = joint_verdict(verdicts)
        summary.append([str(number), claim.text, f"*{together}*"])
        lines = [["Comparison", "WER %", "Difference", "Below", "Verdict"]]
        lines += [
            _line(*each)
            for each in zip(claim.comparisons, found, verdicts, strict=True)
        ]
        details.append(
            f"## {number}. {claim.text}\n\n"
            f"{claim.source}. Here: **{together}**.\n\n" + markdown_table(lines)
        )
    rule = _RULE.format(resamples=5000)
    parts = [
        "# The paper's claims\n",
        note,
        markdown_table(summary, left=3),
        rule,
    ]
    return "\n".join([part for part in parts if part] + details)


def _line(comparison, found, decided):
    levels = "all levels"
    if comparison.levels is not None:
        levels = ", ".join(f"{100 * level:g}" for level in comparison.levels)
        levels += " %"
    name = (
        f"{comparison.system} against {comparison.baseline}, "
        f"{comparison.evaluation}, {levels}"
    )
    if found is None:
        return [name, "", "", _points(comparison.margin), decided]
    low, high = found.difference.low, found.difference.high
    return [
        name,
        f"{100 * found.system.value:.1f} / {100 * found.baseline.value:.1f}",
        f"{_points(found.difference.value)} [{_points(low)}, {_points(high)}]",
        _points(comparison.margin),
        decided,
    ]


def _points(fraction):
    return f"{100 * fraction:+.1f}" if fraction else "0"
