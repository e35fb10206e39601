"""The speech transformer that hears magnitudes and writes characters."""

import torch
from speechbrain.decoders.seq2seq import (
    S2STransformerBeamSearcher,
    S2STransformerGreedySearcher,
)
from speechbrain.lobes.models.transformer.TransformerASR import TransformerASR
from speechbrain.nnet.linear import Linear
from speechbrain.processing.features import InputNormalization
from torch import nn

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.perceptual import AttentionDecoding
from speechbrain_ext.backends.units import BLANK
from speechbrain_ext.features.filterbank import LogMelOfMagnitude
from speechbrain_ext.features.frames import mask_padding


class TransformerDecoding(AttentionDecoding):
    """What recognisers with SpeechBrain's transformer decoder have in common.

    A child has ``decoder``, a ``TransformerASR``, and ``output``.

    Example
    -------
    >>> decoding = TransformerDecoding()
    >>> decoding.decoder = TransformerASR(
    ...     5, 8, d_model=8, nhead=2, d_ffn=8, causal=False
    ... )
    >>> decoding.output = nn.Linear(8, 5)
    >>> states, inputs = torch.rand(1, 4, 8), torch.tensor([[0, 3]])
    >>> decoding.decoder_logits(states, torch.ones(1), inputs).shape
    torch.Size([1, 2, 5])
    """

    def decoder_logits(self, states, lengths, inputs):
        """Run the decoder over known units.

        Arguments
        ---------
        states : torch.Tensor
            [batch, positions, channels], the representation ``"encoder"``.
        lengths : torch.Tensor
            [batch], relative.
        inputs : torch.Tensor
            [batch, units], long; the first is the beginning.

        Returns
        -------
        torch.Tensor
            [batch, units, vocabulary]: for the unit after each.
        """
        ends = (lengths * states.shape[1]).round().int()
        # Its own is for searching: torch.no_grad() decorates it.
        decode = type(self.decoder).decode
        decode = getattr(decode, "__wrapped__", decode)
        # What it masks is as wide as the longest.
        outputs, _ = decode(
            self.decoder, inputs, states[:, : int(ends.max())], ends
        )
        return self.output(outputs)

    def make_searcher(self, beam_size=1, **settings):
        """Make a search of SpeechBrain's.

        Arguments
        ---------
        beam_size : int
            1 is greedy search.
        **settings
            As SpeechBrain's searches take them.

        Returns
        -------
        S2STransformerGreedySearcher or S2STransformerBeamSearcher
        """
        # Made anew each time: it would be a second owner of the modules.
        modules = [self.decoder, self.output]
        if beam_size == 1:
            return S2STransformerGreedySearcher(modules, **settings)
        return S2STransformerBeamSearcher(
            modules, beam_size=beam_size, **settings
        )


