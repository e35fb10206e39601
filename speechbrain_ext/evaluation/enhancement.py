"""Enhanced speech: how near it is to clean speech, and what recognisers hear.

The experiments of Plantinga, Bagchi and Fosler-Lussier (2021), section VI: each
noisy utterance of a test set as it is and through each system, scored against
the clean one and read by a recogniser.
"""

import math
from pathlib import Path

from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.enhancement_report import (
    eer_table,
    enhancement_tables,
    wer_table,
    write_enhancement_report,
)
from speechbrain_ext.evaluation.enhancement_runs import EnhancementRuns
from speechbrain_ext.evaluation.enhancement_scores import (
    collect_scores,
    snr_bins,
)
from speechbrain_ext.evaluation.enhancement_systems import (
    NOISY,
    load_enhancement_systems,
    unadapted_recogniser,
)
from speechbrain_ext.evaluation.noisy_speech import error_rows
from speechbrain_ext.evaluation.observation import (
    choice_note,
    choose_observations,
    with_observations,
)
from speechbrain_ext.evaluation.sharding import ALONE
from speechbrain_ext.evaluation.trial_scores import write_trial_scores
from speechbrain_ext.evaluation.word_errors import write_word_errors
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.inference.observation import check_observation
from speechbrain_ext.metrics.scoring import SIGNAL_METRICS
from speechbrain_ext.metrics.wer import TextNormaliser, WordErrorRate

#: Reads the speech of models that have no recogniser.
RECOGNISER = "openai/whisper-tiny.en"

#: What ``--debug`` leaves of a test set.
_DEBUG_UTTERANCES = 2


def evaluate_enhancement(
    models,
    manifest,
    results_folder,
    metrics=SIGNAL_METRICS,
    recogniser=RECOGNISER,
    language=None,
    backend="torch",
    beam_size=5,
    bins=None,
    batch_size=16,
    n_workers=None,
    test_set=None,
    save=False,
    note="",
    observations=(0.0,),
    validation=None,
    run_opts=None,
    load=load_trusted,
    debug=False,
    progressbar=True,
    shards=ALONE,
):
    """Evaluate models' folders beside the noisy and the clean recordings.

    Writes ``results.json``, ``results.md``, ``scores.json`` and ``errors.json``,
    and prints the tables. Run again with the same settings, it takes texts from
    ``transcripts.jsonl`` and scores from ``scores.jsonl``.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids, each perhaps with a name, ``NAME=SOURCE``.
    manifest : str or Path
        The test set's CSV manifest, with ``noisy_wav`` or of mixtures, and
        perhaps ``snr``.
    results_folder : str or Path
        Where the results go.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    recogniser : str or None
        A Whisper that was adapted to nothing; reads what enhancers give. None
        leaves recognition out.
    language : str or None
        The code of what is spoken.
    backend : str
        What runs the recognisers: ``"torch"`` or ``"ctranslate2"``.
    beam_size : int
        With which ``recogniser`` decodes; a model has its own.
    bins : sequence of tuple of float or None
        SNRs that are put together, in dB, both ends included, for example
        :data:`~speechbrain_ext.evaluation.enhancement_report.TABLE_VII_BINS`;
        None is each SNR there is, or ranges of 5 dB where they were drawn.
    batch_size : int
        Utterances at once.
    n_workers : int or None
        Processes that compute the metrics; None is one a core.
    test_set : str or None
        The test set's name in the results; None is the manifest's.
    save : bool
        Whether to keep the enhanced speech, in ``enhanced/SYSTEM/ID.wav``.
    note : str
        A paragraph for results.md.
    observations : sequence of float
        Ratios of observation adding; a model with a ratio above 0 is the
        system ``NAME+OA0.1``.
    validation : str or Path or None
        Another manifest, on which each model's ratio is chosen by its word
        error rate: the test set then hears the model alone and with that ratio
        only. Goes to the subfolder ``validation``.
    run_opts : dict or None
        SpeechBrain's run options, for example the device.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.
    debug : bool
        Evaluate two utterances only, to see that all works.
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
        When a model, a ratio, a manifest or its audio cannot be used, or the
        results cannot be written.

    Example
    -------
    >>> evaluate_enhancement(
    ...     ["mimic=pretrained/mimic-enhance-mini"], "test.csv", "results"
    ... )  # doctest: +SKIP
    """
    for ratio in observations:
        check_observation(ratio)
    rows = _noisy_rows(manifest, debug)
    unadapted = recogniser and unadapted_recogniser(
        recogniser, language, backend, beam_size, run_opts
    )
    systems = load_enhancement_systems(
        models, unadapted, backend, run_opts, load
    )
    settings = {
        "normalise": TextNormaliser(language or "en"),
        "backend": backend,
        "bins": bins,
        "batch_size": batch_size,
        "n_workers": n_workers,
        "progressbar": progressbar,
        "shards": shards,
    }
    if validation is not None:
        observations, reason = _choose(
            systems,
            _noisy_rows(validation, debug),
            Path(results_folder) / "validation",
            observations,
            settings,
        )
        note = f"{note}\n{reason}" if note else reason
    return evaluate_enhancement_systems(
        with_observations(systems, observations),
        rows,
        results_folder,
        metrics=metrics,
        test_set=test_set or Path(manifest).stem,
        save=save,
        note=note,
        **settings,
    )


