"""Precision of phones, their energy, and the tool that correlates both."""

import importlib.util
import json
import math
import sys

import numpy as np
import pytest
import soundfile

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.phone_energies import (
    divide_equally,
    energies_of,
    frame_energies,
    label_frames,
    mean_energies,
    read_ctm,
)
from speechbrain_ext.evaluation.phoneme_report import count_phones, read_texts
from speechbrain_ext.evaluation.phonemes import (
    PhoneCounts,
    correlate,
    precision_gains,
)
from speechbrain_ext.evaluation.transcripts import Transcripts

LEXICON = {
    "average": "AE V R IH JH".split(),
    "the": "DH AH".split(),
    "rate": "R EY T".split(),
    "disaster": "D IH Z AE S T ER".split(),
    "trade": "T R EY D".split(),
}


def count(*pairs):
    """Count the phones of (said, recognised)."""
    counts = PhoneCounts()
    for pair in pairs:
        counts.append(*pair, LEXICON.get)
    return counts


# ---- precision ---------------------------------------------------------------


def test_precision_by_hand():
    """The paper's own example, section IV."""
    counts = count(("the average rate", "disaster trade"))
    # DH AH AE V R IH JH R EY T
    # D IH Z AE S T ER T R EY D: fewest edits keep AE, R, EY and no T.
    assert counts.predicted.total() == 11
    precision = {phone: counts.precision(phone) for phone in counts.predicted}
    assert precision == {
        **dict.fromkeys(("D", "IH", "Z", "S", "T", "ER"), 0.0),
        **dict.fromkeys(("AE", "R", "EY"), 1.0),
    }
    assert math.isnan(counts.precision("V"))


def test_precision_counts_insertions_and_forgets_deletions():
    counts = count(("rate", "rate rate"), ("rate trade", "rate"))
    assert (counts.predicted["R"], counts.correct["R"]) == (3, 2)
    assert (counts.predicted["D"], counts.correct["D"]) == (0, 0)


def test_empty_texts_count():
    counts = count(("rate", ""), ("", "rate"))
    assert counts.precision("R") == 0


def test_unknown_words_are_reported_and_not_guessed():
    counts = count(("the Xyzzy, rate", "the xyzzy rate"), ("rate", "fnord"))
    assert counts.unknown == {"xyzzy": 2, "fnord": 1}
    assert set(counts.predicted) == {"DH", "AH", "R", "EY", "T"}
    # The word in the middle is aligned with itself: all else is right.
    assert all(counts.precision(phone) == 1 for phone in counts.predicted)


# ---- energy ------------------------------------------------------------------


def test_energies_are_relative_to_the_utterance():
    wav = np.ones(SAMPLE_RATE)
    wav[8000:] = 0.1
    energies = frame_energies(wav)
    assert len(energies) == 98
    mean = 10 * np.log10((1 + 0.01) / 2)
    assert energies[[0, 40]] == pytest.approx([-mean] * 2)
    assert energies[-1] == pytest.approx(-20 - mean)
    assert frame_energies(0.01 * wav) == pytest.approx(energies)
    assert len(frame_energies(np.zeros(800))) == 0
    assert len(frame_energies(np.ones(399))) == 0


def test_equal_division_leaves_silence_out():
    energies = np.array([-50.0, -1, 0, -2, -41, -3, -39.5, -60])
    labels = divide_equally(energies, ["A", "B"])
    assert labels == [None, "A", "A", "A", None, "B", "B", None]
    # More phones than frames: the last ones get none.
    assert divide_equally(np.zeros(2), ["A", "B", "C"]) == ["A", "B"]
    assert divide_equally(np.zeros(0), ["A"]) == []
    assert divide_equally(np.zeros(2), []) == [None, None]


def test_an_alignment_labels_the_middles_of_frames():
    # Frames' middles are at 12.5, 22.5, 32.5 ms and so on.
    segments = [("A", 0.0, 0.0225), ("B", 0.0225, 0.0326), ("C", 0.05, 9.0)]
    assert label_frames(segments, 6) == ["A", "B", "B", None, "C", "C"]


def test_means_are_over_frames():
    found = mean_energies(
        [([-10.0, -20, 3], ["A", "B", None]), ([-40.0, -22], ["A", "B"])]
    )
    assert found == {"A": -25, "B": -21}