class SpeechTransformer(TransformerDecoding, nn.Module):
    """A speech transformer (paper 4, section III-C; eq. 6 trains it).

    Log-mels of whatever magnitudes it is given, so that gradients reach what
    enhanced them; two convolutions that halve the mels and shorten time;
    SpeechBrain's transformer; and a layer for CTC. The log-mels of an utterance
    are normalised by its own mean and deviation. What it writes does not depend
    on what else is in the batch.

    Arguments
    ---------
    units : CharacterSet
        What it writes.
    n_bins : int
        Bins of the magnitudes.
    n_mels : int
        Log-mels; the paper: 80.
    channels : int
        Filters of each convolution.
    strides : sequence of int
        Frames from one position to the next, of each convolution.
    d_model, nhead, d_ffn : int
        Width, heads and inner width of the transformer.
    encoder_layers, decoder_layers : int
        Self-attention blocks; the paper: 6 and 6.
    dropout : float
        Share of what training leaves out.
    max_length : int
        Most positions and most units of an utterance.
    beam_size : int
        Of the search, where none is asked for; 1 is greedy search.

    Example
    -------
    >>> from speechbrain_ext.backends.units import CharacterSet
    >>> model = SpeechTransformer(
    ...     CharacterSet("ab "), d_model=16, nhead=2, d_ffn=16, channels=2
    ... )
    >>> feats, lengths = torch.rand(2, 10, 257), torch.ones(2)
    >>> [x.shape for x in model.representations(feats, lengths, ["encoder"])]
    [torch.Size([2, 3, 16])]
    """

    #: Names of what :meth:`representations` returns.
    layers = ("encoder",)
    #: CTC's; the decoder's beginning and end as well.
    blank = BLANK

    def __init__(
        self,
        units,
        n_bins=257,
        n_mels=80,
        channels=32,
        strides=(2, 2),
        d_model=256,
        nhead=4,
        d_ffn=2048,
        encoder_layers=6,
        decoder_layers=6,
        dropout=0.1,
        max_length=2500,
        beam_size=1,
    ):
        super().__init__()
        self.beam_size = beam_size
        self.units = units
        self.source = type(self).__name__
        self.filterbank = LogMelOfMagnitude(n_mels, n_bins)
        self.normalise = InputNormalization(norm_type="sentence", epsilon=1e-4)
        self.convolutions = nn.ModuleList()
        before, bands = 1, n_mels
        for stride in strides:
            self.convolutions.append(
                nn.Conv2d(before, channels, 3, (stride, 2), padding=1)
            )
            before, bands = channels, -(-bands // 2)
        self.decoder = TransformerASR(
            tgt_vocab=len(units),
            input_size=before * bands,
            d_model=d_model,
            nhead=nhead,
            num_encoder_layers=encoder_layers,
            num_decoder_layers=decoder_layers,
            d_ffn=d_ffn,
            dropout=dropout,
            activation=nn.GELU,
            normalize_before=True,
            causal=False,
            max_length=max_length,
        )
        # The beam search asks SpeechBrain's own layer for its size.
        self.output = Linear(len(units), input_size=d_model)
        self.ctc = nn.Linear(d_model, len(units))

    def state_lengths(self, lengths, frames):
        """Say where utterances end, in relative positions of the encoder.

        Arguments
        ---------
        lengths : torch.Tensor
            [batch], relative to the frames.
        frames : int
            Of the batch.

        Returns
        -------
        torch.Tensor
            [batch].
        """
        ends, width = _ends(lengths, frames), frames
        for layer in self.convolutions:
            ends, width = (-(-n // layer.stride[0]) for n in (ends, width))
        return ends / width

    def representations(self, feats, lengths, names):
        """Return named outputs: there is one, ``"encoder"``.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], magnitudes.
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, positions, channels].
        """
        ends = _ends(lengths, feats.shape[1])
        x = self.filterbank(feats)
        x = mask_padding(self.normalise(x, ends / x.shape[1]), lengths)[:, None]
        for layer in self.convolutions:
            ends = -(-ends // layer.stride[0])
            x = layer(x).relu().transpose(1, 2)
            x = mask_padding(x, ends / x.shape[1]).transpose(1, 2)
        x = x.transpose(1, 2).flatten(2)
        states = self.decoder.encode(x, ends / x.shape[1])
        return [states for _ in names]

    def encode_text(self, texts):
        """Turn texts into what the decoder reads and what it should say.

        Arguments
        ---------
        texts : list of str
            Of the units.

        Returns
        -------
        inputs : torch.Tensor
            [batch, units], long.
        targets : torch.Tensor
            [batch, units], long, the end included; ``IGNORED`` past it.

        Raises
        ------
        UserError
            For a character that is none of the units.
        """
        rows = [self.units.encode(text) for text in texts]
        return self.shift(rows, bos=BLANK, eos=BLANK)

    @torch.no_grad()
    def transcribe(self, feats, seconds=None, beam_size=None, lengths=None):
        """Decode magnitudes into text.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].
        seconds : torch.Tensor, optional
            Not used.
        beam_size : int, optional
            1 is greedy search; the model's own if not given.
        lengths : torch.Tensor, optional
            [batch], relative to ``feats``; all of it where none are given.

        Returns
        -------
        list of str
        """
        if lengths is None:
            lengths = torch.ones(len(feats), device=feats.device)
        frames = int(_ends(lengths, feats.shape[1]).max())
        lengths = lengths * feats.shape[1] / frames
        feats = feats[:, :frames]
        states = self.representations(feats, lengths, ["encoder"])[0]
        searcher = self.make_searcher(
            beam_size or self.beam_size,
            bos_index=BLANK,
            eos_index=BLANK,
            min_decode_ratio=0.0,
            max_decode_ratio=1.0,
        )
        relative = self.state_lengths(lengths, frames)
        hypotheses = searcher(states, relative)[0]
        # The search stops where the longest utterance of the batch must.
        limits = (relative * states.shape[1]).round().int().tolist()
        return [
            self.units.decode([i for i in indices[:limit] if i != BLANK])
            for indices, limit in zip(hypotheses, limits)
        ]


class FrozenSpeechTransformer(Frozen, SpeechTransformer):
    """A speech transformer that judges and never learns.

    Arguments
    ---------
    *args, **kwargs
        As :class:`SpeechTransformer` takes them.

    Example
    -------
    >>> from speechbrain_ext.backends.units import CharacterSet
    >>> model = FrozenSpeechTransformer(
    ...     CharacterSet("ab "), d_model=16, nhead=2, d_ffn=16, channels=2
    ... )
    >>> model.train().training
    False
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.freeze()


def _ends(lengths, frames):
    """Frames of each utterance, one at least."""
    return (lengths * frames).round().clamp(min=1)
