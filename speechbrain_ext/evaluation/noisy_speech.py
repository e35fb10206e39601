"""What evaluations of noisy speech share: each system on the same recordings."""

import hashlib
import json
import math

import numpy as np
from tqdm import tqdm

from speechbrain_ext.evaluation.claims import pool_levels
from speechbrain_ext.evaluation.word_errors import WordErrors, word_error_rows
from speechbrain_ext.metrics.scoring import score_pairs


def enhance_rows(name, system, reader, rows, batch_size, progressbar=True):
    """Enhance a test set.

    Arguments
    ---------
    name : str
        The system's.
    system : object
        What has ``enhance``, from a list of signals to another, and ``clean``:
        whether it is given the clean recordings.
    reader : MixtureReader
        Reads the recordings.
    rows : list of dict
        A manifest's.
    batch_size : int
        Utterances at once.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of torch.Tensor
        [time] each, in the rows' order.

    Example
    -------
    >>> enhance_rows("noisy", None, None, [], 8, progressbar=False)
    []
    """
    side = 0 if getattr(system, "clean", False) else 1
    # Utterances of similar length together: padding is work in vain.
    order = sorted(range(len(rows)), key=lambda i: rows[i]["duration"])
    signals = [None] * len(rows)
    batches = range(0, len(rows), batch_size)
    for start in tqdm(batches, f"{name}, speech", disable=not progressbar):
        members = order[start : start + batch_size]
        batch = [reader.load_pair(rows[member])[side] for member in members]
        for member, signal in zip(members, system.enhance(batch)):
            signals[member] = signal
    return signals


def score_rows(
    name, ids, pairs, metrics, kept, n_workers=None, progressbar=True
):
    """Score enhanced speech, unless that was done before.

    Arguments
    ---------
    name : str
        The system's.
    ids : list of str
        The utterances' ids.
    pairs : list of tuple of torch.Tensor
        Clean and enhanced, [time] each, in the ids' order.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    kept : Transcripts
        Where scores are kept.
    n_workers : int or None
        Processes that compute.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of dict
        As :func:`~speechbrain_ext.metrics.scoring.score_pairs` returns them.

    Example
    -------
    >>> import tempfile, torch
    >>> from speechbrain_ext.evaluation.transcripts import Transcripts
    >>> kept = Transcripts(f"{tempfile.mkdtemp()}/scores.jsonl")
    >>> pair = torch.randn(2, 16000)
    >>> for _ in range(2):
    ...     found = score_rows(
    ...         "mask", ["a"], [pair], ["si_sdr"], kept, 1, False
    ...     )
    >>> found[0]["si_sdr"] < 0
    True
    """
    settings = [list(ids), list(metrics)]
    signals = [signal for pair in pairs for signal in pair]
    key = speech_key(settings, "", signals)
    found = kept.get(key)
    if found is None:
        found = score_pairs(pairs, metrics, n_workers, progressbar)
        kept.add(key, found, system=name)
    return found


def transcribe_rows(
    name,
    transcribe,
    key,
    ids,
    signals,
    transcripts,
    batch_size,
    progressbar=True,
):
    """Recognise what is said, unless that was done before.

    Arguments
    ---------
    name : str
        The system's.
    transcribe : callable
        From a list of signals to a list of texts.
    key : str
        As :func:`speech_key` makes it.
    ids : list of str
        The utterances' ids.
    signals : list of torch.Tensor
        [time] each, in the ids' order.
    transcripts : Transcripts
        Where texts are kept.
    batch_size : int
        Utterances at once.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of str
        In the ids' order.

    Example
    -------
    >>> import tempfile, torch
    >>> from speechbrain_ext.evaluation.transcripts import Transcripts
    >>> kept = Transcripts(f"{tempfile.mkdtemp()}/transcripts.jsonl")
    >>> def transcribe(batch):
    ...     return [f"{len(signal)} samples" for signal in batch]
    >>> signals = [torch.zeros(3), torch.zeros(2)]
    >>> transcribe_rows(
    ...     "a", transcribe, "key", ["x", "y"], signals, kept, 8, False
    ... )
    ['3 samples', '2 samples']
    """
    texts = transcripts.get(key)
    if texts is None:
        texts = {}
        order = sorted(range(len(ids)), key=lambda i: len(signals[i]))
        batches = range(0, len(ids), batch_size)
        for start in tqdm(batches, f"{name}, text", disable=not progressbar):
            members = order[start : start + batch_size]
            found = transcribe([signals[member] for member in members])
            texts.update(zip((ids[member] for member in members), found))
        # The SNR is an utterance's own: the manifest has it.
        transcripts.add(
            key, texts, system=name, corruption="noise", level=None, seed=0
        )
    return [texts[own] for own in ids]


