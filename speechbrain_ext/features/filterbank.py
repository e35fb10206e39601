"""Log-mel filterbanks on top of magnitudes and of their logarithms."""

import torch
import torchaudio

from speechbrain_ext.audio import SAMPLE_RATE


class LogMelOfMagnitude(torch.nn.Module):
    """Log-mel energies of magnitudes (paper 4, section III-C).

    What an enhancer repairs are magnitudes; a recogniser behind it that wants
    filterbanks gets them from there, with gradients. A frame's are its own: no
    other frame and no padding counts.

    Arguments
    ---------
    n_mels : int
        Triangular filters; paper 4: 80.
    n_bins : int
        Bins of the magnitudes.
    sample_rate : int
        Of the waveforms, in Hz.

    Example
    -------
    >>> LogMelOfMagnitude(40)(torch.zeros(1, 10, 257)).shape
    torch.Size([1, 10, 40])
    """

    #: Added to a filter's energy: far below speech, so that silence is finite.
    FLOOR = 1e-5

    def __init__(self, n_mels=80, n_bins=257, sample_rate=SAMPLE_RATE):
        super().__init__()
        filters = torchaudio.functional.melscale_fbanks(
            n_bins, 0.0, sample_rate / 2, n_mels, sample_rate
        )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, feats):
        """Compute the filterbanks.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].

        Returns
        -------
        torch.Tensor
            [batch, frames, mels], float32.
        """
        with torch.autocast(feats.device.type, enabled=False):
            power = feats.float().square()
            return (power @ self.filters + self.FLOOR).log()


class LogMelOfLogMagnitude(LogMelOfMagnitude):
    """Log-mel energies of log(1 + magnitude) features (paper 1, Table V).

    Arguments
    ---------
    *args, **kwargs
        As :class:`LogMelOfMagnitude` takes them; paper 1 tries 40 and 80 mels.

    Example
    -------
    >>> LogMelOfLogMagnitude(40)(torch.zeros(1, 10, 257)).shape
    torch.Size([1, 10, 40])
    """

    def forward(self, feats):
        """Compute the filterbanks.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], log(1 + magnitude).

        Returns
        -------
        torch.Tensor
            [batch, frames, mels], float32.
        """
        with torch.autocast(feats.device.type, enabled=False):
            return super().forward(feats.float().expm1())
