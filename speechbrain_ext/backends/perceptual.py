"""The recogniser whose inner outputs make a perceptual loss."""

import torch
from speechbrain.decoders.seq2seq import (
    S2SRNNBeamSearcher,
    S2SRNNGreedySearcher,
)
from speechbrain.nnet.linear import Linear
from speechbrain.nnet.RNN import AttentionalRNNDecoder
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.units import BLANK
from speechbrain_ext.features.filterbank import LogMelOfLogMagnitude

#: Target of the positions that the decoder's loss leaves out.
IGNORED = -100
# Units for each position of the encoder, at most: who speaks fast says 20 phones
# a second, of 62 frames.
_MOST_UNITS = 0.5


class AttentionDecoding:
    """What recognisers with SpeechBrain's recurrent decoder have in common.

    A child has ``embedding``, ``decoder`` and ``output``.

    Example
    -------
    >>> inputs, targets = AttentionDecoding.shift([[3, 4], [5]], bos=1, eos=2)
    >>> inputs.tolist(), targets.tolist()
    ([[1, 3, 4], [1, 5, 1]], [[3, 4, 2], [5, 2, -100]])
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
        outputs, _ = self.decoder(self.embedding(inputs), states, lengths)
        return self.output(outputs)

    @staticmethod
    def shift(rows, bos, eos):
        """Make what the decoder reads and what it should say.

        Arguments
        ---------
        rows : list of list of int
            The units of each text.
        bos, eos : int
            The units that stand for the beginning and the end.

        Returns
        -------
        inputs : torch.Tensor
            [batch, units], long.
        targets : torch.Tensor
            [batch, units], long, the end included; ``IGNORED`` past it.
        """
        inputs = [torch.tensor([bos, *row]) for row in rows]
        targets = [torch.tensor([*row, eos]) for row in rows]
        return (
            pad_sequence(inputs, True, bos),
            pad_sequence(targets, True, IGNORED),
        )


class PerceptualModel(AttentionDecoding, nn.Module):
    """A sequence-to-sequence recogniser (section V-A of paper 1).

    An encoder with named outputs, a layer for CTC, and a decoder of one layer
    of gated recurrent units with attention. It takes log(1 + magnitude)
    features, whatever it computes of them.

    Arguments
    ---------
    encoder : torch.nn.Module
        Of :mod:`speechbrain_ext.backends.encoders`.
    units : Phones, Characters or WordPieces
        What it writes.
    n_channels : int
        Channels that the encoder takes. Where they are not the features'
        ``n_bins``, it is given so many log-mels (Table V: 40 or 80).
    pooling : int
        Maximum over so many of the encoder's frames; the paper: 4 for word
        pieces.
    decoder_neurons : int
        Width of the decoder; the paper: 256.
    embedding : int
        Size of a unit's embedding.
    n_bins : int
        Channels of the features.

    Example
    -------
    >>> from speechbrain_ext.backends.encoders import WideResNetEncoder
    >>> from speechbrain_ext.backends.units import Characters
    >>> encoder = WideResNetEncoder([8, 8], dense=16)
    >>> model = PerceptualModel(encoder, Characters(), decoder_neurons=16)
    >>> model.layers
    ('block1', 'block2', 'dense', 'encoder')
    >>> feats, lengths = torch.rand(2, 10, 257), torch.ones(2)
    >>> [x.shape for x in model.representations(feats, lengths, ["block2"])]
    [torch.Size([2, 10, 8, 65])]
    """

    def __init__(
        self,
        encoder,
        units,
        n_channels=257,
        pooling=1,
        decoder_neurons=256,
        embedding=128,
        n_bins=257,
    ):
        super().__init__()
        self.units = units
        self.filterbank = None
        if n_channels != n_bins:
            self.filterbank = LogMelOfLogMagnitude(n_channels, n_bins)
        self.pooling = pooling
        self.normalise = nn.BatchNorm1d(n_channels)
        self.encoder = encoder
        self.ctc = nn.Linear(encoder.n_outputs, len(units))
        self.embedding = nn.Embedding(len(units), embedding)
        self.decoder = AttentionalRNNDecoder(
            rnn_type="gru",
            attn_type="location",
            hidden_size=decoder_neurons,
            attn_dim=decoder_neurons,
            num_layers=1,
            enc_dim=encoder.n_outputs,
            input_size=embedding,
            channels=10,
            kernel_size=100,
        )
        self.output = Linear(len(units), input_size=decoder_neurons)
        self.layers = (*encoder.layers, "encoder")

    def representations(self, feats, lengths, names):
        """Return named outputs; no later part is run.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], log(1 + magnitude).
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``; ``"encoder"`` is what the decoder reads.

        Returns
        -------
        list of torch.Tensor
            [batch, frames, ...].
        """
        x = feats if self.filterbank is None else self.filterbank(feats)
        x = self.normalise(x.transpose(1, 2)).transpose(1, 2)
        last = self.encoder.layers[-1]
        wanted = [last if name == "encoder" else name for name in names]
        outputs = self.encoder.representations(x, lengths, wanted)
        return [
            self._pool(output) if name == "encoder" else output
            for name, output in zip(names, outputs)
        ]

    def _pool(self, states):
        if self.pooling == 1:
            return states
        pooled = F.max_pool1d(
            states.transpose(1, 2), self.pooling, ceil_mode=True
        )
        return pooled.transpose(1, 2)

    def encode_text(self, texts):
        """Turn texts into what the decoder reads and what it should say.

        Arguments
        ---------
        texts : list of str
            What ``units`` takes.

        Returns
        -------
        inputs : torch.Tensor
            [batch, units], long.
        targets : torch.Tensor
            [batch, units], long, the end included; ``IGNORED`` past it.
        """
        rows = [self.units.encode(text) for text in texts]
        return self.shift(rows, bos=BLANK, eos=BLANK)

    @torch.no_grad()
    def transcribe(self, feats, seconds, beam_size=1, lengths=None):
        """Decode features into units.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].
        seconds : torch.Tensor
            [batch]: the utterances' durations; not used.
        beam_size : int
            1 is greedy search.
        lengths : torch.Tensor, optional
            [batch], relative to ``feats``; all of it where none are given.

        Returns
        -------
        list of str
            As ``units`` writes them.
        """
        if lengths is None:
            lengths = torch.ones(len(feats), device=feats.device)
        states = self.representations(feats, lengths, ["encoder"])[0]
        settings = {
            "embedding": self.embedding,
            "decoder": self.decoder,
            "linear": self.output,
            "bos_index": BLANK,
            "eos_index": BLANK,
            "min_decode_ratio": 0.0,
            "max_decode_ratio": _MOST_UNITS,
        }
        # Made anew each time: it would be a second owner of the modules.
        if beam_size == 1:
            searcher = S2SRNNGreedySearcher(**settings)
        else:
            searcher = S2SRNNBeamSearcher(beam_size=beam_size, **settings)
        hypotheses = searcher(states, lengths)[0]
        return [
            self.units.decode([i for i in indices if i != BLANK])
            for indices in hypotheses
        ]


class FrozenPerceptualModel(Frozen, PerceptualModel):
    """A perceptual model that judges and never learns.

    Arguments
    ---------
    *args, **kwargs
        As :class:`PerceptualModel` takes them.

    Example
    -------
    >>> from speechbrain_ext.backends.encoders import WideResNetEncoder
    >>> from speechbrain_ext.backends.units import Characters
    >>> encoder = WideResNetEncoder([8], dense=16)
    >>> FrozenPerceptualModel(encoder, Characters()).train().training
    False
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.freeze()
