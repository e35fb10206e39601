"""Small models on the representations of a frozen, self-supervised one.

Section 3.1 and eq. 1 to 3 of paper 3; the models are SUPERB's (Yang et al.,
Interspeech 2021).
"""

import torch
from speechbrain.decoders.ctc import ctc_greedy_decode
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.lobes.models.Xvector import Xvector
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import (
    pack_padded_sequence,
    pad_packed_sequence,
    pad_sequence,
)

from speechbrain_ext.backends.layer_memory import LayerMemory
from speechbrain_ext.backends.units import BLANK
from speechbrain_ext.features.frames import (
    inside_frames,
    mask_padding,
    own_frames,
)
from speechbrain_ext.layered import Layered

#: Added to a variance before its root is taken, which has no slope at 0.
_EPSILON = 1e-5
#: Frames appended to an utterance: as many as a kernel reads past its end.
_TAIL = 3


class LayerSum(nn.Module):
    """The weighted sum of a model's layers (eq. 2).

    The weights are the softmax of what is learned, all equal at first.

    Arguments
    ---------
    n_layers : int
        How many there are.
    normalise : bool
        Whether each frame of each layer is brought to mean 0 and variance 1
        first: layers may differ in size by orders of magnitude.

    Example
    -------
    >>> layers = [torch.ones(1, 2, 3), torch.zeros(1, 2, 3)]
    >>> LayerSum(2)(layers)[0, 0]
    tensor([0.5000, 0.5000, 0.5000], grad_fn=<SelectBackward0>)
    """

    def __init__(self, n_layers, normalise=False):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(n_layers))
        self.normalise = normalise

    def forward(self, layers):
        """Add the layers up.

        Arguments
        ---------
        layers : list of torch.Tensor
            [batch, frames, channels] each.

        Returns
        -------
        torch.Tensor
            [batch, frames, channels].
        """
        if self.normalise:
            layers = [F.layer_norm(x, x.shape[-1:]) for x in layers]
        weights = self.weights.softmax(dim=0)
        return sum(weight * layer for weight, layer in zip(weights, layers))


class _Downstream(Layered):
    """What the tasks' models have in common: the upstream, and the layers' sum.

    The upstream's weights are neither saved nor loaded with the model's.

    Arguments
    ---------
    upstream : torch.nn.Module
        Frozen, with ``layers``, ``representations`` and, perhaps,
        ``relative_frames``.
    normalise : bool
        As :class:`LayerSum` takes it.
    memory_gb : float
        Memory for the layers of training's utterances: nearly all of an epoch
        goes into the upstream, which says the same in each. Where it is full,
        and with 0 at once, they are computed every time.
    """

    def __init__(self, upstream, normalise=False, memory_gb=0.0):
        super().__init__()
        self.upstream = upstream
        self.layer_sum = LayerSum(len(upstream.layers), normalise)
        self.memory = LayerMemory(memory_gb) if memory_gb else None
        self.register_state_dict_post_hook(_leave_upstream_out)
        self.register_load_state_dict_post_hook(_forgive_upstream)

    def _features(self, feats, lengths):
        """Sum the upstream's layers: [batch, frames, channels]."""
        if self.memory is None or feats.requires_grad:
            return self.layer_sum(self._represent(feats, lengths))
        whole = torch.ones(1, device=feats.device)
        # Alone, so that what is kept does not depend on the first batch.
        found = [
            self.memory.fetch(
                wav,
                lambda: [x[0] for x in self._represent(wav[None], whole)],
                keep=self.training,
            )
            for wav in own_frames(feats, lengths)
        ]
        layers = [pad_sequence(x, True).to(feats.device) for x in zip(*found)]
        return self.layer_sum(layers)

    def _represent(self, feats, lengths):
        """Compute all of the upstream's layers."""
        names = list(self.upstream.layers)
        return self.upstream.representations(feats, lengths, names)

    def _frame_lengths(self, lengths, samples, frames):
        """Say where utterances end, in relative frames, [batch]."""
        relative_frames = getattr(self.upstream, "relative_frames", None)
        if relative_frames is None:
            return lengths
        return relative_frames(lengths, samples, frames)

    def batch(self, signals):
        """Make a batch of waveforms of any lengths.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        feats : torch.Tensor
            [batch, time, 1], as :meth:`forward` takes them.
        lengths : torch.Tensor
            [batch], relative.
        """
        device = self.layer_sum.weights.device
        wavs = pad_sequence(list(signals), batch_first=True).to(device)
        ends = torch.tensor([len(signal) for signal in signals], device=device)
        return wavs[..., None], ends / wavs.shape[1]


def _leave_upstream_out(module, state, prefix, metadata):
    for name in [n for n in state if n.startswith(f"{prefix}upstream.")]:
        del state[name]


def _forgive_upstream(module, incompatible):
    missing = [n for n in incompatible.missing_keys if "upstream." not in n]
    incompatible.missing_keys[:] = missing


