"""Whisper base, which knows many languages: its files and its languages."""

import pytest
import torch
from transformers import WhisperConfig, WhisperTokenizer

from speechbrain_ext.backends.weights import WHEELS, resolve
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.inference import PacketLossASR

BASE = "openai/whisper-base"
ENGLISH = "The train to London leaves tomorrow morning."
SPANISH = "El tren para Madrid sale mañana por la tarde."


@pytest.fixture(scope="module")
def whisper():
    return FrozenWhisper(BASE, language="en", beam_size=1)


@pytest.fixture(scope="module")
def feats():
    """Features and seconds of an English and a Spanish sentence."""
    speech = synthesise([Request(ENGLISH, "en-GB"), Request(SPANISH, "es-ES")])
    return [
        (
            WhisperLogMel()(torch.tensor(samples)[None] / 32768, torch.ones(1)),
            [len(samples) / 16000],
        )
        for samples in speech
    ]


def user_error(call, *arguments, **options):
    """Return the one line that a call ends with."""
    with pytest.raises(UserError) as error:
        call(*arguments, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_wheels_become_a_multilingual_folder():
    folder = resolve(BASE)
    tokenizer = WhisperTokenizer.from_pretrained(folder)
    config = WhisperConfig.from_pretrained(folder)
    assert (config.vocab_size, config.d_model, config.encoder_layers) == (
        51865,
        512,
        6,
    )
    assert config.decoder_start_token_id == 50258
    expected = {
        "<|endoftext|>": 50257,
        "<|startoftranscript|>": 50258,
        "<|en|>": 50259,
        "<|es|>": 50262,
        "<|su|>": 50357,
        "<|translate|>": 50358,
        "<|transcribe|>": 50359,
        "<|startofprev|>": 50361,
        "<|notimestamps|>": 50363,
        "<|30.00|>": 51864,
    }
    assert tokenizer.convert_tokens_to_ids(list(expected)) == list(
        expected.values()
    )
    assert len(WHEELS[BASE].model_files) == 2


@pytest.mark.parametrize(
    ("place", "language", "text"), [(0, "en", ENGLISH), (1, "es", SPANISH)]
)
def test_each_language_is_written_as_it_is_spoken(
    whisper, feats, place, language, text
):
    whisper.set_language(language)
    assert whisper.language == language
    assert whisper.transcribe(*feats[place]) == [text]


def test_the_language_is_in_the_prompt_of_training_texts(whisper):
    prompts = []
    for language in ("en", "es"):
        whisper.set_language(language)
        prompts.append(whisper.encode_text(["Sí."])[0][0, :4].tolist())
    assert prompts == [
        [50258, 50259, 50359, 50363],
        [50258, 50262, 50359, 50363],
    ]


@pytest.mark.parametrize("code", ["xx", "spanish", "ES", "", False])
def test_a_language_that_whisper_does_not_know(whisper, code):
    whisper.set_language("es")
    message = user_error(whisper.set_language, code)
    assert message.startswith(f"language {code}: not one that Whisper knows")
    assert "a code such as en, de or es" in message
    assert whisper.language == "es"


def test_a_language_that_only_newer_models_know(whisper):
    message = user_error(whisper.set_language, "yue")
    assert message.startswith(f"language yue: {BASE} does not know it")


def test_a_multilingual_model_wants_a_language(whisper):
    message = user_error(whisper.set_language, None)
    assert f"language: none given for {BASE}" in message
    assert "language: none given" in user_error(FrozenWhisper, BASE)
    assert "language xx" in user_error(FrozenWhisper, BASE, language="xx")


def test_an_english_model_speaks_english_only():
    english = FrozenWhisper("openai/whisper-tiny.en", language="en")
    prefix = list(english.tokenizer.prefix_tokens)
    for code in (None, "en"):
        english.set_language(code)
        assert english.language is None
    message = user_error(english.set_language, "es")
    assert message == (
        "language es: openai/whisper-tiny.en knows English only; expected en, "
        "or a multilingual model"
    )
    assert english.tokenizer.prefix_tokens == prefix


def test_one_model_serves_all_languages(whisper):
    asr = PacketLossASR(
        modules={
            "front_end": torch.nn.Identity(),
            "features": WhisperLogMel(),
            "back_end": whisper,
        },
        hparams={"packet_seconds": 0.02, "zero_lost_frames": False},
    )
    (spanish,) = synthesise([Request(SPANISH, "es-ES")])
    wavs = torch.tensor(spanish)[None] / 32768
    asr.language = "en"
    translated = asr.transcribe_batch(wavs, torch.ones(1), front_end=False)
    asr.language = "es"
    assert asr.language == whisper.language == "es"
    written = asr.transcribe_batch(wavs, torch.ones(1), front_end=False)
    assert written == [SPANISH] != translated
    with pytest.raises(UserError, match="language xx"):
        asr.language = "xx"