def test_ctm_is_read_and_its_errors_are_named(tmp_path):
    file = tmp_path / "phones.ctm"
    file.write_text(
        "u1 1 0.00 0.10 SIL\nu1 1 0.10 0.05 AH1_B\n\nu2 A 1 2 S_S\n"
    )
    found = read_ctm(file)
    assert found["u1"] == [("SIL", 0.0, 0.1), ("AH", 0.1, pytest.approx(0.15))]
    assert found["u2"] == [("S", 1.0, 3.0)]
    file.write_text("u1 1 0.00 0.10 SIL\nu1 1 0.10 long AH\n")
    with pytest.raises(UserError, match="phones.ctm: line 2: expected"):
        read_ctm(file)
    with pytest.raises(UserError, match="none.ctm: not readable"):
        read_ctm(tmp_path / "none.ctm")


def write_speech(folder, name="a"):
    """An utterance whose first half is 20 dB louder; a row of a manifest."""
    wav = np.random.default_rng(0).choice([-0.1, 0.1], SAMPLE_RATE)
    wav[8000:] /= 10
    file = folder / f"{name}.wav"
    soundfile.write(file, wav, SAMPLE_RATE, subtype="FLOAT")
    return {
        "ID": name,
        "duration": 1.0,
        "wav": str(file),
        "spk_id": "s",
        "wrd": "the",
    }


def test_energies_of_a_manifest(tmp_path):
    row = write_speech(tmp_path)
    unknown = {**row, "wrd": "the xyzzy"}
    energies, n = energies_of([row, unknown], LEXICON.get, progressbar=False)
    assert n == 1
    assert energies["DH"] - energies["AH"] == pytest.approx(20, abs=0.5)
    # What the manifest says goes before what the lexicon does.
    energies, _ = energies_of(
        [{**unknown, "phn": "S Z"}], LEXICON.get, progressbar=False
    )
    assert set(energies) == {"S", "Z"}
    segments = {"a": [("B", 0.7, 0.8), ("P", 0.1, 0.2)]}
    energies, _ = energies_of([row], LEXICON.get, segments, progressbar=False)
    assert energies["P"] - energies["B"] == pytest.approx(20, abs=0.1)


# ---- correlation -------------------------------------------------------------


def test_gains_and_correlations():
    energies = {"S": -30.0, "F": -25.0, "R": -10.0, "L": -5.0, "AH": 0.0}
    baseline, system = PhoneCounts(), PhoneCounts()
    correct = {"S": 8, "F": 7, "R": 6, "L": 5, "AH": 9, "T": 3}
    for phone, n in correct.items():
        baseline.predicted[phone] = system.predicted[phone] = 10
        baseline.correct[phone], system.correct[phone] = 5, n
    baseline.predicted["Z"] = 10
    system.predicted["Z"] = 9
    found = precision_gains(baseline, system, energies, min_count=10)
    assert found["phones"]["S"] == pytest.approx(
        {"energy": -30.0, "baseline": 0.5, "system": 0.8, "gain": 0.3}
    )
    # T has no energy and Z is too rare.
    assert found["left_out"] == ["T", "Z"]
    names = ["AH", "F", "L", "R", "S"]
    gains = [correct[name] / 10 - 0.5 for name in names]
    expected = np.corrcoef([energies[name] for name in names], gains)[0, 1]
    assert found["all"]["r"] == pytest.approx(expected, abs=1e-5)
    assert found["all"]["n"] == 5
    assert found["consonants"]["n"] == 4
    assert found["consonants"]["r"] < -0.95
    with pytest.raises(UserError, match="phonemes: none"):
        precision_gains(baseline, system, energies, min_count=11)


def test_a_correlation_that_is_undefined_is_none():
    few = correlate([1.0, 2.0, 3.0], [1.0, 2.0, 3.5])
    assert few == {
        "r": None,
        "ci_low": None,
        "ci_high": None,
        "p": None,
        "n": 3,
    }
    assert correlate([1.0, 2, 3, 4], [0.0, 0, 0, 0])["r"] is None
    some = correlate([1.0, 2, 3, 4, 5, 6], [6.0, 4, 5, 3, 1, 2])
    assert some["r"] == pytest.approx(-31 / 35, abs=1e-5)
    assert -1 < some["ci_low"] < some["r"] < some["ci_high"] < 0 < some["p"]


# ---- transcripts and the tool ------------------------------------------------