class DownstreamRecogniser(_Downstream):
    """Speech recognition: two bidirectional LSTM layers and CTC.

    Arguments
    ---------
    upstream : torch.nn.Module
        Frozen, with ``layers`` and ``representations``, of one shape; what it
        computes is neither learned nor saved here.
    units : Characters or WordPieces
        What it writes.
    n_channels : int
        The upstream's.
    projection : int
        Width of the linear layer before the LSTMs.
    hidden, n_layers : int
        Width of each direction of an LSTM, and how many there are.
    dropout : float
        Share of what training leaves out behind each LSTM.
    normalise : bool
        As :class:`LayerSum` takes it.
    memory_gb : float
        For what the upstream makes of training's utterances; 0 keeps nothing.

    Example
    -------
    >>> from speechbrain_ext.backends.units import Characters
    >>> upstream = nn.Identity()
    >>> upstream.layers = ("one", "two")
    >>> upstream.representations = lambda x, lengths, names: [x, 2 * x]
    >>> model = DownstreamRecogniser(upstream, Characters(), 4, 8, hidden=5)
    >>> model(torch.randn(2, 9, 4), torch.ones(2)).shape
    torch.Size([2, 9, 10])
    """

    layers = ("features", "encoder")

    def __init__(
        self,
        upstream,
        units,
        n_channels=768,
        projection=1024,
        hidden=1024,
        n_layers=2,
        dropout=0.2,
        normalise=False,
        memory_gb=0.0,
    ):
        super().__init__(upstream, normalise, memory_gb)
        self.units = units
        self.projection = nn.Linear(n_channels, projection)
        self.lstm = nn.LSTM(
            projection,
            hidden,
            n_layers,
            batch_first=True,
            dropout=dropout if n_layers > 1 else 0.0,
            bidirectional=True,
        )
        self.dropout = nn.Dropout(dropout)
        self.ctc = nn.Linear(2 * hidden, len(units))

    def _outputs(self, feats, lengths):
        x = self._features(feats, lengths)
        yield x
        frames = x.shape[1]
        lengths = self._frame_lengths(lengths, feats.shape[1], frames)
        ends = (lengths * frames).round().clamp(min=1).cpu()
        packed = pack_padded_sequence(
            self.projection(x), ends, batch_first=True, enforce_sorted=False
        )
        x, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=frames
        )
        yield self.dropout(x)

    @torch.no_grad()
    def transcribe(self, feats, seconds=None, beam_size=1, lengths=None):
        """Write the best unit of each frame, repetitions and blanks left out.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1].
        seconds : torch.Tensor, optional
            Not used, nor is ``beam_size``: other back-ends want them.
        beam_size : int
            Not used.
        lengths : torch.Tensor, optional
            [batch], relative; all of it where none are given.

        Returns
        -------
        list of str
        """
        lengths = _or_whole(lengths, feats)
        scores = self.ctc(self(feats, lengths))
        frames = scores.shape[1]
        lengths = self._frame_lengths(lengths, feats.shape[1], frames)
        # A frame at least.
        lengths = lengths.clamp(min=1 / frames)
        return [
            self.units.decode(indices)
            for indices in ctc_greedy_decode(scores, lengths, BLANK)
        ]

    def transcribe_signals(self, signals):
        """Transcribe waveforms of any lengths.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        list of str
        """
        feats, lengths = self.batch(signals)
        return self.transcribe(feats, lengths=lengths)


class DownstreamClassifier(_Downstream):
    """Intent classification: the mean over time and a linear layer.

    Arguments
    ---------
    upstream : torch.nn.Module
        Frozen, with ``layers`` and ``representations``, of one shape; what it
        computes is neither learned nor saved here.
    labels : ManifestLabels
        What the classes stand for.
    sizes : list of int or int
        How many classes each slot of a label has.
    n_channels : int
        The upstream's.
    projection : int
        Width of the linear layer before the mean.
    normalise : bool
        As :class:`LayerSum` takes it.
    memory_gb : float
        For what the upstream makes of training's utterances; 0 keeps nothing.

    Example
    -------
    >>> upstream = nn.Identity()
    >>> upstream.layers = ("one", "two")
    >>> upstream.representations = lambda x, lengths, names: [x, 2 * x]
    >>> model = DownstreamClassifier(upstream, None, [3, 2], 4, 8)
    >>> model(torch.randn(2, 9, 4), torch.ones(2)).shape
    torch.Size([2, 5])
    """

    layers = ("features", "logits")

    def __init__(
        self,
        upstream,
        labels,
        sizes,
        n_channels=768,
        projection=256,
        normalise=False,
        memory_gb=0.0,
    ):
        super().__init__(upstream, normalise, memory_gb)
        self.labels = labels
        self.sizes = [sizes] if isinstance(sizes, int) else list(sizes)
        self.projection = nn.Linear(n_channels, projection)
        self.output = nn.Linear(projection, sum(self.sizes))

    def _outputs(self, feats, lengths):
        x = self._features(feats, lengths)
        yield x
        lengths = self._frame_lengths(lengths, feats.shape[1], x.shape[1])
        inside = inside_frames(lengths, x.shape[1])[..., None].to(x.dtype)
        x = self.projection(x) * inside
        yield self.output(x.sum(dim=1) / inside.sum(dim=1))

    @torch.no_grad()
    def transcribe(self, feats, seconds=None, beam_size=1, lengths=None):
        """Name each utterance's label.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1].
        seconds : torch.Tensor, optional
            Not used, nor is ``beam_size``: other back-ends want them.
        beam_size : int
            Not used.
        lengths : torch.Tensor, optional
            [batch], relative; all of it where none are given.

        Returns
        -------
        list of str
        """
        logits = self(feats, _or_whole(lengths, feats)).split(self.sizes, dim=1)
        best = torch.stack([slot.argmax(dim=1) for slot in logits], dim=1)
        return [self.labels.decode(indices) for indices in best.tolist()]

    def transcribe_signals(self, signals):
        """Name the labels of waveforms of any lengths.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        list of str
        """
        feats, lengths = self.batch(signals)
        return self.transcribe(feats, lengths=lengths)


