"""Word error rates of normalised text."""

import functools
import json
import logging
import re
from pathlib import Path

import jiwer
from transformers.models.whisper.english_normalizer import (
    BasicTextNormalizer,
    EnglishTextNormalizer,
)

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import describe

logger = logging.getLogger(__name__)

# Languages that do not put spaces between words: Whisper's authors score their
# letters (Radford et al. 2022, section 4.4).
_LANGUAGES_WITHOUT_SPACES = {"zh", "ja", "th", "lo", "my", "yue"}


class TextNormaliser:
    """Whisper's own text normalisers (Radford et al. 2022, appendix C).

    English loses case, punctuation, fillers and bracketed words; contractions
    and titles are written out, and numbers become digits. Other languages lose
    case and punctuation only.

    Arguments
    ---------
    language : str or None
        ISO 639-1 code; None is English, as Whisper's ``.en`` models have no
        language.
    tokenizer_folder : str, Path or None
        A model's folder. Its ``normalizer.json``, where it has one, maps
        British spellings to American; without one a word keeps its spelling.

    Raises
    ------
    UserError
        When ``normalizer.json`` is there and cannot be read.

    Example
    -------
    >>> TextNormaliser()("Mr. Smith can't pay twenty-one dollars, um, today!")
    'mister smith can not pay $21 today'
    >>> TextNormaliser("fr")("Déjà vu !")
    'déjà vu'
    """

    def __init__(self, language="en", tokenizer_folder=None):
        if language in (None, "en"):
            spellings = _read_spellings(tokenizer_folder)
            self._normalise = EnglishTextNormalizer(spellings)
        else:
            letters = language in _LANGUAGES_WITHOUT_SPACES
            self._normalise = BasicTextNormalizer(split_letters=letters)

    def __call__(self, text):
        """Normalise a text.

        Arguments
        ---------
        text : str
            A transcript.

        Returns
        -------
        str
            Words with single spaces between them; empty where none is left.
        """
        return " ".join(self._normalise(text).split())


def _read_spellings(tokenizer_folder):
    if tokenizer_folder is None:
        return {}
    file = Path(tokenizer_folder) / "normalizer.json"
    if not file.is_file():
        return {}
    try:
        spellings = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {describe(error)}") from error
    except ValueError as error:
        raise UserError(
            f"{file}: not JSON ({error}); expected an object of spellings"
        ) from error
    if not isinstance(spellings, dict):
        raise UserError(f"{file}: expected an object of spellings")
    return spellings


_cached_normaliser = functools.lru_cache(TextNormaliser)


def normalise_text(text, language="en"):
    """Normalise a text as Whisper's authors do before they score it.

    Arguments
    ---------
    text : str
        A transcript.
    language : str or None
        ISO 639-1 code; None is English.

    Returns
    -------
    str
        Words with single spaces between them.

    Example
    -------
    >>> normalise_text("It's TWENTY past nine.")
    'it is 20 past 9'
    """
    return _cached_normaliser(language)(text)


class WordErrorRate:
    """Word errors and reference words, an utterance each, until summarized.

    An utterance whose reference has no word once normalised (a filler, a
    bracketed remark) has no word error rate: it is left out with a warning.

    Arguments
    ---------
    normalise : callable
        From text to words with spaces between them.
    name : str
        What it is called: the error rate of other units has another name.

    Attributes
    ----------
    ids : list of str
        The utterances that count.
    errors : list of int
        Substitutions, deletions and insertions of each.
    words : list of int
        Words in each one's reference.

    Example
    -------
    >>> wer = WordErrorRate()
    >>> wer.append(["a", "b"], ["A cat sat.", ""], ["the cat sat", "stay here"])
    >>> wer.errors, wer.words
    ([1, 2], [3, 2])
    >>> wer.summarize()
    0.6
    """

    #: What validation asks of a metric: whether it judges waveforms or texts,
    #: whether more is better, and what its summary is multiplied by to print.
    of_waveforms = False
    higher_is_better = False
    scale = 100
    #: Aligns a reference with a hypothesis.
    process = staticmethod(jiwer.process_words)

    def __init__(self, normalise=normalise_text, name="WER"):
        self.normalise = normalise
        self.name = name
        self.clear()

    def clear(self):
        """Forget all utterances."""
        self.ids = []
        self.errors = []
        self.words = []

    def append(self, ids, hypotheses, references):
        """Score a batch, in the order of SpeechBrain's ``ErrorRateStats``.

        Arguments
        ---------
        ids : sequence of str
            The utterances' ids, [batch].
        hypotheses : sequence of str
            What was recognised, [batch].
        references : sequence of str
            What was said, [batch].
        """
        for name, hypothesis, reference in zip(
            ids, hypotheses, references, strict=True
        ):
            said = self.normalise(reference)
            if not said:
                logger.warning(
                    "%s: no word is left of %r; it does not count in the %s",
                    name,
                    reference,
                    self.name,
                )
                continue
            count = self.process(said, self.normalise(hypothesis))
            self.ids.append(name)
            self.errors.append(
                count.substitutions + count.deletions + count.insertions
            )
            self.words.append(
                count.hits + count.substitutions + count.deletions
            )

    def summarize(self):
        """Word error rate of all utterances: all errors by all words.

        Returns
        -------
        float
            A fraction; above 1 where insertions abound.

        Raises
        ------
        UserError
            When no utterance counts.
        """
        if not self.ids:
            raise UserError(
                f"{self.name}: no reference has a word; expected some text"
            )
        return sum(self.errors) / sum(self.words)


def spoken_characters(text):
    """Leave out what is written and not spoken: case and punctuation.

    Arguments
    ---------
    text : str
        A transcript.

    Returns
    -------
    str
        Letters, digits and apostrophes of any script; single spaces.

    Example
    -------
    >>> spoken_characters("It's  ten, Peter!"), spoken_characters("你好。")
    ("it's ten peter", '你好')
    """
    return " ".join(re.sub(r"[^\w']|_", " ", text.casefold()).split())


class CharacterErrorRate(WordErrorRate):
    """The same of characters, the spaces between words among them.

    Arguments
    ---------
    normalise : callable
        From a text to what is scored.
    name : str
        What it is called.

    Example
    -------
    >>> cer = CharacterErrorRate()
    >>> cer.append(["a"], ["the cat"], ["the hat"])
    >>> cer.errors, cer.words
    ([1], [7])
    """

    process = staticmethod(jiwer.process_characters)

    def __init__(self, normalise=spoken_characters, name="CER"):
        super().__init__(normalise, name)
