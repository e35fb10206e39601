"""Spectrogram fusion: what is recognised, and how each output sounds.

The experiments of Shi et al. (2021), section IV: a recogniser is given noisy
speech, or what mapping, masking or the fusion of both makes of it.
"""

import math
from pathlib import Path

import torch

from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.noise_mixtures import MixtureReader
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.enhancement_report import (
    enhancement_tables,
    wer_table,
    write_enhancement_report,
)
from speechbrain_ext.evaluation.enhancement_runs import EnhancementRuns
from speechbrain_ext.evaluation.enhancement_scores import (
    collect_scores,
    snr_bins,
)
from speechbrain_ext.evaluation.fusion_panels import save_fusion_panels
from speechbrain_ext.evaluation.fusion_systems import (
    CLEAN,
    NOISY,
    load_fusion_systems,
)
from speechbrain_ext.evaluation.noisy_speech import error_rows
from speechbrain_ext.evaluation.report import save_figure
from speechbrain_ext.evaluation.results import join_results
from speechbrain_ext.evaluation.sharding import ALONE
from speechbrain_ext.evaluation.word_errors import write_word_errors
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.metrics.wer import CharacterErrorRate

#: Of Table I.
METRICS = ("csig", "cbak", "covl", "pesq")
#: Figure 2, and its SNR.
PANELS = "spectrograms.png"
PANELS_SNR = 15.0

_DEBUG_UTTERANCES = 2


def evaluate_fusion(
    models,
    manifest,
    results_folder,
    metrics=METRICS,
    scored_utterances=None,
    batch_size=16,
    n_workers=None,
    test_set=None,
    note="",
    panels=True,
    run_opts=None,
    debug=False,
    progressbar=True,
    shards=ALONE,
    load=load_trusted,
):
    """Evaluate models' folders on noisy speech.

    Writes ``results.json``, ``results.md``, ``scores.json``, ``errors.json``,
    ``cer.png`` and ``spectrograms*.png``, and prints the tables. Run again
    with the same settings, it takes texts from ``transcripts.jsonl`` and scores
    from ``scores.jsonl``.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids, each perhaps with a name, ``NAME=SOURCE``.
    manifest : str or Path or sequence of these
        The test set's CSV manifest, of mixtures or with ``noisy_wav``, and with
        ``snr``. Each of several gets a subfolder of its file's name, and
        ``results.json`` has the rows of all.
    results_folder : str or Path
        Where the results go.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`; none leaves out how
        the outputs sound.
    scored_utterances : int or None
        How many of each SNR the metrics are computed on; None is all.
    batch_size : int
        Utterances at once.
    n_workers : int or None
        Processes that compute the metrics; None is one a core.
    test_set : str or None
        The test set's name in the results; None is the manifest's, of which
        there may be several then.
    note : str
        A paragraph for results.md.
    panels : bool
        Whether to draw the spectrograms of one utterance.
    run_opts : dict or None
        SpeechBrain's run options, for example the device.
    debug : bool
        Evaluate two utterances only, to see that all works.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the test set's batches; the first writes.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When a model, the manifest or its audio cannot be used, or the results
        cannot be written.

    Example
    -------
    >>> evaluate_fusion(
    ...     ["pretrained/fusion-asr-mini"], "test_1.csv", "results"
    ... )  # doctest: +SKIP
    """
    several = not isinstance(manifest, (str, Path))
    test_sets = {
        Path(file): read_mixtures(file)[: _DEBUG_UTTERANCES if debug else None]
        for file in (manifest if several else [manifest])
    }
    systems = load_fusion_systems(models, run_opts, load)
    results, folders = [], []
    for file, rows in test_sets.items():
        folders.append(Path(results_folder, file.stem if several else ""))
        results += evaluate_fusion_systems(
            systems,
            rows,
            folders[-1],
            metrics=metrics,
            scored_utterances=scored_utterances,
            batch_size=batch_size,
            n_workers=n_workers,
            test_set=test_set or file.stem,
            note=note,
            panels=panels,
            progressbar=progressbar,
            shards=shards,
        )
    if several and shards.main:
        join_results(Path(results_folder) / "results.json", folders)
    return results


def read_mixtures(manifest):
    """Read a manifest of noisy speech with known SNRs.

    Arguments
    ---------
    manifest : str or Path
        A CSV manifest.

    Returns
    -------
    list of dict

    Raises
    ------
    UserError
        When a row has no noise or no SNR.

    Example
    -------
    >>> read_mixtures("nowhere.csv")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: no such file; ...
    """
    rows = read_manifest(manifest)
    for row in rows:
        if row.get("snr") is None or not (
            row.get("noise_wav") or row.get("noisy_wav")
        ):
            raise UserError(
                f"{manifest}: {row['ID']} has no noise or no SNR; expected a "
                "manifest of mixtures, or with noisy_wav and snr"
            )
    return rows


