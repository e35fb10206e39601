"""The mini corpus: sentences, voices, and that it is whole or absent."""

import hashlib
import json
import os
import re
import subprocess
import sys
import wave

import numpy
import pytest

from speechbrain_ext.corpora import (
    mini,
    mini_languages,
    mini_sentences,
    mini_words,
    pico,
)
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.errors import UserError

SMALL = {"train_minutes": 0.2, "valid_utterances": 2, "test_utterances": 3}
SMALL_SPLITS = ("train", "valid", "test")
SLOT = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A small corpus; tests must not change it."""
    folder = tmp_path_factory.mktemp("corpus") / "mini"
    prepare_mini(folder, n_workers=2, **SMALL)
    return folder


def contents(folder):
    """Every file below a folder that matters, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".wav", ".csv", ".json")
    }


def audio(folder):
    return {
        name: data
        for name, data in contents(folder).items()
        if name.endswith(".wav")
    }


def texts(folder, split):
    return [row["wrd"] for row in read_manifest(folder / f"{split}.csv")]


# Sentences


def sentences(n, seed=0):
    rng = numpy.random.default_rng(seed)
    return [mini_sentences.random_sentence(rng) for _ in range(n)]


def test_every_slot_has_entries_and_no_entry_is_double():
    frames = [*mini_sentences.SCENES, *mini_sentences.NARRATIVE]
    for phrases in mini_sentences.PHRASES.values():
        frames += phrases
    for name in {slot for frame in frames for slot in SLOT.findall(frame)}:
        if name not in mini_sentences.PHRASES:
            assert len(getattr(mini_words, name.upper())) > 1
    for name, words in vars(mini_words).items():
        if name.isupper():
            assert len(set(words)) == len(words), name
            assert all(words), name


def test_the_vocabulary_is_large():
    words = {
        word
        for sentence in sentences(5000)
        for word in re.findall("[a-z'-]+", sentence.lower())
    }
    assert len(words) >= 1500


def test_sentences_look_like_written_english():
    for sentence in sentences(3000):
        assert re.fullmatch(r"[A-Z][A-Za-z' ,;-]+[.?!]", sentence), sentence
        assert "  " not in sentence and " ," not in sentence


def test_articles_agree():
    for sentence in sentences(5000):
        for article, word in re.findall(r"\b([Aa]n?) ([a-z]+)", sentence):
            vowel = word[0] in "aeiou" or word in ("honest", "hour")
            if word.startswith(("uni", "use", "euro", "one")):
                vowel = False
            assert (article.lower() == "an") == vowel, sentence


def test_no_entry_twice_in_a_sentence():
    for sentence in sentences(3000):
        names = [
            word
            for word in re.findall(r"\w+", sentence)
            if word in mini_words.CITY
        ]
        assert len(names) == len(set(names)), sentence


def test_sentences_are_the_same_on_every_machine():
    said = "\n".join(sentences(200, seed=7)).encode()
    digest = hashlib.sha256(said).hexdigest()[:16]
    # A change of grammar changes it: that is welcome, and is written here.
    assert digest == "86af08b10f6075c2"


# Speech


def test_speech_does_not_depend_on_order_or_process():
    requests = [
        Request("Please call me back tomorrow.", "en-US", 90, 100),
        Request("The harvest was late that year.", "en-GB", 120, 85, 60),
        Request("What a lovely morning!", "en-US", 100, 110),
    ]
    forward = synthesise(requests)
    backward = synthesise(requests[::-1])[::-1]
    apart = synthesise(requests, n_workers=3)
    for first, second, third in zip(forward, backward, apart, strict=True):
        assert len(first) > pico.SAMPLE_RATE / 2
        assert numpy.array_equal(first, second)
        assert numpy.array_equal(first, third)


def test_speech_does_not_depend_on_the_state_of_memory(monkeypatch):
    request = Request("Seven ships lay in the bay.", "en-GB")
    (plain,) = synthesise([request])
    monkeypatch.setenv("MALLOC_PERTURB_", "165")
    (perturbed,) = synthesise([request])
    assert numpy.array_equal(plain, perturbed)


def test_pitch_speed_and_volume_matter():
    text = "The captain steered the ship towards the bay."
    base, fast, high, quiet = synthesise(
        [
            Request(text, "en-GB"),
            Request(text, "en-GB", speed=125),
            Request(text, "en-GB", pitch=130),
            Request(text, "en-GB", volume=25),
        ]
    )
    assert 0.7 < len(fast) / len(base) < 0.9
    assert len(high) == len(base)
    assert not numpy.array_equal(high, base)
    ratio = numpy.abs(quiet).max() / numpy.abs(base).max()
    assert 0.4 < ratio < 0.6


