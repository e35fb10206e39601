"""How good, intelligible and close to clean speech an utterance is.

Each metric takes the clean reference and the estimate, [time] at 16 kHz, and
gives a float, or ``UNDEFINED`` where there is nothing to measure.
"""

import functools
import math
import warnings
from typing import NamedTuple

import numpy as np
import torch
from speechbrain.nnet.losses import cal_si_snr

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.errors import optional_package

#: A metric's value where it has none: PESQ finds no utterance in the clip, or
#: STOI too little speech. A mean that forgets to count such clips is no number
#: either.
UNDEFINED = math.nan

#: Of :func:`sdr`, in dB, to either side: what :func:`si_sdr` has.
SDR_LIMIT = 80.0


def as_array(signal):
    """Bring a signal from wherever it is into NumPy.

    Arguments
    ---------
    signal : torch.Tensor, numpy.ndarray or sequence of float
        Of any shape.

    Returns
    -------
    numpy.ndarray
        The same numbers.

    Example
    -------
    >>> as_array(torch.ones(2, requires_grad=True))
    array([1., 1.], dtype=float32)
    """
    if isinstance(signal, torch.Tensor):
        return signal.detach().cpu().numpy()
    return np.asarray(signal)


def as_pair(reference, estimate):
    """Bring a pair of signals into the form that the metrics work on.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] each, of one length, in [-1, 1].

    Returns
    -------
    tuple of numpy.ndarray
        [time] each, float64.

    Raises
    ------
    ValueError
        When one is empty, has more than one dimension or a value that is not
        finite, or the lengths differ.

    Example
    -------
    >>> as_pair(torch.ones(2), np.zeros(2))
    (array([1., 1.]), array([0., 0.]))
    """
    pair = tuple(
        as_array(signal).astype(np.float64) for signal in (reference, estimate)
    )
    shapes = [signal.shape for signal in pair]
    if shapes[0] != shapes[1] or len(shapes[0]) != 1 or not shapes[0][0]:
        raise ValueError(f"expected two signals [time], not {shapes}")
    if not np.isfinite(pair).all():
        raise ValueError("expected finite samples")
    return pair


def pesq(reference, estimate):
    """Wideband PESQ (ITU-T P.862.2), by the package ``pesq``.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz. Levels do not matter.

    Returns
    -------
    float
        MOS-LQO, 1.04 to 4.64. ``UNDEFINED`` where PESQ finds no utterance:
        either signal is silent, or the clip lasts less than a quarter of a
        second.

    Example
    -------
    >>> speech = torch.randn(SAMPLE_RATE)
    >>> round(pesq(speech, speech), 2), pesq(speech, 0 * speech)
    (4.64, nan)
    """
    return _pesq(reference, estimate, "wb")


def raw_pesq(reference, estimate):
    """Narrowband PESQ on its raw scale (ITU-T P.862).

    What papers report that do not map it to opinion scores (P.862.1); the
    package ``pesq`` does, and that is undone here.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz. Levels do not matter.

    Returns
    -------
    float
        -0.5 to 4.5. ``UNDEFINED`` where :func:`pesq` is.

    Example
    -------
    >>> speech = torch.randn(SAMPLE_RATE)
    >>> round(raw_pesq(speech, speech), 2), raw_pesq(speech, 0 * speech)
    (4.5, nan)
    """
    mapped = _pesq(reference, estimate, "nb")
    if math.isnan(mapped):
        return UNDEFINED
    # P.862.1: 0.999 + 4 / (1 + exp(4.6607 - 1.4945 raw)).
    return (4.6607 - math.log(4 / (mapped - 0.999) - 1)) / 1.4945


def _pesq(reference, estimate, band):
    with optional_package("a metric", "metrics,pesq"):
        import pesq as pesq_package

    reference, estimate = as_pair(reference, estimate)
    try:
        # It scales both by their joint maximum before it looks for speech.
        with np.errstate(invalid="ignore"):
            return float(
                pesq_package.pesq(SAMPLE_RATE, reference, estimate, band)
            )
    except (
        pesq_package.NoUtterancesError,
        pesq_package.BufferTooShortError,
        # A silent estimate's level becomes NaN inside.
        ValueError,
    ):
        return UNDEFINED


def stoi(reference, estimate, extended=False):
    """Short-time objective intelligibility, by the package ``pystoi``.

    STOI (Taal et al., IEEE TASLP 19(7), 2011) or ESTOI (Jensen and Taal,
    IEEE/ACM TASLP 24(11), 2016).

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz.
    extended : bool
        Whether to compute ESTOI.

    Returns
    -------
    float
        Up to 1. ``UNDEFINED`` where the reference has less than 0.4 s that are
        not silent.

    Example
    -------
    >>> speech = torch.randn(SAMPLE_RATE)
    >>> round(stoi(speech, speech), 3), stoi(speech[:800], speech[:800])
    (1.0, nan)
    """
    with optional_package("a metric", "metrics,pesq"):
        import pystoi

    reference, estimate = as_pair(reference, estimate)
    # pystoi adds noise at the size of a rounding error to what it divides by.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT", RuntimeWarning)
            return float(
                pystoi.stoi(reference, estimate, SAMPLE_RATE, extended)
            )
    except (RuntimeWarning, np.exceptions.AxisError):
        # The latter where not a single frame is left.
        return UNDEFINED
    finally:
        np.random.set_state(state)


