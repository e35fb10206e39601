"""Claims decided by results made by hand, and the paper's tables."""

import dataclasses
import json

import pytest

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import dissen2024 as paper
from speechbrain_ext.evaluation.claims import (
    HELD,
    NOT_HELD,
    NOT_MEASURED,
    UNDECIDED,
    Claim,
    Comparison,
    claims_report,
    joint_verdict,
    measure,
    pool_levels,
    verdict,
)
from speechbrain_ext.evaluation.results import BARE, result_row
from speechbrain_ext.evaluation.word_errors import (
    WordErrors,
    read_word_errors,
    write_word_errors,
)
from speechbrain_ext.metrics.bootstrap import Estimate

UTTERANCES = 30
WORDS = [10] * UTTERANCES


def row(system, errors, level=0.4, test_set="english"):
    """A system's errors: the same number in each utterance, or a list."""
    if isinstance(errors, int):
        errors = [errors] * UTTERANCES
    ids = [f"u{number}" for number in range(len(errors))]
    words = WORDS[: len(errors)]
    return WordErrors(
        system, ids, errors, words, "torch", test_set, "spans", level, 0
    )


#: As many errors in sum as WORSE, but not in the same utterances.
MIXED = [0, 4] * (UTTERANCES // 2)


@pytest.mark.parametrize(
    ("estimate", "margin", "expected"),
    [
        ((-0.1, -0.2, -0.01), 0, HELD),
        ((-0.1, -0.2, 0.0), 0, UNDECIDED),
        ((0.1, 0.01, 0.2), 0, NOT_HELD),
        ((0.0, 0.0, 0.0), 0, UNDECIDED),
        ((0.0, 0.0, 0.0), 0.016, HELD),
        ((0.01, -0.01, 0.02), 0.016, UNDECIDED),
        ((0.03, 0.02, 0.04), 0.016, NOT_HELD),
    ],
)
def test_the_interval_decides(estimate, margin, expected):
    assert verdict(Estimate(*estimate), margin) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([HELD, HELD], HELD),
        ([HELD, UNDECIDED], UNDECIDED),
        ([UNDECIDED, NOT_HELD, NOT_MEASURED], NOT_HELD),
        ([HELD, NOT_MEASURED], NOT_MEASURED),
        ([], NOT_MEASURED),
    ],
)
def test_a_claim_holds_where_all_of_it_does(verdicts, expected):
    assert joint_verdict(verdicts) == expected


def test_a_difference_is_the_system_less_the_baseline():
    results = {"english": [row("CE", 1), row("L1", 3)]}
    found = measure(Comparison("english", "CE", "L1"), results)
    assert found.difference == pytest.approx((-0.2, -0.2, -0.2))
    assert (found.system.value, found.baseline.value) == (0.1, 0.3)


def test_errors_of_levels_are_summed():
    rows = [row("CE", 1, 0.2), row("CE", 3, 0.4), row("CE", 9, 0.6)]
    assert pool_levels(rows, (0.2, 0.4)).errors == [4] * UTTERANCES
    assert pool_levels(rows, (0.2, 0.4)).wer == pytest.approx(0.2)
    assert pool_levels(rows).wer == pytest.approx(13 / 30)
    assert pool_levels(rows, (0.2, 0.3)) is None
    assert pool_levels([]) is None


def test_utterances_that_have_a_level_each_are_put_together():
    """As of noisy speech, where each has one SNR."""
    high = dataclasses.replace(row("mask", [3], 10.0), ids=["v0"])
    pooled = pool_levels([row("mask", [1, 0], 5.0), high])
    assert pooled.ids == ["u0", "u1", "v0"]
    assert (pooled.errors, pooled.words) == ([1, 0, 3], [10, 10, 10])


def test_other_utterances_do_not_compare():
    other = row("bare", [1] * 3)
    with pytest.raises(UserError, match=r"CE and bare.*utterances"):
        row("CE", 1).compare(other)


def test_the_report_says_what_was_found():
    results = {
        "english": [row("CE", 1), row("L1", 3), row("both", MIXED)],
        "traces": [row("CE", 5, 0.27), row("bare", 2, 0.27)],
    }
    claims = [
        Claim("One.", "Figure 2", (Comparison("english", "CE", "L1", (0.4,)),)),
        Claim("Two.", "Table 1", (Comparison("traces", "CE", "bare"),)),
        Claim(
            "Three.",
            "Table 2",
            (
                Comparison("english", "CE", "L1"),
                Comparison("english", "both", "CE", None, 0.1),
            ),
        ),
        Claim("Four.", "nowhere", (Comparison("english", "CE", "none"),)),
    ]
    text = claims_report(claims, results, "A note.")
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert [line[1:] for line in cells if line[0] in "1234" and line[0]] == [
        ["One.", f"*{HELD}*"],
        ["Two.", f"*{NOT_HELD}*"],
        ["Three.", f"*{UNDECIDED}*"],
        ["Four.", f"*{NOT_MEASURED}*"],
    ]
    assert [
        "CE against L1, english, 40 %",
        "10.0 / 30.0",
        "-20.0 [-20.0, -20.0]",
        "0",
        HELD,
    ] in cells
    both = next(line for line in cells if line[0].startswith("both"))
    assert both[3:] == ["+10.0", UNDECIDED]
    assert "A note." in text and "paired bootstrap" in text