def test_speech_is_the_same_on_every_machine():
    (speech,) = synthesise([Request("Good morning.", "en-GB", 100, 100, 50)])
    digest = hashlib.sha256(speech.tobytes()).hexdigest()[:16]
    assert digest == "a1981e1c7b842e93"


def test_without_the_synthesiser(monkeypatch, tmp_path):
    monkeypatch.setattr(pico.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install speechbrain-ext\[demo\]"):
        prepare_mini(tmp_path / "mini", **SMALL)
    assert not list((tmp_path / "mini").glob("*.csv"))


# The corpus


def test_sizes_and_manifests(corpus):
    rows = {
        split: read_manifest(corpus / f"{split}.csv") for split in SMALL_SPLITS
    }
    assert len(rows["valid"]) == 2
    assert len(rows["test"]) == 3
    minutes = sum(row["duration"] for row in rows["train"]) / 60
    assert 0.2 <= minutes < 0.2 + mini.LONGEST / 60
    for split_rows in rows.values():
        for row in split_rows:
            with wave.open(row["wav"]) as file:
                assert file.getparams()[:3] == (1, 2, 16000)
                assert row["duration"] == file.getnframes() / 16000
            assert mini.SHORTEST <= row["duration"] <= mini.LONGEST


def test_sentences_and_voices_are_disjoint(corpus):
    rows = {
        split: read_manifest(corpus / f"{split}.csv") for split in SMALL_SPLITS
    }
    for key in ("wrd", "spk_id", "ID", "wav"):
        seen = [{row[key] for row in rows[split]} for split in SMALL_SPLITS]
        assert sum(map(len, seen)) == len(set.union(*seen)), key


def test_voices_of_the_whole_corpus_are_disjoint():
    voices = mini.draw_voices(1234)
    everyone = [voice for split in voices.values() for voice in split]
    assert len(set(everyone)) == len(everyone) == 2 * sum(mini.SPLITS.values())
    for accent in mini.ACCENTS:
        pitches = [voice.pitch for voice in everyone if voice.accent == accent]
        assert len(set(pitches)) == len(pitches)


def test_both_accents_are_in_a_short_split(corpus):
    speakers = {row["spk_id"][:2] for row in read_manifest(corpus / "test.csv")}
    assert speakers == {"us", "gb"}


def test_no_digital_silence_as_long_as_a_packet(corpus):
    for row in read_manifest(corpus / "test.csv"):
        with wave.open(row["wav"]) as file:
            data = numpy.frombuffer(file.readframes(10**6), "<i2")
        spoken = numpy.flatnonzero(data)
        assert numpy.diff(spoken, prepend=-1, append=len(data)).max() < 160


def test_same_bytes_for_any_number_of_workers(corpus, tmp_path):
    prepare_mini(tmp_path / "again", n_workers=1, **SMALL)
    assert audio(tmp_path / "again") == audio(corpus)
    for split in SMALL_SPLITS:
        assert texts(tmp_path / "again", split) == texts(corpus, split)


def test_another_seed_says_other_things(corpus, tmp_path):
    prepare_mini(tmp_path / "other", seed=2, **SMALL)
    assert not set(texts(tmp_path / "other", "train")) & set(
        texts(corpus, "train")
    )


def test_valid_and_test_do_not_depend_on_train(corpus, tmp_path):
    prepare_mini(tmp_path / "less", **{**SMALL, "train_minutes": 0.1})
    for split in ("valid", "test"):
        assert texts(tmp_path / "less", split) == texts(corpus, split)


def test_a_second_call_does_nothing(corpus, monkeypatch):
    before = contents(corpus)
    monkeypatch.setattr(mini, "synthesise", None)
    prepare_mini(corpus, **SMALL)
    assert contents(corpus) == before


def test_manifests_are_copied(corpus, tmp_path):
    copies = prepare_mini(corpus, tmp_path / "run", **SMALL)
    for split in SMALL_SPLITS:
        assert copies[split] == tmp_path / "run" / f"{split}.csv"
        assert read_manifest(copies[split]) == read_manifest(
            corpus / f"{split}.csv"
        )


class Killed(BaseException):
    """Ends a run as a signal does: nothing but ``finally`` comes after it."""


def test_a_killed_run_looks_incomplete_and_is_made_good(
    corpus, tmp_path, monkeypatch
):
    folder = tmp_path / "mini"
    for step in ("_write_wav", "write_manifest"):
        calls = []

        def die_at_third_call(*args, step=step, calls=calls):
            calls.append(args)
            if len(calls) == 3:
                raise Killed
            return real(*args)

        real = getattr(mini, step)
        with monkeypatch.context() as patch:
            patch.setattr(mini, step, die_at_third_call)
            with pytest.raises(Killed):
                prepare_mini(folder, **SMALL)
        assert not _claims_to_be_complete(folder)
    prepare_mini(folder, **SMALL)
    assert audio(folder) == audio(corpus)


def _claims_to_be_complete(folder):
    marker = folder / mini.MARKER
    return marker.exists() and json.loads(marker.read_text())["complete"]


def test_a_lost_file_is_made_again(corpus, tmp_path):
    folder = tmp_path / "mini"
    prepare_mini(folder, **SMALL)
    next((folder / "wav" / "train").iterdir()).unlink()
    prepare_mini(folder, **SMALL)
    assert audio(folder) == audio(corpus)


def test_an_interrupted_change_keeps_the_old_corpus(
    corpus, tmp_path, monkeypatch
):
    folder = tmp_path / "mini"
    prepare_mini(folder, **SMALL)
    before = contents(folder)

    def die(*args):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(mini, "_write_wav", die)
        with pytest.raises(Killed):
            prepare_mini(folder, seed=2, **SMALL)
    assert contents(folder) == before
    prepare_mini(folder, seed=2, **SMALL)
    assert audio(folder) != audio(corpus)


def test_what_is_not_ours_is_not_touched(tmp_path):
    (tmp_path / "train.csv").write_text("mine")
    with pytest.raises(UserError, match="train.csv: is not of the mini corpus"):
        prepare_mini(tmp_path, **SMALL)
    assert (tmp_path / "train.csv").read_text() == "mine"


def test_two_processes_at_once(corpus, tmp_path):
    folder = tmp_path / "mini"
    call = (
        "from speechbrain_ext.corpora.mini import prepare_mini; "
        f"prepare_mini({str(folder)!r}, n_workers=1, **{SMALL!r})"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [
        subprocess.Popen([sys.executable, "-c", call], env=environment)
        for _ in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert audio(folder) == audio(corpus)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/mini: cannot be written"):
        prepare_mini(tmp_path / "file" / "mini", **SMALL)


@pytest.mark.parametrize("key", SMALL)
@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_sizes_above_zero(tmp_path, key, size):
    with pytest.raises(UserError, match=f"^{key}: "):
        prepare_mini(tmp_path / "mini", **{**SMALL, key: size})
    assert not (tmp_path / "mini").exists()


# Other languages


@pytest.mark.parametrize("language", ["de", "es", "fr", "it"])
def test_sentences_of_other_languages(language):
    rng = numpy.random.default_rng(1)
    drawn = [mini_languages.random_sentence(rng, language) for _ in range(2000)]
    assert len(set(drawn)) > 1000
    for sentence in drawn:
        assert re.fullmatch(r"¿?[^\W\d_][^{}|]*[^\s,|] ?[.?]", sentence)
        assert sentence.lstrip("¿")[0].isupper()
        assert ("¿" in sentence) == (language == "es" and "?" in sentence)


def test_every_slot_of_other_languages_is_filled():
    for templates, words in mini_languages.GRAMMARS.values():
        used = set(re.findall(r"\{(\w+)\}", " ".join(templates)))
        assert used == set(words)
        for name, entries in words.items():
            assert all(entries) and len(set(entries)) == len(entries), name


def test_a_corpus_in_another_language(tmp_path):
    sizes = {
        "train_minutes": 0.02,
        "valid_utterances": 1,
        "test_utterances": 2,
    }
    manifests = mini.prepare_mini(tmp_path / "a", language="es", **sizes)
    rows = read_manifest(manifests["test"])
    assert {row["spk_id"].split("-")[0] for row in rows} == {"es"}
    assert len({row["wrd"] for row in rows}) == 2
    marker = json.loads((tmp_path / "a" / mini.MARKER).read_text())
    assert marker["language"] == "es"
    # The same folder for another language is made anew.
    manifests = mini.prepare_mini(tmp_path / "a", language="it", **sizes)
    rows = read_manifest(manifests["test"])
    assert {row["spk_id"].split("-")[0] for row in rows} == {"it"}


def test_a_language_that_the_corpus_does_not_speak(tmp_path):
    with pytest.raises(UserError, match="language ru: the mini corpus does"):
        mini.prepare_mini(tmp_path / "a", language="ru")
    assert not list(tmp_path.iterdir())
