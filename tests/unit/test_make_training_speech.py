"""The pure parts of tools/make_training_speech.py: no synthesiser needed."""

import doctest
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from speechbrain_ext.errors import UserError

TOOL = Path(__file__).parents[2] / "tools" / "make_training_speech.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location(TOOL.stem, TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_docstring_examples(tool):
    result = doctest.testmod(tool)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize(
    "sentence",
    [
        "It took 12 days to get there.",
        "The WHOLE of it was hers alone.",
        "He paid the price of it in £ or so.",
        "Far too short.",
        "without a capital letter at its head.",
        "They ate, drank, etc. until it was late.",
        "There was no full stop at the end",
        " ".join(["Long"] * 36) + ".",
    ],
)
def test_unreadable_sentences_are_dropped(tool, sentence):
    assert tool.split_sentences(sentence) == []


def test_gutenberg_header_and_licence_are_dropped(tool):
    text = (
        "This header is not part of the book.\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\n"
        "The book itself is short indeed.\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***\n\n"
        "This licence is not part of it either.\n"
    )
    assert tool.split_sentences(text) == ["The book itself is short indeed."]


def test_excluded_text_is_never_read(tool):
    text = [
        "We saw the old grey mare run by.",
        "Nobody knew what had happened.",
    ]
    excluded = tool.word_runs("001|the OLD grey mare, run!|x")
    assert tool.deal_sentences([text], 1, 0, excluded) == [[text[1]]]


def test_hands_are_disjoint_and_depend_on_the_seed_alone(tool):
    texts = [
        [f"Text {t} line {i}." for i in range(50 * (t + 1))] for t in (0, 1)
    ]
    hands = tool.deal_sentences(texts, 4, seed=3)
    assert sorted(sum(hands, [])) == sorted(sum(texts, []))
    assert hands == tool.deal_sentences(texts, 4, seed=3)
    assert hands != tool.deal_sentences(texts, 4, seed=4)


def test_a_long_text_does_not_drown_a_short_one(tool):
    texts = [
        [f"Short {i}." for i in range(100)],
        [f"Long {i}." for i in range(10000)],
    ]
    (hand,) = tool.deal_sentences(texts, 1, seed=0)
    short = sum(sentence.startswith("Short") for sentence in hand[:220])
    # One in eleven by the square root; one in a hundred by size.
    assert 15 <= short <= 25


def test_joined_sentences_keep_every_word_and_the_limit(tool):
    sentences = [" ".join(["Word"] * (1 + i % 9)) + "." for i in range(300)]
    utterances = tool.join_sentences(sentences, seed=1)
    assert " ".join(utterances) == " ".join(sentences)
    assert max(len(u.split()) for u in utterances) <= 32


def test_each_engine_draws_other_voices(tool):
    voices = sum((tool.draw_voices(name, 0) for name in tool.ENGINES), [])
    assert len({voice.name for voice in voices}) == len(voices)
    assert tool.draw_voices("piper", 0)[1] != tool.draw_voices("piper", 1)[1]


@pytest.mark.parametrize("size", [0.87, 1.0, 1.13])
def test_size_scales_duration_and_frequency(tool, size):
    rate = 24000
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * rate) / rate)
    audio = tool.record(tone, rate, size, np.random.default_rng(0))
    assert len(audio) / tool.SAMPLE_RATE == pytest.approx(2 * size, abs=0.01)
    peak = np.abs(np.fft.rfft(audio)).argmax() * tool.SAMPLE_RATE / len(audio)
    assert peak == pytest.approx(1000 / size, abs=1)
    level = 20 * np.log10(np.abs(audio).max())
    assert -20 <= level <= -1


@pytest.mark.parametrize(
    "audio",
    [[], [0.0] * 48000, [np.nan] * 48000],
    ids=["empty", "silent", "nan"],
)
def test_what_is_not_speech_is_not_recorded(tool, audio):
    audio = np.asarray(audio)
    assert not tool.record(audio, 24000, 1.0, np.random.default_rng(0)).size


class Hisser:
    """Stands for an engine: a fifth of a second of noise a word."""

    sample_rate = 16000
    calls = 0

    def __call__(self, text, voice, rate, generator):
        self.calls += 1
        return generator.uniform(-1, 1, len(text.split()) * 3200)


def test_a_second_run_makes_nothing_anew(tool, tmp_path):
    sentences = [" ".join(["Word"] * n) + "." for n in (5, 25, 30)]
    voices = tool.draw_voices("piper", 0)[:2]
    engine = Hisser()
    rows = list(tool.read_aloud(engine, voices, sentences, tmp_path, 0))
    # One second is too short for training.
    assert [row["wrd"] for row in rows] == sentences[1:]
    wavs = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.wav")}
    assert len(wavs) == 2
    calls = engine.calls
    again = tool.read_aloud(engine, voices, sentences, tmp_path, 0)
    assert list(again) == rows
    assert engine.calls == calls + 1
    assert wavs == {p: p.stat().st_mtime_ns for p in tmp_path.glob("*.wav")}


def test_missing_engine_says_how_to_get_it(tool, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="flite.*apt-get install flite"):
        tool.load_engine("flite")


@pytest.mark.parametrize(
    "argument", ["piper", "piper=-1", "polly=3", "piper=nan"]
)
def test_bad_minutes_are_named(tool, argument):
    with pytest.raises(UserError, match="--minutes.*expected ENGINE=MINUTES"):
        tool.parse_minutes(argument)


def test_too_few_texts_say_so(tool):
    with pytest.raises(UserError, match="give more with --text"):
        tool.take_minutes([{"duration": 3.0}], 1, "piper")


def test_text_that_is_not_prose_is_named(tool, tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("1 2 3\n")
    with pytest.raises(UserError, match="numbers.txt: expected prose"):
        tool.read_texts([path])
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="numbers.txt: expected UTF-8"):
        tool.read_texts([path])
