"""Whisper in CTranslate2 says what Whisper in torch says."""

import json
import sys

import pytest
import torch
from speechbrain.decoders.seq2seq import S2SWhisperBeamSearcher

from speechbrain_ext.backends import ctranslate2_decoder as module
from speechbrain_ext.backends.ctranslate2_decoder import (
    CTranslate2Whisper,
    converted,
    suppressed_tokens,
)
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.files import make_folder_once
from speechbrain_ext.inference.model_folder import check_backend

TINY = "openai/whisper-tiny.en"
TEXTS = [
    "The train to the city leaves at half past nine in the morning, and the "
    "next one goes an hour later.",
    "Please bring two bottles of water and a loaf of bread.",
    "Thank you very much.",
]


def heard_from(requests):
    """Features [batch, 3000, 80] of synthesised speech, and its seconds."""
    torch.manual_seed(0)
    wavs = [
        torch.tensor(samples / 32768, dtype=torch.float32)
        for samples in synthesise(requests)
    ]
    # A noise floor, as a microphone has.
    wavs = [wav + 1e-3 * torch.randn_like(wav) for wav in wavs]
    samples = torch.tensor([float(len(wav)) for wav in wavs])
    padded = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    return (
        WhisperLogMel()(padded, samples / padded.shape[1]),
        samples / 16000,
    )


@pytest.fixture(scope="module")
def heard():
    return heard_from([Request(text, "en-US") for text in TEXTS])


@pytest.fixture(scope="module")
def reference():
    return FrozenWhisper(TINY)


@pytest.fixture(scope="module")
def fast():
    return CTranslate2Whisper(TINY)


# What it writes


@pytest.mark.parametrize("beam_size", [1, 5])
def test_its_texts_are_those_of_the_torch_path(
    reference, fast, heard, beam_size
):
    expected = reference.transcribe(*heard, beam_size=beam_size)
    assert len(expected[0].split()) > 15
    assert fast.transcribe(*heard, beam_size=beam_size) == expected


def test_an_utterances_text_does_not_depend_on_its_batch(fast, heard):
    feats, seconds = heard
    assert len({fast.token_limit(value) for value in seconds.tolist()}) > 1
    together = fast.transcribe(feats, seconds)
    alone = [
        fast.transcribe(feats[index : index + 1], seconds[index : index + 1])[0]
        for index in range(len(feats))
    ]
    backwards = fast.transcribe(feats.flip(0), seconds.flip(0))
    assert together == alone == backwards[::-1]


@pytest.mark.parametrize(("beam_size", "limit"), [(1, 3), (1, 7), (5, 7)])
def test_limits_count_as_in_the_torch_path(
    reference, fast, heard, monkeypatch, beam_size, limit
):
    feats, seconds = heard[0][1:2], heard[1][1:2]
    for whisper in (reference, fast):
        monkeypatch.setattr(whisper, "tokens_per_second", 0.0)
        monkeypatch.setattr(whisper, "tokens_minimum", limit)
    (text,) = fast.transcribe(feats, seconds, beam_size=beam_size)
    assert text and len(text) < len(TEXTS[1]) - 10
    expected = reference.transcribe(feats, seconds, beam_size=beam_size)
    assert [text] == expected


def test_limits_are_those_of_the_torch_path(reference, fast):
    for seconds in (0.5, 4.2, 5.0000002, 29.0, 30.0):
        assert fast.token_limit(seconds) == reference.token_limit(seconds)


def test_it_suppresses_what_speechbrain_suppresses(reference):
    searcher = S2SWhisperBeamSearcher(
        [reference.whisper],
        beam_size=5,
        min_decode_ratio=0.0,
        max_decode_ratio=1.0,
    )
    found = suppressed_tokens(reference.tokenizer)
    assert set(found) == set(searcher.get_tokens_to_suppress)


def test_the_first_token_is_neither_a_blank_nor_the_end(fast):
    config = json.loads((fast.folder / "config.json").read_text())
    assert config["suppress_ids_begin"] == [220, 50256]


def test_eight_bits_say_nearly_the_same(fast, heard):
    small = CTranslate2Whisper(TINY, compute_type="int8")
    (expected,) = fast.transcribe(heard[0][1:2], heard[1][1:2])
    (text,) = small.transcribe(heard[0][1:2], heard[1][1:2])
    assert text == expected
    # An evaluation must not take one's texts for the other's.
    assert not torch.equal(fast.identity, small.identity)


def test_a_multilingual_whisper_writes_the_language_it_is_told(monkeypatch):
    text = "El tren sale a las nueve de la mañana."
    heard = heard_from([Request(text, "es-ES")])
    reference = FrozenWhisper("openai/whisper-base", language="es", beam_size=1)
    fast = CTranslate2Whisper("openai/whisper-base", language="es", beam_size=1)
    prompt = fast.tokenizer.prefix_tokens
    assert prompt == reference.tokenizer.prefix_tokens
    assert fast.transcribe(*heard) == reference.transcribe(*heard)
    fast.set_language("fr")
    assert fast.language == "fr"
    changed = [
        old != new for old, new in zip(prompt, fast.tokenizer.prefix_tokens)
    ]
    assert changed == [False, True, False, False]
    with pytest.raises(UserError, match="language: none given for .*-base"):
        fast.set_language(None)


# What cannot be


def test_an_english_whisper_refuses_other_languages(fast):
    fast.set_language("en")
    assert fast.language is None
    with pytest.raises(UserError, match="language es: .* English only"):
        fast.set_language("es")


def test_a_compute_type_that_there_is_not(heard):
    whisper = CTranslate2Whisper(TINY, compute_type="int3")
    with pytest.raises(UserError, match="tiny.en: CTranslate2 cannot .* int3"):
        whisper.transcribe(*heard)


def test_without_the_package_the_fix_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    wanted = r"pip install 'speechbrain-ext\[ctranslate2\]'"
    with pytest.raises(UserError, match=wanted):
        CTranslate2Whisper(TINY)
    with pytest.raises(UserError, match=wanted):
        check_backend("ctranslate2")
    assert check_backend("torch") == "torch"


# The conversion


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A folder of a model, an empty cache, and a conversion that counts."""
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(tmp_path / "cache"))
    calls = []

    def convert(folder, target):
        calls.append(folder)
        (target / "model.bin").write_bytes(b"weights")

    monkeypatch.setattr(module, "convert_folder", convert)
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"old")
    return folder, calls


def test_weights_are_converted_once_until_they_change(weights):
    folder, calls = weights
    first = converted(folder)
    assert converted(folder) == first and len(calls) == 1
    assert (first / "model.bin").read_bytes() == b"weights"
    (folder / "model.safetensors").write_bytes(b"newer")
    assert converted(folder) != first and len(calls) == 2


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "whisper"}')
    with pytest.raises(UserError, match="model: cannot be converted"):
        converted(folder)
    left = (tmp_path / "cache" / "models").iterdir()
    assert [path for path in left if path.suffix != ".lock"] == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="set SPEECHBRAIN_EXT_CACHE"):
        make_folder_once(tmp_path / "file" / "model", lambda folder: None)


def test_the_shipped_weights_resolve_to_one_conversion(fast):
    assert converted(resolve(TINY)) == fast.folder
