"""Who speaks, as a vector: the speaker encoder of the package ``resemblyzer``.

It was trained to tell real speakers apart by the generalised end-to-end loss
(Wan et al., ICASSP 2018), and judges speech that other models made. Of the
package, nothing but the file of weights is used: what it would import for voice
activity detection has no wheels.
"""

import importlib.util
import math
import pickle
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torchaudio.transforms import MelSpectrogram

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.errors import UserError

#: What carries the weights.
REQUIREMENT = "resemblyzer==0.1.4"
N_MELS, HIDDEN, LAYERS, EMBEDDING = 40, 256, 3, 256
#: Samples of a window of the spectrogram and between two of them.
WINDOW, HOP = 400, 160
#: Frames of a part of an utterance, and between the beginnings of two.
PART = 160
_PARTS_A_SECOND = 1.3
#: Share of a last part that speech must fill; otherwise it is left out.
_COVERAGE = 0.75
#: What quieter speech is raised to, in dB of the full range.
LEVEL = -30.0


class SpeakerEncoder(Frozen, nn.Module):
    """Turns utterances into vectors that are close where the speaker is one.

    Three LSTM layers read 40 mel bins (power, not its logarithm) of 1.6 s; the
    last state, rectified and of unit length, is that part's vector, and their
    mean, of unit length again, the utterance's. Pauses are not cut out, which
    the package does by a voice activity detector before its encoder.

    Arguments
    ---------
    weights : str or Path, optional
        The file ``pretrained.pt``; the installed package's if not given.

    Raises
    ------
    UserError
        When the package is not installed or the file is something else.

    Example
    -------
    >>> SpeakerEncoder("nowhere.pt")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.pt: no weights of a speaker ...
    """

    def __init__(self, weights=None):
        super().__init__()
        self.mel = MelSpectrogram(
            SAMPLE_RATE,
            n_fft=WINDOW,
            hop_length=HOP,
            n_mels=N_MELS,
            pad_mode="constant",
            norm="slaney",
            mel_scale="slaney",
        )
        self.lstm = nn.LSTM(N_MELS, HIDDEN, LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, EMBEDDING)
        self._load(Path(weights or _installed_weights()))
        self.freeze()

    def _load(self, path):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            own = {"lstm", "linear"}
            state = {
                name: tensor
                for name, tensor in state["model_state"].items()
                if name.partition(".")[0] in own
            }
            missing = self.load_state_dict(state, strict=False).missing_keys
            missing = [name for name in missing if name.split(".")[0] in own]
            if missing:
                raise KeyError(missing[0])
        except (
            OSError,
            KeyError,
            TypeError,
            RuntimeError,
            pickle.UnpicklingError,
        ) as error:
            raise UserError(
                f"{path}: no weights of a speaker encoder "
                f"({type(error).__name__}); expected pretrained.pt of "
                f"{REQUIREMENT}"
            ) from error

    def forward(self, wavs, lengths=None):
        """Embed a batch, one utterance after the other.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor, optional
            [batch], relative.

        Returns
        -------
        torch.Tensor
            [batch, 256], each of unit length; zero for silence.
        """
        ends = [wavs.shape[1]] * len(wavs)
        if lengths is not None:
            ends = (lengths * wavs.shape[1]).round().int().tolist()
        return torch.stack(
            [self.embed(wav[:end]) for wav, end in zip(wavs, ends)]
        )

    @torch.no_grad()
    def embed(self, wav):
        """Embed an utterance.

        Arguments
        ---------
        wav : torch.Tensor
            [time], 16 kHz.

        Returns
        -------
        torch.Tensor
            [256], of unit length; zero for silence.
        """
        wav = _raise_level(wav.float())
        starts = _starts(len(wav))
        needed = (starts[-1] + PART) * HOP
        wav = F.pad(wav, (0, max(0, needed - len(wav))))
        frames = self.mel(wav).T
        parts = torch.stack([frames[start : start + PART] for start in starts])
        _, (states, _) = self.lstm(parts)
        parts = F.normalize(self.linear(states[-1]).relu(), dim=1)
        return F.normalize(parts.mean(dim=0), dim=0)


def _raise_level(wav):
    """Raise quiet speech to the level that the encoder was trained at."""
    rms = wav.square().mean().sqrt()
    wanted = 10 ** (LEVEL / 20)
    return wav * (wanted / rms) if 0 < rms < wanted else wav


def _starts(n_samples):
    """List the first frame of each part."""
    step = round(SAMPLE_RATE / _PARTS_A_SECOND / HOP)
    n_frames = math.ceil((n_samples + 1) / HOP)
    starts = list(range(0, max(1, n_frames - PART + step + 1), step))
    covered = (n_samples - starts[-1] * HOP) / (PART * HOP)
    if covered < _COVERAGE and len(starts) > 1:
        starts.pop()
    return starts


def _installed_weights():
    """Find the package's file without importing the package."""
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "resemblyzer: not installed, and it carries the speaker encoder's "
            f"weights; run: pip install --no-deps {REQUIREMENT}"
        )
    return Path(spec.submodule_search_locations[0]) / "pretrained.pt"