def _noisy_rows(manifest, debug=False):
    rows = read_manifest(manifest)
    if not all(row.get("noisy_wav") or row.get("noise_wav") for row in rows):
        raise UserError(
            f"{manifest}: has no column noisy_wav, or it is empty; expected "
            "the noisy recording of each utterance"
        )
    return rows[:_DEBUG_UTTERANCES] if debug else rows


def _choose(systems, rows, folder, ratios, settings):
    """Each model's ratios for the test set, and why."""
    tried = {
        name: system
        for name, system in systems.items()
        if system.enhancer is not None
    }
    if any(system.recogniser is None for system in tried.values()):
        raise UserError(
            "validation: no recogniser; expected one, as ratios of observation "
            "adding are chosen by the word error rate"
        )
    found = evaluate_enhancement_systems(
        {NOISY: systems[NOISY], **with_observations(tried, ratios)},
        rows,
        folder,
        metrics=(),
        test_set="validation",
        **settings,
    )
    chosen = choose_observations(found, tried, ratios)
    reported = {name: sorted({0.0, best}) for name, best in chosen.items()}
    return reported, choice_note(found, chosen, ratios)


def evaluate_enhancement_systems(
    systems,
    rows,
    results_folder,
    metrics=SIGNAL_METRICS,
    normalise=TextNormaliser(),
    backend="torch",
    bins=None,
    batch_size=16,
    n_workers=None,
    test_set="test",
    save=False,
    note="",
    baseline=NOISY,
    intents=None,
    verification=None,
    progressbar=True,
    shards=ALONE,
):
    """Evaluate systems on the same recordings and write the results.

    Arguments
    ---------
    systems : dict
        :class:`~speechbrain_ext.evaluation.enhancement_systems.EnhancementSystem`
        by name.
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.manifest.read_manifest` reads them,
        with ``noisy_wav`` or of mixtures.
    results_folder : str or Path
        Where the results go.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    normalise : callable
        From a text to the words that are scored.
    backend : str
        The recognisers' backend.
    bins : sequence of tuple of float or None
        SNRs that are put together, in dB.
    batch_size : int
        Utterances at once.
    n_workers : int or None
        Processes that compute the metrics.
    test_set : str
        The test set's name.
    save : bool
        Whether to keep the enhanced speech.
    note : str
        A paragraph for results.md.
    baseline : str
        The system that the others are compared with.
    intents : callable or None
        From the rows and a system's signals to 1 or 0 for each: whether what
        the speaker wants was recognised
        (:class:`~speechbrain_ext.evaluation.speech_tasks.IntentAccuracy`).
    verification : callable or None
        From a system's name, the rows and its signals to
        :class:`~speechbrain_ext.evaluation.trial_scores.TrialScores`
        (:class:`~speechbrain_ext.evaluation.speech_tasks.SpeakerVerification`);
        ``trials.json`` keeps them.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the test set's batches; the first writes.
        Intents and verification want one process, which has all speech.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When audio cannot be used or the results cannot be written.

    Example
    -------
    >>> evaluate_enhancement_systems(
    ...     {"noisy": EnhancementSystem()}, rows, "results"
    ... )  # doctest: +SKIP
    """
    if not rows:
        raise UserError(f"{test_set}: no utterance; expected one or more")
    runs = EnhancementRuns(
        rows, results_folder, batch_size, progressbar, shards
    )
    ids = runs.ids
    snrs = [row.get("snr") for row in rows]
    snrs = [math.nan if snr in (None, "") else float(snr) for snr in snrs]
    bins = snr_bins(snrs) if bins is None else bins
    description = {"backend": backend, "test_set": test_set}
    scored, errors, tried = [], {}, []
    for name, system in systems.items():
        signals = runs.speech(name, system, save)
        found = [{}] * len(ids)
        if metrics:
            found = runs.scores(name, signals, metrics, n_workers)
        if intents is not None:
            right = intents(rows, list(signals.values()))
            found = [{**a, "accuracy": b} for a, b in zip(found, right)]
        if found[0]:
            scored.append(collect_scores(name, ids, snrs, found, **description))
        if verification is not None:
            tried.append(
                verification(name, rows, list(signals.values()), **description)
            )
        if system.recogniser is not None:
            texts = runs.texts(name, system, signals)
            errors[name] = WordErrorRate(normalise)
            errors[name].append(ids, texts, [row["wrd"] for row in rows])
    results = None
    if shards.main:
        word_rows, counted = error_rows(
            errors, dict(zip(ids, snrs)), bins, baseline, **description
        )
        write_word_errors(runs.folder / "errors.json", counted)
        results = _report(
            runs.folder, scored, baseline, bins, note, word_rows, tried
        )
    return shards.agree(results)


def _report(folder, scored, baseline, bins, note, word_rows, tried):
    """Write and print the rows of results.json."""
    trial_rows = [one.row() for one in tried]
    if tried:
        write_trial_scores(folder / "trials.json", tried)
    results = write_enhancement_report(
        folder, scored, baseline, bins, note, word_rows, trial_rows
    )
    if scored:
        print(enhancement_tables(results, baseline, dict(bins)))
    if word_rows:
        print(wer_table(word_rows, dict(bins)))
    if trial_rows:
        print(eer_table(trial_rows))
    return results
