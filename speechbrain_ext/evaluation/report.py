"""results.md and the figure, in the manner of Dissen et al. (2024), Figure 2."""

import itertools
import re
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_ext.evaluation.results import BARE
from speechbrain_ext.files import atomic_write, write_text

# Okabe and Ito's colours, which the colour-blind can tell apart, without their
# yellow, which paper swallows; black is the bare recogniser's.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
#: Systems whose legend has room among the lines.
_MAX_LEGEND_INSIDE = 5

_NOTES = """\
WER in % with its 95 % interval (bootstrap over utterances). All systems hear
the same lost packets, and decode with the same search and the same cap on a
text's length, which also ends the loops that a bare recogniser falls into at
high loss. The reduction is relative to the bare recogniser's WER, its interval
paired over utterances.
"""


def write_report(folder, rows, note=""):
    """Write results.md and a figure for each test set and damage.

    Arguments
    ---------
    folder : str or Path
        Where they go: ``results.md`` and ``wer-TESTSET-DAMAGE.png``.
    rows : list of dict
        The rows of results.json.
    note : str
        A paragraph for results.md, below the table.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UserError
        When one cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.evaluation.results import result_row
    >>> row = result_row(
    ...     "bare", "torch", "test", "spans", 0.4, "wer", (0.6, 0.5, 0.7), 60, 1
    ... )
    >>> [file.name for file in write_report(tempfile.mkdtemp(), [row])]
    ['results.md', 'wer-test-spans.png']
    """
    folder = Path(folder)
    files = [folder / "results.md"]
    sections = []
    for (test_set, corruption, backend), group in _groups(rows):
        name = _slug("wer", test_set, corruption)
        if _is_ambiguous(rows, test_set, corruption):
            name = _slug(name, backend)
        file = folder / f"{name}.png"
        save_figure(file, group, f"{test_set}, {corruption}")
        files.append(file)
        sections.append(f"![WER against loss rate]({file.name})\n")
    title = "# Word error rate against packet loss\n"
    parts = [title, results_table(rows), _NOTES]
    if note:
        parts.append(note + "\n")
    write_text(files[0], "\n".join(parts + sections))
    return files


def results_table(rows):
    """Lay out rows as the paper's table: systems down, loss rates across.

    Arguments
    ---------
    rows : list of dict
        The rows of results.json.

    Returns
    -------
    str
        Markdown, a table for each test set, damage and backend.

    Example
    -------
    >>> from speechbrain_ext.evaluation.results import result_row
    >>> row = result_row(
    ...     "bare", "torch", "test", "spans", 0.4, "wer", (0.6, 0.5, 0.7), 60, 1
    ... )
    >>> print(results_table([row]))
    test: 60 utterances, damage spans, backend torch
    <BLANKLINE>
    | WER % |         40 % loss |
    | :---- | ----------------: |
    | bare  | 60.0 [50.0, 70.0] |
    <BLANKLINE>
    """
    tables = []
    for (test_set, corruption, backend), group in _groups(rows):
        levels = _levels(group)
        lines = [["WER %", *(f"{_percent(level)} % loss" for level in levels)]]
        for metric, label in (
            ("wer", "{}"),
            ("wer_relative_reduction", "{}: reduction %"),
        ):
            for system in _systems(group):
                cells = {
                    row["level"]: _cell(row)
                    for row in group
                    if (row["system"], row["metric"]) == (system, metric)
                }
                if cells:
                    lines.append(
                        [label.format(system)]
                        + [cells.get(level, "") for level in levels]
                    )
        tables.append(
            f"{test_set}: {group[0]['n']} utterances, damage {corruption}, "
            f"backend {backend}\n\n" + markdown_table(lines)
        )
    return "\n".join(tables)


def _groups(rows):
    """Rows by test set, damage and backend, in their first appearance."""
    groups = {}
    for row in rows:
        key = row["test_set"], row["corruption"], row["backend"]
        groups.setdefault(key, []).append(row)
    return groups.items()


def _is_ambiguous(rows, test_set, corruption):
    backends = {
        row["backend"]
        for row in rows
        if (row["test_set"], row["corruption"]) == (test_set, corruption)
    }
    return len(backends) > 1