# --- errors.json


def test_word_errors_survive_their_file(tmp_path):
    rows = [row("bare", 2), row("CE", MIXED)]
    write_word_errors(tmp_path / "errors.json", rows)
    assert read_word_errors(tmp_path / "errors.json") == rows


@pytest.mark.parametrize("text", ["", "[1]", '[{"system": "bare"}]'])
def test_a_file_of_something_else_is_named(tmp_path, text):
    file = tmp_path / "errors.json"
    file.write_text(text)
    with pytest.raises(UserError, match="errors.json"):
        read_word_errors(file)


# --- The paper


def wer(system, level, value, test_set="english"):
    estimate = value, value - 0.01, value + 0.01
    return result_row(
        system, "torch", test_set, "spans", level, "wer", estimate, 30, 0
    )


def test_tables_show_the_paper_s_numbers_beside_ours():
    results = {
        paper.TRACES_SMALL: [wer(BARE, 0.27, 0.5), wer("repeat", 0.27, 0.4)],
        paper.LARGE: [wer(paper.FINE_TUNED, 0.2, 0.123)],
        "es": [wer(BARE, 0.2, 0.3), wer(paper.OURS, 0.2, 0.25)],
        "prompts-it": [wer(BARE, 0.2, 0.7)],
    }
    lines = paper.tables(results, ["es", "prompts-it"]).splitlines()
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert [BARE, "50.0 [49.0, 51.0] (24.0)", "- (15.4)"] in rows
    assert ["repeat", "40.0 [39.0, 41.0]", "-"] in rows
    assert [
        "20 % loss",
        BARE,
        "30.0 [29.0, 31.0] (24.7)",
        "70.0 [69.0, 71.0]",
    ] in rows
    assert [
        "20 % loss",
        paper.OURS,
        "25.0 [24.0, 26.0] (13.2)",
        "-",
    ] in rows
    fine_tuned = [paper.FINE_TUNED, "- (24.9)", "12.3 [11.3, 13.3] (27.1)"]
    assert any(line[1:4] == fine_tuned for line in rows)


def test_what_the_paper_prints_is_whole():
    assert {len(rates) for rates in paper.TABLE_2.values()} == {8}
    # "Improves results for all loss rates in all languages" but at 0 %.
    for rates in paper.TABLE_2.values():
        for rate, (whisper, ours) in rates.items():
            assert (ours < whisper) == (rate > 0)
    # Table 3's Spanish is Table 2's.
    for place, system in enumerate((BARE, paper.OURS)):
        assert paper.TABLE_3[paper.SPANISH][system] == tuple(
            paper.TABLE_2["es"][rate][place] for rate in paper.TABLE_3_RATES
        )


def test_every_claim_of_the_paper_can_be_decided():
    """A world as the paper has it: all claims hold; zero fill wins: some do."""
    rates = (0.0, 0.2, 0.4)

    def world(ranks):
        results = {}
        evaluations = {
            paper.SMALL: rates,
            paper.LARGE: rates,
            paper.TRACES_SMALL: (0.27,),
            paper.TRACES_LARGE: (0.27,),
            paper.OTHER_ENGLISH: rates,
            **dict.fromkeys(paper.LANGUAGES, rates),
        }
        for name, levels in evaluations.items():
            results[name] = [
                row(system, ranks(name, system, level), level, name)
                for system in (
                    BARE,
                    paper.L1,
                    paper.CE,
                    paper.OURS,
                    paper.BTA,
                    paper.BTA_CE,
                    paper.CONCEALER,
                    paper.FINE_TUNED,
                )
                for level in levels
            ]
        return results

    def as_published(name, system, level):
        if system == paper.FINE_TUNED:
            return 9
        if level == 0:
            return 1
        order = {
            paper.OURS: 2,
            paper.BTA: 1,
            paper.BTA_CE: 3,
            paper.CE: 3,
            paper.L1: 4,
            paper.CONCEALER: 5,
            BARE: 4 if name == paper.TRACES_LARGE else 7,
        }
        return order[system]

    names = (paper.SMALL, paper.LARGE, *paper.LANGUAGES)
    claims = paper.claims(dict.fromkeys(names, rates))
    text = claims_report(claims, world(as_published))
    assert text.count(f"| *{HELD}* ") == len(claims)
    equal = claims_report(claims, world(lambda *_: 3))
    assert f"| *{NOT_HELD}* " not in equal
    assert f"| *{UNDECIDED}* " in equal


def test_a_reproduction_is_written_from_evaluations(tmp_path):
    folder = tmp_path / "evaluations" / paper.SMALL
    write_word_errors(
        folder / "errors.json", [row(BARE, 4), row(paper.OURS, 2)]
    )
    rows = [wer(BARE, 0.4, 0.4), wer(paper.OURS, 0.4, 0.2)]
    (folder / "results.json").write_text(json.dumps(rows))
    files = paper.write_reproduction(
        tmp_path, {paper.SMALL: folder}, "What stands for what."
    )
    assert [file.name for file in files] == [
        "figure2.png",
        "tables.md",
        "claims.md",
    ]
    text = files[2].read_text()
    assert "What stands for what." in text
    assert "-20.0 [-20.0, -20.0]" in text
