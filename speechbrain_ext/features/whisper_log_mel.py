"""Whisper's log-mel spectrogram, differentiable and an utterance at a time."""

import torch
from torch.nn import functional as F
from transformers import WhisperFeatureExtractor

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.features.frames import mask_padding, window_share

N_FFT = 400
HOP_LENGTH = 160
WINDOW_FRAMES = 3000


class WhisperLogMel(torch.nn.Module):
    """Whisper's input features (section 2.2 of the Whisper paper).

    Log-mel energies of 25 ms windows every 10 ms, floored 8 decades below the
    maximum *of the utterance* and scaled to about [-1, 1]: an utterance's
    features do not depend on what else is in the batch.

    Arguments
    ---------
    n_mels : int
        Mel bins: 80 for every Whisper but the third large one.
    context : str
        How many frames a batch has *in training*. ``"30s"``: always 3000,
        what Whisper was trained on. ``"batch"``: as many as the longest
        utterance needs, rounded up to an even number (the encoder halves it);
        much faster. In evaluation mode it is always 3000. ``"short"``: as
        ``"batch"``, in evaluation mode as well.

    Example
    -------
    >>> features = WhisperLogMel(context="batch")
    >>> wavs = torch.randn(2, 16000)
    >>> features(wavs, torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 100, 80])
    """

    def __init__(self, n_mels=80, context="30s"):
        super().__init__()
        if context not in ("30s", "batch", "short"):
            raise ValueError(
                f"context: {context!r}; expected '30s', 'batch' or 'short'"
            )
        self.n_mels = n_mels
        self.context = context
        filters = WhisperFeatureExtractor(feature_size=n_mels).mel_filters
        self.register_buffer(
            "filters",
            torch.as_tensor(filters, dtype=torch.float32).T.contiguous(),
            persistent=False,
        )
        self.register_buffer(
            "window", torch.hann_window(N_FFT), persistent=False
        )

    @property
    def max_samples(self):
        """Samples of the longest audio that Whisper takes at once: 30 s."""
        return WINDOW_FRAMES * HOP_LENGTH

    def n_frames(self, n_samples):
        """Return how many frames a batch of this length is given.

        Arguments
        ---------
        n_samples : int
            Samples of the longest utterance.

        Returns
        -------
        int
            3000, or the next even number of 10 ms frames.

        Raises
        ------
        ValueError
            When the audio is longer than the 30 s that Whisper takes.

        Example
        -------
        >>> WhisperLogMel(context="batch").n_frames(16100)
        102
        """
        needed = -(-n_samples // HOP_LENGTH)
        if needed > WINDOW_FRAMES:
            raise ValueError(
                f"{n_samples / SAMPLE_RATE:.1f} s of audio; Whisper takes at "
                "most 30 s at once"
            )
        short = self.training and self.context == "batch"
        if not (short or self.context == "short"):
            return WINDOW_FRAMES
        return max(2, needed + needed % 2)

    def forward(self, wavs, lengths):
        """Compute the features of a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, frames, mels], float32.
        """
        frames = self.n_frames(wavs.shape[1])
        with torch.autocast(wavs.device.type, enabled=False):
            wavs = mask_padding(wavs.float(), lengths)
            # Zeros behind the end before the STFT: a reflected end would
            # differ from the same utterance in a longer batch. Only at 30 s
            # Whisper's own features reflect.
            end = min(frames * HOP_LENGTH + N_FFT, self.max_samples)
            wavs = F.pad(wavs, (0, end - wavs.shape[1]))
            spectrum = torch.stft(
                wavs,
                N_FFT,
                HOP_LENGTH,
                window=self.window,
                return_complex=True,
            )
            # The two windows that reach past the batch's last frame may be the
            # loudest; a longer batch would have them.
            heard = min(frames + 2, WINDOW_FRAMES)
            power = spectrum[..., :heard].abs() ** 2
            log_mel = (self.filters @ power).clamp(min=1e-10).log10()
            floor = log_mel.amax(dim=(1, 2), keepdim=True) - 8.0
            log_mel = torch.maximum(log_mel, floor)
        return ((log_mel[..., :frames] + 4.0) / 4.0).transpose(1, 2)

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
            [batch], relative to the batch's frames.

        Example
        -------
        >>> features = WhisperLogMel(context="batch")
        >>> features.relative_frames(torch.ones(1), 16000, 200)
        tensor([0.5000])
        """
        return lengths * samples / (HOP_LENGTH * frames)

    def lost_share(self, lost_samples, frames):
        """Say how much of every mel frame was lost.

        Arguments
        ---------
        lost_samples : torch.Tensor
            [batch, time], bool; True where a sample was lost.
        frames : int
            Frames of the features.

        Returns
        -------
        torch.Tensor
            [batch, frames], float32 in [0, 1]: the share of the analysis
            window's weight that stood on lost samples.

        Example
        -------
        >>> lost = torch.zeros(1, 1600, dtype=torch.bool)
        >>> lost[:, 800:] = True
        >>> share = WhisperLogMel(context="batch").lost_share(lost, 10)
        >>> [round(value, 2) for value in share[0, 3:8].tolist()]
        [0.0, 0.01, 0.5, 0.99, 1.0]
        """
        return window_share(lost_samples, self.window, HOP_LENGTH, frames)