def _systems(rows):
    """Systems in their first appearance, the bare one first."""
    names = dict.fromkeys(row["system"] for row in rows)
    return sorted(names, key=lambda name: name != BARE)


def _levels(rows):
    return sorted({row["level"] for row in rows})


def _percent(level):
    return f"{100 * level:.3g}"


def _cell(row):
    def number(value):
        """Write a share in percent."""
        return "-" if value is None else f"{100 * value:.1f}"

    interval = f"[{number(row['ci_low'])}, {number(row['ci_high'])}]"
    return f"{number(row['value'])} {interval}"


def markdown_table(lines, left=1):
    """Lay out lines of cells as a Markdown table.

    Arguments
    ---------
    lines : list of list of str
        The header's cells, then each line's.
    left : int
        How many of the first columns go to the left; the others go to the
        right.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> print(markdown_table([["WER %", "base"], ["Ours", "18.1"]]))
    | WER % | base |
    | :---- | ---: |
    | Ours  | 18.1 |
    <BLANKLINE>
    """
    columns = []
    for place, cells in enumerate(zip(*lines, strict=True)):
        width = max(map(len, cells))
        header, *rest = cells
        if place < left:
            rule, pad = ":" + "-" * (width - 1), str.ljust
        else:
            rule, pad = "-" * (width - 1) + ":", str.rjust
        columns.append([pad(cell, width) for cell in (header, rule, *rest)])
    return "".join(f"| {' | '.join(row)} |\n" for row in zip(*columns))


def _slug(*parts):
    """A file's name without what shells and links stumble over."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(parts)).strip("-.")


def save_figure(file, rows, title, metric="wer", snrs=False):
    """Draw an error rate against the damage, a line a system.

    Its interval is an area.

    Arguments
    ---------
    file : str or Path
        Where the PNG goes.
    rows : list of dict
        Rows of results.json, of one test set and damage.
    title : str
        Above the figure.
    metric : str
        ``"wer"`` or ``"cer"``.
    snrs : bool
        Whether levels are SNRs, in dB, and not loss rates.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.evaluation.results import result_row
    >>> row = result_row(
    ...     "bare", "torch", "test", "spans", 0.4, "wer", (0.6, 0.5, 0.7), 60, 1
    ... )
    >>> file = Path(tempfile.mkdtemp()) / "figure.png"
    >>> save_figure(file, [row], "One point")
    >>> file.stat().st_size > 1000
    True
    """
    # So many names would hide their lines.
    beside = len(_systems(rows)) > _MAX_LEGEND_INSIDE
    size = (8.8 if beside else 6.4, 4.4)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    scale = 1 if snrs else 100
    styles = itertools.cycle(
        (colour, marker, line)
        for line in ("-", ":")
        for colour, marker in zip(_COLOURS, _MARKERS, strict=True)
    )
    for system in _systems(rows):
        if system in (BARE, "noisy"):
            colour, marker, line = "black", "x", "--"
        else:
            colour, marker, line = next(styles)
        points = sorted(
            (row["level"], row["value"], row["ci_low"], row["ci_high"])
            for row in rows
            if (row["system"], row["metric"]) == (system, metric)
        )
        level, *rates = zip(*points, strict=True)
        level = [scale * number for number in level]
        value, low, high = ([100 * rate for rate in column] for column in rates)
        axes.fill_between(level, low, high, color=colour, alpha=0.15, lw=0)
        axes.plot(
            level, value, color=colour, marker=marker, ls=line, label=system
        )
    axes.set_xlabel("SNR (dB)" if snrs else "Packet loss rate (%)")
    axes.set_ylabel(f"{metric.upper()} (%)")
    axes.set_title(title)
    axes.set_ylim(bottom=0)
    axes.set_xticks([scale * level for level in _levels(rows)])
    axes.xaxis.set_major_formatter("{x:.3g}")
    axes.grid(alpha=0.3)
    if beside:
        figure.legend(loc="outside right upper")
    else:
        axes.legend()
    with atomic_write(file) as temporary:
        figure.savefig(temporary, format="png")
