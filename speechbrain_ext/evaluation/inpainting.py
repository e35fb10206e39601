"""Inpainted speech: how near it is to clean speech, by kind and size of masks.

The experiments of Kegler, Beckmann and Cernak (2020), section 3: segments of
speech under masks, as they are and through each system, scored against the
clean segments.
"""

import math
from pathlib import Path

import torch

from speechbrain_ext.corpora.segments import load_segment, read_segments
from speechbrain_ext.corruption.masks import KINDS
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.enhancement_scores import EnhancementScores
from speechbrain_ext.evaluation.inpainting_panels import (
    panels_file,
    save_panels,
)
from speechbrain_ext.evaluation.inpainting_report import (
    inpainting_tables,
    write_inpainting_report,
)
from speechbrain_ext.evaluation.inpainting_runs import InpaintingRuns
from speechbrain_ext.evaluation.inpainting_systems import (
    GAPS,
    LPC,
    NOISE,
    REFERENCES,
    RESYNTHESISED,
    Masking,
    Reference,
    load_inpainting_system,
)
from speechbrain_ext.evaluation.inpainting_tables import UNDAMAGED, mask_name
from speechbrain_ext.evaluation.sharding import ALONE
from speechbrain_ext.evaluation.systems import named_models
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.metrics.scoring import METRICS

#: The paper's sizes of masks.
SIZES = (0.1, 0.2, 0.3, 0.4)

#: What a system's name ends in where what is not masked is kept as it was.
OBSERVED = ", observed kept"

#: What ``--debug`` leaves of a test set.
_DEBUG_SEGMENTS = 2


def evaluate_inpainting(
    models,
    manifest,
    results_folder,
    kinds=KINDS,
    sizes=SIZES,
    seed=0,
    metrics=("stoi", "pesq", "pesq_raw"),
    n_workers=None,
    n_panels=3,
    batch_size=16,
    test_set=None,
    ceiling=True,
    keep_observed=True,
    note="",
    run_opts=None,
    load=load_trusted,
    debug=False,
    progressbar=True,
    shards=ALONE,
):
    """Evaluate models' folders beside gaps, noise and linear prediction.

    Writes ``results.json``, ``results.md``, ``scores.json`` and spectrograms,
    and prints the tables. What is finished is kept in ``finished``: run again
    with the same settings, or with more models, it goes on.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids, each perhaps with a name, ``NAME=SOURCE``; under
        the paper's names the tables have the paper's numbers beside them.
    manifest : str or Path
        The test set's CSV manifest, as
        :func:`~speechbrain_ext.corpora.segments.read_segments` takes it.
    results_folder : str or Path
        Where the results go.
    kinds : sequence of str
        Of :data:`speechbrain_ext.corruption.masks.KINDS`.
    sizes : sequence of float
        Shares that are masked, above 0.
    seed : int
        Of the masks.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    n_workers : int or None
        Processes that compute the metrics; None is one a core.
    n_panels : int
        Segments to draw of each model and kind of masks.
    batch_size : int
        Segments at once.
    test_set : str or None
        The test set's name in the results; None is the manifest's.
    ceiling : bool
        Whether to score clean magnitudes with estimated phases as well.
    keep_observed : bool
        Whether to score models a second time, keeping what is not masked as it
        was, or of blind ones what they do not take for damaged; those systems
        are named ``NAME, observed kept``.
    note : str
        A paragraph for results.md.
    run_opts : dict or None
        SpeechBrain's run options, for example the device.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.
    debug : bool
        Evaluate two segments only, to see that all works.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the test set's batches; the first writes.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When a model, the manifest or its audio cannot be used, a kind, size or
        metric is none, or the results cannot be written.

    Example
    -------
    >>> evaluate_inpainting(
    ...     ["speechVGG=runs/1/model"], "test.csv", "results"
    ... )  # doctest: +SKIP
    """
    rows = read_segments(manifest)
    systems = {}
    for name, source in named_models(models).items():
        system = load_inpainting_system(source, run_opts, load)
        systems[name] = system
        if keep_observed:
            systems[f"{name}{OBSERVED}"] = system.keeping_observed()
    return evaluate_inpainting_systems(
        systems,
        rows[:_DEBUG_SEGMENTS] if debug else rows,
        results_folder,
        kinds=kinds,
        sizes=sizes,
        seed=seed,
        metrics=metrics,
        n_workers=n_workers,
        n_panels=n_panels,
        batch_size=batch_size,
        test_set=test_set or Path(manifest).stem,
        ceiling=ceiling,
        note=note,
        progressbar=progressbar,
        shards=shards,
    )


