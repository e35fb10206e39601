"""results.json, results.md and scores.json of inpainting, and paper 2's tables."""

from pathlib import Path

from speechbrain_ext.evaluation import kegler2019 as paper
from speechbrain_ext.evaluation.claims import claims_report
from speechbrain_ext.evaluation.enhancement_scores import (
    read_scores,
    write_scores,
)
from speechbrain_ext.evaluation.inpainting_systems import GAPS, LPC, NOISE
from speechbrain_ext.evaluation.inpainting_tables import (
    ceiling_sentence,
    inpainting_rows,
    inpainting_table,
    left_out_lines,
)
from speechbrain_ext.evaluation.results import write_results
from speechbrain_ext.files import write_text, write_texts

_NOTES = """\
Means with 95 % intervals (bootstrap over segments) against the clean segments;
PESQ is wideband; raw PESQ is narrowband, on P.862's scale, as the paper's seems.
All systems have the same masks and, in a line, are averaged over the same
segments. In round brackets is the paper's own number, of its own data and
models. *gaps*: nothing is repaired. *noise*: noise of the segment's
spectrum under the masks. *lpc*: linear prediction from both sides of what is
lost in all channels, given the speech of *gaps*: bands that are lost stay so.
Models' speech has phases that are estimated from magnitudes alone.
"""


def write_inpainting_report(
    folder, scores, informed=(), blind=(), figures=(), note=""
):
    """Write what systems scored: results.json, results.md and scores.json.

    Arguments
    ---------
    folder : str or Path
        Where the files go.
    scores : sequence of EnhancementScores
        A system's in a cell each.
    informed, blind : sequence of str
        The models, by whether they are told where the masks are.
    figures : sequence of Path
        Spectrograms in the same folder.
    note : str
        A paragraph for results.md.

    Returns
    -------
    list of dict
        The rows of results.json.

    Raises
    ------
    UserError
        When a file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_inpainting_report(folder, [])
    []
    >>> sorted(file.name for file in folder.iterdir())
    ['results.json', 'results.md', 'scores.json']
    """
    folder = Path(folder)
    rows = inpainting_rows(scores)
    write_scores(folder / "scores.json", scores)
    write_results(folder / "results.json", rows)
    parts = ["# Speech inpainting\n"]
    if scores:
        parts.append(f"{scores[0].test_set}: {len(scores[0].ids)} segments\n")
    parts += [
        inpainting_tables(rows, informed, blind),
        *left_out_lines(scores),
        _NOTES,
        note,
        *(f"![{file.stem}]({file.name})\n" for file in figures),
    ]
    write_text(folder / "results.md", "\n".join(part for part in parts if part))
    return rows


def inpainting_tables(rows, informed=(), blind=()):
    """Lay out the informed models as in Table 2, and all as in Table 3.

    Arguments
    ---------
    rows : list of dict
        Of results.json.
    informed, blind : sequence of str
        The models.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> inpainting_tables([])
    ''
    """
    measured = dict.fromkeys(row["system"] for row in rows)
    references = [name for name in (GAPS, NOISE, LPC) if name in measured]
    tables = []
    if informed or not blind:
        tables.append(("Informed inpainting", [*references, *informed]))
    if blind:
        others = [name for name in references if name != LPC]
        tables.append(("Blind inpainting", [*others, *informed, *blind]))
    parts = []
    for title, systems in tables:
        if rows and systems:
            parts += [f"## {title}\n", *_a_metric_each(rows, systems)]
    return "\n".join([*parts, ceiling_sentence(rows)] if parts else parts)


def _a_metric_each(rows, systems):
    metrics = [
        metric
        for metric in dict.fromkeys(row["metric"] for row in rows)
        if not metric.endswith("_undefined")
    ]
    return [inpainting_table(rows, metric, systems) for metric in metrics]


def write_inpainting_reproduction(folder, evaluations, note="", not_run=""):
    """Write the paper's tables and claims from evaluations' folders.

    Arguments
    ---------
    folder : str or Path
        Where ``tables.md`` and ``claims.md`` go.
    evaluations : sequence of Path
        Folders with ``scores.json``, for example one for each kind of masks;
        models have the paper's names.
    note : str
        What stands in for what.
    not_run : str
        Why there is no model of image features, if there is none.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_scores(folder / "scores.json", [])
    >>> files = write_inpainting_reproduction(folder, [folder])
    >>> [file.name for file in files]
    ['tables.md', 'claims.md']
    """
    scores = [
        one
        for evaluation in evaluations
        for one in read_scores(Path(evaluation) / "scores.json")
    ]
    by_kind = {}
    for one in scores:
        by_kind.setdefault(one.corruption, []).append(one)
    texts = {
        "tables.md": paper_tables(scores, note, not_run),
        "claims.md": claims_report(paper.claims(not_run), by_kind, note),
    }
    return write_texts(folder, texts)


def paper_tables(scores, note="", not_run=""):
    """Lay out Tables 2 and 3, the paper's numbers in brackets.

    Arguments
    ---------
    scores : sequence of EnhancementScores
        A system's in a cell each.
    note : str
        What stands in for what.
    not_run : str
        Why there is no model of image features, if there is none.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> print(paper_tables([], "Nothing was measured.").splitlines()[2])
    Nothing was measured.
    """
    rows = inpainting_rows(scores)
    parts = ["# The paper's tables, measured here\n", note]
    for title, systems in (
        ("Table 2: informed inpainting", paper.INFORMED_COLUMNS),
        ("Table 3: blind inpainting", paper.BLIND_COLUMNS),
    ):
        parts.append(f"## {title}\n")
        parts += _a_metric_each(rows, systems)
        if not_run and paper.IMAGE in systems:
            parts.append(f"{paper.IMAGE}: not run: {not_run}\n")
    parts += [ceiling_sentence(rows), *left_out_lines(scores), _NOTES]
    return "\n".join(part for part in parts if part)
