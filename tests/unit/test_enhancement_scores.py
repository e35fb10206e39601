"""From utterances' scores to rows, intervals and tables."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.enhancement_report import (
    TABLE_VII_BINS,
    result_rows,
    write_enhancement_report,
)
from speechbrain_ext.evaluation.enhancement_scores import (
    EnhancementScores,
    collect_scores,
    read_scores,
    snr_bins,
    write_scores,
)
from speechbrain_ext.evaluation.results import ROW_KEYS

N = 40


def system(name, shift=0.0, n=N):
    """Scores of a system at four SNRs, the third clip without an utterance."""
    rng = np.random.default_rng(0)
    snrs = [2.5, 7.5, 12.5, 17.5] * (n // 4)
    pesq = 1.5 + 0.1 * np.array(snrs) + rng.standard_normal(n)
    pesq += shift * (1 + 0.1 * np.random.default_rng(1).standard_normal(n))
    stoi = 0.8 + shift / 10 + 0.01 * rng.standard_normal(n)
    pesq[2] = math.nan
    return EnhancementScores(
        name,
        [f"u{place}" for place in range(n)],
        snrs,
        {"pesq": pesq.tolist(), "stoi": stoi.tolist()},
        test_set="mini",
        seed=3,
    )


def find(rows, metric, level=None):
    """The one row of a metric and level."""
    (row,) = [
        row for row in rows if (row["metric"], row["level"]) == (metric, level)
    ]
    return row


def test_rows_have_the_mean_and_scipys_interval():
    scores = system("mask")
    row = find(result_rows(scores), "pesq")
    values = np.array(scores.scores["pesq"])
    values = values[np.isfinite(values)]
    assert row["value"] == pytest.approx(values.mean())
    assert row["n"] == N - 1 and row["seed"] == 3
    assert tuple(row) == ROW_KEYS and row["level"] is None
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=0
    ).confidence_interval
    found = (row["ci_low"], row["ci_high"])
    assert found == pytest.approx(expected, abs=0.02)


def test_rows_break_down_by_snr():
    scores = system("mask")
    rows = result_rows(scores)
    levels = [row["level"] for row in rows if row["metric"] == "pesq"]
    assert levels == [None, 2.5, 7.5, 12.5, 17.5]
    at_7 = find(rows, "stoi", 7.5)
    assert at_7["value"] == pytest.approx(np.mean(scores.scores["stoi"][1::4]))
    assert at_7["n"] == N // 4
    whole = sum(find(rows, "stoi", level)["value"] for level in levels[1:])
    assert whole / 4 == pytest.approx(find(rows, "stoi")["value"])


def test_rows_break_down_as_table_vii():
    scores = EnhancementScores(
        "mask",
        list("abcdef"),
        [0.0, 2.5, 5.0, 7.5, 4.0, math.nan],
        {"pesq": [1.0, 2.0, 3.0, 4.0, 9.0, 9.0]},
    )
    rows = result_rows(scores, bins=TABLE_VII_BINS)
    values = [(row["level"], row["value"]) for row in rows]
    # Nothing was measured above 10 dB; 4 dB is in no range.
    assert values == [(None, pytest.approx(28 / 6)), (0, 1.5), (5, 3.5)]
    levels = [row["level"] for row in result_rows(scores)]
    assert levels == [None, 0, 2.5, 4, 5, 7.5]


def test_clips_without_a_score_are_counted():
    rows = result_rows(system("mask"))
    for level, n in ((None, N), (12.5, N // 4)):
        row = find(rows, "pesq_undefined", level)
        assert (row["value"], row["n"], row["ci_low"]) == (1, n, None)
        assert find(rows, "pesq", level)["n"] == n - 1
    assert "stoi_undefined" not in {row["metric"] for row in rows}
    undefined = [row for row in rows if row["metric"] == "pesq_undefined"]
    assert len(undefined) == 2


def test_no_score_at_all_is_no_number():
    scores = EnhancementScores("mask", ["a"], [5.0], {"pesq": [math.nan]})
    row = find(result_rows(scores, scores), "pesq")
    assert (row["value"], row["n"]) == (None, 0)
    assert find(result_rows(scores, scores), "pesq_gain")["value"] is None
    with pytest.raises(UserError, match="pesq: no clip"):
        scores.compare(scores, "pesq")


def test_differences_are_paired():
    noisy, mask = system("noisy"), system("mask", shift=0.3)
    rows = result_rows(mask, noisy)
    gain = find(rows, "pesq_gain")
    assert gain["value"] == pytest.approx(0.3, abs=0.02)
    assert gain["n"] == N - 1
    # Far narrower than the scores' own interval.
    own = find(rows, "pesq")
    assert gain["ci_high"] - gain["ci_low"] < 0.1
    assert own["ci_high"] - own["ci_low"] > 0.3
    compared = mask.compare(noisy, "pesq")
    assert gain["value"] == compared.difference.value
    assert compared.system.value == pytest.approx(own["value"])


def test_a_clip_counts_in_differences_when_both_have_a_score():
    ids, snrs = list("abc"), [0, 0, 0]
    noisy = EnhancementScores("n", ids, snrs, {"pesq": [1.0, math.nan, 3.0]})
    mask = EnhancementScores("m", ids, snrs, {"pesq": [math.nan, 2.0, 3.5]})
    assert mask.compare(noisy, "pesq").difference.value == 0.5
    assert find(result_rows(mask, noisy), "pesq_gain")["n"] == 1


def test_other_utterances_cannot_be_compared():
    with pytest.raises(UserError, match="mask and noisy: scored on other"):
        system("mask").compare(system("noisy", n=36), "pesq")


def test_what_score_pairs_found_is_collected():
    rows = [
        {"name": "a.wav", "pesq": 2.5, "stoi": 0.9, "no_utterance": False},
        {"name": "b.wav", "pesq": math.nan, "stoi": 0.1, "no_utterance": True},
    ]
    scores = collect_scores("mask", ["a", "b"], [0, 5], rows, corruption="hum")
    assert scores.scores["stoi"] == [0.9, 0.1]
    assert scores.undefined("pesq") == ["b"]
    assert scores.corruption == "hum"


def test_scores_survive_the_file(tmp_path):
    file = tmp_path / "scores.json"
    systems = [system("mask"), system("noisy")]
    write_scores(file, systems)
    json.loads(file.read_text(), parse_constant=pytest.fail)
    # As text, since NaN is not equal to itself.
    assert repr(read_scores(file)) == repr(systems)


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '[{"ids": []}]'])
def test_broken_scores_are_named(tmp_path, content):
    file = tmp_path / "scores.json"
    file.write_text(content)
    with pytest.raises(UserError, match="scores.json: not readable"):
        read_scores(file)


def test_report(tmp_path):
    systems = [system("noisy"), system("mask", shift=0.3)]
    rows = write_enhancement_report(
        tmp_path, systems, baseline="noisy", note="Made up."
    )
    assert json.loads((tmp_path / "results.json").read_text()) == rows
    assert "pesq_gain" not in {
        row["metric"] for row in rows if row["system"] == "noisy"
    }
    text = (tmp_path / "results.md").read_text()
    assert "| Without PESQ |" in text and "Made up." in text
    assert "mask: 1 of 40 clips have no PESQ: u2." in text
    gain = find([row for row in rows if row["system"] == "mask"], "pesq_gain")[
        "value"
    ]
    assert f"| mask | +{gain:.2f} [+0." in text
    assert "17.5 dB" in text
    write_enhancement_report(tmp_path, systems, bins=TABLE_VII_BINS)
    assert "15-18 dB" in (tmp_path / "results.md").read_text()


def test_a_baseline_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="baseline: no system bare"):
        write_enhancement_report(tmp_path, [system("mask")], baseline="bare")


@pytest.mark.parametrize(
    ("drawn", "names"),
    [
        (np.linspace(0, 10, 21), ["0-5 dB", "5-10 dB"]),
        (np.linspace(-3, 20, 47), ["-5 to 0 dB", "0-5 dB", "5-10 dB"]),
        (np.linspace(1, 4, 31), ["0-5 dB"]),
        ([5.001, 2.0], ["0-5 dB", "5-10 dB"]),
        ([0.0, 5.0, 10.0] * 9, ["0 dB", "5 dB", "10 dB"]),
    ],
)
def test_snrs_that_were_drawn_are_put_together(drawn, names, tmp_path):
    """Each utterance in one range, and every range named."""
    drawn = np.asarray(drawn)
    bins = snr_bins(drawn)
    scores = EnhancementScores(
        "mask",
        [f"u{place}" for place in range(len(drawn))],
        drawn.tolist(),
        {"pesq": drawn.tolist()},
    )
    kept = [scores.between(*edges).ids for edges in bins]
    assert sorted(sum(kept, [])) == sorted(scores.ids)
    write_enhancement_report(tmp_path, [scores], bins=bins)
    report = (tmp_path / "results.md").read_text()
    found = [line for line in report.splitlines() if " dB " in line]
    cells = [cell.strip() for cell in found[0].split("|")[2:-1]]
    assert cells[: len(names)] == names
