"""What of a results.json goes to a model card: its metadata and its figure."""

import json
import re
from pathlib import Path

from huggingface_hub import EvalResult
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.report import save_figure
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.files import atomic_write

#: Systems that a model is compared with.
REFERENCES = ("bare", "clean", "noisy", "gaps", "noise", "lpc", "resynthesised")
_PERCENT = ("wer", "cer")


def read_results(path):
    """Read a results.json.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    list of dict
        Its rows; none where there is no such file.

    Raises
    ------
    UserError
        When it is no results.json.

    Example
    -------
    >>> read_results("nowhere.json")
    []
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        whole = all(set(ROW_KEYS) <= set(row) for row in rows)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: not readable as results ({error}); expected what "
            "evaluate writes"
        ) from error
    if not isinstance(rows, list) or not whole:
        raise UserError(
            f"{path}: expected a list of rows with {', '.join(ROW_KEYS)}"
        )
    return rows


def own_system(rows, names, path="results.json"):
    """Find the system that is the model.

    Arguments
    ---------
    rows : list of dict
        Of results.json.
    names : sequence of str
        What it may be called, the likeliest first.
    path : str or Path
        Of the file, for the message.

    Returns
    -------
    str or None
        None where there are no rows.

    Raises
    ------
    UserError
        When it is not plain which one it is.

    Example
    -------
    >>> own_system([{"system": "bare"}, {"system": "adapted"}], ["plc"])
    'adapted'
    """
    systems = list(dict.fromkeys(row["system"] for row in rows))
    for name in names:
        if name in systems:
            return name
    left = [name for name in systems if name not in REFERENCES]
    if len(left) > 1 or (systems and not left):
        raise UserError(
            f"{path}: has the systems {', '.join(systems)}; expected --system "
            "with the one that is published"
        )
    return left[0] if left else None


def eval_results(rows, system, kind):
    """Make a card's evaluation results.

    Arguments
    ---------
    rows : list of dict
        Of results.json.
    system : str or None
        Which one is the model.
    kind : Kind
        Says the task and the metrics.

    Returns
    -------
    list of EvalResult
        Word and character error rates in percent.

    Example
    -------
    >>> eval_results([], None, None)
    []
    """
    found = []
    for row in rows:
        if row["system"] != system or row["metric"] not in kind.metrics:
            continue
        if row["value"] is None:
            continue
        percent = row["metric"] in _PERCENT
        factor = 100 if percent else 1
        level = "all levels" if row["level"] is None else f"{row['level']:g}"
        found.append(
            EvalResult(
                task_type=kind.task,
                dataset_type=_slug(row["test_set"]),
                dataset_name=f"{row['test_set']}, {row['corruption']} {level}",
                dataset_config=f"{row['corruption']} {level}, "
                f"{row['backend']}, seed {row['seed']}",
                metric_type=row["metric"],
                metric_name=row["metric"].upper() + (" %" if percent else ""),
                metric_value=round(factor * row["value"], 3),
                metric_args={
                    key: None if row[key] is None else round(row[key] * by, 3)
                    for key, by in (
                        ("ci_low", factor),
                        ("ci_high", factor),
                        ("n", 1),
                    )
                },
            )
        )
    return found


def draw_results(file, rows, kind):
    """Draw the first of a kind's metrics that there is, a line a system.

    Arguments
    ---------
    file : str or Path
        A PNG file.
    rows : list of dict
        Of results.json.
    kind : Kind
        Says the metrics.

    Returns
    -------
    bool
        Whether there was something to draw.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> from speechbrain_ext.publishing.kinds import KINDS
    >>> draw_results("nowhere.png", [], KINDS["Inpainter"])
    False
    """
    for metric in kind.metrics:
        drawn = [
            row
            for row in rows
            if row["metric"] == metric
            and row["value"] is not None
            and row["level"] is not None
            and row["system"] != "clean"
        ]
        if drawn:
            break
    else:
        return False
    # One test set and one damage: the first.
    first = drawn[0]
    drawn = [
        row
        for row in drawn
        if all(row[key] == first[key] for key in ("test_set", "corruption"))
    ]
    title = f"{first['test_set']}, {first['corruption']}"
    if metric == "wer" and "packet-loss" in kind.tags:
        save_figure(file, drawn, title)
    else:
        _draw(file, drawn, metric, title)
    return True


def _draw(file, rows, metric, title):
    figure = Figure(figsize=(6.4, 4.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for system in dict.fromkeys(row["system"] for row in rows):
        points = sorted(
            (row["level"], row["value"])
            for row in rows
            if row["system"] == system
        )
        level, value = zip(*points, strict=True)
        style = "--" if system in REFERENCES else "-"
        axes.plot(level, value, style, marker="o", label=system)
    noise = rows[0]["corruption"] == "noise"
    axes.set_xlabel("SNR (dB)" if noise else "Share that is damaged")
    axes.set_ylabel(metric.upper())
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_write(file) as temporary:
        figure.savefig(temporary, format="png")


def _slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
