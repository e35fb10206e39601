"""A frozen Whisper: features in, gradients, token probabilities or text out."""

import torch
from safetensors import SafetensorError
from speechbrain.decoders.seq2seq import (
    S2SWhisperBeamSearcher,
    S2SWhisperGreedySearcher,
)
from speechbrain.integrations.huggingface.whisper import Whisper
from torch.nn import functional as F
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.hugging_face import quiet, stored_names
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper_layers import embed_frames, run_layers
from speechbrain_ext.errors import UserError, brief

#: Label of the positions that the cross entropy leaves out.
IGNORED = -100


class _BeamSearcher(S2SWhisperBeamSearcher):
    """SpeechBrain's search, which leaves the encoder's keys where they are.

    The beams of an utterance share its encoder states, so reordering beams
    changes nothing in the cross-attention's cache; copying its 1500 positions
    at every token would take most of the search's time.
    """

    def _reorder_cache(self, past_key_values, beam_idx):
        past_key_values.self_attention_cache.reorder_cache(beam_idx)
        return past_key_values


class FrozenWhisper(Frozen, torch.nn.Module):
    """A pretrained Whisper that judges and never learns.

    SpeechBrain's ``Whisper`` is inside, under ``whisper``. Gradients flow
    through the encoder and the decoder to the features.

    Arguments
    ---------
    source : str
        A folder or a hub id; :func:`speechbrain_ext.backends.weights.resolve`
        says where it is looked for.
    language : str, optional
        The language's code for a multilingual model (``"en"``); None for an
        English-only model.
    beam_size : int
        1 is greedy search.
    tokens_per_second : float
        An utterance gets at most this many tokens for each second, and
        ``tokens_minimum`` more: where speech is lost Whisper may loop, and
        this ends the loop. The same for repaired and unrepaired speech.
    tokens_minimum : int
        See above.

    Example
    -------
    >>> whisper = FrozenWhisper("openai/whisper-tiny.en")
    >>> whisper.encode(torch.zeros(1, 100, 80)).shape
    torch.Size([1, 50, 384])
    """

    #: Names of what :meth:`representations` returns.
    layers = ("encoder",)

    def __init__(
        self,
        source,
        language=None,
        beam_size=5,
        tokens_per_second=8.0,
        tokens_minimum=8,
    ):
        super().__init__()
        self.whisper = load_whisper(resolve(source))
        self.source = source
        self.set_language(language)
        self.beam_size = beam_size
        self.tokens_per_second = tokens_per_second
        self.tokens_minimum = tokens_minimum
        self.freeze()

    def set_language(self, language):
        """Say which language is spoken; ``language`` then holds its code.

        Arguments
        ---------
        language : str or None
            The language's code (``"es"``); for an English-only model None or
            ``"en"``, which are the same there.

        Raises
        ------
        UserError
            When Whisper does not know the code, or this model speaks English
            only, or none is given for a multilingual one.

        Example
        -------
        >>> whisper = FrozenWhisper("openai/whisper-tiny.en")
        >>> whisper.set_language("es")
        Traceback (most recent call last):
        ...
        speechbrain_ext.errors.UserError: language es: openai/whisper-tiny.en \
knows English only; expected en, or a multilingual model
        """
        self.language = language_for(
            self.source,
            language,
            self.tokenizer,
            self.whisper.is_multilingual,
        )
        if self.language is not None:
            self.whisper.set_language_token(self.language)

    @property
    def tokenizer(self):
        """Whisper's tokenizer, a ``transformers.WhisperTokenizer``."""
        return self.whisper.tokenizer

    @property
    def n_mels(self):
        """Mel bins that this Whisper takes."""
        return self.whisper.config.num_mel_bins

    def encode(self, feats):
        """Run the encoder on any number of frames up to 3000.

        The positions' embeddings are sinusoids, so the first ones serve a
        shorter context; Hugging Face's own forward takes 3000 frames only.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, mels].

        Returns
        -------
        torch.Tensor
            [batch, frames / 2, channels].
        """
        encoder = self.whisper.model.encoder
        for states in run_layers(encoder, embed_frames(encoder, feats)):
            pass
        return states

    def representations(self, feats, lengths, names):
        """Return named outputs: there is one, ``"encoder"``.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, mels].
        lengths : torch.Tensor
            [batch], relative; not used: Whisper reads silence as well.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, frames / 2, channels].
        """
        encoded = self.encode(feats)
        return [encoded for _ in names]

    def logits(self, states, tokens, wanted=None):
        """Run the decoder over known tokens.

        Arguments
        ---------
        states : torch.Tensor
            [batch, positions, channels] from :meth:`encode`.
        tokens : torch.Tensor
            [batch, tokens], long.
        wanted : torch.Tensor, optional
            bool [batch, tokens]: where the logits are of use. The vocabulary
            is large, and over the prompt and the padding it is work in vain.

        Returns
        -------
        torch.Tensor
            [batch, tokens, vocabulary], or [wanted, vocabulary]: for the
            token after each.
        """
        decoder = self.whisper.model.decoder
        hidden = decoder(
            input_ids=tokens, encoder_hidden_states=states, use_cache=False
        ).last_hidden_state
        if wanted is not None:
            hidden = hidden[wanted]
        return F.linear(hidden, decoder.embed_tokens.weight)

    def encode_text(self, texts):
        """Turn texts into what the decoder reads and what it should say.

        Arguments
        ---------
        texts : list of str
            Transcripts as Whisper would write them.

        Returns
        -------
        inputs : torch.Tensor
            [batch, tokens], long: the prompt and the text, padded with the
            end of text.
        targets : torch.Tensor
            [batch, tokens], long: the text and its end; ``IGNORED`` for the
            prompt and the padding.

        Example
        -------
        >>> whisper = FrozenWhisper("openai/whisper-tiny.en")
        >>> inputs, targets = whisper.encode_text(["Yes."])
        >>> inputs.tolist()
        [[50257, 50362, 3363, 13]]
        >>> targets.tolist()
        [[-100, 3363, 13, 50256]]
        """
        prompt = list(self.tokenizer.prefix_tokens)
        limit = self.whisper.config.max_target_positions - len(prompt)
        rows = [
            self.tokenizer.encode(" " + text.strip(), add_special_tokens=False)
            for text in texts
        ]
        rows = [row[:limit] for row in rows]
        end = self.whisper.eos
        inputs = [torch.tensor(prompt + row) for row in rows]
        ignored = [IGNORED] * (len(prompt) - 1)
        targets = [torch.tensor(ignored + row + [end]) for row in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        return (
            pad(inputs, batch_first=True, padding_value=end),
            pad(targets, batch_first=True, padding_value=IGNORED),
        )

    def token_limit(self, seconds):
        """Return how many tokens an utterance of this length may get.

        Arguments
        ---------
        seconds : float
            The utterance's duration.

        Returns
        -------
        int
            At most half of the decoder's positions, Whisper's own limit.

        Example
        -------
        >>> FrozenWhisper("openai/whisper-tiny.en").token_limit(4.2)
        48
        """
        return token_limit(
            seconds,
            self.tokens_per_second,
            self.tokens_minimum,
            self.whisper.config.max_target_positions,
        )

    @torch.no_grad()
    def transcribe(self, feats, seconds, beam_size=None, lengths=None):
        """Decode features into text, at most 30 s at once.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, 3000, mels].
        seconds : torch.Tensor
            [batch]: the utterances' durations, which limit their tokens.
        beam_size : int, optional
            In place of this object's own.
        lengths : torch.Tensor, optional
            [batch], relative to ``feats``; not used: Whisper reads silence as
            well.

        Returns
        -------
        list of str
            As Whisper writes it; special tokens left out.

        Example
        -------
        >>> whisper = FrozenWhisper("openai/whisper-tiny.en", beam_size=1)
        >>> len(whisper.transcribe(torch.zeros(1, 3000, 80), [1.0]))
        1
        """
        limits = [self.token_limit(float(value)) for value in seconds]
        texts = [""] * len(limits)
        for limit in sorted(set(limits)):
            members = [i for i, other in enumerate(limits) if other == limit]
            states = self.encode(feats[members])
            found = self._search(states, limit, beam_size or self.beam_size)
            for index, text in zip(members, found):
                texts[index] = text
        return texts

    def _search(self, states, limit, beam_size):
        # Searchers hold Whisper as a submodule and a cache of the last
        # search; made anew they stay out of modules and checkpoints.
        # Half a token more, as the searcher rounds down.
        ratio = (limit + 0.5) / states.shape[1]
        lengths = torch.ones(len(states), device=states.device)
        if beam_size == 1:
            searcher = S2SWhisperGreedySearcher(
                self.whisper, min_decode_ratio=0.0, max_decode_ratio=ratio
            )
        else:
            searcher = _BeamSearcher(
                [self.whisper],
                beam_size=beam_size,
                min_decode_ratio=0.0,
                max_decode_ratio=ratio,
            )
        with quiet():
            hypotheses = searcher(states, lengths)[0]
        return [
            self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
            for tokens in hypotheses
        ]


def check_language(language):
    """Take a language's code that a person gave.

    Arguments
    ---------
    language : str or None
        A code that Whisper has a token for, ``"es"`` or ``"yue"``.

    Returns
    -------
    str or None
        The same.

    Raises
    ------
    UserError
        When Whisper has no such language.

    Example
    -------
    >>> check_language("es")
    'es'
    >>> check_language("spanish")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: language spanish: not one that Whisper \
knows; expected a code such as en, de or es
    """
    if language is not None and language not in tuple(LANGUAGES):
        raise UserError(
            f"language {language}: not one that Whisper knows; expected a "
            "code such as en, de or es"
        )
    return language


def language_for(source, language, tokenizer, multilingual):
    """Take the language that a Whisper shall write.

    Arguments
    ---------
    source : str
        The Whisper, for messages.
    language : str or None
        The code that a person gave.
    tokenizer : WhisperTokenizer
        The Whisper's.
    multilingual : bool
        Whether it knows more than English.

    Returns
    -------
    str or None
        The code; None for an English-only model.

    Raises
    ------
    UserError
        When Whisper does not know the code, or this model speaks English
        only, or none is given for a multilingual one.

    Example
    -------
    >>> language_for("openai/whisper-tiny.en", "en", None, multilingual=False)
    """
    check_language(language)
    if not multilingual:
        if language not in (None, "en"):
            raise UserError(
                f"language {language}: {source} knows English only; "
                "expected en, or a multilingual model"
            )
        return None
    if language is None:
        raise UserError(
            f"language: none given for {source}, a multilingual Whisper; "
            "expected a code such as 'en'"
        )
    # A missing token would silently become Whisper's end of text.
    if f"<|{language}|>" not in tokenizer.get_vocab():
        raise UserError(
            f"language {language}: {source} does not know it; expected a "
            "newer Whisper or another code"
        )
    return language


def token_limit(seconds, per_second, minimum, positions):
    """Return how many tokens an utterance may get.

    Arguments
    ---------
    seconds : float
        The utterance's duration.
    per_second : float
        Tokens for each second, and
    minimum : int
        as many more.
    positions : int
        Of the decoder; half of them is Whisper's own limit.

    Returns
    -------
    int

    Example
    -------
    >>> token_limit(4.2, per_second=8.0, minimum=8, positions=448)
    48
    """
    # Whole 5 s: utterances of one limit are decoded together. A relative
    # length gives 5 s as 5.0000002 in some batches.
    wanted = minimum + per_second * (5 * -(-round(seconds, 4) // 5))
    return int(min(wanted, positions // 2))


def load_whisper(folder):
    """Load SpeechBrain's Whisper, and refuse what is not a whole one.

    Arguments
    ---------
    folder : Path
        A folder in Hugging Face's format.

    Returns
    -------
    speechbrain.integrations.huggingface.whisper.Whisper

    Raises
    ------
    UserError
        When a file is missing, truncated or of another model.

    Example
    -------
    >>> folder = resolve("openai/whisper-tiny.en")
    >>> load_whisper(folder).config.encoder_layers
    4
    """
    try:
        with quiet():
            whisper = Whisper(str(folder), save_path=str(folder), freeze=True)
        stored = {name.removeprefix("model.") for name in stored_names(folder)}
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{folder}: cannot be loaded as a Whisper ({brief(error)}); are its "
            "files whole?"
        ) from error
    # Transformers would fill the gaps with random weights, and read every
    # text as unknown tokens.
    missing = set(whisper.model.state_dict()) - stored
    if stored and missing:
        raise UserError(
            f"{folder}: its weights lack {min(missing)}; expected a Whisper"
        )
    if whisper.bos != whisper.config.decoder_start_token_id:
        raise UserError(
            f"{folder}: <|startoftranscript|> has id {whisper.bos}; expected "
            f"{whisper.config.decoder_start_token_id}: is tokenizer.json there?"
        )
    return whisper
