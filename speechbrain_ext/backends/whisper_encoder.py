"""Whisper over waveforms: a representation to compare in, and a recogniser."""

import torch
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper import FrozenWhisper, load_whisper
from speechbrain_ext.backends.whisper_layers import embed_frames, run_layers
from speechbrain_ext.features.whisper_log_mel import HOP_LENGTH, WhisperLogMel
from speechbrain_ext.layered import named_outputs

#: Samples between two positions of the encoder.
_STEP = 2 * HOP_LENGTH
#: Silence that the encoder's convolutions see behind the last sample, whatever
#: else is in the batch.
_SILENCE = 4 * HOP_LENGTH


class FrozenWhisperEncoder(Frozen, nn.Module):
    """What the layers of Whisper's encoder make of waveforms.

    A representation that was trained on transcripts, where no self-supervised
    model can be had (SSL-MSE's F of eq. 17 and 18). An utterance's positions, 50
    a second, attend to one another only and so depend neither on the batch nor
    on the 30 s of context that Whisper was trained on.

    Arguments
    ---------
    source : str
        A folder or a hub id; :func:`speechbrain_ext.backends.weights.resolve`
        says where it is looked for.

    Example
    -------
    >>> encoder = FrozenWhisperEncoder("openai/whisper-tiny.en")
    >>> encoder.layers
    ('layer1', 'layer2', 'layer3', 'layer4')
    >>> wavs = torch.zeros(1, 16000, 1)
    >>> encoder.representations(wavs, torch.ones(1), ["layer2"])[0].shape
    torch.Size([1, 50, 384])
    """

    def __init__(self, source):
        super().__init__()
        whisper = load_whisper(resolve(source))
        self.source = str(source)
        self.features = WhisperLogMel(whisper.config.num_mel_bins, "short")
        self.encoder = whisper.model.encoder
        count = len(self.encoder.layers)
        #: Names of what :meth:`representations` returns; the last is normalised.
        self.layers = tuple(f"layer{i + 1}" for i in range(count))
        self.freeze()

    def representations(self, feats, lengths, names):
        """Compute named layers' outputs; no later part is run.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1], waveforms of 30 s or less.
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, positions, channels].
        """
        samples = feats.shape[1]
        spare = self.features.max_samples - samples
        wavs = F.pad(feats[..., 0], (0, max(0, min(_SILENCE, spare))))
        mels = self.features(wavs, lengths * samples / wavs.shape[1])
        positions = -(-samples // _STEP)
        x = embed_frames(self.encoder, mels)[:, :positions]
        ends = self.relative_frames(lengths, samples, positions) * positions
        places = torch.arange(positions, device=x.device)
        inside = places < ends.round().to(x.device)[:, None]
        outputs = run_layers(self.encoder, x, None if inside.all() else inside)
        return named_outputs(self.layers, outputs, names)

    def relative_frames(self, lengths, samples, frames):
        """Say where utterances end, in relative positions.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative to the batch's samples.
        samples, frames : int
            How many samples and positions the batch has.

        Returns
        -------
        torch.Tensor
            [batch], relative to the batch's positions.
        """
        own = (lengths * samples).round().clamp(min=1)
        return (own / _STEP).ceil() / frames


class FrozenWaveformWhisper(FrozenWhisper):
    """A Whisper that is given waveforms as features.

    For criteria on what it would write
    (:class:`~speechbrain_ext.criteria.recognition.WhisperCrossEntropy`), where
    the front-end repairs waveforms.

    Arguments
    ---------
    *args, **kwargs
        As :class:`FrozenWhisper` takes them.

    Example
    -------
    >>> whisper = FrozenWaveformWhisper("openai/whisper-tiny.en")
    >>> wavs, lengths = torch.zeros(1, 16000, 1), torch.ones(1)
    >>> whisper.representations(wavs, lengths, ["encoder"])[0].shape
    torch.Size([1, 50, 384])
    """

    #: What a brain asks of features for it: they have no mel bins.
    n_mels = None

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        bins = self.whisper.config.num_mel_bins
        self.features = WhisperLogMel(bins, "short")

    def representations(self, feats, lengths, names):
        """Return named outputs: there is one, ``"encoder"``.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1], waveforms of 30 s or less.
        lengths : torch.Tensor
            [batch], relative; what lies past the end is read as silence.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, positions, channels].
        """
        mels = self.features(feats[..., 0], lengths)
        return super().representations(mels, lengths, names)