def test_texts_are_those_of_the_wanted_condition(tmp_path):
    file = tmp_path / "transcripts.jsonl"
    transcripts = Transcripts(file)
    for place, (name, corruption, level, seed) in enumerate(
        [
            ("l1", "noise", 2.5, 0),
            ("l1", "noise", 7.5, 0),
            ("l1", "hum", 2.5, 0),
            ("mask", "noise", 2.5, 0),
            ("l1", "noise", 2.5, 0),
        ]
    ):
        transcripts.add(
            f"k{place}",
            {"a": f"text {place}"},
            system=name,
            corruption=corruption,
            level=level,
            seed=seed,
        )
    with open(file, "a") as lines:
        lines.write('{"key": "half, "sys\n')
    assert len(read_texts(file, "l1")) == 3
    found = read_texts(file, "l1", "noise", [2.5])
    assert found == {("noise", 2.5, 0): {"a": "text 4"}}
    with pytest.raises(UserError, match="no text of l2 .* l1, mask"):
        read_texts(file, "l2")
    with pytest.raises(UserError, match="none.jsonl: not readable"):
        read_texts(tmp_path / "none.jsonl", "l1")


def test_levels_are_utterances_own_where_an_evaluation_has_them(tmp_path):
    file = tmp_path / "transcripts.jsonl"
    texts = {"a": "at five", "b": "at ten", "c": "unknown"}
    Transcripts(file).add(
        "k", texts, system="l1", corruption="noise", level=None, seed=0
    )
    snrs = {"a": 5.0, "b": 10.0, "c": None}
    assert read_texts(file, "l1", snrs=snrs) == {("noise", None, 0): texts}
    found = read_texts(file, "l1", levels=[5], snrs=snrs)
    assert found == {("noise", None, 0): {"a": "at five"}}
    for missed in ({"levels": [7], "snrs": snrs}, {"levels": [5]}):
        with pytest.raises(UserError, match="no text of l1"):
            read_texts(file, "l1", **missed)


def test_an_utterance_without_a_reference_is_named():
    with pytest.raises(UserError, match="b: was recognised but"):
        count_phones({0: {"a": "the", "b": "the"}}, {"a": "the"}, LEXICON.get)


@pytest.fixture
def tool(repository, monkeypatch):
    """The program tools/phoneme_analysis.py as a module."""
    spec = importlib.util.spec_from_file_location(
        "phoneme_analysis", repository / "tools" / "phoneme_analysis.py"
    )
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def evaluation(tmp_path):
    """The tool's arguments for an evaluation of one utterance."""
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text(
        "".join(f"{word}  {' '.join(it)}\n" for word, it in LEXICON.items())
    )
    row = write_speech(tmp_path)
    write_manifest(tmp_path / "test.csv", [{**row, "wrd": "the rate"}])
    transcripts = Transcripts(tmp_path / "transcripts.jsonl")
    for name, text in (("l1", "the disaster rate"), ("mask", "the rate xyzzy")):
        transcripts.add(
            name,
            {"a": text},
            system=name,
            corruption="noise",
            level=5.0,
            seed=0,
        )
    return [
        str(tmp_path / "transcripts.jsonl"),
        *("--system", "mask", "--baseline", "l1", "--min-count", "1"),
        *("--manifest", str(tmp_path / "test.csv")),
        *("--lexicon", str(lexicon), "--out", str(tmp_path / "out")),
    ]


def test_tool_writes_the_figure(tool, evaluation, tmp_path, capsys):
    tool.main(evaluation)
    found = json.loads((tmp_path / "out" / "phonemes.json").read_text())
    assert found["alignment"] == "equal division"
    assert found["unknown_words"] == {"xyzzy": 1}
    assert found["energies_from"] == "1 of 1 utterances"
    gains = {name: one["gain"] for name, one in found["phones"].items()}
    assert gains == {"DH": 0, "AH": 0, "R": 0, "EY": 0, "T": 0.5}
    assert found["left_out"] == ["AE", "D", "ER", "IH", "S", "Z"]
    assert (tmp_path / "out" / "phonemes.png").stat().st_size > 10_000
    assert capsys.readouterr().out.startswith("all: r = ")


def test_tool_names_what_is_wrong(tool, evaluation, tmp_path):
    Transcripts(evaluation[0]).add(
        "k", {"a": ""}, system="mask", corruption="noise", level=9.0, seed=0
    )
    with pytest.raises(UserError, match="mask and l1 were evaluated under"):
        tool.main(evaluation)
    tool.main([*evaluation, "--levels", "5"])