def evaluate_inpainting_systems(
    systems,
    rows,
    results_folder,
    kinds=KINDS,
    sizes=SIZES,
    seed=0,
    metrics=("stoi", "pesq", "pesq_raw"),
    n_workers=None,
    n_panels=3,
    batch_size=16,
    test_set="test",
    ceiling=True,
    note="",
    progressbar=True,
    shards=ALONE,
):
    """Evaluate systems on the same masked segments and write the results.

    Arguments
    ---------
    systems : dict
        :class:`~speechbrain_ext.evaluation.inpainting_systems.InpaintingSystem`
        by name; the references have the features of the first.
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.segments.read_segments` gives
        them.
    results_folder : str or Path
        Where the results go.
    kinds : sequence of str
        Kinds of masks.
    sizes : sequence of float
        Shares that are masked.
    seed : int
        Of the masks.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    n_workers : int or None
        Processes that compute the metrics.
    n_panels : int
        Segments to draw of each model and kind of masks.
    batch_size : int
        Segments at once.
    test_set : str
        The test set's name.
    ceiling : bool
        Whether to score clean magnitudes with estimated phases as well.
    note : str
        A paragraph for results.md.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the test set's batches; the first writes.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When audio, a kind, a size or a metric cannot be used, a system has a
        reference's name, or the results cannot be written.

    Example
    -------
    >>> evaluate_inpainting_systems(
    ...     {}, read_segments("test.csv"), "results"
    ... )  # doctest: +SKIP
    """
    _check(systems, rows, kinds, sizes, metrics, batch_size)
    folder = Path(results_folder)
    runs = InpaintingRuns(
        rows, folder, metrics, batch_size, n_workers, progressbar, shards
    )
    features = SegmentLogMagnitude()
    if systems:
        features = next(iter(systems.values())).features
    contenders = {
        **{name: Reference(name, features) for name in (GAPS, NOISE, LPC)},
        **systems,
    }
    cells = [Masking(kind, size, seed) for kind in kinds for size in sizes]
    work = [
        (cell, {n: s for n, s in contenders.items() if s.applies(cell.kind)})
        for cell in cells
    ]
    if ceiling:
        own = {RESYNTHESISED: Reference(RESYNTHESISED, features)}
        work.append((None, own))
    scores = []
    for masking, entrants in work:
        found = runs.finish(masking, entrants)
        scores += [
            _as_scores(name, rows, values, masking, seed, test_set)
            for name, values in found.items()
        ]
    results = None
    if shards.main:
        results = _report(
            folder, scores, systems, rows[:n_panels], kinds, sizes, seed, note
        )
    return shards.agree(results)


def _report(folder, scores, systems, drawn, kinds, sizes, seed, note):
    """Draw, write and print what systems scored."""
    informed = [name for name, one in systems.items() if one.informed]
    blind = [name for name in systems if name not in informed]
    figures = _draw(systems, drawn, folder, kinds, sizes, seed)
    results = write_inpainting_report(
        folder, scores, informed, blind, figures, note
    )
    print(inpainting_tables(results, informed, blind))
    return results


def _check(systems, rows, kinds, sizes, metrics, batch_size):
    if not rows:
        raise UserError("test set: no segment; expected one or more")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds or len(set(kinds)) < len(kinds):
        raise UserError(
            f"kinds: are {', '.join(kinds) or 'none'}; expected some of "
            f"{', '.join(KINDS)}, each once"
        )
    listed = ", ".join(f"{size:g}" for size in sizes)
    if (
        not sizes
        or not all(0 < size <= 1 for size in sizes)
        or len(set(sizes)) < len(sizes)
    ):
        raise UserError(
            f"sizes: are {listed or 'none'}; expected shares above 0, up to 1, "
            "each once"
        )
    if not metrics or not set(metrics) <= set(METRICS):
        raise UserError(
            f"metrics: are {', '.join(metrics) or 'none'}; expected some of "
            f"{', '.join(METRICS)}"
        )
    if batch_size < 1:
        raise UserError(f"batch_size: is {batch_size}; expected 1 or more")
    for name in systems:
        if name in REFERENCES:
            raise UserError(f"model {name}: expected another name")


def _as_scores(name, rows, scores, masking, seed, test_set):
    ids = [row["ID"] for row in rows]
    return EnhancementScores(
        name,
        ids,
        [math.nan] * len(ids),
        scores,
        test_set=test_set,
        corruption=UNDAMAGED if masking is None else masking.kind,
        seed=seed,
        level=0.0 if masking is None else masking.size,
    )


def _draw(systems, rows, folder, kinds, sizes, seed):
    """Spectrograms of each model and kind of masks, of a middle size."""
    if not rows:
        return []
    ids = [row["ID"] for row in rows]
    wavs = torch.stack([load_segment(row) for row in rows])
    size = sorted(sizes)[len(sizes) // 2]
    files = []
    for kind in kinds:
        for name, system in systems.items():
            # Segments, then clean, damaged, repaired.
            *panels, _ = system.repair(wavs, ids, Masking(kind, size, seed))
            panels = torch.stack(panels, dim=1)
            file = panels_file(folder, kind, name)
            save_panels(
                file,
                dict(zip(ids, panels.cpu())),
                f"{name}: {mask_name(kind, size)}, {system.filling}",
            )
            files.append(file)
    return files
