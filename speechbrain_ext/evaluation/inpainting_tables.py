"""Tables 2 and 3 of paper 2: masks down, systems across, a table a metric.

All systems of a cell, a kind of masks and a size, are averaged over the same
segments: those on which each of them has a score.
"""

import math

import numpy as np

from speechbrain_ext.evaluation.enhancement_report import (
    COLUMNS,
    UNDEFINED_SUFFIX,
)
from speechbrain_ext.evaluation.kegler2019 import published
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.results import result_row
from speechbrain_ext.metrics.bootstrap import bootstrap_interval

#: The ``corruption`` of clean speech with estimated phases.
UNDAMAGED = "none"

_NAMES = {
    "time": "Time",
    "time-frequency": "Time + freq.",
    "random": "Random",
}


def inpainting_cells(scores):
    """Put systems together that were given the same masks.

    Arguments
    ---------
    scores : sequence of EnhancementScores
        A system's in a cell each.

    Returns
    -------
    dict
        List of them by (corruption, level), in their first appearance.

    Example
    -------
    >>> inpainting_cells([])
    {}
    """
    cells = {}
    for one in scores:
        cells.setdefault((one.corruption, one.level), []).append(one)
    return cells


def counted_segments(cell, metric):
    """Pick the segments on which all systems of a cell have a score.

    Arguments
    ---------
    cell : sequence of EnhancementScores
        Of the same segments.
    metric : str
        Which score.

    Returns
    -------
    numpy.ndarray
        bool [segments].

    Example
    -------
    >>> from speechbrain_ext.evaluation.enhancement_scores import (
    ...     EnhancementScores,
    ... )
    >>> cell = [
    ...     EnhancementScores(name, ["a", "b"], [0, 0], {"pesq": values})
    ...     for name, values in (("x", [math.nan, 2.0]), ("y", [1.0, 3.0]))
    ... ]
    >>> counted_segments(cell, "pesq")
    array([False,  True])
    """
    return np.isfinite([one.scores[metric] for one in cell]).all(axis=0)


def inpainting_rows(scores):
    """Summarise scores as rows of results.json.

    A metric's row has the mean with its bootstrap interval over the segments
    that count in the cell; ``n`` counts these. A row ``METRIC_undefined``
    counts, out of all, those on which the system itself has no score.

    Arguments
    ---------
    scores : sequence of EnhancementScores
        A system's in a cell each.

    Returns
    -------
    list of dict

    Example
    -------
    >>> from speechbrain_ext.evaluation.enhancement_scores import (
    ...     EnhancementScores,
    ... )
    >>> one = EnhancementScores(
    ...     "gaps", ["a"], [0], {"stoi": [0.5]}, corruption="time", level=0.1
    ... )
    >>> (row,) = inpainting_rows([one])
    >>> row["corruption"], row["level"], row["value"]
    ('time', 0.1, 0.5)
    """
    rows = []
    for cell in inpainting_cells(scores).values():
        for metric in cell[0].scores:
            count = counted_segments(cell, metric)
            for one in cell:
                rows += _rows(one, metric, count)
    return rows


def _rows(one, metric, count):
    def row(name, estimate, n):
        """Make a row of a metric's estimate."""
        return result_row(
            one.system,
            one.backend,
            one.test_set,
            one.corruption,
            one.level,
            name,
            estimate,
            n,
            one.seed,
        )

    values = np.array(one.scores[metric])[count]
    estimate = (math.nan,) * 3
    if len(values):
        estimate = bootstrap_interval(values)
    rows = [row(metric, estimate, len(values))]
    undefined = len(one.undefined(metric))
    if undefined:
        number = (undefined, math.nan, math.nan)
        rows.append(row(metric + UNDEFINED_SUFFIX, number, len(one.ids)))
    return rows