def evaluate_fusion_systems(
    systems,
    rows,
    results_folder,
    metrics=METRICS,
    scored_utterances=None,
    batch_size=16,
    n_workers=None,
    test_set="test",
    note="",
    baseline=NOISY,
    panels=True,
    progressbar=True,
    shards=ALONE,
):
    """Evaluate systems on the same recordings and write the results.

    Arguments
    ---------
    systems : dict
        :class:`~speechbrain_ext.evaluation.fusion_systems.FusionSystem` by
        name.
    rows : list of dict
        As :func:`read_mixtures` reads them.
    results_folder : str or Path
        Where the results go.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    scored_utterances : int or None
        How many of each SNR the metrics are computed on.
    batch_size : int
        Utterances at once.
    n_workers : int or None
        Processes that compute the metrics.
    test_set : str
        The test set's name.
    note : str
        A paragraph for results.md.
    baseline : str
        The system that the others are compared with, if it is there.
    panels : bool
        Whether to draw the spectrograms of one utterance.
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
        When there is nothing to evaluate, audio cannot be used or the results
        cannot be written.

    Example
    -------
    >>> evaluate_fusion_systems({}, [], "results")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: test: no utterance; expected one or more
    """
    if not rows:
        raise UserError(f"{test_set}: no utterance; expected one or more")
    folder = Path(results_folder)
    bins = snr_bins(row["snr"] for row in rows)
    about = {"backend": "torch", "test_set": test_set}
    runs = EnhancementRuns(rows, folder, batch_size, progressbar, shards)
    scores = []
    if metrics:
        scored = _first(rows, scored_utterances)
        of_scored = runs
        if len(scored) < len(rows):
            of_scored = EnhancementRuns(
                scored, folder, batch_size, progressbar, shards
            )
        scores = _score(systems, of_scored, metrics, n_workers, about)
    errors = _transcribe(systems, runs)
    results = None
    if shards.main:
        results = _report(
            folder, rows, scores, errors, bins, note, baseline, about
        )
        if panels:
            draw_panels(systems, rows, folder, MixtureReader())
    return shards.agree(results)


def _report(folder, rows, scores, errors, bins, note, baseline, about):
    """Write and print the rows of results.json."""
    snrs = {row["ID"]: row["snr"] for row in rows}
    word_rows, counted = error_rows(errors, snrs, bins, baseline, **about)
    write_word_errors(folder / "errors.json", counted)
    scored = {one.system for one in scores}
    results = write_enhancement_report(
        folder,
        scores,
        baseline if baseline in scored else None,
        bins,
        note,
        word_rows,
    )
    of_levels = [
        row
        for row in word_rows
        if row["metric"] == "cer" and row["level"] is not None
    ]
    if of_levels:
        title = f"Character error rate, {about['test_set']}"
        save_figure(folder / "cer.png", of_levels, title, "cer", snrs=True)
    if scores:
        print(enhancement_tables(results, ends=dict(bins)))
    if word_rows:
        print(wer_table(word_rows, dict(bins)))
    return results


def _first(rows, count):
    """The first utterances of each SNR."""
    seen, kept = {}, []
    for row in rows:
        seen[row["snr"]] = seen.get(row["snr"], 0) + 1
        if count is None or seen[row["snr"]] <= count:
            kept.append(row)
    return kept


def _score(systems, runs, metrics, n_workers, about):
    snrs = [row["snr"] for row in runs.rows]
    scores = []
    for name, system in systems.items():
        if system.scored:
            signals = runs.speech(name, system)
            found = runs.scores(name, signals, metrics, n_workers)
            scores.append(collect_scores(name, runs.ids, snrs, found, **about))
    return scores


def _transcribe(systems, runs):
    """Character errors of each system whose recogniser is evaluated."""
    spoken = [row["wrd"] for row in runs.rows]
    errors = {}
    for name, system in systems.items():
        if system.reads:
            texts = runs.texts(name, system, runs.recordings(system.clean))
            errors[name] = CharacterErrorRate()
            errors[name].append(runs.ids, texts, spoken)
    return errors


def draw_panels(systems, rows, folder, reader):
    """Draw one utterance's spectrograms (Figure 2).

    It is the first of those whose SNR is nearest to 15 dB. ``spectrograms.png``
    has each system's output, ``spectrograms-SYSTEM.png`` all that a model makes
    of it, masks as well.

    Arguments
    ---------
    systems : dict
        :class:`~speechbrain_ext.evaluation.fusion_systems.FusionSystem` by
        name.
    rows : list of dict
        As :func:`read_mixtures` reads them.
    folder : str or Path
        Where the figures go.
    reader : MixtureReader
        Reads the recordings.

    Example
    -------
    >>> draw_panels({}, [{"ID": "a", "snr": 5.0}], "results", None)
    """
    row = min(rows, key=lambda row: math.fabs(row["snr"] - PANELS_SNR))
    about = f"{row['ID']}, {row['snr']:g} dB"
    models, outputs = [], {}
    for name, system in systems.items():
        if system.output == NOISY:
            continue
        found = _spectrograms(system.model, row, reader)
        if not outputs:
            outputs = {key: found[key] for key in (CLEAN, NOISY)}
        outputs[name] = found[system.output]
        if not any(system.model is model for model in models):
            models.append(system.model)
            file = f"spectrograms-{name.replace(' ', '-')}.png"
            save_fusion_panels(Path(folder) / file, found, f"{name}: {about}")
    if outputs:
        save_fusion_panels(Path(folder) / PANELS, outputs, about)


def _spectrograms(model, row, reader):
    """Clean, noisy and enhanced magnitudes, [time, bins] each, and masks."""
    clean, noisy = (signal[None] for signal in reader.load_pair(row))
    whole = torch.ones(1)
    found = {
        CLEAN: model.spectrograms(clean, whole)[NOISY],
        **model.spectrograms(noisy, whole),
    }
    return {name: one[0].detach().cpu() for name, one in found.items()}
