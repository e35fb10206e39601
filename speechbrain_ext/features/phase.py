"""Phases of a short-time spectrum, estimated from its magnitudes alone."""

import functools
import importlib.util

import numpy as np
import torch
from torch.nn import functional as F
from torchaudio.functional import griffinlim

from speechbrain_ext.errors import optional_package


def has_local_weighted_sums():
    """Say whether the optional package ``lws`` is installed.

    Returns
    -------
    bool
    """
    return importlib.util.find_spec("lws") is not None


def local_weighted_sums(magnitudes, window, hop_length):
    """Estimate phases by local weighted sums.

    Le Roux et al. (DAFx 2010), paper 2's [32, 33], in their package's setting
    for speech.

    Arguments
    ---------
    magnitudes : torch.Tensor
        [batch, frames, bins], from 0 Hz to half the sample rate.
    window : torch.Tensor
        [window], symmetric.
    hop_length : int
        Samples from one window to the next.

    Returns
    -------
    torch.Tensor
        [batch, frames, bins], complex, of magnitude 1; no gradients.

    Raises
    ------
    UserError
        Where the package is not installed.

    Example
    -------
    >>> window = symmetric_window(8)
    >>> local_weighted_sums(torch.ones(1, 3, 5), window, 4).shape
    torch.Size([1, 3, 5])
    """
    solver = _solver(tuple(window.double().tolist()), hop_length)
    spectra = [
        torch.from_numpy(solver.run_lws(each))
        for each in magnitudes.detach().cpu().double().numpy()
    ]
    spectrum = torch.stack(spectra).to(torch.complex64)
    return unit_phases(spectrum.to(magnitudes.device))


@functools.lru_cache(maxsize=4)
def _solver(window, hop_length):
    with optional_package("phases by local weighted sums", "phase"):
        import lws
    return lws.lws(np.array(window), hop_length, mode="speech")


def fast_griffin_lim(magnitudes, window, hop_length, iterations=64):
    """Estimate phases by torchaudio's fast Griffin-Lim algorithm.

    It starts from phases of zero: the same magnitudes give the same phases.

    Arguments
    ---------
    magnitudes : torch.Tensor
        [batch, frames, bins], from 0 Hz to half the sample rate.
    window : torch.Tensor
        [window].
    hop_length : int
        Samples from one window to the next; half a window.
    iterations : int
        How often the waveform is made.

    Returns
    -------
    torch.Tensor
        [batch, frames, bins], complex, of magnitude 1; no gradients.

    Example
    -------
    >>> window = symmetric_window(8)
    >>> fast_griffin_lim(torch.ones(1, 6, 5), window, 4).shape
    torch.Size([1, 6, 5])
    """
    n_fft = len(window)
    # The outer half windows are cut off: frames that are not wanted lie there.
    padded = F.pad(
        magnitudes.detach().float().transpose(1, 2), (1, 1), mode="replicate"
    )
    wavs = griffinlim(
        padded,
        window,
        n_fft,
        hop_length,
        n_fft,
        power=1,
        n_iter=iterations,
        momentum=0.99,
        length=None,
        rand_init=False,
    )
    return unit_phases(frame_spectrum(wavs, window, hop_length))


def frame_spectrum(wavs, window, hop_length):
    """Compute the spectrum of the windows that lie within waveforms.

    Arguments
    ---------
    wavs : torch.Tensor
        [batch, time], samples.
    window : torch.Tensor
        [window].
    hop_length : int
        Samples from one window to the next.

    Returns
    -------
    torch.Tensor
        [batch, frames, bins], complex.

    Example
    -------
    >>> frame_spectrum(torch.ones(1, 16), symmetric_window(8), 4).shape
    torch.Size([1, 3, 5])
    """
    spectrum = torch.stft(
        wavs,
        len(window),
        hop_length,
        window=window,
        center=False,
        return_complex=True,
    )
    return spectrum.transpose(1, 2)


def overlap_add(spectrum, window):
    """Turn a spectrum into the waveform that is closest to it.

    Arguments
    ---------
    spectrum : torch.Tensor
        [batch, frames, bins], complex, of windows that overlap by half.
    window : torch.Tensor
        [window], nowhere zero.

    Returns
    -------
    torch.Tensor
        [batch, time]: all that the windows cover, (frames + 1) halves.

    Example
    -------
    >>> wavs, window = torch.randn(1, 16), symmetric_window(8)
    >>> again = overlap_add(frame_spectrum(wavs, window, 4), window)
    >>> torch.allclose(again, wavs, atol=1e-5)
    True
    """
    frames = torch.fft.irfft(spectrum, n=len(window)) * window
    weights = (window**2).expand_as(frames)
    return _add_halves(frames) / _add_halves(weights)


def _add_halves(frames):
    first, second = frames.unflatten(2, (2, -1)).unbind(2)
    return (F.pad(first, (0, 0, 0, 1)) + F.pad(second, (0, 0, 1, 0))).flatten(1)


def symmetric_window(length):
    """Make the root of a Hann window, between whose samples its ends lie.

    It is nowhere zero, its squares overlapped by half add up to 1, and it is
    what :func:`local_weighted_sums` was made for.

    Arguments
    ---------
    length : int
        Samples.

    Returns
    -------
    torch.Tensor
        [length], float32.

    Example
    -------
    >>> (symmetric_window(4) ** 2).reshape(2, 2).sum(dim=0)
    tensor([1.0000, 1.0000])
    """
    places = torch.arange(length, dtype=torch.float64) + 0.5
    return torch.sin(torch.pi * places / length).float()


def unit_phases(spectrum):
    """Divide a spectrum by its magnitudes.

    Arguments
    ---------
    spectrum : torch.Tensor
        Complex, of any shape.

    Returns
    -------
    torch.Tensor
        Complex, of magnitude 1; 1 where there was nothing.

    Example
    -------
    >>> unit_phases(torch.tensor([3 + 0j, 0j]))
    tensor([1.+0.j, 1.+0.j])
    """
    return torch.polar(torch.ones_like(spectrum.real), spectrum.angle())
