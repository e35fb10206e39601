"""results.json, results.md and scores.json of enhanced speech."""

import math
from pathlib import Path

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.enhancement_scores import snr_bins, write_scores
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.results import result_row, write_results
from speechbrain_ext.files import write_text
from speechbrain_ext.metrics.bootstrap import (
    bootstrap_interval,
    paired_bootstrap,
)

#: SNRs in dB, from and to, that Table VII of Plantinga et al. puts together.
TABLE_VII_BINS = ((0, 3), (5, 8), (10, 13), (15, 18))

#: What a metric's name gets for the number of clips that have no such score.
UNDEFINED_SUFFIX = "_undefined"
#: What it gets for the difference from the baseline.
GAIN_SUFFIX = "_gain"

_NOTHING = (math.nan, math.nan, math.nan)

#: Name and decimals of each metric in tables.
COLUMNS = {
    "pesq": ("PESQ", 2),
    "pesq_raw": ("Raw PESQ", 2),
    "stoi": ("STOI", 3),
    "estoi": ("ESTOI", 3),
    "si_sdr": ("SI-SDR, dB", 1),
    "sdr": ("SDR, dB", 1),
    "csig": ("CSIG", 2),
    "cbak": ("CBAK", 2),
    "covl": ("COVL", 2),
    "dnsmos_ovrl": ("DNSMOS OVRL", 2),
    "dnsmos_sig": ("DNSMOS SIG", 2),
    "dnsmos_bak": ("DNSMOS BAK", 2),
    "accuracy": ("Accuracy", 3),
}

_NOTES = """\
Means with 95 % intervals (bootstrap over utterances); differences are paired.
PESQ is wideband; CSIG, CBAK and COVL are Hu and Loizou's composite measures.
"""


def result_rows(scores, baseline=None, bins=None):
    """Summarise a system's scores as rows of results.json.

    First over all SNRs (``level`` None), then for each. A metric's row has the
    mean with its bootstrap interval over utterances; ``n`` counts the clips
    that have a score. Where some have none, a row ``METRIC_undefined`` counts
    them out of ``n``. With a baseline, ``METRIC_gain`` is the mean difference
    from it, its interval paired.

    Arguments
    ---------
    scores : EnhancementScores
        The system's.
    baseline : EnhancementScores or None
        Of the same utterances, for example the noisy input's.
    bins : sequence of tuple of float or None
        SNRs from and to, in dB, both included, for example
        ``TABLE_VII_BINS``; ``level`` is where one begins. None is each SNR
        there is.

    Returns
    -------
    list of dict

    Raises
    ------
    UserError
        When the baseline's utterances are others.

    Example
    -------
    >>> from speechbrain_ext.evaluation.enhancement_scores import (
    ...     EnhancementScores,
    ... )
    >>> scores = EnhancementScores("mask", ["a"], [5.0], {"pesq": [2.5]})
    >>> [(row["level"], row["value"]) for row in result_rows(scores)]
    [(None, 2.5), (5.0, 2.5)]
    """
    if bins is None:
        bins = snr_bins(scores.snrs)
    rows = []
    for low, high in [(None, None), *bins]:
        parts = [scores] if baseline is None else [scores, baseline]
        if low is not None:
            parts = [part.between(low, high) for part in parts]
        if parts[0].ids:
            for metric in scores.scores:
                rows += _metric_rows(metric, low, *parts)
    return rows


def _metric_rows(metric, level, scores, baseline=None):
    def row(name, estimate, n):
        """Make a row of a metric's estimate."""
        return result_row(
            scores.system,
            scores.backend,
            scores.test_set,
            scores.corruption,
            level,
            name,
            estimate,
            n,
            scores.seed,
        )

    values = [value for value in scores.scores[metric] if math.isfinite(value)]
    estimate = bootstrap_interval(values) if values else _NOTHING
    rows = [row(metric, estimate, len(values))]
    n_undefined = len(scores.undefined(metric))
    if n_undefined:
        count = (n_undefined, math.nan, math.nan)
        rows.append(row(metric + UNDEFINED_SUFFIX, count, len(scores.ids)))
    if baseline is not None:
        pairs = scores.paired(baseline, metric)
        gain = paired_bootstrap(*pairs.T).difference if len(pairs) else _NOTHING
        rows.append(row(metric + GAIN_SUFFIX, gain, len(pairs)))
    return rows


