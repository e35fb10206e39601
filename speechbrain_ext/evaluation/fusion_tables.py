"""Tables I to III of Shi et al. (2021), our numbers beside the paper's."""

import dataclasses
from pathlib import Path

import numpy as np

from speechbrain_ext.evaluation import shi2021 as paper
from speechbrain_ext.evaluation.claims import CER, claims_report, pool_levels
from speechbrain_ext.evaluation.enhancement_report import COLUMNS
from speechbrain_ext.evaluation.enhancement_scores import EnhancementScores
from speechbrain_ext.evaluation.generic_enhancement_report import (
    read_evaluation,
)
from speechbrain_ext.evaluation.generic_enhancement_tables import cell, measured
from speechbrain_ext.evaluation.noisy_speech import spoken_id
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.results import join_results
from speechbrain_ext.evaluation.significance import as_good_as_best
from speechbrain_ext.evaluation.word_errors import WordErrors
from speechbrain_ext.files import write_texts

_BOLD = """\
**Bold**: not significantly different from the column's best, clean speech left
out (paired t-test at 5 % over utterances). In brackets the paper's numbers.
"""


def read_fusion_evaluation(folder):
    """Read what an evaluation's systems did, utterance by utterance.

    Scores of an utterance that was mixed at several SNRs are averaged: it is
    one draw of all that intervals are about.

    Arguments
    ---------
    folder : str or Path
        With ``scores.json`` and ``errors.json``.

    Returns
    -------
    list
        :class:`WordErrors` and :class:`EnhancementScores`.

    Raises
    ------
    UserError
        When a file is missing or no such file.

    Example
    -------
    >>> read_fusion_evaluation("nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/errors.json: not readable as ...
    """
    return [
        _average(one) if isinstance(one, EnhancementScores) else one
        for one in read_evaluation(folder)
    ]


def _average(scores):
    """An utterance's mean over its SNRs; NaN where it lacks one's score."""
    places = {}
    for place, (name, snr) in enumerate(zip(scores.ids, scores.snrs)):
        places.setdefault(spoken_id(name, snr), []).append(place)
    return dataclasses.replace(
        scores,
        ids=list(places),
        snrs=[float("nan")] * len(places),
        scores={
            metric: [
                float(np.mean([values[place] for place in some]))
                for some in places.values()
            ]
            for metric, values in scores.scores.items()
        },
    )


def table_1(results):
    """Lay out Table I: how each output sounds.

    Arguments
    ---------
    results : dict
        List of what :func:`read_fusion_evaluation` reads by test set.

    Returns
    -------
    str
        Markdown, with the rows of the paper and those that were measured.

    Example
    -------
    >>> table_1({}).splitlines()[2].split("|")[1:3]
    [' Original noisy       ', '    - (2.80) ']
    """
    columns = [
        (test_set, place, metric)
        for test_set in paper.TEST_SETS
        for place, metric in enumerate(paper.METRICS)
    ]
    found = {key: measured(results, key[0], key[2]) for key in columns}
    names = _names(paper.TABLE_1, found.values())
    lines = [
        [
            "System",
            *(f"{COLUMNS[key[2]][0]}, {_short(key[0])}" for key in columns),
        ]
    ]
    best = {
        key: _best(systems.values(), key[2]) for key, systems in found.items()
    }
    for name in names:
        published = paper.TABLE_1.get(name, {})
        lines.append([name])
        for key in columns:
            test_set, place, metric = key
            numbers = published.get(test_set)
            lines[-1].append(
                cell(
                    found[key].get(name),
                    metric,
                    numbers and numbers[place],
                    name in best[key],
                )
            )
    return markdown_table(lines)


def _short(test_set):
    return test_set.replace("test ", "")


def _names(published, found):
    """The paper's systems, then what else was measured."""
    ours = dict.fromkeys(name for systems in found for name in systems)
    return list(dict.fromkeys([*published, *ours]))


def _best(systems, metric):
    return as_good_as_best(
        [one for one in systems if one.system != paper.CLEAN], metric
    )


