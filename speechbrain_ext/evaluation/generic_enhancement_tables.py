"""Tables 1 to 3 of Sato et al. (2025), our numbers beside the paper's."""

import math

from speechbrain_ext.evaluation import sato2025 as paper
from speechbrain_ext.evaluation.claims import (
    COUNTED,
    EER,
    RATES,
    WER,
    pool_levels,
)
from speechbrain_ext.evaluation.enhancement_report import COLUMNS
from speechbrain_ext.evaluation.enhancement_scores import EnhancementScores
from speechbrain_ext.evaluation.observation import observation_name
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.significance import as_good_as_best
from speechbrain_ext.evaluation.trial_scores import TrialScores
from speechbrain_ext.evaluation.word_errors import WordErrors
from speechbrain_ext.metrics.bootstrap import bootstrap_interval

#: What a column says above; rates and the accuracy are in percent.
_HEADERS = {
    paper.ASR: "SSL ASR, WER %",
    paper.ASV: "ASV, EER %",
    paper.IC: "IC, accuracy %",
    paper.WHISPER: "Whisper, WER %",
    paper.MATCHED: "ASR loss's own recogniser, WER %",
}
_PERCENT = (*RATES, "accuracy")
#: Which row of the paper's is beside that of a stand-in for its SSL models.
_BESIDE = {
    paper.SSL: paper.ssl_system(paper.WAVLM_LARGE),
    observation_name(paper.SSL, 0.1): observation_name(
        paper.ssl_system(paper.WAVLM_LARGE), 0.1
    ),
}

_BOLD = """\
**Bold**: not significantly different from the column's best, clean speech left
out (paired t-test at 5 % over utterances, of the errors of each where the rate
is the WER; the paired bootstrap for the EER). In brackets the paper's numbers.
"""


def measured(results, evaluation, metric):
    """Find what an evaluation measured.

    Arguments
    ---------
    results : dict
        List of :class:`WordErrors`, :class:`EnhancementScores` and
        :class:`TrialScores` by evaluation.
    evaluation : str
        Which one.
    metric : str
        ``"wer"``, ``"cer"``, ``"eer"`` or a score.

    Returns
    -------
    dict
        What has the metric, by system; word errors of all SNRs together.

    Example
    -------
    >>> scores = EnhancementScores("SNR", ["a"], [5.0], {"sdr": [12.0]})
    >>> list(measured({"signal": [scores]}, "signal", "sdr"))
    ['SNR']
    """
    rows = results.get(evaluation, [])
    if metric in COUNTED:
        errors = [row for row in rows if isinstance(row, WordErrors)]
        return {
            name: pool_levels([row for row in errors if row.system == name])
            for name in dict.fromkeys(row.system for row in errors)
        }
    kind = TrialScores if metric == EER else EnhancementScores
    return {
        row.system: row
        for row in rows
        if isinstance(row, kind) and (metric == EER or metric in row.scores)
    }


def estimate(one, metric):
    """Give a system's value with its bootstrap interval.

    Arguments
    ---------
    one : WordErrors or TrialScores or EnhancementScores
        What was measured.
    metric : str
        ``"wer"``, ``"cer"``, ``"eer"`` or a score.

    Returns
    -------
    Estimate or None
        None where no utterance has the score.

    Example
    -------
    >>> scores = EnhancementScores("SNR", ["a"], [5.0], {"sdr": [12.0]})
    >>> estimate(scores, "sdr").value
    12.0
    """
    if metric in COUNTED:
        return bootstrap_interval(one.errors, one.words)
    if metric == EER:
        return one.eer
    values = [value for value in one.scores[metric] if math.isfinite(value)]
    return bootstrap_interval(values) if values else None


def table_1(results):
    """Lay out Table 1: all systems by all metrics.

    Arguments
    ---------
    results : dict
        As :func:`measured` takes them.

    Returns
    -------
    str
        Markdown, with the rows of the paper and those that were measured.

    Example
    -------
    >>> table_1({}).splitlines()[3].split("|")[1:3]
    [' no-process                 ', '  - (3.7) ']
    """
    columns = list(paper.COLUMNS_1)
    if results.get(paper.MATCHED):
        columns.append((paper.MATCHED, WER))
    found = [measured(results, *column) for column in columns]
    ours = dict.fromkeys(name for part in found for name in part)
    # What is beside another row is no row of its own.
    taken = {_BESIDE[name] for name in ours if name in _BESIDE} - set(ours)
    names = [name for name in paper.TABLE_1 if name not in taken]
    names += [name for name in ours if name not in names]
    lines = [["System", *(_header(*column) for column in columns)]]
    cells = [
        _column(systems, metric, names, place)
        for place, (systems, (_, metric)) in enumerate(
            zip(found, columns, strict=True)
        )
    ]
    lines += [[name, *row] for name, row in zip(names, zip(*cells))]
    return markdown_table(lines)


