"""SpeechBrain's pretrained encoder-decoder recognisers, to be fine-tuned."""

import torch
from speechbrain.decoders.seq2seq import S2SRNNGreedySearcher
from speechbrain.inference.ASR import EncoderDecoderASR
from speechbrain.processing.features import InputNormalization
from torch import nn

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.backends.perceptual import AttentionDecoding
from speechbrain_ext.backends.units import plain_words
from speechbrain_ext.errors import UserError, brief

#: Samples that an encoder needs, which pools its frames; no word is shorter.
_SHORTEST = SAMPLE_RATE // 10


class SpeechBrainRecogniser(AttentionDecoding, nn.Module):
    """An ``EncoderDecoderASR`` whose encoder and decoder are trained.

    The paper's recogniser is the one that was trained on LibriSpeech (section
    V-C). It computes features of its own: what it takes as features are
    waveforms (:class:`speechbrain_ext.features.waveform.Waveform`). Its
    language model and the statistics that normalise its features stay as they
    are; both come from the source, not from a trained model's weights.

    Arguments
    ---------
    source : str
        A folder or a hub id, for example
        ``speechbrain/asr-crdnn-rnnlm-librispeech``. SpeechBrain's own loading,
        which runs its YAML file: the source is trusted.
    savedir : str, optional
        Where files from the hub are kept.

    Raises
    ------
    UserError
        When it cannot be had, or its decoder is not a recurrent one.

    Example
    -------
    >>> recogniser = SpeechBrainRecogniser(
    ...     "speechbrain/asr-crdnn-rnnlm-librispeech"
    ... )  # doctest: +SKIP
    """

    #: Names of what :meth:`representations` returns.
    layers = ("encoder",)
    #: As a Whisper has it: there is but one.
    language = None

    def __init__(self, source, savedir=None):
        super().__init__()
        asr, self.encoder, searcher = _load(source, savedir)
        self.source = source
        self._take_decoder(searcher)
        self.tokenizer = asr.tokenizer
        # In a tuple it is no child: neither trained, nor saved, nor ever in
        # training mode, where its language model would drop units.
        self._asr = (asr,)
        for module in self.encoder.modules():
            if isinstance(module, InputNormalization):
                _statistics_to_buffers(module)
        self.requires_grad_(True)

    def _take_decoder(self, searcher):
        if not all(hasattr(searcher, name) for name in ("emb", "dec", "fc")):
            raise UserError(
                f"{self.source}: its decoder is a {type(searcher).__name__}; "
                "expected a recurrent one with attention"
            )
        self.embedding = searcher.emb
        self.decoder = searcher.dec
        self.output = searcher.fc

    @property
    def searcher(self):
        """torch.nn.Module : The source's own search."""
        return self._asr[0].mods.decoder

    @property
    def beam_size(self):
        """int : Hypotheses of the source's own search."""
        return self.searcher.beam_size

    def set_language(self, language):
        """Say what is spoken, as a Whisper is told.

        Arguments
        ---------
        language : None
            There is but one.

        Raises
        ------
        UserError
            For any language.
        """
        if language is not None:
            raise UserError(
                f"language: {language!r}, and {self.source} knows its own "
                "only; expected none"
            )

    def train(self, mode=True):
        """Follow what is asked, but for the features' statistics.

        Arguments
        ---------
        mode : bool
            Whether to train.

        Returns
        -------
        torch.nn.Module
            The module itself.
        """
        super().train(mode)
        for module in self.encoder.modules():
            if isinstance(module, InputNormalization):
                # It would go on counting, and is in no state_dict.
                module.eval()
        return self

    def _apply(self, fn, recurse=True):
        # The language model moves along, as what asks it does.
        self._asr[0].mods._apply(fn)
        return super()._apply(fn, recurse)

    def representations(self, feats, lengths, names):
        """Return named outputs: there is one, ``"encoder"``.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1], waveforms.
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, positions, channels].
        """
        encoded = self.encoder(feats[..., 0], lengths)
        return [encoded for _ in names]

    def encode_text(self, texts):
        """Turn texts into what the decoder reads and what it should say.

        Arguments
        ---------
        texts : list of str
            Transcripts; they are written as LibriSpeech's are, in capitals and
            without punctuation, and what no unit stands for is left out.

        Returns
        -------
        inputs : torch.Tensor
            [batch, units], long.
        targets : torch.Tensor
            [batch, units], long, the end included; ``IGNORED`` past it.
        """
        rows = [self._encode(text) for text in texts]
        return self.shift(
            rows, self.searcher.bos_index, self.searcher.eos_index
        )

    def _encode(self, text):
        text = " ".join(plain_words(text)).upper()
        # The unknown's index is the end's as well.
        unknown = self.tokenizer.unk_id()
        units = self.tokenizer.encode_as_ids(text)
        return [unit for unit in units if unit != unknown]

    @torch.no_grad()
    def transcribe(self, feats, seconds, beam_size=None, lengths=None):
        """Decode waveforms into text.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1], waveforms.
        seconds : torch.Tensor
            [batch]: the utterances' durations.
        beam_size : int, optional
            1 is greedy search without a language model; otherwise it is the
            search that the source describes, of whatever size.
        lengths : torch.Tensor, optional
            [batch], relative to ``feats``; what ``seconds`` says where none are
            given.

        Returns
        -------
        list of str
            Empty where all are shorter than 0.1 s.
        """
        if feats.shape[1] < _SHORTEST:
            return [""] * len(feats)
        if lengths is None:
            lengths = seconds.to(feats.device) * SAMPLE_RATE / feats.shape[1]
        searcher = self._greedy() if beam_size == 1 else self.searcher
        states = self.encoder(feats[..., 0], lengths)
        hypotheses = searcher(states, lengths)[0]
        return [self.tokenizer.decode_ids(units) for units in hypotheses]

    def _greedy(self):
        # Made anew each time: it would be a second owner of the modules.
        return S2SRNNGreedySearcher(
            embedding=self.embedding,
            decoder=self.decoder,
            linear=self.output,
            bos_index=self.searcher.bos_index,
            eos_index=self.searcher.eos_index,
            min_decode_ratio=self.searcher.min_decode_ratio,
            max_decode_ratio=self.searcher.max_decode_ratio,
        )


def _load(source, savedir):
    """The model on the CPU, its encoder and its search."""
    try:
        # A back-end is moved by whoever holds it.
        asr = EncoderDecoderASR.from_hparams(
            str(source), savedir=savedir, run_opts={"device": "cpu"}
        )
        encoder, searcher = asr.mods.encoder, asr.mods.decoder
    # Loading runs the source's YAML file, which can fail in any way.
    except Exception as error:
        reason = brief(f"{type(error).__name__}: {error}")
        raise UserError(
            f"{source}: no recogniser there ({reason}); "
            "expected the folder or hub id of an EncoderDecoderASR"
        ) from error
    return asr, encoder, searcher


def _statistics_to_buffers(normalisation):
    """Let the statistics follow the module to another device."""
    for name in ("glob_mean", "glob_std"):
        statistics = getattr(normalisation, name)
        delattr(normalisation, name)
        normalisation.register_buffer(name, statistics, persistent=False)