def speech_key(settings, weights, signals):
    """Stand for all that decides what comes of some speech.

    Arguments
    ---------
    settings : list
        What JSON has names for.
    weights : str
        A hash of a model's.
    signals : list of torch.Tensor
        [time] each.

    Returns
    -------
    str
        A hash.

    Example
    -------
    >>> import torch
    >>> len(speech_key(["a"], "", [torch.zeros(3)]))
    32
    """
    key = hashlib.blake2b(digest_size=16)
    key.update(json.dumps(settings).encode())
    key.update(weights.encode())
    for signal in signals:
        key.update(np.ascontiguousarray(signal.numpy()).tobytes())
    return key.hexdigest()


def spoken_id(name, snr):
    """Name what was said and how, without the SNR that is added to an ID.

    Arguments
    ---------
    name : str
        A mixture's ID.
    snr : float
        Its SNR, in dB.

    Returns
    -------
    str

    Example
    -------
    >>> spoken_id("a-7--5dB", -5.0), spoken_id("a-7", -5.0)
    ('a-7', 'a-7')
    """
    return name.removesuffix(f"-{snr:g}dB") if math.isfinite(snr) else name


def error_rows(errors, snrs, bins, baseline, **description):
    """Make rows of results.json and of errors.json.

    Where an utterance was mixed at several SNRs, and its IDs say so, it counts
    once in the intervals of all SNRs: what it says is as hard at each.

    Arguments
    ---------
    errors : dict
        :class:`~speechbrain_ext.metrics.wer.WordErrorRate` by system.
    snrs : dict
        Each utterance's SNR, in dB.
    bins : sequence of tuple of float
        SNRs that are put together, in dB, both ends included.
    baseline : str
        The system that the others are compared with.
    **description : dict
        ``backend`` and ``test_set``.

    Returns
    -------
    rows : list of dict
        All SNRs, then each range; the metric has the error rate's name.
    counted : list of WordErrors
        Each range's.

    Example
    -------
    >>> from speechbrain_ext.metrics.wer import WordErrorRate
    >>> errors = WordErrorRate()
    >>> errors.append(["a-0dB", "a-5dB"], ["one two", "two"], ["one", "two"])
    >>> rows, counted = error_rows(
    ...     {"noisy": errors},
    ...     {"a-0dB": 0.0, "a-5dB": 5.0},
    ...     [(0.0, 0.0), (5.0, 5.0)],
    ...     "noisy",
    ...     backend="torch",
    ...     test_set="test",
    ... )
    >>> [(row["level"], row["value"], row["n"]) for row in rows]
    [(None, 0.5, 1), (0.0, 1.0, 1), (5.0, 0.0, 1)]
    """
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
        # Sums over what differs in nothing but its SNR.
        systems = [pool_levels([one]) for one in systems]
        for metric in dict.fromkeys(one.name for one in errors.values()):
            of_metric = [
                one for one in systems if errors[one.system].name == metric
            ]
            rows += word_error_rows(of_metric, baseline, metric.lower())
        if low is not None:
            counted += [one for one in systems if one.ids]
    return rows, counted


def _between(score, snrs, low, high):
    """Ids, errors and words of a range of SNRs."""
    kept = [
        (spoken_id(name, snrs[name]), *counts)
        for name, *counts in zip(score.ids, score.errors, score.words)
        if low is None or low <= snrs[name] <= high
    ]
    return [list(column) for column in zip(*kept)] or ([], [], [])
