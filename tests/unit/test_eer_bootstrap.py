"""Equal error rates and their bootstrap: by hand, and beside scikit-learn."""

import itertools
import math

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.trial_scores import (
    TrialScores,
    read_trial_scores,
    write_trial_scores,
)
from speechbrain_ext.metrics.eer_bootstrap import compare_eer, eer_interval


def trials_of(speakers, utterances):
    """Every pair of the utterances of some speakers."""
    names = list(itertools.product(range(speakers), range(utterances)))
    return [
        (int(one[0] == other[0]), f"{one}", f"{other}")
        for one, other in itertools.combinations(names, 2)
    ]


def scores_of(trials, distance, generator, decimals=9):
    labels = np.array([label for label, *_ in trials])
    scores = distance * labels + generator.normal(size=len(labels))
    return np.round(scores, decimals).tolist()


@pytest.mark.parametrize(
    ("same", "different", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 0.0),
        ([0.1, 0.2], [0.9, 0.8], 1.0),
        # One of each on the wrong side of 0.5: a half of either.
        ([0.9, 0.3], [0.7, 0.1], 0.5),
        # A miss of four and a false alarm of four.
        ([9, 8, 7, 3], [6, 2, 1, 0], 0.25),
        # All scores are equal: chance.
        ([1, 1], [1, 1], 0.5),
    ],
)
def test_rates_by_hand(same, different, expected):
    trials = [
        (label, f"{label}{place}", f"other {label}{place}")
        for label, part in ((1, same), (0, different))
        for place in range(len(part))
    ]
    found = eer_interval([*same, *different], trials, resamples=10)
    assert found.value == pytest.approx(expected)


@pytest.mark.parametrize("decimals", [9, 1])
def test_the_rate_is_where_the_roc_curve_meets_the_diagonal(decimals):
    """As S3PRL computes it; scores that are equal as well."""
    generator = np.random.default_rng(1)
    trials = trials_of(5, 6)
    scores = scores_of(trials, 1.0, generator, decimals)
    false, true, _ = roc_curve([label for label, *_ in trials], scores)
    curve = interp1d(false, true)
    expected = brentq(lambda x: 1 - x - curve(x), 0, 1)
    found = eer_interval(scores, trials, resamples=0)
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert math.isnan(found.low) and math.isnan(found.high)


def test_a_resample_is_the_rate_of_trials_that_are_repeated():
    """The interval's ends, from lists in which trials stand several times."""
    trials = trials_of(3, 4)
    scores = scores_of(trials, 1.0, np.random.default_rng(2))
    names = sorted({name for _, *pair in trials for name in pair})
    drawn = np.random.default_rng(5)
    rates = []
    for counts in drawn.multinomial(12, np.full(12, 1 / 12), size=37):
        often = dict(zip(names, counts, strict=True))
        repeated = [
            (score, (label, f"{place} enrol {i}", f"{place} test {i}"))
            for place, (score, (label, *pair)) in enumerate(
                zip(scores, trials, strict=True)
            )
            for i in range(often[pair[0]] * often[pair[1]])
        ]
        if len({trial[0] for _, trial in repeated}) == 2:
            again = eer_interval(*zip(*repeated, strict=True), resamples=0)
            rates.append(again.value)
    found = eer_interval(scores, trials, seed=5, resamples=37)
    low, high = np.quantile(rates, [0.025, 0.975], method="inverted_cdf")
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_comparison_is_paired():
    generator = np.random.default_rng(3)
    trials = trials_of(6, 6)
    noisy = np.array(scores_of(trials, 1.0, generator))
    labels = np.array([label for label, *_ in trials])
    better = (noisy + 0.5 * labels).tolist()
    compared = compare_eer(noisy.tolist(), better, trials, resamples=200)
    assert compared.difference.high < 0 < compared.relative_reduction.low
    alone = eer_interval(better, trials, resamples=200)
    assert compared.system == alone
    same = compare_eer(better, better, trials, resamples=50)
    assert same.difference == (0, 0, 0)


def test_trials_of_one_label_have_no_rate():
    with pytest.raises(ValueError, match="of one speaker and of two"):
        eer_interval([0.1, 0.2], [(1, "a", "b"), (1, "a", "c")])


def test_trial_scores_come_back_and_compare(tmp_path):
    trials = trials_of(3, 3)
    one, other = (
        TrialScores(
            name,
            trials,
            scores_of(trials, far, np.random.default_rng(4)),
            test_set="mini",
        )
        for name, far in (("SNR", 1.0), ("SSL-MSE", 9.0))
    )
    write_trial_scores(tmp_path / "trials.json", [one, other])
    back = read_trial_scores(tmp_path / "trials.json")
    # JSON has no tuples.
    assert back[1].eer == other.eer == (0, 0, 0)
    assert back[1].compare(one).difference.value == -one.eer.value
    row = back[0].row()
    assert (row["metric"], row["n"], row["level"]) == ("eer", 36, None)
    assert row["value"] == pytest.approx(one.eer.value)
    fewer = TrialScores("SNR", trials[:-1], one.scores[:-1])
    with pytest.raises(UserError, match="SSL-MSE and SNR: scored on other"):
        other.compare(fewer)
