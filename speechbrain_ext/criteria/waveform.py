"""Distances between clean and repaired waveforms."""

import torch
from torch.nn import functional as F

from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding
from speechbrain_ext.features.whisper_log_mel import HOP_LENGTH, N_FFT

#: Added to a bin's power, where an utterance has unit RMS: 42 dB below the
#: bins of noise as loud as the utterance. What is quieter hardly counts.
_POWER_FLOOR = 1e-2
#: Power that counts as silence, of full scale 1: the rounding noise of 16 bits.
_SILENT_POWER = 1e-10


class SnrLoss(torch.nn.Module):
    """Negative signal-to-noise ratio, which depends on the scale (eq. 5).

    ``-10 log10(||x||^2 / ||x - x_hat||^2)`` over an utterance's own samples. The
    ratio is that of the clean speech's power to the error's, as is usual; paper
    3 prints the estimate's power above the fraction's line, which a louder
    estimate raises for nothing: ``numerator="estimate"`` is that.

    Each power has the rounding noise of 16 bits added: where both signals are
    silent or the same, the loss is finite and its gradient is too.

    Arguments
    ---------
    numerator : str
        ``"clean"`` or ``"estimate"``: whose power is above the line.

    Raises
    ------
    UserError
        For another numerator.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> wavs = torch.tensor([[3.0, 4.0]])
    >>> batch = SimpleNamespace(
    ...     wavs=wavs,
    ...     lengths=torch.ones(1),
    ...     repaired_waveforms=lambda: torch.tensor([[3.0, 3.0]]),
    ... )
    >>> SnrLoss()(batch)
    tensor([-13.9794])
    """

    def __init__(self, numerator="clean"):
        super().__init__()
        if numerator not in ("clean", "estimate"):
            raise UserError(
                f"numerator: is {numerator!r}; expected clean or estimate"
            )
        self.numerator = numerator

    def forward(self, restoration):
        """Compare what was repaired with what was clean.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance, in dB.
        """
        lengths = restoration.lengths
        with torch.autocast(restoration.wavs.device.type, enabled=False):
            clean = mask_padding(restoration.wavs.float(), lengths)
            estimate = restoration.repaired_waveforms().float()
            estimate = mask_padding(estimate, lengths)
            speech = clean if self.numerator == "clean" else estimate
            samples = (lengths * clean.shape[1]).round().clamp(min=1)
            return 10 * (
                _log_power(clean - estimate, samples)
                - _log_power(speech, samples)
            )


def _log_power(wavs, samples):
    power = wavs.square().sum(dim=1) / samples
    return (power + _SILENT_POWER).log10()


class StftMagnitudeComplexMae(torch.nn.Module):
    """Mean absolute error of magnitudes and of complex values in the STFT.

    What tPLCnet is trained with (Westhausen & Meyer, Interspeech 2022): the
    complex part asks for the phases of what can be predicted; where they cannot
    be, the magnitudes keep it from answering with silence. Both waveforms are
    divided by the clean utterance's RMS, and magnitudes are raised to the power
    of ``compression``, so that neither a loud speaker nor the loudest vowels
    drown the rest.

    An utterance's mean over its frames is weighted by the share of each frame
    that was lost: a front-end that leaves received samples as they are has no
    error there, and an unweighted mean would say of a little loss that all is
    well. An utterance without loss has a loss of 0.

    Arguments
    ---------
    complex_weight : float
        Of the complex part, 0 to 1; the magnitudes have the rest.
    compression : float
        Exponent of the magnitudes, above 0; 1 leaves them as they are.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> wavs = torch.randn(2, 1600)
    >>> batch = SimpleNamespace(
    ...     wavs=wavs, repaired_wavs=wavs, lost=torch.ones(2, 10)
    ... )
    >>> StftMagnitudeComplexMae()(batch)
    tensor([0., 0.])
    """

    def __init__(self, complex_weight=0.3, compression=0.3):
        super().__init__()
        self.complex_weight = complex_weight
        self.compression = compression
        self.register_buffer(
            "window", torch.hann_window(N_FFT), persistent=False
        )

    def forward(self, restoration):
        """Compare what was repaired with what was clean.

        Arguments
        ---------
        restoration : Restoration
            The batch, with ``repaired_wavs``.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance.
        """
        with torch.autocast(restoration.wavs.device.type, enabled=False):
            clean = restoration.wavs.float()
            energy = clean.square().sum(dim=1, keepdim=True)
            n_heard = (clean != 0).sum(dim=1, keepdim=True).clamp(min=1)
            scale = (energy / n_heard).sqrt().clamp(min=1e-5)
            clean = self._spectrum(clean / scale)
            repaired = self._spectrum(restoration.repaired_wavs / scale)
            magnitudes = (clean[0] - repaired[0]).abs().mean(dim=1)
            parts = (clean[1] - repaired[1]).abs().sum(dim=-1).mean(dim=1)
            errors = torch.lerp(magnitudes, parts, self.complex_weight)
        # The features' frames, which may be more or one less.
        frames = min(errors.shape[1], restoration.lost.shape[1])
        weights = restoration.lost[:, :frames]
        weighted = (errors[:, :frames] * weights).sum(dim=1)
        return weighted / weights.sum(dim=1).clamp(min=1e-5)

    def _spectrum(self, wavs):
        """Compressed magnitudes [batch, bins, frames]; complex [..., 2]."""
        # The features' grid, whose frames say what was lost.
        spectrum = torch.stft(
            F.pad(wavs, (0, N_FFT)),
            N_FFT,
            HOP_LENGTH,
            window=self.window,
            return_complex=True,
        )
        parts = torch.view_as_real(spectrum)
        magnitude = (parts.square().sum(dim=-1) + _POWER_FLOOR).sqrt()
        compressed = magnitude**self.compression
        return compressed, parts * (compressed / magnitude)[..., None]
