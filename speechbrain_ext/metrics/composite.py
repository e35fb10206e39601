"""Composite measures of enhanced speech: CSIG, CBAK and COVL.

Hu and Loizou, "Evaluation of objective quality measures for speech
enhancement", IEEE TASLP 16(1), 2008: predictions of how listeners rate the
distortion of the speech, the intrusiveness of the background, and both
together (ITU-T P.835). Where the paper leaves a choice open, the choice is
that of the authors' published program, by which the field's numbers come
about; with two habits of the field: PESQ is wideband, since signals have
16 kHz, and stands in the place of the narrowband PESQ that the weights were
fitted with.
"""

import math
from typing import NamedTuple

import numpy as np

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.metrics.quality import UNDEFINED, as_pair, pesq

#: Frames of 30 ms that overlap by three quarters, in samples.
WINDOW = 30 * SAMPLE_RATE // 1000
HOP = WINDOW // 4

_FFT = 1024
_LPC_ORDER = 16
# The share of frames, the best ones, that LLR and WSS are averaged over.
_KEPT = 0.95
_SNR_RANGE = (-10.0, 35.0)
# Frames at once: bounds the memory that a long file takes.
_BLOCK = 2000
# Energy of a silent frame, far below that of a single 16-bit step. It makes
# digital silence white noise, whose prediction is defined.
_SILENCE = 1e-20

# Critical bands of the weighted spectral slope, in Hz: centre and width.
_BANDS = np.array(
    [
        (50.0, 70.0),
        (120.0, 70.0),
        (190.0, 70.0),
        (260.0, 70.0),
        (330.0, 70.0),
        (400.0, 70.0),
        (470.0, 70.0),
        (540.0, 77.3724),
        (617.372, 86.0056),
        (703.378, 95.3398),
        (798.717, 105.411),
        (904.128, 116.256),
        (1020.38, 127.914),
        (1148.30, 140.423),
        (1288.72, 153.823),
        (1442.54, 168.154),
        (1610.70, 183.457),
        (1794.16, 199.776),
        (1993.93, 217.153),
        (2211.08, 235.631),
        (2446.71, 255.255),
        (2701.97, 276.072),
        (2978.04, 298.126),
        (3276.17, 321.465),
        (3597.63, 346.136),
    ]
)


class Composite(NamedTuple):
    """Predicted ratings, 1 to 5: of signal, background, and overall."""

    csig: float
    cbak: float
    covl: float


def composite(reference, estimate, pesq_score=None):
    """CSIG, CBAK and COVL (Hu and Loizou 2008, section IV).

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz. Levels matter: the segmental SNR compares samples.
    pesq_score : float or None
        Wideband PESQ of the pair where it is known already.

    Returns
    -------
    Composite
        Limited to 1 to 5; ``UNDEFINED`` each where PESQ is.

    Example
    -------
    >>> speech = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    >>> [float(round(score, 2)) for score in composite(speech, speech)]
    [5.0, 5.0, 5.0]
    """
    reference, estimate = as_pair(reference, estimate)
    if pesq_score is None:
        pesq_score = pesq(reference, estimate)
    if math.isnan(pesq_score):
        return Composite(UNDEFINED, UNDEFINED, UNDEFINED)
    llr = log_likelihood_ratio(reference, estimate)
    wss = weighted_spectral_slope(reference, estimate)
    snr = segmental_snr(reference, estimate)
    ratings = (
        3.093 - 1.029 * llr + 0.603 * pesq_score - 0.009 * wss,
        1.634 + 0.478 * pesq_score - 0.007 * wss + 0.063 * snr,
        1.594 + 0.805 * pesq_score - 0.512 * llr - 0.007 * wss,
    )
    return Composite(*(min(max(rating, 1.0), 5.0) for rating in ratings))


def segmental_snr(reference, estimate):
    """Signal-to-noise ratio of frames, averaged (equation 1).

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz, 600 samples or more.

    Returns
    -------
    float
        In dB; each frame's is limited to -10 to 35.

    Example
    -------
    >>> speech = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    >>> round(segmental_snr(speech, 1.1 * speech), 3)
    20.0
    """
    return float(np.mean(_by_frame(_snr, reference, estimate)))


def log_likelihood_ratio(reference, estimate):
    """Distance of the spectral envelopes (equation 3), of the best 95 %.

    The logarithm of how much worse the estimate's linear prediction predicts
    the reference than its own does. Frames are not limited to 2 as those of
    the LLR alone are in the paper; its composite measures never were.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz, 600 samples or more. Levels do not matter.

    Returns
    -------
    float
        0 where the envelopes are the same.

    Example
    -------
    >>> speech = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    >>> abs(round(log_likelihood_ratio(speech, 2 * speech), 3))
    0.0
    """
    return _mean_of_best(_by_frame(_llr, reference, estimate))


