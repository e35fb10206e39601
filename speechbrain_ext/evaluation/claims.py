"""What a paper claims, beside what was measured: held, not held, undecided.

A claim is one or more comparisons of two systems' word error rates, or of their
scores (PESQ), on the same damaged speech. The rule is :func:`verdict`'s, and
stands in the report.
"""

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass

from speechbrain_ext.evaluation.enhancement_report import COLUMNS
from speechbrain_ext.evaluation.enhancement_scores import (
    EnhancementScores,
    pool_scores,
)
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.trial_scores import TrialScores
from speechbrain_ext.evaluation.word_errors import WordErrors
from speechbrain_ext.metrics.bootstrap import Estimate

HELD = "held"
NOT_HELD = "not held"
UNDECIDED = "undecided at this size"
NOT_MEASURED = "not measured"

#: The metrics of which less is better; of all others more is.
WER, CER, EER = "wer", "cer", "eer"
RATES = {WER: "WER %", CER: "CER %", EER: "EER %"}
#: Those whose errors are counted an utterance.
COUNTED = (WER, CER)

_RULE = """\
A comparison is *system less baseline*, with its 95 % interval (paired bootstrap
over utterances, {resamples} resamples). It is **held** where the whole interval
is on the claim's side of a margin, **not held** where the whole interval is on
the other side, and **undecided at this size** otherwise. The margin is 0 where
one system is to beat another, and leaves room where it may be a little worse. A
claim is held where all of its comparisons are, not held where one is not, and
undecided otherwise. Intervals are over utterances of one training each: another
training seed may differ by more. No correction is made for the number of
comparisons.
"""

_WER_RULE = """\
Word error rates are compared in points, the errors of the levels summed; the
claim's side is below the margin.
"""

_CER_RULE = """\
Character error rates are compared in points, the errors of the levels summed;
the claim's side is below the margin.
"""

_EER_RULE = """\
Equal error rates are compared alike; a resample of the utterances (1000) counts
a trial as often as both of its utterances were drawn.
"""

_SCORES_RULE = """\
Of a score such as PESQ more is better, and the claim's side is above the margin.
Where there are several levels, it is the mean over them of an utterance's score.
"""


