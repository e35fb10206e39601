"""Word error rates against values counted by hand, intervals against SciPy."""

import json
import logging
import math
import pickle

import numpy as np
import pytest
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from scipy import stats

from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics.bootstrap import (
    bootstrap_interval,
    paired_bootstrap,
)
from speechbrain_ext.metrics.wer import (
    TextNormaliser,
    WordErrorRate,
    normalise_text,
)


def levenshtein(reference, hypothesis):
    """Fewest word edits, by the textbook's recursion over a table."""
    row = list(range(len(hypothesis) + 1))
    for i, said in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, heard in enumerate(hypothesis, start=1):
            best = min(diagonal + (said != heard), row[j] + 1, row[j - 1] + 1)
            diagonal, row[j] = row[j], best
    return row[-1]


# ---- normalisation ---------------------------------------------------------


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Hello, World!", "hello world"),
        ("  don't   you'll ", "do not you will"),
        ("Dr. Jones met Mrs. Lee", "doctor jones met missus lee"),
        ("twenty one thousand and five", "21005"),
        ("[noise] um, yes (laughs) hmm", "yes"),
        ("Café", "cafe"),
        ("uh, [cough]", ""),
        ("", ""),
    ],
)
def test_english_as_whisper_normalises_it(text, expected):
    assert normalise_text(text) == expected
    assert normalise_text(text, language=None) == expected


def test_other_languages_keep_their_letters():
    assert normalise_text("Où est-il, Énée ?", "fr") == "où est il énée"
    assert normalise_text("你好。", "zh") == "你 好"


def test_spellings_come_from_the_model_s_folder(tmp_path):
    assert TextNormaliser("en", tmp_path)("The colour") == "the colour"
    file = tmp_path / "normalizer.json"
    file.write_text(json.dumps({"colour": "color"}))
    normalise = TextNormaliser("en", tmp_path)
    assert normalise("The colour") == "the color"
    assert pickle.loads(pickle.dumps(normalise))("Colour!") == "color"


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_broken_spellings_are_named(tmp_path, content):
    file = tmp_path / "normalizer.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="normalizer.json"):
        TextNormaliser("en", tmp_path)


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["en", "de", "zh"]))
def test_any_text_normalises_to_words(text, language):
    words = normalise_text(text, language)
    assert words == " ".join(words.split())


# ---- errors ----------------------------------------------------------------


@pytest.mark.parametrize(
    "reference, hypothesis, errors, words",
    [
        ("the cat sat on the mat", "the cat sat on the mat", 0, 6),
        ("the cat sat", "a cat sat", 1, 3),
        ("the cat sat", "cat sat", 1, 3),
        ("the cat sat", "the black cat sat", 1, 3),
        ("the cat sat", "", 3, 3),
        ("go", "no no no no", 4, 1),
        ("It's Dr. Who!", "it is doctor who", 0, 4),
        ("the cat sat on the mat", "cat sit on on mat", 3, 6),
    ],
)
def test_errors_counted_by_hand(reference, hypothesis, errors, words):
    wer = WordErrorRate()
    wer.append(["a"], [hypothesis], [reference])
    assert (wer.errors, wer.words) == ([errors], [words])
    assert wer.summarize() == errors / words


vocabulary = st.lists(st.sampled_from("abcd"), max_size=8)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(vocabulary, vocabulary), min_size=1, max_size=5))
def test_errors_are_the_edit_distance(pairs):
    pairs = [(["x", *said], heard) for said, heard in pairs]
    wer = WordErrorRate(normalise=str)
    wer.append(
        [str(number) for number in range(len(pairs))],
        [" ".join(heard) for _, heard in pairs],
        [" ".join(said) for said, _ in pairs],
    )
    assert wer.errors == [levenshtein(said, heard) for said, heard in pairs]
    assert wer.words == [len(said) for said, _ in pairs]


def test_the_rate_weighs_words_not_utterances():
    wer = WordErrorRate()
    wer.append(["a"], ["yes"], ["no"])
    wer.append(["b"], ["the cat sat here"], ["the cat sat here"])
    assert wer.summarize() == 1 / 5
    wer.clear()
    wer.append(["c"], ["the"], ["the"])
    assert (wer.ids, wer.summarize()) == (["c"], 0)


