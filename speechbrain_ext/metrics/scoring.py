"""Many pairs of clean and enhanced speech, scored in parallel processes."""

import contextlib
import functools
import logging
import math
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch
import torchaudio
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, read_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics import (
    composite as composite_measures,
    quality,
)

logger = logging.getLogger(__name__)

# A process takes seconds to start: one for as many pairs, at most all cores.
_PAIRS_A_PROCESS = 8

_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


class _Pair:
    """A pair whose metrics share what they compute."""

    def __init__(self, reference, estimate):
        self.reference = reference
        self.estimate = estimate

    def of(self, metric):
        """Measure the pair."""
        return metric(self.reference, self.estimate)

    @functools.cached_property
    def pesq(self):
        """Compute PESQ once."""
        return self.of(quality.pesq)

    @functools.cached_property
    def composite(self):
        """Compute the composite measures once."""
        return composite_measures.composite(
            self.reference, self.estimate, self.pesq
        )

    @functools.cached_property
    def dnsmos(self):
        """Compute DNSMOS once."""
        return quality.dnsmos(self.estimate)


_SCORES = {
    "pesq": lambda pair: pair.pesq,
    "stoi": lambda pair: pair.of(quality.stoi),
    "estoi": lambda pair: pair.of(quality.estoi),
    "si_sdr": lambda pair: pair.of(quality.si_sdr),
    "sdr": lambda pair: pair.of(quality.sdr),
    "csig": lambda pair: pair.composite.csig,
    "cbak": lambda pair: pair.composite.cbak,
    "covl": lambda pair: pair.composite.covl,
    "dnsmos_ovrl": lambda pair: pair.dnsmos.ovrl,
    "dnsmos_sig": lambda pair: pair.dnsmos.sig,
    "dnsmos_bak": lambda pair: pair.dnsmos.bak,
    "pesq_raw": lambda pair: pair.of(quality.raw_pesq),
}

#: The names of all metrics.
METRICS = tuple(_SCORES)
#: Those that take no network.
SIGNAL_METRICS = METRICS[:8]
#: Those that are undefined where PESQ finds no utterance.
PESQ_METRICS = ("pesq", "pesq_raw", "csig", "cbak", "covl")


def score_pairs(pairs, metrics=METRICS, n_workers=None, progressbar=True):
    """Score estimates against their references, each pair on its own.

    The scores do not depend on the number of processes. Programs that call this
    need the usual ``if __name__ == "__main__":``, as the processes are spawned.

    Arguments
    ---------
    pairs : sequence of tuple
        (reference, estimate): audio files, or arrays or tensors [time] at
        16 kHz. A file at another rate is resampled.
    metrics : sequence of str
        Of ``METRICS``.
    n_workers : int or None
        How many processes share the work; 1 stays in this one, None takes the
        cores there are.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of dict
        In the order of the pairs: ``name`` (that of the estimate's file, else
        the reference's, else the place in ``pairs``), each metric's value, and
        ``no_utterance``: whether PESQ found no utterance there, so that it and
        the composite measures are ``UNDEFINED``. Such clips are also named in
        a warning.

    Raises
    ------
    UserError
        When there is no such metric, an audio file cannot be read, or the
        signals of a pair have different lengths or rates (the file is named).

    Example
    -------
    >>> speech = torch.randn(SAMPLE_RATE)
    >>> (scores,) = score_pairs(
    ...     [(speech, 0.5 * speech)], ["pesq", "si_sdr"], progressbar=False
    ... )
    >>> round(scores["pesq"], 2), scores["si_sdr"] > 60
    (4.64, True)
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise UserError(
            f"metrics: no {', '.join(unknown)}; expected {', '.join(METRICS)}"
        )
    pairs = [
        (place, *map(_portable, pair))
        for place, pair in enumerate(pairs, start=1)
    ]
    if n_workers is None:
        n_workers = min(_cores(), math.ceil(len(pairs) / _PAIRS_A_PROCESS))
    score = functools.partial(_score, metrics=tuple(metrics))
    with _mapping(n_workers) as mapping:
        scores = list(
            tqdm(
                mapping(score, pairs),
                desc="scores",
                total=len(pairs),
                disable=not progressbar,
                dynamic_ncols=True,
            )
        )
    _warn_of_clips_without_utterance(scores)
    return scores


def names_without_utterance(scores):
    """Name the clips on which PESQ found no utterance.

    Arguments
    ---------
    scores : sequence of dict
        As :func:`score_pairs` returns them.

    Returns
    -------
    list of str

    Example
    -------
    >>> silence = torch.zeros(SAMPLE_RATE)
    >>> scores = score_pairs([(silence, silence)], ["covl"], progressbar=False)
    >>> scores[0]["covl"], names_without_utterance(scores)
    (nan, ['pair 1'])
    """
    return [row["name"] for row in scores if row["no_utterance"]]


def _warn_of_clips_without_utterance(scores):
    names = names_without_utterance(scores)
    if names:
        logger.warning(
            "PESQ finds no utterance in %d of %d clips, which have no PESQ and "
            "no composite measure: %s",
            len(names),
            len(scores),
            ", ".join(names),
        )


def _portable(signal):
    """Turn what is no file into an array: tensors travel as open files."""
    if isinstance(signal, (str, os.PathLike)):
        return signal
    return quality.as_array(signal)


def _score(pair, metrics):
    name, reference, estimate = _load(*pair)
    pair = _Pair(reference, estimate)
    row = {
        "name": name,
        **{metric: _SCORES[metric](pair) for metric in metrics},
    }
    # None of the others asks PESQ.
    asked = any(metric in PESQ_METRICS for metric in metrics)
    row["no_utterance"] = asked and math.isnan(pair.pesq)
    return row


def _load(place, *pair):
    """Name a pair and read its signals at 16 kHz."""
    files = [None if isinstance(each, np.ndarray) else each for each in pair]
    name = str(files[1] or files[0] or f"pair {place}")
    signals, rates = zip(
        *(
            (torch.tensor(each), SAMPLE_RATE)
            if file is None
            else read_audio(file)
            for file, each in zip(files, pair, strict=True)
        ),
        strict=True,
    )
    if rates[0] != rates[1] or signals[0].shape != signals[1].shape:
        reference, estimate = (
            f"{signal.shape[-1]} samples at {rate} Hz"
            for signal, rate in zip(signals, rates, strict=True)
        )
        raise UserError(
            f"{name}: {estimate}, but its reference {files[0] or ''} has "
            f"{reference}; expected the same length and rate"
        )
    if not all(torch.isfinite(signal).all() for signal in signals):
        raise UserError(f"{name}: NaN or infinite samples; expected audio")
    return name, *(
        torchaudio.functional.resample(signal, rate, SAMPLE_RATE)
        for signal, rate in zip(signals, rates, strict=True)
    )


def _cores():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_thread():
    """Compute in one thread, so that a machine's cores change no number.

    The order of a sum, and so its last digit, depends on how many there are.

    Example
    -------
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # NumPy's libraries have threads of their own.
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _mapping(n_workers):
    """Give ``map``, in this process or in several with one thread each."""
    if n_workers <= 1:
        with one_thread():
            yield map
        return
    # Libraries read the environment once, when a process imports them.
    before = {name: os.environ.get(name) for name in _THREAD_SETTINGS}
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))
    try:
        with ProcessPoolExecutor(
            n_workers,
            # Not a fork: threads of this process may hold locks.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=torch.set_num_threads,
            initargs=(1,),
        ) as pool:
            yield pool.map
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