@dataclass(frozen=True)
class Comparison:
    """One system is better than another, or not much worse.

    Arguments
    ---------
    evaluation : str
        Which evaluation's results.
    system : str
        What is said to be better.
    baseline : str
        Than what.
    levels : tuple of float or None
        The loss rates or SNRs whose errors are summed, or the sizes of masks
        whose scores are averaged; None takes all there are.
    margin : float
        How much worse the system may be: the difference of the word or equal
        error rates, a fraction, that the claim stays below, or of the mean
        scores, turned round.
    metric : str
        ``"wer"``, ``"cer"``, ``"eer"``, or a score of
        :data:`speechbrain_ext.metrics.scoring.METRICS`, of which more is
        better.
    unit : str
        What levels are in: ``"%"``, of fractions, or ``"dB"``.

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
    metric: str = WER
    unit: str = "%"


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
    >>> from speechbrain_ext.metrics.bootstrap import Estimate
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


def decide(comparison, found):
    """Decide a comparison by what was measured.

    Arguments
    ---------
    comparison : Comparison
        What is compared.
    found : speechbrain_ext.metrics.bootstrap.Comparison or None
        As :func:`measure` gives it.

    Returns
    -------
    str
        ``HELD``, ``NOT_HELD``, ``UNDECIDED`` or ``NOT_MEASURED``.

    Example
    -------
    >>> decide(Comparison("english", "CE", "bare"), None)
    'not measured'
    """
    if found is None:
        return NOT_MEASURED
    difference = found.difference
    if comparison.metric not in RATES:
        value, low, high = difference
        difference = Estimate(-value, -high, -low)
    return verdict(difference, comparison.margin)


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
        One system's, a level each: of the same utterances where each was
        damaged at all levels, of others where each has a level of its own.
    levels : sequence of float or None
        Which levels; None takes all.

    Returns
    -------
    WordErrors or None
        Errors and words of each utterance, summed; None where a level is
        missing, or all are.

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
    errors, words = Counter(), Counter()
    for row in rows:
        for name, wrong, said in zip(
            row.ids, row.errors, row.words, strict=True
        ):
            errors[name] += wrong
            words[name] += said
    return dataclasses.replace(
        rows[0],
        ids=list(errors),
        errors=list(errors.values()),
        words=list(words.values()),
    )


def measure(comparison, results):
    """Compare two systems as a claim asks.

    Arguments
    ---------
    comparison : Comparison
        What to compare.
    results : dict
        List of :class:`WordErrors`, :class:`EnhancementScores` and
        :class:`~speechbrain_ext.evaluation.trial_scores.TrialScores` by
        evaluation.

    Returns
    -------
    speechbrain_ext.metrics.bootstrap.Comparison or None
        None where something was not measured.

    Example
    -------
    >>> measure(Comparison("english", "CE", "bare"), {}) is None
    True
    """
    rows = results.get(comparison.evaluation, [])
    names = comparison.system, comparison.baseline
    if comparison.metric == EER:
        return _measure_trials(rows, names)
    if comparison.metric not in COUNTED:
        return _measure_scores(comparison, rows, names)
    pooled = [
        pool_levels(
            [
                row
                for row in rows
                if isinstance(row, WordErrors) and row.system == name
            ],
            comparison.levels,
        )
        for name in names
    ]
    if None in pooled:
        return None
    system, baseline = pooled
    return system.compare(baseline)


def _measure_trials(rows, names):
    found = {row.system: row for row in rows if isinstance(row, TrialScores)}
    system, baseline = map(found.get, names)
    if system is None or baseline is None:
        return None
    return system.compare(baseline)


def _measure_scores(comparison, rows, names):
    metric = comparison.metric
    pooled = [
        pool_scores(
            [
                row
                for row in rows
                if isinstance(row, EnhancementScores)
                and row.system == name
                and metric in row.scores
            ],
            comparison.levels,
        )
        for name in names
    ]
    if None in pooled:
        return None
    system, baseline = pooled
    if not len(system.paired(baseline, metric)):
        return None
    return system.compare(baseline, metric)


def claims_report(claims, results, note=""):
    """Write claims.md's text: each claim, what was measured, the verdict.

    Arguments
    ---------
    claims : sequence of Claim
        What the paper says.
    results : dict
        As :func:`measure` takes it.
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
        verdicts = list(map(decide, claim.comparisons, found))
        together = joint_verdict(verdicts)
        summary.append([str(number), claim.text, f"*{together}*"])
        lines = list(zip(claim.comparisons, found, verdicts, strict=True))
        details.append(
            f"## {number}. {claim.text}\n\n"
            f"{claim.source}. Here: **{together}**.\n\n"
            + "\n".join(_tables(lines))
        )
    metrics = {each.metric for claim in claims for each in claim.comparisons}
    parts = [
        "# The paper's claims\n",
        note,
        markdown_table(summary, left=3),
        _RULE.format(resamples=5000),
        _WER_RULE if WER in metrics else "",
        _CER_RULE if CER in metrics else "",
        _EER_RULE if EER in metrics else "",
        "" if metrics <= set(RATES) else _SCORES_RULE,
    ]
    return "\n".join([part for part in parts if part] + details)


def _tables(lines):
    """A claim's comparisons, a table a metric."""
    metrics = dict.fromkeys(comparison.metric for comparison, *_ in lines)
    # A claim without comparisons has a header all the same.
    for metric in metrics or [WER]:
        scored = metric not in RATES
        name = COLUMNS[metric][0] if scored else RATES[metric]
        limit = "Above" if scored else "Below"
        yield markdown_table(
            [["Comparison", name, "Difference", limit, "Verdict"]]
            + [_line(*each) for each in lines if each[0].metric == metric]
        )


def _line(comparison, found, decided):
    levels = "all levels"
    if comparison.levels is not None:
        scale = 100 if comparison.unit == "%" else 1
        levels = ", ".join(f"{scale * level:g}" for level in comparison.levels)
        levels += f" {comparison.unit}"
    name = (
        f"{comparison.system} against {comparison.baseline}, "
        f"{comparison.evaluation}, {levels}"
    )
    scale, decimals, margin = 100, 1, comparison.margin
    if comparison.metric not in RATES:
        scale, decimals, margin = 1, COLUMNS[comparison.metric][1], -margin

    def signed(value):
        """Write a number with its sign."""
        return f"{scale * value:+.{decimals}f}" if value else "0"

    if found is None:
        return [name, "", "", signed(margin), decided]
    values = (
        f"{scale * each.value:.{decimals}f}"
        for each in (found.system, found.baseline)
    )
    value, low, high = map(signed, found.difference)
    return [
        name,
        " / ".join(values),
        f"{value} [{low}, {high}]",
        signed(margin),
        decided,
    ]