def test_a_reference_without_words_does_not_count(caplog):
    wer = WordErrorRate()
    with caplog.at_level(logging.WARNING):
        wer.append(["silent", "b"], ["hello", "yes"], ["[noise] um", "no"])
    assert (wer.ids, wer.errors, wer.words) == (["b"], [1], [1])
    assert "silent" in caplog.text and "[noise] um" in caplog.text


def test_no_words_at_all_is_the_user_s_error():
    wer = WordErrorRate()
    wer.append(["a"], ["hello"], ["um"])
    with pytest.raises(UserError, match="no reference has a word"):
        wer.summarize()


def test_batches_of_unequal_length_are_a_bug():
    with pytest.raises(ValueError):
        WordErrorRate().append(["a", "b"], ["x"], ["x"])


# ---- intervals -------------------------------------------------------------


@pytest.fixture
def errors():
    generator = np.random.default_rng(3)
    words = generator.integers(5, 30, 60)
    baseline = generator.binomial(words, 0.5)
    system = generator.binomial(words, 0.3)
    return baseline, system, words


def test_intervals_agree_with_scipy(errors):
    def rate(errors, words, axis):
        return errors.sum(axis) / words.sum(axis)

    def reduction(baseline, system, words, axis):
        return 1 - system.sum(axis) / baseline.sum(axis)

    def interval(data, statistic):
        return stats.bootstrap(
            data,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=20000,
            method="percentile",
            rng=np.random.default_rng(1),
        ).confidence_interval

    baseline, system, words = errors
    compared = paired_bootstrap(*errors, resamples=20000)
    for ours, theirs in (
        (compared.baseline, interval((baseline, words), rate)),
        (compared.system, interval((system, words), rate)),
        (compared.difference, interval((system - baseline, words), rate)),
        (compared.relative_reduction, interval(errors, reduction)),
    ):
        width = theirs.high - theirs.low
        assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
        assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)
        assert ours.low < ours.value < ours.high


def test_values_by_hand():
    compared = paired_bootstrap([4, 2, 0], [2, 1, 0], [8, 4, 8])
    assert compared.baseline.value == 0.3
    assert compared.system.value == 0.15
    assert compared.difference.value == -0.15
    assert compared.relative_reduction.value == 0.5


def test_two_utterances_by_hand():
    # Three resamples: both of the first (1/4), one each (1/2), both of the
    # second (1/4): rates 0, 1/2 and 1, so these are the 25 and 75 % quantiles'
    # neighbours.
    wide = bootstrap_interval([0, 2], [2, 2], confidence=0.9)
    assert wide == (0.5, 0.0, 1.0)
    narrow = bootstrap_interval([0, 2], [2, 2], confidence=0.3)
    assert narrow == (0.5, 0.5, 0.5)


def test_pairing_removes_what_utterances_share(errors):
    baseline, _, words = errors
    compared = paired_bootstrap(baseline, baseline, words)
    assert compared.difference == (0, 0, 0)
    assert compared.relative_reduction == (0, 0, 0)
    assert compared.baseline.low < compared.baseline.high


def test_the_seed_decides_and_one_interval_is_the_pair_s(errors):
    baseline, system, words = errors
    compared = paired_bootstrap(*errors, seed=5)
    assert compared == paired_bootstrap(*errors, seed=5)
    assert compared != paired_bootstrap(*errors, seed=6)
    assert compared.system == bootstrap_interval(system, words, seed=5)


def test_resamples_are_drawn_in_parts_of_any_number(errors):
    for resamples in (1, 499, 501):
        assert paired_bootstrap(*errors, resamples=resamples).baseline.low > 0


@pytest.mark.filterwarnings("error")
def test_systems_without_errors():
    perfect = paired_bootstrap([0, 0, 0], [0, 0, 0], [3, 3, 3])
    assert perfect.relative_reduction == (0, 0, 0)
    worse = paired_bootstrap([0, 0], [1, 1], [3, 3]).relative_reduction
    assert worse == (-math.inf, -math.inf, -math.inf)
    better = paired_bootstrap([0, 0, 1], [0, 0, 0], [3, 3, 3])
    assert better.relative_reduction == (1, 0, 1)


def test_one_utterance_has_an_interval_without_width():
    assert bootstrap_interval([1], [4]) == (0.25, 0.25, 0.25)
