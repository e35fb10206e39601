"""Enhanced speech: how near it is to clean speech, and what recognisers hear.

The experiments of Plantinga, Bagchi and Fosler-Lussier (2021), section VI: each
noisy utterance of a test set as it is and through each system, scored against
the clean one and read by a recogniser.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.backends.ctranslate2_decoder import CTranslate2Whisper
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.decoding import System
from speechbrain_ext.evaluation.enhancement_report import (
    enhancement_tables,
    wer_table,
    write_enhancement_report,
)
from speechbrain_ext.evaluation.enhancement_scores import (
    collect_scores,
    snr_bins,
)
from speechbrain_ext.evaluation.systems import named_models
from speechbrain_ext.evaluation.transcripts import Transcripts
from speechbrain_ext.evaluation.word_errors import (
    WordErrors,
    word_error_rows,
    write_word_errors,
)
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.frontends.identity import Identity
from speechbrain_ext.inference import PerceptualEnhancer, RobustASR
from speechbrain_ext.inference.model_folder import check_backend, interface_name
from speechbrain_ext.metrics.scoring import SIGNAL_METRICS, score_pairs
from speechbrain_ext.metrics.wer import TextNormaliser, WordErrorRate

#: The systems that change nothing: the recordings, with noise and without.
NOISY = "noisy"
CLEAN = "clean"

#: What ``--debug`` leaves of a test set.
_DEBUG_UTTERANCES = 2


@dataclass(frozen=True)
class EnhancementSystem:
    """An enhancer, a recogniser of what it gives, or both.

    Arguments
    ---------
    enhancer : PerceptualEnhancer, optional
        What has ``enhance_signals``; the recordings stay as they are without.
    recogniser : RobustASR, optional
        What has ``transcribe_batch``; its own front-end is not used.
    clean : bool
        Whether it is given the clean recordings.

    Example
    -------
    >>> EnhancementSystem().enhance([torch.ones(2)])
    [tensor([1., 1.])]
    """

    enhancer: object = None
    recogniser: object = None
    clean: bool = False

    def enhance(self, signals):
        """Enhance a batch.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        list of torch.Tensor
            [time] each.
        """
        if self.enhancer is None:
            return signals
        return self.enhancer.enhance_signals(signals)


def unadapted_recogniser(
    source, language=None, backend="torch", beam_size=5, run_opts=None
):
    """Load a Whisper that has never heard an enhancer.

    Arguments
    ---------
    source : str
        A folder or hub id of a Whisper.
    language : str or None
        The code of what is spoken, for a multilingual one.
    backend : str
        ``"torch"`` or ``"ctranslate2"``.
    beam_size : int
        Of the decoder.
    run_opts : dict or None
        SpeechBrain's run options.

    Returns
    -------
    RobustASR

    Example
    -------
    >>> asr = unadapted_recogniser("openai/whisper-tiny.en")
    >>> asr.transcribe_batch(torch.zeros(1, 16000), torch.ones(1))
    ['']
    """
    whisper = {"torch": FrozenWhisper, "ctranslate2": CTranslate2Whisper}
    back_end = whisper[check_backend(backend)](
        source, language, beam_size=beam_size
    )
    return RobustASR(
        modules={
            "features": WhisperLogMel(),
            "front_end": Identity(),
            "back_end": back_end,
        },
        hparams={"packet_seconds": 0.02, "zero_lost_frames": False},
        run_opts=run_opts,
    )


def load_enhancement_system(source, unadapted, backend="torch", run_opts=None):
    """Load a model's folder: an enhancer, or a recogniser behind one.

    Arguments
    ---------
    source : str or Path
        The folder or hub id of a :class:`PerceptualEnhancer` or a
        :class:`RobustASR`.
    unadapted : RobustASR or None
        What reads the speech of a model that has no recogniser.
    backend : str
        What runs the recogniser: ``"torch"`` or ``"ctranslate2"``.
    run_opts : dict or None
        SpeechBrain's run options.

    Returns
    -------
    EnhancementSystem

    Raises
    ------
    UserError
        When it is no such model.

    Example
    -------
    >>> load_enhancement_system("nowhere/at/all", None)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    name = interface_name(source)
    if name == "PerceptualEnhancer":
        enhancer = PerceptualEnhancer.from_hparams(source, run_opts=run_opts)
        return EnhancementSystem(enhancer, unadapted)
    if name == "RobustASR":
        asr = RobustASR.from_hparams(source, backend=backend, run_opts=run_opts)
        return EnhancementSystem(asr.enhancer(), asr)
    raise UserError(
        f"{source}: is a {name}; expected a PerceptualEnhancer or a RobustASR"
    )


