"""Log magnitudes of the short-time spectrum, and the way back to a waveform."""

import torch
from torch.nn import functional as F

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.features.frames import mask_padding, window_share


class LogMagnitude(torch.nn.Module):
    """log(1 + magnitude) of the spectrum (section V-A of paper 1).

    The 1 keeps very small magnitudes from counting as much as large ones. An
    utterance's features do not depend on what else is in the batch.

    Arguments
    ---------
    window_ms : float
        Length of the Hamming window, in ms; the paper: 32, and 25 for CHiME-2.
    hop_ms : float
        From one window to the next, in ms; the paper: 16, and 10 for CHiME-2.
    n_fft : int
        Points of the Fourier transform, of which n_fft / 2 + 1 bins are kept.
    sample_rate : int
        Of the waveforms, in Hz.

    Example
    -------
    >>> features = LogMagnitude()
    >>> wavs = torch.randn(2, 16000)
    >>> feats = features(wavs, torch.tensor([1.0, 0.5]))
    >>> feats.shape
    torch.Size([2, 64, 257])
    >>> again = features.resynthesise(feats, wavs, torch.tensor([1.0, 0.5]))
    >>> torch.allclose(again[0], wavs[0], atol=1e-4)
    True
    """

    def __init__(
        self, window_ms=32, hop_ms=16, n_fft=512, sample_rate=SAMPLE_RATE
    ):
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = round(hop_ms * sample_rate / 1000)
        self.window_length = round(window_ms * sample_rate / 1000)
        if not 0 < self.hop_length <= self.window_length <= n_fft:
            raise ValueError(
                f"hop_ms {hop_ms}, window_ms {window_ms}, n_fft {n_fft}: "
                "expected a hop no longer than the window, and a window of at "
                "most n_fft samples"
            )
        window = torch.hamming_window(self.window_length)
        self.register_buffer("window", window, persistent=False)

    @property
    def n_bins(self):
        """int : Channels of the features."""
        return self.n_fft // 2 + 1

    def spectrum(self, wavs, lengths):
        """Compute the complex spectrum.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time].
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, frames, bins], complex; a frame's window has its middle at
            the frame's number times the hop.
        """
        samples = wavs.shape[1]
        padded = (int(self._n_frames(samples)) - 1) * self.hop_length
        spectrum = torch.stft(
            F.pad(mask_padding(wavs.float(), lengths), (0, padded - samples)),
            self.n_fft,
            self.hop_length,
            self.window_length,
            self.window,
            # A reflected end would differ from zeros in a longer batch.
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.transpose(1, 2)

    def forward(self, wavs, lengths):
        """Compute the features of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time].
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, frames, bins], float32.
        """
        with torch.autocast(wavs.device.type, enabled=False):
            return self.of_magnitudes(self.spectrum(wavs, lengths).abs())

    @staticmethod
    def of_magnitudes(magnitudes):
        """Turn magnitudes into features.

        Arguments
        ---------
        magnitudes : torch.Tensor
            Of any shape, 0 and more.

        Returns
        -------
        torch.Tensor
            The same shape.
        """
        return magnitudes.log1p()

    @staticmethod
    def to_magnitudes(feats):
        """Turn features into magnitudes.

        Arguments
        ---------
        feats : torch.Tensor
            Of any shape.

        Returns
        -------
        torch.Tensor
            The same shape.
        """
        return feats.expm1()

    def relative_frames(self, lengths, samples, frames):
        """Say where utterances end, in relative frames.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative to the batch's samples.
        samples, frames : int
            How many the batch has of each.

        Returns
        -------
        torch.Tensor
            [batch], relative to the batch's frames: a frame that has a sample
            of an utterance in its window is the utterance's.

        Example
        -------
        >>> LogMagnitude().relative_frames(torch.ones(1), 16000, 64)
        tensor([1.])
        """
        return self._n_frames((lengths * samples).round()) / frames

    def _n_frames(self, samples):
        # All that overlap the samples: what overlap-and-add divides by is then
        # the same for an utterance alone and in a longer batch.
        reach = max(self.window_length / 2, self.hop_length)
        return -(-(samples + reach) // self.hop_length)

    def resynthesise(self, feats, wavs, lengths):
        """Turn repaired features into a waveform, with the damaged phases.

        A real mask that is applied to the complex spectrum leaves the phases as
        they are, so that this is the paper's masking (section V-B, 6).

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], as :meth:`forward` returns them.
        wavs : torch.Tensor
            [batch, time]: the waveforms that the phases are taken from.
        lengths : torch.Tensor
            [batch], relative to ``wavs``.

        Returns
        -------
        torch.Tensor
            [batch, time], zero past an utterance's end.
        """
        with torch.autocast(wavs.device.type, enabled=False):
            noisy = self.spectrum(wavs, lengths)
            phases = noisy / noisy.abs().clamp(min=1e-8)
            repaired = self.to_magnitudes(feats.float()) * phases
            # The last frames of a batch reach past what istft gives back.
            samples = wavs.shape[1]
            wavs = torch.istft(
                repaired.transpose(1, 2),
                self.n_fft,
                self.hop_length,
                self.window_length,
                self.window,
                length=samples,
            )
            return mask_padding(wavs, lengths)

    def lost_share(self, lost_samples, frames):
        """Say how much of every frame was lost.

        Arguments
        ---------
        lost_samples : torch.Tensor
            [batch, time], bool; True where a sample was lost.
        frames : int
            Frames of the features.

        Returns
        -------
        torch.Tensor
            [batch, frames], float32 in [0, 1]: the share of the window's weight
            that stood on lost samples.

        Example
        -------
        >>> lost = torch.zeros(1, 1600, dtype=torch.bool)
        >>> lost[:, 800:] = True
        >>> share = LogMagnitude().lost_share(lost, 7)
        >>> [round(value, 2) for value in share[0].tolist()]
        [0.0, 0.0, 0.0, 0.39, 0.99, 1.0, 0.72]
        """
        return window_share(lost_samples, self.window, self.hop_length, frames)


class Magnitude(LogMagnitude):
    """Magnitudes of the spectrum (paper 4, section IV).

    Arguments
    ---------
    *args, **kwargs
        As :class:`LogMagnitude` takes them; the paper has its defaults.

    Example
    -------
    >>> wavs, lengths = torch.randn(1, 16000), torch.ones(1)
    >>> magnitudes = Magnitude()(wavs, lengths)
    >>> torch.allclose(magnitudes.log1p(), LogMagnitude()(wavs, lengths))
    True
    """

    @staticmethod
    def of_magnitudes(magnitudes):
        """Leave magnitudes as they are.

        Arguments
        ---------
        magnitudes : torch.Tensor
            Of any shape.

        Returns
        -------
        torch.Tensor
            The same.
        """
        return magnitudes

    @staticmethod
    def to_magnitudes(feats):
        """Leave magnitudes as they are.

        Arguments
        ---------
        feats : torch.Tensor
            Of any shape.

        Returns
        -------
        torch.Tensor
            The same.
        """
        return feats
