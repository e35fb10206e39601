"""Which systems a table prints in bold."""

import itertools

import numpy as np
import pytest
from scipy.stats import ttest_rel

from speechbrain_ext.evaluation.enhancement_scores import EnhancementScores
from speechbrain_ext.evaluation.significance import as_good_as_best
from speechbrain_ext.evaluation.trial_scores import TrialScores
from speechbrain_ext.evaluation.word_errors import WordErrors

IDS = [f"u{n}" for n in range(20)]


def scores(name, values):
    return EnhancementScores(name, IDS, [0.0] * 20, {"pesq": list(values)})


def words(name, errors):
    about = "torch", "test", "noise", 0.0, 0
    return WordErrors(name, IDS, list(errors), [10] * 20, *about)


def test_bold_is_what_a_paired_t_test_does_not_tell_from_the_best():
    """Worked out by SciPy beside it, for gaps around its 5 %."""
    generator = np.random.default_rng(0)
    best = 3 + generator.normal(size=20)
    noise = generator.normal(size=20)
    noise -= noise.mean()
    for gap in np.linspace(0.1, 1.0, 19):
        other = best - gap + noise
        told = ttest_rel(best, other).pvalue < 0.05
        found = as_good_as_best([scores("b", other), scores("a", best)], "pesq")
        assert found == ({"a"} if told else {"a", "b"})


def test_a_paired_test_sees_what_an_unpaired_one_does_not():
    best = np.linspace(1, 4, 20)
    lower = best - 0.05 + 0.01 * (-1.0) ** np.arange(20)
    assert as_good_as_best([scores("a", best), scores("b", lower)], "pesq") == {
        "a"
    }


def test_of_word_errors_less_is_better_and_utterances_are_compared():
    few = [1] * 20
    some = [1] * 19 + [2]
    many = [3, 4] * 10
    found = as_good_as_best(
        [words("many", many), words("some", some), words("few", few)], "wer"
    )
    assert found == {"few", "some"}


def test_a_constant_difference_is_one():
    systems = [scores("a", [2.0] * 20), scores("b", [1.5] * 20)]
    assert as_good_as_best(systems, "pesq") == {"a"}
    systems[1] = scores("b", [2.0] * 20)
    assert as_good_as_best(systems, "pesq") == {"a", "b"}


def test_equal_error_rates_are_told_apart_by_the_bootstrap():
    names = list(itertools.product(range(6), range(5)))
    trials = [
        (int(one[0] == other[0]), f"{one}", f"{other}")
        for one, other in itertools.combinations(names, 2)
    ]
    labels = np.array([label for label, *_ in trials])
    generator = np.random.default_rng(1)
    noise, other = generator.normal(size=(2, len(labels)))
    systems = [
        TrialScores(name, trials, values.tolist())
        for name, values in (
            ("best", 2 * labels + noise),
            ("same", 2 * labels + 0.995 * noise + 0.1 * other),
            ("worse", 1 * labels + noise),
        )
    ]
    assert as_good_as_best(systems, "eer") == {"best", "same"}


@pytest.mark.parametrize("systems", [[], [scores("a", [float("nan")] * 20)]])
def test_without_a_number_nothing_is_bold(systems):
    assert as_good_as_best(systems, "pesq") == set()


def test_clips_without_a_score_leave_their_pairs_out():
    values = np.linspace(1, 3, 20)
    values[3] = float("nan")
    systems = [scores("a", values), scores("b", values - 0.5)]
    assert as_good_as_best(systems, "pesq") == {"a"}