def write_enhancement_report(
    folder,
    systems,
    baseline=None,
    bins=None,
    note="",
    word_rows=(),
    trial_rows=(),
):
    """Write what systems scored: results.json, results.md and scores.json.

    Arguments
    ---------
    folder : str or Path
        Where the files go.
    systems : sequence of EnhancementScores
        In the order of the table.
    baseline : str or None
        The system that the others are compared with, for example ``noisy``.
    bins : sequence of tuple of float or None
        See :func:`~speechbrain_ext.evaluation.enhancement_scores.result_rows`.
    note : str
        A paragraph for results.md, below the tables.
    word_rows : sequence of dict
        Rows of results.json with word error rates of the same systems.
    trial_rows : sequence of dict
        The same with equal error rates.

    Returns
    -------
    list of dict
        The rows of results.json.

    Raises
    ------
    UserError
        When systems were scored on other utterances than the baseline, or a
        file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.evaluation.enhancement_scores import (
    ...     EnhancementScores,
    ... )
    >>> folder = Path(tempfile.mkdtemp())
    >>> scores = EnhancementScores("mask", ["a"], [5], {"pesq": [2.5]})
    >>> _ = write_enhancement_report(folder, [scores])
    >>> sorted(file.name for file in folder.iterdir())
    ['results.json', 'results.md', 'scores.json']
    """
    folder = Path(folder)
    by_name = {one.system: one for one in systems}
    if systems and baseline is not None and baseline not in by_name:
        raise UserError(
            f"baseline: no system {baseline}; expected {', '.join(by_name)}"
        )
    reference = by_name.get(baseline)
    rows = []
    for one in systems:
        other = None if one is reference else reference
        rows += result_rows(one, other, bins)
    write_scores(folder / "scores.json", systems)
    write_results(folder / "results.json", [*rows, *word_rows])
    ends = dict(bins or ())
    parts = [
        "# Enhanced speech\n",
        rows and enhancement_tables(rows, baseline, ends),
        *_without_score(systems),
        word_rows and wer_table(word_rows, ends),
        trial_rows and eer_table(trial_rows),
        _NOTES,
        note,
    ]
    write_text(folder / "results.md", "\n".join(part for part in parts if part))
    return [*rows, *word_rows, *trial_rows]


def enhancement_tables(rows, baseline=None, ends=None):
    """Lay out rows: systems down, metrics across; then SNRs across.

    Arguments
    ---------
    rows : list of dict
        Of results.json, one test set's.
    baseline : str or None
        What the differences are from.
    ends : dict of float to float or None
        Where a range of SNRs ends, by its begin, in dB.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> from speechbrain_ext.evaluation.enhancement_scores import (
    ...     EnhancementScores,
    ... )
    >>> scores = EnhancementScores("mask", ["a"], [5], {"pesq": [2.5]})
    >>> print(enhancement_tables(result_rows(scores)))
    test, noise: 1 utterances
    <BLANKLINE>
    |      |              PESQ |
    | :--- | ----------------: |
    | mask | 2.50 [2.50, 2.50] |
    <BLANKLINE>
    By SNR:
    <BLANKLINE>
    |            |              5 dB |
    | :--------- | ----------------: |
    | mask, PESQ | 2.50 [2.50, 2.50] |
    <BLANKLINE>
    """
    cells = {(row["system"], row["metric"], row["level"]): row for row in rows}
    systems = _systems(rows)
    metrics = [name for name in COLUMNS if (systems[0], name, None) in cells]
    levels = sorted({row["level"] for row in rows} - {None})
    n = max(row["n"] for row in rows)
    parts = [
        f"{rows[0]['test_set']}, {rows[0]['corruption']}: {n} utterances\n",
        _overall(cells, systems, metrics),
    ]
    if baseline is not None:
        compared = [system for system in systems if system != baseline]
        parts += [
            f"Less {baseline}:\n",
            _overall(cells, compared, metrics, GAIN_SUFFIX),
        ]
    names = _level_names(levels, ends or {})
    lines = [
        [f"{system}, {COLUMNS[metric][0]}"]
        + [_cell(cells, system, metric, level) for level in levels]
        for metric in metrics
        for system in systems
    ]
    if levels:
        parts += ["By SNR:\n", markdown_table([["", *names], *lines])]
    return "\n".join(parts)