class DownstreamSpeakerEncoder(_Downstream):
    """Speaker verification: an x-vector (Snyder et al., ICASSP 2018).

    SpeechBrain's, but that an utterance's vector depends neither on what it is
    padded to nor on random numbers.

    Arguments
    ---------
    upstream : torch.nn.Module
        Frozen, with ``layers`` and ``representations``, of one shape; what it
        computes is neither learned nor saved here.
    labels : ManifestLabels
        The speakers that it learns to tell apart.
    n_speakers : int
        How many they are.
    n_channels : int
        The upstream's.
    projection : int
        Width of the linear layer before the x-vector's.
    channels : list of int
        Filters of the five convolutions over time.
    embedding : int
        Size of the vector.
    normalise : bool
        As :class:`LayerSum` takes it.
    memory_gb : float
        For what the upstream makes of training's utterances; 0 keeps nothing.

    Example
    -------
    >>> upstream = nn.Identity()
    >>> upstream.layers = ("one", "two")
    >>> upstream.representations = lambda x, lengths, names: [x, 2 * x]
    >>> model = DownstreamSpeakerEncoder(
    ...     upstream, None, 3, 4, 8, [8, 8, 8, 8, 12], embedding=6
    ... )
    >>> model(torch.randn(2, 9, 4), torch.ones(2)).shape
    torch.Size([2, 3])
    """

    layers = ("features", "embedding", "cosines")

    def __init__(
        self,
        upstream,
        labels,
        n_speakers=1211,
        n_channels=768,
        projection=512,
        channels=(512, 512, 512, 512, 1500),
        embedding=512,
        normalise=False,
        memory_gb=0.0,
    ):
        super().__init__(upstream, normalise, memory_gb)
        self.labels = labels
        self.projection = nn.Linear(n_channels, projection)
        xvector = Xvector(
            tdnn_channels=list(channels),
            lin_neurons=embedding,
            in_channels=projection,
        )
        # All but the pooling, which adds noise.
        *stages, _, self.linear = xvector.blocks
        self.stages = nn.ModuleList(stages)
        self.classifier = Classifier(embedding, out_neurons=n_speakers)

    def _outputs(self, feats, lengths):
        x = self._features(feats, lengths)
        yield x
        frames = x.shape[1]
        lengths = self._frame_lengths(lengths, feats.shape[1], frames)
        # Convolutions reflect what stands at the batch's end: it is zeros then,
        # as behind each shorter utterance.
        x = F.pad(self.projection(x), (0, 0, 0, _TAIL))
        ends = (lengths * frames).round().clamp(min=1)
        inside = ends / x.shape[1]
        x = mask_padding(x, inside)
        for first in range(0, len(self.stages), 3):
            for stage in self.stages[first : first + 3]:
                x = stage(x)
            x = mask_padding(x, inside)
        embedding = self.linear(_mean_and_deviation(x, inside, ends))
        yield embedding
        yield self.classifier(embedding[:, None])[:, 0]

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
            [channels].
        """
        feats, lengths = self.batch([wav])
        return self.representations(feats, lengths, ["embedding"])[0][0]


def _mean_and_deviation(x, inside, ends):
    """Of each channel of frames that are zero past their ends."""
    mean = x.sum(dim=1) / ends[:, None]
    apart = mask_padding(x - mean[:, None], inside)
    variance = apart.square().sum(dim=1) / ends[:, None]
    return torch.cat([mean, (variance + _EPSILON).sqrt()], dim=1)


def _or_whole(lengths, feats):
    if lengths is None:
        return torch.ones(len(feats), device=feats.device)
    return lengths
