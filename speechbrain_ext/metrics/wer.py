"""Word error rates of normalised text, with intervals over utterances."""

import functools
import json
import logging
from pathlib import Path
from typing import NamedTuple

import jiwer
import numpy as np
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

# Bounds the memory of resampling a set of thousands of utterances.
_RESAMPLES_AT_ONCE = 500


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

    def __init__(self, normalise=normalise_text):
        self.normalise = normalise
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
                    "%s: no word is left of %r; it does not count in the WER",
                    name,
                    reference,
                )
                continue
            count = jiwer.process_words(said, self.normalise(hypothesis))
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
            raise UserError("WER: no reference has a word; expected some text")
        return sum(self.errors) / sum(self.words)


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Two systems on the same utterances.

    ``difference`` is system minus baseline, ``relative_reduction`` the share of
    the baseline's word error rate that is gone: 0 where neither has an error,
    minus infinity where the baseline alone has none.
    """

    baseline: Estimate
    system: Estimate
    difference: Estimate
    relative_reduction: Estimate


def paired_bootstrap(
    baseline_errors,
    system_errors,
    words,
    seed=0,
    resamples=5000,
    confidence=0.95,
):
    """Compare two word error rates by a paired bootstrap over utterances.

    Each resample draws utterances with replacement, the same for both systems
    and for each of the four figures (Bisani and Ney, "Bootstrap estimates for
    confidence intervals in ASR performance evaluation", ICASSP 2004). Where
    each utterance was decoded under several damage seeds, hand over its sums:
    the seeds are not independent speech.

    Arguments
    ---------
    baseline_errors : sequence of int
        The baseline's word errors, [utterances].
    system_errors : sequence of int
        The system's, [utterances].
    words : sequence of int
        Reference words, [utterances], each 1 or more.
    seed : int
        Seed of the resampling.
    resamples : int
        How many.
    confidence : float
        Of the intervals, in (0, 1).

    Returns
    -------
    Comparison
        Fractions with percentile intervals.

    Example
    -------
    >>> compared = paired_bootstrap([4, 2, 3, 0], [2, 1, 3, 0], [9, 8, 9, 5])
    >>> round(compared.baseline.value, 3), round(compared.system.value, 3)
    (0.29, 0.194)
    >>> round(compared.relative_reduction.value, 3)
    0.333
    >>> compared.difference.high <= 0
    True
    """
    sums = _resampled_sums(
        [baseline_errors, system_errors, words], seed, resamples
    )
    baseline, system, total = sums
    figures = (
        baseline / total,
        system / total,
        (system - baseline) / total,
        _relative_reduction(baseline, system),
    )
    return Comparison(*(_estimate(figure, confidence) for figure in figures))


def bootstrap_interval(errors, words, seed=0, resamples=5000, confidence=0.95):
    """A word error rate with its bootstrap interval over utterances.

    Arguments
    ---------
    errors : sequence of int
        Word errors, [utterances].
    words : sequence of int
        Reference words, [utterances], each 1 or more.
    seed : int
        Seed of the resampling: :func:`paired_bootstrap` draws the same.
    resamples : int
        How many.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    Estimate
        A fraction with a percentile interval.

    Example
    -------
    >>> bootstrap_interval([1, 1, 1], [4, 4, 4])
    Estimate(value=0.25, low=0.25, high=0.25)
    """
    errors, words = _resampled_sums([errors, words], seed, resamples)
    return _estimate(errors / words, confidence)


def _resampled_sums(columns, seed, resamples):
    """Sums over all utterances, then over each resample: [columns, 1 + n]."""
    data = np.array(columns, dtype=float).T
    n = len(data)
    generator = np.random.default_rng(seed)
    sums = [data.sum(axis=0, keepdims=True)]
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        # How often each utterance is in each resample. scipy.stats.bootstrap
        # would draw anew for each figure and has no answer for a 0/0.
        size = min(_RESAMPLES_AT_ONCE, resamples - start)
        counts = generator.multinomial(n, np.full(n, 1 / n), size=size)
        sums.append(counts @ data)
    return np.concatenate(sums).T


def _estimate(figures, confidence):
    """The first figure, that of all utterances, with the others' quantiles."""
    tail = (1 - confidence) / 2
    # Without interpolation, which cannot take an infinite neighbour.
    low, high = np.quantile(
        figures[1:], [tail, 1 - tail], method="inverted_cdf"
    )
    return Estimate(float(figures[0]), float(low), float(high))


def _relative_reduction(baseline, system):
    with np.errstate(divide="ignore", invalid="ignore"):
        reduction = 1 - system / baseline
    return np.where(system == baseline, 0.0, reduction)