def estoi(reference, estimate):
    """Extended short-time objective intelligibility: see :func:`stoi`.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz.

    Returns
    -------
    float
        Up to 1, or ``UNDEFINED``.

    Example
    -------
    >>> speech = torch.randn(SAMPLE_RATE)
    >>> round(estoi(speech, speech), 3)
    1.0
    """
    return stoi(reference, estimate, extended=True)


def si_sdr(reference, estimate):
    """Scale-invariant signal-to-distortion ratio of zero-mean signals.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, by
    SpeechBrain's ``cal_si_snr``.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time].

    Returns
    -------
    float
        In dB; between -80 and 80, which a silent and a perfect estimate have.
        ``UNDEFINED`` where the reference is silent.

    Example
    -------
    >>> round(si_sdr([3.0, -3.0, 0.0, 0.0], [6.0, -6.0, 2.0, -2.0]), 2)
    9.54
    """
    pair = [signal - signal.mean() for signal in as_pair(reference, estimate)]
    # SpeechBrain adds a small constant to energies: at unit energy it means
    # the same for loud and quiet speech.
    energies = [np.linalg.norm(signal) for signal in pair]
    if energies[0] == 0:
        return UNDEFINED
    reference, estimate = (
        torch.from_numpy(signal / (energy or 1.0))[:, None, None]
        for signal, energy in zip(pair, energies, strict=True)
    )
    return -cal_si_snr(reference, estimate).item()


def sdr(reference, estimate):
    """Scale-dependent signal-to-distortion ratio.

    SD-SDR of Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019,
    section 3, which paper 3 cites for its SDR: the energy of the reference as
    it is in the estimate, over the energy of all that differs from the
    reference. A wrong level is a distortion too, other than for
    :func:`si_sdr`; no filter is forgiven, other than in BSS Eval.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time].

    Returns
    -------
    float
        In dB; between -80 and 80, which a silent and a perfect estimate have.
        ``UNDEFINED`` where the reference is silent.

    Example
    -------
    >>> round(sdr([3.0, -3.0, 0.0, 0.0], [3.0, -3.0, 1.0, -1.0]), 2)
    9.54
    """
    reference, estimate = as_pair(reference, estimate)
    energy = reference @ reference
    if energy == 0:
        return UNDEFINED
    projected = (reference @ estimate) ** 2 / energy
    distortion = ((reference - estimate) ** 2).sum()
    with np.errstate(divide="ignore"):
        ratio = 10 * (np.log10(projected) - np.log10(distortion))
    return float(np.clip(ratio, -SDR_LIMIT, SDR_LIMIT))


class DNSMOS(NamedTuple):
    """Predicted mean opinion scores: overall, of speech, of background."""

    ovrl: float
    sig: float
    bak: float


def dnsmos(estimate):
    """Mean opinion scores without a reference (Reddy et al., ICASSP 2022).

    ITU-T P.835 scores as the package ``speechmos`` predicts them: a shorter
    clip is doubled until it has 9.01 s, and scored in windows of that length, a
    second apart.

    Arguments
    ---------
    estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz; what lies outside of [-1, 1] is clipped, as it is
        when written to a file.

    Returns
    -------
    DNSMOS
        1 to 5 each.

    Example
    -------
    >>> all(1 < one < 5 for one in dnsmos(0.1 * torch.randn(SAMPLE_RATE)))
    True
    """
    signal, _ = as_pair(estimate, estimate)
    found = _dnsmos_model()(
        np.clip(signal, -1, 1), SAMPLE_RATE, is_personalized_MOS=False
    )
    return DNSMOS(
        *(float(found[f"{name}_mos"]) for name in ("ovrl", "sig", "bak"))
    )


@functools.lru_cache(maxsize=1)
def _dnsmos_model():
    from pathlib import Path

    # It imports librosa, which takes seconds.
    with optional_package("a metric", "metrics,pesq"):
        from speechmos import dnsmos as package

    folder = Path(package.__file__).parent / "dnsmos_models"
    paths = [
        str(folder / name) for name in ("sig_bak_ovr.onnx", "model_v8.onnx")
    ]
    model = package.DNSMOS(*paths)
    options = _one_thread(package)
    model.onnx_sess, model.p808_onnx_sess = (
        package.ort.InferenceSession(path, options) for path in paths
    )
    return model


def plcmos(estimate):
    """Mean opinion score of packet loss concealment, without a reference.

    PLCMOS v2 (Diener et al., Interspeech 2023) as the package ``speechmos``
    predicts it: the mean of 15 raters, whom the package draws at random; here
    they are the same for every clip.

    Arguments
    ---------
    estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz; what lies outside of [-1, 1] is clipped, as it is
        when written to a file.

    Returns
    -------
    float
        1 to 5.

    Example
    -------
    >>> 1 < plcmos(0.1 * torch.randn(SAMPLE_RATE)) < 5
    True
    """
    signal, _ = as_pair(estimate, estimate)
    model = _plcmos_model()
    state = np.random.get_state()
    np.random.seed(0)
    try:
        with warnings.catch_warnings():
            # It makes a number of an array of one.
            warnings.simplefilter("ignore", DeprecationWarning)
            return float(model.get_mos(np.clip(signal, -1, 1)))
    finally:
        np.random.set_state(state)


@functools.lru_cache(maxsize=1)
def _plcmos_model():
    with optional_package("a metric", "metrics,pesq"):
        from speechmos import plcmos as package

    model = package.PLCMOS()
    model.session = package.ort.InferenceSession(
        model.model_path, _one_thread(package)
    )
    return model


def _one_thread(package):
    """Of its own accord each session takes all cores."""
    options = package.ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return options
