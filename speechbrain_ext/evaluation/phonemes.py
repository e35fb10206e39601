"""Which phones a front-end helps: precision gained against mean energy.

The analysis of Plantinga et al., "Perceptual loss with recognition model for
single-channel enhancement and robust ASR", section IV and Figure 6.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

import jiwer
import numpy as np
from scipy import stats

from speechbrain_ext.errors import UserError

#: ARPAbet's vowels; the other phones are consonants.
VOWELS = frozenset("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())


@dataclass
class PhoneCounts:
    """How often each phone was recognised, and how often rightly.

    Arguments
    ---------
    predicted : collections.Counter
        How often the recognised words have each phone.
    correct : collections.Counter
        How often it is the reference's in an alignment of fewest edits.
    unknown : collections.Counter
        Words that have no phones; they are aligned whole and not counted.

    Example
    -------
    >>> phones = {"the": ["DH", "AH"], "a": ["AH"], "van": ["V", "AE", "N"]}
    >>> counts = PhoneCounts()
    >>> counts.append("the van", "a van", phones.get)
    >>> counts.append("a van", "the van", phones.get)
    >>> counts.precision("DH"), counts.precision("V"), counts.precision("S")
    (0.0, 1.0, nan)
    """

    predicted: Counter = field(default_factory=Counter)
    correct: Counter = field(default_factory=Counter)
    unknown: Counter = field(default_factory=Counter)

    def append(self, reference, hypothesis, phones_of):
        """Count the phones of an utterance.

        Arguments
        ---------
        reference : str
            What was said.
        hypothesis : str
            What was recognised.
        phones_of : callable
            From a word to its phones, a sequence of str, or None where it is
            not known.
        """
        said, heard = (
            self._phones(text, phones_of) for text in (reference, hypothesis)
        )
        self.predicted.update(each for each in heard if not _is_word(each))
        if not said or not heard:
            return
        aligned = jiwer.process_words(" ".join(said), " ".join(heard))
        for chunk in aligned.alignments[0]:
            if chunk.type == "equal":
                equal = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
                self.correct.update(
                    each for each in equal if not _is_word(each)
                )

    def _phones(self, text, phones_of):
        phones = []
        for word in text.split():
            found = phones_of(word)
            if found is None:
                word = re.sub(r"[^\w'-]", "", word.lower())
                self.unknown[word] += 1
                found = [f"<{word}>"]
            phones += found
        return phones

    def precision(self, phone):
        """Say which share of a phone's predictions is right.

        Arguments
        ---------
        phone : str
            Which one.

        Returns
        -------
        float
            NaN where it was never predicted.
        """
        n = self.predicted[phone]
        return self.correct[phone] / n if n else math.nan


def _is_word(token):
    """Whether a token stands for a word without phones."""
    return token.startswith("<")


def precision_gains(baseline, system, energies, min_count=10):
    """Set the precision that each phone gains beside its mean energy.

    Arguments
    ---------
    baseline, system : PhoneCounts
        Of the same utterances.
    energies : dict of str to float
        Mean energy of each phone, in dB.
    min_count : int
        A phone that either system predicts less often is left out, as its
        precision is mostly chance.

    Returns
    -------
    dict
        ``phones``: by phone, its ``energy``, ``baseline`` and ``system``
        precision and ``gain``; ``left_out``: the phones that are not there;
        ``all`` and ``consonants``: :func:`correlate` of energy and gain.

    Raises
    ------
    UserError
        When no phone is left.

    Example
    -------
    >>> before, after = PhoneCounts(), PhoneCounts()
    >>> before.append("s", "f", {"f": ["F"], "s": ["S"]}.get)
    >>> after.append("f", "f", {"f": ["F"]}.get)
    >>> precision_gains(before, after, {"F": -20.0}, 1)["phones"]["F"]["gain"]
    1.0
    """
    predicted = set(baseline.predicted) | set(system.predicted)
    kept = sorted(
        phone
        for phone in predicted & set(energies)
        if min(baseline.predicted[phone], system.predicted[phone]) >= min_count
    )
    if not kept:
        raise UserError(
            f"phonemes: none is in both systems' texts {min_count} times and "
            "in the clean speech; expected more speech"
        )
    phones = {}
    for phone in kept:
        pair = baseline.precision(phone), system.precision(phone)
        phones[phone] = {
            "energy": energies[phone],
            "baseline": pair[0],
            "system": pair[1],
            "gain": pair[1] - pair[0],
        }
    consonants = [phone for phone in kept if phone not in VOWELS]
    return {
        "all": _correlate(phones, kept),
        "consonants": _correlate(phones, consonants),
        "left_out": sorted(predicted - set(kept)),
        "phones": phones,
    }


def _correlate(phones, names):
    return correlate(
        [phones[name]["energy"] for name in names],
        [phones[name]["gain"] for name in names],
    )


def correlate(energies, gains):
    """Pearson's correlation with its interval.

    Arguments
    ---------
    energies, gains : sequence of float
        [phones].

    Returns
    -------
    dict
        ``r``, the ends ``ci_low`` and ``ci_high`` of its 95 % interval
        (Fisher's transformation), ``p`` and ``n``; None where fewer than four
        phones, or no difference between them, leave them undefined.

    Example
    -------
    >>> correlate([-30, -20, -10, 0], [0.3, 0.2, 0.1, 0.0])["r"]
    -1.0
    """
    values = dict.fromkeys(("r", "ci_low", "ci_high", "p"))
    if len(energies) >= 4 and np.ptp(energies) and np.ptp(gains):
        found = stats.pearsonr(energies, gains)
        ends = found.confidence_interval()
        numbers = (found.statistic, ends.low, ends.high, found.pvalue)
        values = {
            name: round(float(number), 6)
            for name, number in zip(values, numbers, strict=True)
        }
    return {**values, "n": len(energies)}
