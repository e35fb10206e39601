"""SpeechBrain's pretrained encoder-decoder recognisers, to judge with."""

from types import SimpleNamespace

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.speech_transformer import TransformerDecoding
from speechbrain_ext.backends.speechbrain_recogniser import (
    SpeechBrainRecogniser,
)
from speechbrain_ext.errors import UserError


class FrozenSpeechBrainRecogniser(Frozen, SpeechBrainRecogniser):
    """An ``EncoderDecoderASR`` that judges waveforms and never learns.

    Its decoder is recurrent or a Transformer's, and ``ctc`` is its output for
    CTC, if there is one: paper 3's recogniser has conformers, a Transformer and
    both outputs (section 5.1.2).

    Arguments
    ---------
    source : str
        A folder or a hub id, for example
        ``speechbrain/asr-conformer-transformerlm-librispeech``. SpeechBrain's
        own loading, which runs its YAML file: the source is trusted.
    savedir : str, optional
        Where files from the hub are kept.

    Raises
    ------
    UserError
        When it cannot be had, or has another kind of decoder.

    Example
    -------
    >>> recogniser = FrozenSpeechBrainRecogniser(
    ...     "speechbrain/asr-crdnn-rnnlm-librispeech"
    ... )  # doctest: +SKIP
    """

    def __init__(self, source, savedir=None):
        super().__init__(source, savedir)
        hparams = self._asr[0].hparams
        self.ctc = getattr(hparams, "ctc_lin", None)
        self.blank = getattr(hparams, "blank_index", 0)
        self.units = SimpleNamespace(encode=self._encode)
        self.freeze()

    def _take_decoder(self, searcher):
        if hasattr(searcher, "emb"):
            super()._take_decoder(searcher)
            return
        if not hasattr(getattr(searcher, "model", None), "decode"):
            raise UserError(
                f"{self.source}: its decoder is a {type(searcher).__name__}; "
                "expected a recurrent one with attention or a Transformer's"
            )
        self.embedding = None
        self.decoder = searcher.model
        self.output = searcher.fc

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
        if self.embedding is not None:
            return super().decoder_logits(states, lengths, inputs)
        return TransformerDecoding.decoder_logits(self, states, lengths, inputs)

    def _greedy(self):
        if self.embedding is not None:
            return super()._greedy()
        return TransformerDecoding.make_searcher(
            self,
            bos_index=self.searcher.bos_index,
            eos_index=self.searcher.eos_index,
            min_decode_ratio=self.searcher.min_decode_ratio,
            max_decode_ratio=self.searcher.max_decode_ratio,
        )
