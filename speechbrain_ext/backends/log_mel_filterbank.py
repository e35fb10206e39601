"""Log-mel filterbanks of waveforms, as a representation to compare in."""

import torch
from torchaudio.transforms import MelSpectrogram

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.features.frames import mask_padding
from speechbrain_ext.layered import Layered

#: Below speech, above what 16 bits round away: silence is finite, and what
#: nobody hears does not make the loss.
_FLOOR = 1e-5


class LogMelFilterbank(Layered):
    """Natural logarithms of mel energies (LMFB of eq. 8 to 10).

    What recognisers without self-supervised models begin with. Nothing in it
    learns, and gradients flow to the waveform.

    Arguments
    ---------
    n_mels : int
        Triangular filters; the paper: 80.
    window : int
        Samples of a Hann window; the paper: 400.
    hop : int
        Samples from one window to the next; the paper: 200.
    n_fft : int
        Samples of the transform, ``window`` or more: with fewer, the lowest
        filters have no bin.

    Example
    -------
    >>> lmfb = LogMelFilterbank()
    >>> wavs = torch.zeros(1, 16000, 1)
    >>> lmfb.representations(wavs, torch.ones(1), ["lmfb"])[0].shape
    torch.Size([1, 81, 80])
    """

    #: Names of what :meth:`representations` returns.
    layers = ("lmfb",)

    def __init__(self, n_mels=80, window=400, hop=200, n_fft=512):
        super().__init__()
        self.hop = hop
        self.mel = MelSpectrogram(
            SAMPLE_RATE,
            n_fft,
            window,
            hop,
            n_mels=n_mels,
            # A reflected end would differ in a longer batch.
            pad_mode="constant",
        )

    def extra_repr(self):
        """Say what no weight says, for those who print it or name files by it.

        Returns
        -------
        str
        """
        return f"hop={self.hop}"

    def _outputs(self, feats, lengths):
        wavs = mask_padding(feats[..., 0], lengths)
        with torch.autocast(wavs.device.type, enabled=False):
            energies = self.mel(wavs.float())
            yield (energies + _FLOOR).log().transpose(1, 2)

    def relative_frames(self, lengths, samples, frames):
        """Say where utterances end, in relative frames.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative to the batch's samples.
        samples, frames : int
            How many of each the batch has.

        Returns
        -------
        torch.Tensor
            [batch], relative to the batch's frames.
        """
        own = (lengths * samples).round()
        return (own // self.hop + 1) / frames