def weighted_spectral_slope(reference, estimate):
    """Distance of the slopes between critical bands, of the best 95 %.

    Klatt, "Prediction of perceived phonetic distance from critical-band
    spectra", ICASSP 1982; divided by the sum of the weights.

    Arguments
    ---------
    reference, estimate : torch.Tensor or numpy.ndarray
        [time] at 16 kHz, 600 samples or more. Levels do not matter.

    Returns
    -------
    float
        In dB squared; 0 where the slopes are the same.

    Example
    -------
    >>> speech = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    >>> round(weighted_spectral_slope(speech, 2 * speech), 3)
    0.0
    """
    return _mean_of_best(_by_frame(_wss, reference, estimate))


def _mean_of_best(distances):
    kept = round(len(distances) * _KEPT)
    return float(np.mean(np.sort(distances)[:kept]))


def _by_frame(distance, reference, estimate):
    """Apply a distance to pairs of windowed frames: [frames]."""
    reference, estimate = as_pair(reference, estimate)
    if len(reference) < WINDOW + HOP:
        raise ValueError(f"expected {WINDOW + HOP} samples or more")
    pair = _frames(reference), _frames(estimate)
    # Without the zeros at both ends, as in the authors' program.
    window = np.hanning(WINDOW + 2)[1:-1]
    blocks = range(0, len(pair[0]), _BLOCK)
    return np.concatenate(
        [
            distance(*(part[first : first + _BLOCK] * window for part in pair))
            for first in blocks
        ]
    )


def _frames(signal):
    """View a signal as frames; the authors' program leaves the last one out."""
    view = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)
    return view[::HOP][:-1]


def _snr(reference, estimate):
    tiny = np.finfo(float).eps
    signal = (reference**2).sum(axis=1)
    noise = ((reference - estimate) ** 2).sum(axis=1)
    snr = 10 * np.log10(signal / (noise + tiny) + tiny)
    return np.clip(snr, *_SNR_RANGE)


def _llr(reference, estimate):
    correlation = _autocorrelation(reference)
    own, others = (
        np.einsum("ni,nij,nj->n", whitening, correlation, whitening)
        for whitening in (
            _whitening_filter(correlation),
            _whitening_filter(_autocorrelation(estimate)),
        )
    )
    return np.log(others / own)


def _autocorrelation(frames):
    """Autocorrelation matrices: [frames, order + 1, order + 1]."""
    lags = np.stack(
        [
            (frames[:, : WINDOW - lag] * frames[:, lag:]).sum(axis=1)
            for lag in range(_LPC_ORDER + 1)
        ],
        axis=1,
    )
    lags[:, 0] += _SILENCE
    place = np.arange(_LPC_ORDER + 1)
    return lags[:, np.abs(place[:, None] - place)]


def _whitening_filter(correlation):
    """Filters that leave the error of prediction: [frames, order + 1]."""
    # Many small systems at once; scipy's Levinson solver takes one at a time.
    past, target = correlation[:, 1:, 1:], correlation[:, 1:, :1]
    predictor = np.linalg.solve(past, target)[..., 0]
    return np.concatenate([np.ones((len(predictor), 1)), -predictor], axis=1)


def _wss(reference, estimate):
    levels = [_band_levels(frames) for frames in (reference, estimate)]
    slopes = [np.diff(level, axis=1) for level in levels]
    weight = sum(
        _slope_weights(*each) for each in zip(levels, slopes, strict=True)
    )
    distance = (weight * (slopes[0] - slopes[1]) ** 2).sum(axis=1)
    return distance / weight.sum(axis=1)


def _band_levels(frames):
    """Levels in the critical bands, in dB: [frames, bands]."""
    power = np.abs(np.fft.rfft(frames, _FFT)[:, : _FFT // 2]) ** 2
    return 10 * np.log10(np.maximum(power @ _band_filters().T, 1e-10))


def _band_filters():
    """Gaussian filters whose areas are equal: [bands, bins]."""
    centre, width = (_BANDS * _FFT / SAMPLE_RATE).T[:, :, None]
    distance = (np.arange(_FFT // 2) - np.floor(centre)) / width
    filters = np.exp(-11 * distance**2) * width[0] / width
    # Below this the authors' program hears nothing.
    return np.where(filters > math.exp(-30 / (2 * 2.303)), filters, 0.0)


def _slope_weights(level, slope):
    """Klatt's weights, large at a spectrum's peaks: [frames, bands - 1]."""
    lower = level[:, :-1]
    below_maximum = level.max(axis=1, keepdims=True) - lower
    below_peak = _nearest_peak(level, slope) - lower
    return 20 / (20 + below_maximum) * 1 / (1 + below_peak)


def _nearest_peak(level, slope):
    """Level of the peak that each band's slope climbs to: [frames, bands - 1].

    Uphill to the right, the authors' program stops one band before the peak,
    and the field's numbers with it.
    """
    n_slopes = slope.shape[1]
    right, left = level[:, :-1].copy(), level[:, :-1].copy()
    for band in reversed(range(n_slopes - 1)):
        climbs = slope[:, band + 1] > 0
        right[climbs, band] = right[climbs, band + 1]
    for band in range(1, n_slopes):
        climbs = slope[:, band - 1] <= 0
        left[climbs, band] = left[climbs, band - 1]
    return np.where(slope > 0, right, left)