def evaluate_enhancement(
    models,
    manifest,
    results_folder,
    metrics=SIGNAL_METRICS,
    recogniser="openai/whisper-tiny.en",
    language=None,
    backend="torch",
    beam_size=5,
    bins=None,
    batch_size=16,
    n_workers=None,
    test_set=None,
    save=False,
    note="",
    run_opts=None,
    debug=False,
    progressbar=True,
):
    """Evaluate models' folders beside the noisy and the clean recordings.

    Writes ``results.json``, ``results.md``, ``scores.json`` and ``errors.json``,
    and prints the tables. Run again with the same settings, it takes texts from
    ``transcripts.jsonl``.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids, each perhaps with a name, ``NAME=SOURCE``.
    manifest : str or Path
        The test set's CSV manifest, with ``noisy_wav`` and perhaps ``snr``.
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
        None is each SNR there is.
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
    run_opts : dict or None
        SpeechBrain's run options, for example the device.
    debug : bool
        Evaluate two utterances only, to see that all works.
    progressbar : bool
        Whether to show one.

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
    >>> evaluate_enhancement(
    ...     ["mimic=pretrained/mimic-enhance-mini"], "test.csv", "results"
    ... )  # doctest: +SKIP
    """
    rows = read_manifest(manifest)
    if not all(row.get("noisy_wav") for row in rows):
        raise UserError(
            f"{manifest}: has no column noisy_wav, or it is empty; expected "
            "the noisy recording of each utterance"
        )
    unadapted = recogniser and unadapted_recogniser(
        recogniser, language, backend, beam_size, run_opts
    )
    systems = {
        CLEAN: EnhancementSystem(recogniser=unadapted, clean=True),
        NOISY: EnhancementSystem(recogniser=unadapted),
    }
    for name, source in named_models(models).items():
        if name in systems:
            raise UserError(f"model {name}: expected another name")
        systems[name] = load_enhancement_system(
            source, unadapted, backend, run_opts
        )
    return evaluate_enhancement_systems(
        systems,
        rows[:_DEBUG_UTTERANCES] if debug else rows,
        results_folder,
        metrics=metrics,
        normalise=TextNormaliser(language or "en"),
        backend=backend,
        bins=bins,
        batch_size=batch_size,
        n_workers=n_workers,
        test_set=test_set or Path(manifest).stem,
        save=save,
        note=note,
        progressbar=progressbar,
    )


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
    progressbar=True,
):
    """Evaluate systems on the same recordings and write the results.

    Arguments
    ---------
    systems : dict
        :class:`EnhancementSystem` by name; ``noisy`` is what the others are
        compared with.
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.manifest.read_manifest` reads them,
        with ``noisy_wav``.
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
    progressbar : bool
        Whether to show one.

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
    ...     {"noisy": EnhancementSystem()}, read_manifest("t.csv"), "results"
    ... )  # doctest: +SKIP
    """
    if not rows:
        raise UserError(f"{test_set}: no utterance; expected one or more")
    folder = Path(results_folder)
    transcripts = Transcripts(folder / "transcripts.jsonl")
    ids = [row["ID"] for row in rows]
    snrs = [row.get("snr") for row in rows]
    snrs = [math.nan if snr in (None, "") else float(snr) for snr in snrs]
    description = {"backend": backend, "test_set": test_set}
    scored, errors = [], {}
    references = [load_audio(row["wav"]) for row in rows]
    for name, system in systems.items():
        signals = _enhanced(name, system, rows, batch_size, progressbar)
        if save and system.enhancer is not None:
            for own, signal in zip(ids, signals):
                save_audio(folder / "enhanced" / name / f"{own}.wav", signal)
        if metrics:
            found = score_pairs(
                list(zip(references, signals)),
                metrics,
                n_workers,
                progressbar,
            )
            scored.append(collect_scores(name, ids, snrs, found, **description))
        if system.recogniser is not None:
            texts = _transcribed(
                name, system, ids, signals, transcripts, batch_size, progressbar
            )
            errors[name] = WordErrorRate(normalise)
            errors[name].append(ids, texts, [row["wrd"] for row in rows])
    word_rows, counted = _word_rows(
        errors, dict(zip(ids, snrs)), bins, **description
    )
    write_word_errors(folder / "errors.json", counted)
    results = write_enhancement_report(
        folder, scored, NOISY, bins, note, word_rows
    )
    if scored:
        print(enhancement_tables(results, NOISY, dict(bins or ())))
    if word_rows:
        print(wer_table(word_rows, dict(bins or ())))
    return results


