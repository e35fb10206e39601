"""Classical packet loss concealment: what is tried first, without training."""

import numpy as np
import torch
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter, lfiltic
from scipy.signal.windows import hann
from speechbrain.dataio.dataio import length_to_mask


def _inside(lengths, size):
    """bool [batch, size], True up to each utterance's end."""
    ends = (lengths * size).round()
    return length_to_mask(ends, size, dtype=torch.bool, device=lengths.device)


def _last_true(mask):
    """Index of the last True at or before each place, -1 before the first."""
    places = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, places, -1).cummax(dim=1).values


class RepeatPacket(torch.nn.Module):
    """Repeat what was received last, more quietly each time.

    A gap's n-th packet is the last ``packet_samples`` received samples times
    ``fade ** n``: 20 ms packets at the default fade have lost 10 dB after
    100 ms. Where fewer samples in a row were received, those repeat. Before the
    first received sample there is silence.

    Arguments
    ---------
    packet_samples : int
        Samples of a packet.
    fade : float
        Gain from one repetition to the next, 0 to 1.

    Example
    -------
    >>> conceal = RepeatPacket(packet_samples=2, fade=0.5)
    >>> wavs = torch.tensor([[4.0, 8.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    >>> lost = torch.tensor([[0, 0, 1, 1, 1, 1, 0]]).bool()
    >>> conceal(wavs, torch.ones(1), lost)
    tensor([[4., 8., 2., 4., 1., 2., 1.]])
    """

    takes_waveforms = True

    def __init__(self, packet_samples=320, fade=0.8):
        super().__init__()
        self.packet_samples = packet_samples
        self.fade = fade

    def forward(self, x, lengths, lost=None):
        """Fill the gaps of a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time], zero where samples are lost.
        lengths : torch.Tensor
            [batch], relative: what lies past the end stays as it is.
        lost : torch.Tensor, optional
            bool [batch, time], True where a sample is lost; nothing is if not
            given.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        if lost is None:
            return x
        places = torch.arange(x.shape[1], device=x.device)
        last = _last_true(~lost)
        # Where the received run in front of a gap began.
        before = _last_true(lost).gather(1, last.clamp(min=0))
        period = (last - before).clamp(1, self.packet_samples)
        into_gap = places - last - 1
        source = last + 1 - period + into_gap % period
        repeat = x.gather(1, source.clamp(0, x.shape[1] - 1))
        gain = self.fade ** (into_gap // self.packet_samples + 1).to(x.dtype)
        filled = lost & (last >= 0) & _inside(lengths, x.shape[1])
        return torch.where(filled, repeat * gain, x)


class LinearPrediction(torch.nn.Module):
    """Extrapolate the past by linear prediction.

    The predictor is the autocorrelation method's (a Hann window, the
    Yule-Walker equations), whose synthesis filter is stable; its order is above
    a pitch period, so that voiced speech goes on being voiced. The past is the
    signal as it was repaired so far. Long gaps fade to silence.

    Arguments
    ---------
    order : int
        Of the predictor, in samples.
    context_samples : int
        Of the past that the predictor is estimated on.
    hold_samples : int
        Samples of a gap that are not faded.
    fade_samples : int
        Samples over which the gain then falls from 1 to 0, linearly.

    Example
    -------
    >>> wav = torch.sin(0.1 * torch.arange(3200))[None]
    >>> lost = torch.zeros(1, 3200, dtype=torch.bool)
    >>> lost[:, 2000:2160] = True
    >>> found = LinearPrediction()(wav * ~lost, torch.ones(1), lost)
    >>> bool((found - wav).abs().max() < 0.05)
    True
    """

    takes_waveforms = True

    def __init__(
        self,
        order=256,
        context_samples=1280,
        hold_samples=320,
        fade_samples=1280,
    ):
        super().__init__()
        self.order = order
        self.context_samples = context_samples
        self.hold_samples = hold_samples
        self.fade_samples = fade_samples

    def forward(self, x, lengths, lost=None):
        """Fill the gaps of a batch; there are no gradients.

        Arguments
        ---------
        x : torch.Tensor
            [batch, time], zero where samples are lost.
        lengths : torch.Tensor
            [batch], relative: what lies past the end stays as it is.
        lost : torch.Tensor, optional
            bool [batch, time], True where a sample is lost; nothing is if not
            given.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        if lost is None:
            return x
        inside = _inside(lengths, x.shape[1])
        filled = (lost & inside).cpu().numpy()
        signals = x.detach().cpu().double().numpy()
        sizes = inside.sum(dim=1).tolist()
        for signal, mask, size in zip(signals, filled, sizes):
            # A gap's first sample and the one after its last, in turn.
            edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
            # Where the received samples after each gap end.
            ends = np.append(edges[2::2], size)
            for (start, end), until in zip(edges.reshape(-1, 2), ends):
                past = signal[max(0, start - self.context_samples) : start]
                future = signal[end : min(end + self.context_samples, until)]
                signal[start:end] = self._fill(past, future, end - start)
        found = torch.from_numpy(signals).to(x)
        return torch.where(torch.from_numpy(filled).to(x.device), found, x)

    def _fill(self, past, future, n_samples):
        """Fill a gap; the future is not known yet."""
        return self._extrapolate(past, n_samples)

    def _extrapolate(self, past, n_samples):
        """Continue ``past``, at most until the gain is 0."""
        samples = np.zeros(n_samples)
        order = min(self.order, len(past) // 2)
        audible = min(n_samples, self.hold_samples + self.fade_samples)
        if not order or not past.any():
            return samples
        filter_ = _predictor(past, order)
        state = lfiltic([1.0], filter_, past[: -order - 1 : -1])
        samples[:audible], _ = lfilter(
            [1.0], filter_, np.zeros(audible), zi=state
        )
        faded = np.arange(n_samples) - self.hold_samples
        return samples * np.clip(1 - faded / self.fade_samples, 0, 1)


class TwoSidedPrediction(LinearPrediction):
    """Extrapolate both sides of a gap and fade from one to the other.

    The baseline of section 2.5 of paper 2 (Kauppinen & Roth, DAFx 2002), for
    whole files: what comes after a gap is known. The past is the signal as it
    was repaired so far, the future what was received until the next gap, and
    gains of the cosine's square lead from one to the other. At an end of the
    file the one side there is fills the gap alone.

    Arguments
    ---------
    order, context_samples : int
        As of :class:`LinearPrediction`, on each side.
    hold_samples, fade_samples : int
        The same; the paper's gaps, up to 400 ms, are not faded to silence.

    Example
    -------
    >>> wav = torch.sin(0.1 * torch.arange(3200))[None]
    >>> lost = torch.zeros(1, 3200, dtype=torch.bool)
    >>> lost[:, 1500:1820] = True
    >>> found = TwoSidedPrediction()(wav * ~lost, torch.ones(1), lost)
    >>> bool((found - wav).abs().max() < 0.05)
    True
    """

    def __init__(
        self,
        order=256,
        context_samples=1280,
        hold_samples=16384,
        fade_samples=1280,
    ):
        super().__init__(order, context_samples, hold_samples, fade_samples)

    def _fill(self, past, future, n_samples):
        forwards = self._extrapolate(past, n_samples)
        # As time goes backwards, the future is the past.
        backwards = self._extrapolate(future[::-1], n_samples)[::-1]
        if not len(past) or not len(future):
            return forwards + backwards
        places = (np.arange(n_samples) + 0.5) / n_samples
        gain = np.cos(np.pi / 2 * places) ** 2
        return gain * forwards + (1 - gain) * backwards


def _predictor(past, order):
    """Prediction error filter [order + 1] of a signal [time]."""
    windowed = past * hann(len(past), sym=False)
    size = 2 * len(past)
    power = np.abs(np.fft.rfft(windowed, size)) ** 2
    correlation = np.fft.irfft(power)[: order + 1]
    # Noise 90 dB below: a pure tone's equations would be singular.
    correlation[0] *= 1 + 1e-9
    coefficients = solve_toeplitz(correlation[:-1], correlation[1:])
    return np.concatenate([[1.0], -coefficients])


class MelInterpolation(torch.nn.Module):
    """Draw a line through lost mel frames, from the last to the next received.

    At an utterance's edges the nearest received frame is held; where all
    frames are lost nothing changes.

    Arguments
    ---------
    threshold : float
        A frame of which a larger share was lost counts as lost. A received
        packet of 20 ms between two lost ones leaves one frame of 25 ms that
        misses a hundredth of its weight: 0 would leave nothing to start from.

    Example
    -------
    >>> feats = torch.tensor([[1.0, 9.0, 9.0, 4.0, 9.0]])[..., None]
    >>> lost = torch.tensor([[0.0, 1.0, 0.5, 0.0, 1.0]])
    >>> MelInterpolation()(feats, torch.ones(1), lost)[..., 0]
    tensor([[1., 2., 3., 4., 4.]])
    """

    def __init__(self, threshold=0.1):
        super().__init__()
        self.threshold = threshold

    def forward(self, x, lengths, lost=None):
        """Fill the gaps of a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, frames, mels].
        lengths : torch.Tensor
            [batch], relative: what lies past the end stays as it is.
        lost : torch.Tensor, optional
            [batch, frames], in [0, 1]: the share of each frame that was lost;
            nothing is if not given.

        Returns
        -------
        torch.Tensor
            [batch, frames, mels].
        """
        if lost is None:
            return x
        frames, inside = x.shape[1], _inside(lengths, x.shape[1])
        gone = (lost > self.threshold) & inside
        received = inside & ~gone
        before = _last_true(received)
        after = frames - 1 - _last_true(received.flip(1)).flip(1)
        # At an edge both are the one that is there.
        start = torch.where(before < 0, after, before).clamp(max=frames - 1)
        end = torch.where(after >= frames, before, after).clamp(min=0)
        places = torch.arange(frames, device=x.device)
        weight = (places - start) / (end - start).clamp(min=1)
        line = torch.lerp(
            _frames_at(x, start), _frames_at(x, end), weight[..., None].to(x)
        )
        fills = gone & received.any(dim=1, keepdim=True)
        return torch.where(fills[..., None], line, x)


def _frames_at(x, index):
    """x [batch, frames, mels] at index [batch, frames]."""
    return x.gather(1, index[..., None].expand_as(x))
