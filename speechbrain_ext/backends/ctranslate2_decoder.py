"""Whisper in CTranslate2: features in, text out, several times faster.

What a deployment runs. The texts are those of
:class:`~speechbrain_ext.backends.whisper.FrozenWhisper` but for ties and
rounding; there are no gradients.
"""

import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from transformers import WhisperTokenizer
from transformers.models.whisper.configuration_whisper import (
    NON_SPEECH_TOKENS,
    NON_SPEECH_TOKENS_MULTI,
)
from transformers.utils import logging as transformers_logging

from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper import language_for, token_limit
from speechbrain_ext.errors import UserError, brief, optional_package
from speechbrain_ext.files import cache_folder, make_folder_once

#: Utterances that a worker decodes together: more gain nothing on a CPU.
_AT_ONCE = 8

#: The vocabulary of the smallest multilingual Whisper.
_MULTILINGUAL = 51865


class CTranslate2Whisper(torch.nn.Module):
    """A pretrained Whisper that CTranslate2 runs.

    It takes the arguments of ``FrozenWhisper`` and decodes as it does: the
    same prompt, suppressed tokens, limits and beam search with scores divided
    by the length. The weights are converted once, into the cache folder.

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
        See ``FrozenWhisper``.
    tokens_minimum : int
        See ``FrozenWhisper``.
    compute_type : str
        What CTranslate2 computes in: ``"float32"``, ``"int8"`` (weights of a
        quarter of the size, the fastest on a CPU), or another of its types.
    threads : int, optional
        Processor cores; torch's number of threads if not given.

    Raises
    ------
    UserError
        When CTranslate2 is not installed, the weights cannot be had or
        converted, or this machine does not compute in that type.

    Example
    -------
    >>> whisper = CTranslate2Whisper("openai/whisper-tiny.en", beam_size=1)
    >>> len(whisper.transcribe(torch.zeros(1, 3000, 80), [1.0]))
    1
    """

    def __init__(
        self,
        source,
        language=None,
        beam_size=5,
        tokens_per_second=8.0,
        tokens_minimum=8,
        compute_type="float32",
        threads=None,
    ):
        super().__init__()
        import_ctranslate2()
        folder = resolve(source)
        self.config = json.loads((folder / "config.json").read_text())
        self.tokenizer = WhisperTokenizer.from_pretrained(folder)
        self.source = source
        self.beam_size = beam_size
        self.tokens_per_second = tokens_per_second
        self.tokens_minimum = tokens_minimum
        self.compute_type = compute_type
        self.threads = threads or torch.get_num_threads()
        self._suppressed = suppressed_tokens(self.tokenizer)
        self.use_folder(converted(folder))
        self.set_language(language)

    def use_folder(self, folder):
        """Run the weights of a folder.

        Arguments
        ---------
        folder : Path
            As CTranslate2 has it.
        """
        self.folder = folder
        self._models = {}
        # It says where this module is, and stands for the weights that
        # torch does not see.
        self.register_buffer("identity", _identity(folder, self.compute_type))

    @property
    def n_mels(self):
        """Mel bins that this Whisper takes."""
        return self.config["num_mel_bins"]

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
        """
        multilingual = self.config["vocab_size"] >= _MULTILINGUAL
        self.language = language_for(
            self.source, language, self.tokenizer, multilingual
        )
        if self.language is not None:
            self.tokenizer.set_prefix_tokens(
                language=self.language, task="transcribe"
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
        """
        return token_limit(
            seconds,
            self.tokens_per_second,
            self.tokens_minimum,
            self.config["max_target_positions"],
        )

    def transcribe(self, feats, seconds, beam_size=None):
        """Decode features into text, at most 30 s at once.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, 3000, mels].
        seconds : torch.Tensor
            [batch]: the utterances' durations, which limit their tokens.
        beam_size : int, optional
            In place of this object's own.

        Returns
        -------
        list of str
            As Whisper writes it; special tokens left out.
        """
        beam_size = beam_size or self.beam_size
        feats = feats.detach().float().transpose(1, 2).cpu().numpy()
        model = self._model(workers=1 if len(feats) == 1 else self.threads)
        limits = [self.token_limit(float(value)) for value in seconds]
        # All at once: what the workers have not begun waits in a queue.
        found = {
            tuple(members): self._generate(
                model, feats[members], limits[members[0]], beam_size
            )
            for members in _parts(limits, self.threads)
        }
        texts = [""] * len(limits)
        for members, results in found.items():
            for index, result in zip(members, results, strict=True):
                texts[index] = self.tokenizer.decode(
                    result.result().sequences_ids[0], skip_special_tokens=True
                ).strip()
        return texts

    def _generate(self, model, feats, limit, beam_size):
        """Begin to decode a batch [batch, mels, 3000]; results to wait for."""
        ctranslate2 = import_ctranslate2()
        prompt = list(self.tokenizer.prefix_tokens)
        # SpeechBrain's beam search takes the last token for the end of text,
        # whatever it is.
        wanted = max(1, limit - (beam_size > 1))
        return model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(feats)),
            [prompt] * len(feats),
            asynchronous=True,
            beam_size=beam_size,
            # CTranslate2 gives half of it to the text, and counts the prompt.
            max_length=max(2 * wanted, wanted + len(prompt)),
            suppress_tokens=self._suppressed,
        )

    def _model(self, workers):
        """The model with a number of workers, which share the cores."""
        ctranslate2 = import_ctranslate2()
        device = self.identity.device
        workers = 1 if device.type == "cuda" else workers
        key = str(device), workers
        if key not in self._models:
            # One at a time: the copies would fill the memory.
            self._models.clear()
            try:
                self._models[key] = ctranslate2.models.Whisper(
                    str(self.folder),
                    device=device.type,
                    device_index=device.index or 0,
                    compute_type=self.compute_type,
                    inter_threads=workers,
                    intra_threads=max(1, self.threads // workers),
                )
            except (RuntimeError, ValueError) as error:
                raise UserError(
                    f"{self.source}: CTranslate2 cannot run it on {device} in "
                    f"{self.compute_type} ({brief(error)})"
                ) from error
        return self._models[key]


def import_ctranslate2():
    """Import CTranslate2, which is optional.

    Returns
    -------
    module

    Raises
    ------
    UserError
        When it is not installed.

    Example
    -------
    >>> import_ctranslate2().__name__
    'ctranslate2'
    """
    with optional_package(
        "what it runs", "ctranslate2", key="backend ctranslate2"
    ):
        import ctranslate2
    return ctranslate2


def suppressed_tokens(tokenizer):
    """List what Whisper shall never write: sounds, speakers and tasks.

    Arguments
    ---------
    tokenizer : WhisperTokenizer
        The model's.

    Returns
    -------
    list of int
        Token ids: those that SpeechBrain's searchers suppress.

    Example
    -------
    >>> folder = resolve("openai/whisper-tiny.en")
    >>> suppressed_tokens(WhisperTokenizer.from_pretrained(folder))[-3:]
    [50358, 50359, 50360]
    """
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    tables = {50256: NON_SPEECH_TOKENS, 50257: NON_SPEECH_TOKENS_MULTI}
    special = tokenizer.convert_tokens_to_ids(
        [
            "<|startoftranscript|>",
            "<|translate|>",
            "<|transcribe|>",
            "<|startoflm|>",
            "<|startofprev|>",
        ]
    )
    return [token for token in tables[end] if token < end] + special


def converted(folder):
    """Convert a Hugging Face Whisper for CTranslate2, once.

    Arguments
    ---------
    folder : str or Path
        A Whisper in Hugging Face's format. Another one, or new weights in
        this place, are converted anew.

    Returns
    -------
    Path
        A folder of the cache.

    Raises
    ------
    UserError
        When it is no whole Whisper, or the cache cannot be written.

    Example
    -------
    >>> folder = converted(resolve("openai/whisper-tiny.en"))
    >>> (folder / "model.bin").is_file()
    True
    """
    folder = Path(folder).resolve()
    stamp = hashlib.blake2b(str(folder).encode(), digest_size=8)
    for path in sorted(folder.glob("*.[js]*")):
        stat = path.stat()
        stamp.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    name = f"{folder.name}--ctranslate2-{stamp.hexdigest()}"
    return make_folder_once(
        cache_folder() / "models" / name,
        lambda temporary: convert_folder(folder, temporary),
    )


def convert_folder(folder, target):
    """Write a Hugging Face Whisper as CTranslate2 has it.

    Arguments
    ---------
    folder : Path
        A Whisper in Hugging Face's format.
    target : Path
        An existing folder to write into.

    Raises
    ------
    UserError
        When it is no whole Whisper.

    Example
    -------
    >>> convert_folder(Path("whisper"), Path("target"))  # doctest: +SKIP
    """
    import_ctranslate2()
    from ctranslate2.converters import TransformersConverter

    try:
        with _quiet():
            TransformersConverter(str(folder)).convert(str(target), force=True)
        tokenizer = WhisperTokenizer.from_pretrained(folder)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder}: cannot be converted for CTranslate2 ({brief(error)}); is it "
            "a whole Whisper?"
        ) from error
    # Not every folder says which tokens may not come first.
    path = target / "config.json"
    blank = tokenizer.encode(" ", add_special_tokens=False)
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "suppress_ids_begin": [*blank, end]}))


@contextlib.contextmanager
def _quiet():
    """Hide the progress of loading what is converted."""
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            transformers_logging.enable_progress_bar()


def _identity(folder, compute_type):
    digest = hashlib.blake2b(f"{folder.name} {compute_type}".encode())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)


def _parts(limits, workers):
    """Positions in batches of one limit, the longest first."""
    parts = []
    for limit in sorted(set(limits), reverse=True):
        members = [i for i, other in enumerate(limits) if other == limit]
        size = min(_AT_ONCE, -(-len(members) // workers))
        parts += [
            members[start : start + size]
            for start in range(0, len(members), size)
        ]
    return parts