def wer_table(rows, ends=None):
    """Lay out word error rates: systems down, SNRs across.

    Arguments
    ---------
    rows : list of dict
        Of results.json, with the metrics ``wer`` and
        ``wer_relative_reduction``, or ``cer`` and so on; others are passed
        over.
    ends : dict of float to float or None
        Where a range of SNRs ends, by its begin, in dB.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> row = result_row(
    ...     "mask", "torch", "t", "noise", None, "wer", (0.1, 0, 0.2), 9, 0
    ... )
    >>> print(wer_table([row]))
    | WER % |         all SNRs |
    | :---- | ---------------: |
    | mask  | 10.0 [0.0, 20.0] |
    <BLANKLINE>
    """
    cells = {(row["system"], row["metric"], row["level"]): row for row in rows}
    levels = sorted({row["level"] for row in rows} - {None})
    rate = "cer" if any(row["metric"] == "cer" for row in rows) else "wer"
    lines = [
        [f"{rate.upper()} %", "all SNRs", *_level_names(levels, ends or {})]
    ]
    for metric, label in (
        (rate, "{}"),
        (f"{rate}_relative_reduction", "{}: reduction %"),
    ):
        for system in _systems(rows):
            found = [
                cells.get((system, metric, level)) for level in [None, *levels]
            ]
            if any(found):
                lines.append([label.format(system), *map(_percent, found)])
    return markdown_table(lines)


def eer_table(rows):
    """Lay out equal error rates: systems down.

    Arguments
    ---------
    rows : list of dict
        Of results.json, with the metric ``eer``.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> row = result_row(
    ...     "mask", "torch", "t", "noise", None, "eer", (0.1, 0, 0.2), 9, 0
    ... )
    >>> print(eer_table([row]))
    | EER % |         9 trials |
    | :---- | ---------------: |
    | mask  | 10.0 [0.0, 20.0] |
    <BLANKLINE>
    """
    lines = [[row["system"], _percent(row)] for row in rows]
    return markdown_table([["EER %", f"{rows[0]['n']} trials"], *lines])


def _percent(row):
    if row is None:
        return "-"
    value, low, high = (
        "-" if row[key] is None else f"{100 * row[key]:.1f}"
        for key in ("value", "ci_low", "ci_high")
    )
    return f"{value} [{low}, {high}]"


def _systems(rows):
    return list(dict.fromkeys(row["system"] for row in rows))


def _level_names(levels, ends):
    names = []
    for level in levels:
        # A range may end just before the next one begins.
        end = round(ends.get(level, level), 3) + 0.0
        to = " to " if level < 0 else "-"
        names.append(
            f"{level:g} dB" if end == level else f"{level:g}{to}{end:g} dB"
        )
    return names


def _overall(cells, systems, metrics, suffix=""):
    """A table over all SNRs; where clips have no PESQ, a column counts them."""
    lines = [["", *(COLUMNS[metric][0] for metric in metrics)]]
    lines += [
        [system]
        + [_cell(cells, system, metric, None, suffix) for metric in metrics]
        for system in systems
    ]
    counts = [
        cells.get((system, "pesq" + UNDEFINED_SUFFIX, None))
        for system in systems
    ]
    if any(counts) and not suffix:
        counts = [f"{row['value']:.0f}" if row else "0" for row in counts]
        for line, cell in zip(lines, ["Without PESQ", *counts], strict=True):
            line.append(cell)
    return markdown_table(lines)


def _cell(cells, system, metric, level, suffix=""):
    row = cells.get((system, metric + suffix, level))
    if row is None or row["value"] is None:
        return "-"
    sign = "+" if suffix == GAIN_SUFFIX else ""
    value, low, high = (
        f"{row[key]:{sign}.{COLUMNS[metric][1]}f}"
        for key in ("value", "ci_low", "ci_high")
    )
    return f"{value} [{low}, {high}]"


def _without_score(systems):
    """Name the clips that some mean leaves out."""
    for one in systems:
        metrics = {}
        for metric in one.scores:
            names = tuple(one.undefined(metric))
            metrics.setdefault(names, []).append(COLUMNS[metric][0])
        for names, columns in metrics.items():
            if names:
                yield (
                    f"{one.system}: {len(names)} of {len(one.ids)} clips have "
                    f"no {', '.join(columns)}: {', '.join(names)}.\n"
                )