def cer_table(results, test_set):
    """Lay out Table II or III: character error rates by SNR.

    Arguments
    ---------
    results : dict
        List of what :func:`read_fusion_evaluation` reads by test set.
    test_set : str
        ``paper.TEST_1`` or ``paper.TEST_2``.

    Returns
    -------
    str
        Markdown; the last column is the reduction of the average that
        :data:`shi2021.NOISY` has.

    Example
    -------
    >>> cer_table({}, paper.TEST_1).splitlines()[2].split("|")[1:3]
    [' Noisy                   ', ' - (12.5) ']
    """
    published, snrs = paper.CER_TABLES[test_set], paper.SNRS[test_set]
    errors = [
        row for row in results.get(test_set, []) if isinstance(row, WordErrors)
    ]
    by_system = {}
    for row in errors:
        by_system.setdefault(row.system, []).append(row)
    columns = [
        {
            name: pooled
            for name, rows in by_system.items()
            if (pooled := pool_levels(rows, levels)) is not None
        }
        for levels in [*((snr,) for snr in snrs), snrs]
    ]
    best = [_best(systems.values(), CER) for systems in columns]
    lines = [
        [
            "System, CER %",
            *(f"{snr:g} dB" for snr in snrs),
            "Average",
            f"Less than {paper.NOISY}, %",
        ]
    ]
    for name in _names(published, columns):
        numbers = published.get(name, [None] * len(columns))
        lines.append(
            [
                name,
                *(
                    cell(systems.get(name), CER, number, name in good)
                    for systems, number, good in zip(
                        columns, numbers, best, strict=True
                    )
                ),
                _reduction(columns[-1], published, name),
            ]
        )
    return markdown_table(lines)


def _reduction(systems, published, name):
    """How much lower than that of NOISY the average is, in percent."""
    text, (one, noisy) = "-", map(systems.get, (name, paper.NOISY))
    if one is not None and noisy is not None and name != paper.NOISY:
        found = one.compare(noisy).relative_reduction
        value, low, high = (f"{100 * part:.1f}" for part in found)
        text = f"{value} [{low}, {high}]"
    if name in published and name != paper.NOISY:
        reduction = 1 - published[name][-1] / published[paper.NOISY][-1]
        text += f" ({100 * reduction:.1f})"
    return text


def write_fusion(folder, evaluations, note="", figures=(), **of_claims):
    """Write the paper's tables and claims from evaluations' folders.

    Arguments
    ---------
    folder : str or Path
        Where ``tables.md``, ``claims.md`` and ``results.json``, all
        evaluations' rows, go.
    evaluations : dict
        Folder by test set.
    note : str
        What stands in for what.
    figures : sequence of tuple of str
        A title and a file in the folder each, to show below the tables.
    **of_claims : dict
        As :func:`~speechbrain_ext.evaluation.shi2021.claims` takes them.

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
    >>> files = write_fusion(tempfile.mkdtemp(), {})
    >>> [file.name for file in files]
    ['tables.md', 'claims.md', 'results.json']
    """
    folder = Path(folder)
    results = {
        name: read_fusion_evaluation(place)
        for name, place in evaluations.items()
    }
    parts = [
        "# Spectrogram fusion: the paper's tables\n",
        note,
        "## Table I: how each output sounds\n",
        table_1(results),
        _BOLD,
        "## Table II: seen SNRs, unseen noise\n",
        cer_table(results, paper.TEST_1),
        "## Table III: unseen SNRs, unseen noise\n",
        cer_table(results, paper.TEST_2),
        *(f"## {title}\n\n![{title}]({file})\n" for title, file in figures),
    ]
    texts = {
        "tables.md": "\n".join(part for part in parts if part),
        "claims.md": claims_report(paper.claims(**of_claims), results, note),
    }
    files = write_texts(folder, texts)
    join_results(folder / "results.json", evaluations.values())
    return [*files, folder / "results.json"]