def _header(evaluation, metric):
    return _HEADERS.get(evaluation) or COLUMNS[metric][0]


def _column(systems, metric, names, place):
    best = as_good_as_best(
        [one for name, one in systems.items() if name != paper.CLEAN], metric
    )
    for name in names:
        numbers = paper.TABLE_1.get(_BESIDE.get(name, name), ())
        yield cell(
            systems.get(name),
            metric,
            numbers[place] if place < len(numbers) else None,
            name in best,
        )


def cell(one, metric, published=None, bold=False):
    """Write a number with its interval, and the paper's in brackets.

    Arguments
    ---------
    one : WordErrors or TrialScores or EnhancementScores or None
        What was measured.
    metric : str
        ``"wer"``, ``"cer"``, ``"eer"`` or a score.
    published : float or None
        The paper's number.
    bold : bool
        Whether it is as good as the best.

    Returns
    -------
    str

    Example
    -------
    >>> scores = EnhancementScores("SNR", ["a"], [5.0], {"sdr": [12.0]})
    >>> cell(scores, "sdr", 15.7, True), cell(None, "wer")
    ('**12.0** [12.0, 12.0] (15.7)', '-')
    """
    scale, decimals = 100, 1
    if metric not in _PERCENT:
        scale, decimals = 1, COLUMNS[metric][1]
    ours = one and estimate(one, metric)
    text = "-"
    if ours is not None:
        value, low, high = (f"{scale * x:.{decimals}f}" for x in ours)
        value = f"**{value}**" if bold else value
        text = f"{value} [{low}, {high}]"
    return text if published is None else f"{text} ({published:.{decimals}f})"


def table_2(results, inference):
    """Lay out Table 2: SSL models for inference by SSL models for training.

    Arguments
    ---------
    results : dict
        As :func:`measured` takes them.
    inference : str
        What the downstream models of all other tables stand on.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> len(table_2({}, paper.WAVLM).splitlines())
    22
    """
    lines = [["For inference", "System", *map(_HEADERS.get, paper.TASKS)]]
    for model in dict.fromkeys([*paper.TABLE_2, inference]):
        published = paper.TABLE_2.get(model, {})
        found = {
            task: measured(
                results,
                task if model == inference else paper.inferred(task, model),
                paper.metric_of(task),
            )
            for task in paper.TASKS
        }
        names = dict.fromkeys(
            [*published, *(name for part in found.values() for name in part)]
        )
        lines += [
            [model, name, *_cells(found, name, published.get(name))]
            for name in names
            if name != paper.CLEAN
        ]
    return markdown_table(lines, left=2)


def table_3(results):
    """Lay out Table 3: downstream models that were trained in noise.

    Arguments
    ---------
    results : dict
        As :func:`measured` takes them.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> table_3({}).splitlines()[5].split("|")[1:4]
    [' SSL-MSE    ', ' yes              ', '       - (11.3) ']
    """
    headers = map(_HEADERS.get, paper.TASKS)
    lines = [["System", "Trained in noise", *headers]]
    for (name, in_noise), published in paper.TABLE_3.items():
        found = {
            task: measured(
                results,
                paper.robust(task) if in_noise else task,
                paper.metric_of(task),
            )
            for task in paper.TASKS
        }
        row = [name, "yes" if in_noise else "no"]
        lines.append([*row, *_cells(found, name, published)])
    return markdown_table(lines, left=2)


def _cells(found, name, published):
    """A system's cells of the tasks."""
    numbers = published or [None] * len(found)
    return [
        cell(systems.get(name), paper.metric_of(task), number)
        for (task, systems), number in zip(found.items(), numbers, strict=True)
    ]


def paper_tables(results, inference, note="", figure=None):
    """Write tables.md's text.

    Arguments
    ---------
    results : dict
        As :func:`measured` takes them.
    inference : str
        What the downstream models stand on.
    note : str
        What stands in for what.
    figure : str or None
        The file of Figure 3.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> paper_tables({}, paper.WAVLM).count("## Table")
    3
    """
    parts = [
        "# Generic speech enhancement: the paper's tables\n",
        note,
        "## Table 1: all systems\n",
        table_1(results),
        _BOLD,
        "## Table 2: SSL models for inference and for training\n",
        table_2(results, inference),
        "## Table 3: downstream models that were trained in noise\n",
        table_3(results),
    ]
    if figure is not None:
        parts += [
            "## Figure 3: the weight of the SNR loss\n",
            f"![The metrics against alpha]({figure})\n",
        ]
    return "\n".join(part for part in parts if part)