def inpainting_table(rows, metric, systems):
    """Lay out a metric: masks down, systems across.

    Arguments
    ---------
    rows : list of dict
        Of results.json.
    metric : str
        Which one.
    systems : sequence of str
        The columns, in their order; those that have no row as well.

    Returns
    -------
    str
        Markdown; the paper's numbers are in round brackets.

    Example
    -------
    >>> row = result_row(
    ...     "gaps", "torch", "t", "time", 0.1, "stoi", (0.9, 0.8, 1), 9, 0
    ... )
    >>> print(inpainting_table([row], "stoi", ["gaps"]))
    | STOI       |                         gaps |
    | :--------- | ---------------------------: |
    | Time, 10 % | 0.900 [0.800, 1.000] (0.893) |
    <BLANKLINE>
    """
    cells = {
        (row["corruption"], row["level"], row["system"]): row
        for row in rows
        if row["metric"] == metric and row["corruption"] != UNDAMAGED
    }
    masks = dict.fromkeys((kind, size) for kind, size, _ in cells)
    lines = [[COLUMNS[metric][0], *systems]]
    for kind, size in masks:
        found = [
            _cell(
                cells.get((kind, size, system)),
                published(system, kind, size, metric),
                COLUMNS[metric][1],
            )
            for system in systems
        ]
        lines.append([mask_name(kind, size), *found])
    return markdown_table(lines)


def mask_name(kind, size):
    """Name a cell in a table.

    Arguments
    ---------
    kind : str
        Of masks.
    size : float
        A share.

    Returns
    -------
    str

    Example
    -------
    >>> mask_name("time-frequency", 0.3)
    'Time + freq., 30 %'
    """
    return f"{_NAMES.get(kind, kind)}, {100 * size:g} %"


def _cell(row, paper, decimals):
    ours = "-"
    if row is not None and row["value"] is not None:
        value, low, high = (
            f"{row[key]:.{decimals}f}" for key in ("value", "ci_low", "ci_high")
        )
        ours = f"{value} [{low}, {high}]"
    return ours if paper is None else f"{ours} ({paper:.3f})"


def ceiling_sentence(rows):
    """Say what clean magnitudes with estimated phases score.

    Arguments
    ---------
    rows : list of dict
        Of results.json.

    Returns
    -------
    str
        Empty where that was not measured.

    Example
    -------
    >>> row = result_row(
    ...     "resynthesised", "torch", "t", "none", 0, "stoi", (0.9, 0.8, 1), 9, 0
    ... )
    >>> print(ceiling_sentence([row]), end="")
    Clean magnitudes with estimated phases, the ceiling: STOI 0.900 \
[0.800, 1.000].
    """
    found = [
        f"{COLUMNS[row['metric']][0]} "
        + _cell(row, None, COLUMNS[row["metric"]][1])
        for row in rows
        if row["corruption"] == UNDAMAGED and row["metric"] in COLUMNS
    ]
    if not found:
        return ""
    return (
        "Clean magnitudes with estimated phases, the ceiling: "
        f"{', '.join(found)}.\n"
    )


def left_out_lines(scores):
    """Name the segments that count for no system of a cell.

    Arguments
    ---------
    scores : sequence of EnhancementScores
        A system's in a cell each.

    Yields
    ------
    str
        A sentence for a cell and metric.

    Example
    -------
    >>> list(left_out_lines([]))
    []
    """
    for (kind, size), cell in inpainting_cells(scores).items():
        where = UNDAMAGED if kind == UNDAMAGED else mask_name(kind, size)
        for metric in cell[0].scores:
            failed = {}
            for one in cell:
                for name in one.undefined(metric):
                    failed.setdefault(name, []).append(one.system)
            if failed:
                named = "; ".join(
                    f"{name} ({', '.join(systems)})"
                    for name, systems in failed.items()
                )
                yield (
                    f"{where}: {len(failed)} of {len(cell[0].ids)} segments "
                    f"count for no system, as {COLUMNS[metric][0]} is not "
                    f"defined for some: {named}.\n"
                )