def _enhanced(name, system, rows, batch_size, progressbar):
    """A system's speech, an utterance at a time in the rows' order."""
    column = "wav" if system.clean else "noisy_wav"
    # Utterances of similar length together: padding is work in vain.
    order = sorted(range(len(rows)), key=lambda i: rows[i]["duration"])
    signals = [None] * len(rows)
    batches = range(0, len(rows), batch_size)
    for start in tqdm(batches, f"{name}, speech", disable=not progressbar):
        members = order[start : start + batch_size]
        batch = [load_audio(rows[member][column]) for member in members]
        for member, signal in zip(members, system.enhance(batch)):
            signals[member] = signal
    return signals


def _transcribed(
    name, system, ids, signals, transcripts, batch_size, progressbar
):
    """Texts in the order of the ids, perhaps from an earlier run."""
    key = _key(system, ids, signals)
    texts = transcripts.get(key)
    if texts is None:
        texts = {}
        order = sorted(range(len(ids)), key=lambda i: len(signals[i]))
        batches = range(0, len(ids), batch_size)
        for start in tqdm(batches, f"{name}, text", disable=not progressbar):
            members = order[start : start + batch_size]
            batch = [signals[member] for member in members]
            found = system.recogniser.transcribe_signals(
                batch,
                [torch.zeros_like(x, dtype=torch.bool) for x in batch],
                front_end=False,
                batch_size=batch_size,
            )
            texts.update(zip((ids[member] for member in members), found))
        # The SNR is an utterance's own: the manifest has it.
        transcripts.add(
            key, texts, system=name, corruption="noise", level=None, seed=0
        )
    return [texts[own] for own in ids]


def _key(system, ids, signals):
    """Stand for all that decides the texts: the speech and the recogniser."""
    asr = system.recogniser
    key = hashlib.blake2b(digest_size=16)
    settings = [type(asr.mods.back_end).__name__, asr.language, ids]
    settings.append(getattr(asr.mods.back_end, "beam_size", None))
    key.update(json.dumps(settings).encode())
    key.update(System(asr, front_end=False).fingerprint().encode())
    for signal in signals:
        key.update(np.ascontiguousarray(signal.numpy()).tobytes())
    return key.hexdigest()


def _word_rows(errors, snrs, bins, **description):
    """Rows of results.json and of errors.json: all SNRs, then each range."""
    if bins is None:
        bins = snr_bins(snrs.values())
    rows, counted = [], []
    for low, high in [(None, None), *bins]:
        systems = [
            WordErrors(
                name,
                *_between(score, snrs, low, high),
                corruption="noise",
                level=low,
                seed=0,
                **description,
            )
            for name, score in errors.items()
        ]
        rows += word_error_rows(systems, NOISY)
        if low is not None:
            counted += [one for one in systems if one.ids]
    return rows, counted


def _between(score, snrs, low, high):
    """Ids, errors and words of a range of SNRs."""
    kept = [
        each
        for each in zip(score.ids, score.errors, score.words)
        if low is None or low <= snrs[each[0]] <= high
    ]
    return [list(column) for column in zip(*kept)] or ([], [], [])
