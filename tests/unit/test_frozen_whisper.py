"""The frozen Whisper: its reference, its gradients, its text, its limits."""

import copy
import logging

import pytest
import torch
from safetensors.torch import save_file
from speechbrain.decoders.seq2seq import S2SWhisperBeamSearcher
from speechbrain.integrations.huggingface.whisper import Whisper
from torch.nn import functional as F
from transformers import WhisperForConditionalGeneration

from speechbrain_ext.backends import hugging_face
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper import (
    IGNORED,
    FrozenWhisper,
    _BeamSearcher,
)
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.metrics.wer import WordErrorRate

TINY = "openai/whisper-tiny.en"
TEXTS = [
    "The train to the city leaves at half past nine in the morning.",
    "Please bring two bottles of water and a loaf of bread.",
    "Thank you very much.",
]


@pytest.fixture(scope="module")
def whisper():
    return FrozenWhisper(TINY)


@pytest.fixture(scope="module")
def speech():
    """Waveforms [time] of TEXTS, with a noise floor as a microphone has."""
    torch.manual_seed(0)
    spoken = synthesise([Request(text, "en-US") for text in TEXTS])
    wavs = [
        torch.tensor(samples / 32768, dtype=torch.float32) for samples in spoken
    ]
    return [wav + 1e-3 * torch.randn_like(wav) for wav in wavs]


@pytest.fixture(scope="module")
def heard(speech):
    """Features [3, 3000, 80] of the batch, and durations [3] in seconds."""
    lengths = torch.tensor([float(len(wav)) for wav in speech])
    wavs = torch.nn.utils.rnn.pad_sequence(speech, batch_first=True)
    feats = WhisperLogMel()(wavs, lengths / wavs.shape[1])
    return feats, lengths / 16000


@pytest.fixture(scope="module")
def states(whisper, heard):
    """What the encoder says of it, [3, 1500, 384]."""
    with torch.no_grad():
        return whisper.encode(heard[0])


@pytest.fixture
def encoded(whisper, states, monkeypatch):
    """The recogniser without its encoder: ``states`` whatever is heard."""
    monkeypatch.setattr(whisper, "encode", lambda feats: states[: len(feats)])
    return whisper


# The encoder and the decoder


def test_the_encoder_is_hugging_faces(whisper):
    feats = 0.5 * torch.randn(1, 3000, 80)
    with torch.no_grad():
        expected = whisper.whisper.model.encoder(feats.transpose(1, 2))
        found = whisper.encode(feats)
    assert found.shape == (1, 1500, 384)
    torch.testing.assert_close(
        found, expected.last_hidden_state, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("frames", [2, 100, 350])
def test_a_shorter_context_is_an_encoder_with_fewer_positions(whisper, frames):
    encoder = copy.deepcopy(whisper.whisper.model.encoder)
    positions = encoder.embed_positions
    positions.weight = torch.nn.Parameter(positions.weight[: frames // 2])
    positions.num_embeddings = frames // 2
    encoder.max_source_positions = frames // 2
    encoder.config = copy.deepcopy(encoder.config)
    encoder.config.max_source_positions = frames // 2
    feats = 0.5 * torch.randn(2, frames, 80)
    with torch.no_grad():
        expected = encoder(feats.transpose(1, 2)).last_hidden_state
        found = whisper.encode(feats)
    assert found.shape == (2, frames // 2, 384)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_decoder_is_hugging_faces(whisper):
    model = WhisperForConditionalGeneration.from_pretrained(resolve(TINY))
    states = torch.randn(2, 40, 384)
    inputs, _ = whisper.encode_text(TEXTS[:2])
    with torch.no_grad():
        expected = model.eval()(
            encoder_outputs=(states,), decoder_input_ids=inputs
        ).logits
        found = whisper.logits(states, inputs)
    assert found.shape == (*inputs.shape, 51864)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


# Frozen


def test_gradients_reach_the_features_and_no_parameter(whisper):
    feats = (0.5 * torch.randn(2, 80, 80)).requires_grad_()
    inputs, targets = whisper.encode_text(["Yes.", "Not at all."])
    states = whisper.encode(feats)
    states.retain_grad()
    logits = whisper.logits(states, inputs)
    F.cross_entropy(
        logits.transpose(1, 2), targets, ignore_index=IGNORED
    ).backward()
    for gradient in (states.grad, feats.grad):
        assert torch.isfinite(gradient).all()
        # Every frame and every position has its say.
        assert (gradient.abs().amax(dim=2) > 0).all()
    parameters = list(whisper.parameters())
    assert len(parameters) > 100
    assert not any(parameter.requires_grad for parameter in parameters)
    assert all(parameter.grad is None for parameter in parameters)


def test_gradients_are_those_of_finite_differences(whisper):
    torch.manual_seed(1)
    feats = (0.5 * torch.randn(1, 60, 80)).requires_grad_()
    direction = torch.randn(1, 60, 80)
    inputs, targets = whisper.encode_text(["Yes, of course."])

    def loss(x):
        logits = whisper.logits(whisper.encode(x), inputs)
        return F.cross_entropy(
            logits.transpose(1, 2), targets, ignore_index=IGNORED
        )

    (gradient,) = torch.autograd.grad(loss(feats), feats)
    step = 3e-3
    with torch.no_grad():
        difference = loss(feats + step * direction)
        difference -= loss(feats - step * direction)
    expected = float(difference) / (2 * step)
    found = float((gradient * direction).sum())
    assert found == pytest.approx(expected, rel=0.05, abs=0.01)


def test_it_stays_in_evaluation_mode(whisper):
    system = torch.nn.ModuleDict(
        {"front_end": torch.nn.Dropout(), "back_end": whisper}
    )
    system.train()
    assert system["front_end"].training
    assert not any(module.training for module in whisper.modules())
    assert whisper.train() is whisper


def test_frozen_is_for_any_module():
    class Judge(Frozen, torch.nn.Sequential):
        pass

    judge = Judge(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    assert judge.freeze() is judge
    judge.train(True)
    x = torch.ones(3, 2, requires_grad=True)
    assert torch.equal(judge(x), judge(x))
    judge(x).sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in judge.parameters())


# Text in


def test_texts_by_hand(whisper):
    """50257 starts, 50362 says no timestamps, 50256 ends and pads."""
    inputs, targets = whisper.encode_text(["Yes.", " Hello, world.\n"])
    assert inputs.dtype == targets.dtype == torch.long
    assert inputs.tolist() == [
        [50257, 50362, 3363, 13, 50256, 50256],
        [50257, 50362, 18435, 11, 995, 13],
    ]
    assert targets.tolist() == [
        [-100, 3363, 13, 50256, -100, -100],
        [-100, 18435, 11, 995, 13, 50256],
    ]


def test_each_target_is_the_next_input(whisper):
    inputs, targets = whisper.encode_text(TEXTS)
    for row, wanted, text in zip(inputs, targets, TEXTS):
        n_said = int((wanted != IGNORED).sum()) - 1
        assert torch.equal(wanted[1 : 1 + n_said], row[2 : 2 + n_said])
        assert int(wanted[1 + n_said]) == 50256
        said = whisper.tokenizer.decode(row[2 : 2 + n_said])
        assert said == f" {text}"


def test_a_text_is_cut_to_the_decoders_positions(whisper):
    inputs, targets = whisper.encode_text(["word " * 1000])
    assert inputs.shape == targets.shape == (1, 448)
    assert int(targets[0, -1]) == 50256


# Text out


def word_error_rate(texts):
    score = WordErrorRate()
    score.append([str(i) for i in range(len(texts))], texts, TEXTS)
    return score.summarize()


@pytest.mark.parametrize("beam_size", [1, 3])
def test_it_reads_real_words(encoded, heard, beam_size):
    texts = encoded.transcribe(*heard, beam_size=beam_size)
    assert word_error_rate(texts) <= 0.10, texts
    # As Whisper writes: with capitals, stops and no special token.
    assert all(text[0].isupper() and text[-1] in ".!?" for text in texts)
    assert not any("<|" in text or text != text.strip() for text in texts)


def test_nonsense_is_not_read_as_those_words(whisper, heard):
    """The test above could not pass whatever was heard."""
    feats, seconds = heard
    texts = whisper.transcribe(feats.flip(1), seconds, beam_size=1)
    assert word_error_rate(texts) > 0.5


def test_batch_mates_change_no_text(whisper, speech, heard):
    """Damaged, so that the search has doubts."""
    feats, seconds = heard
    feats = feats.clone()
    feats[:, 40:60] = feats[:, 100:115] = -0.5
    order = [2, 0, 1]
    together = whisper.transcribe(feats[order], seconds[order], beam_size=3)
    for index, text in zip(order, together):
        part = slice(index, index + 1)
        alone = whisper.transcribe(feats[part], seconds[part], beam_size=3)
        assert alone == [text]


def test_the_shortcut_changes_no_search(whisper, heard):
    """Beams of an utterance share what the encoder said."""
    feats = heard[0].clone()
    feats[:, 50:80] = feats[:, 120:140] = -0.5
    with torch.no_grad():
        states = whisper.encode(feats)
    found = []
    reordered = []
    for searcher_class in (_BeamSearcher, S2SWhisperBeamSearcher):
        searcher = searcher_class(
            [whisper.whisper],
            beam_size=4,
            min_decode_ratio=0.0,
            max_decode_ratio=16 / 1500,
        )
        permute = searcher.permute_mem

        def watched(memory, index, permute=permute):
            reordered.append(index.tolist() != sorted(index.tolist()))
            return permute(memory, index)

        searcher.permute_mem = watched
        with torch.no_grad():
            found.append(searcher(states, torch.ones(3)))
    # Beams did overtake one another.
    assert any(reordered)
    (tokens, lengths, scores, _), (expected, *others, _) = found
    assert tokens == expected
    for value, other in zip((lengths, scores), others):
        torch.testing.assert_close(value, other, atol=1e-4, rtol=1e-4)


def test_the_objects_own_beam_size_is_used(encoded, heard, monkeypatch):
    sizes = []

    def search(states, limit, beam_size):
        sizes.append(beam_size)
        return [""] * len(states)

    monkeypatch.setattr(encoded, "_search", search)
    encoded.transcribe(heard[0][:1], heard[1][:1])
    encoded.transcribe(heard[0][:1], heard[1][:1], beam_size=2)
    assert sizes == [5, 2]


# Limits


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, 8),
        (0.02, 48),
        (5.0, 48),
        # What a relative length in float32 makes of 5 s.
        (5.0000005, 48),
        (5.1, 88),
        (14.9, 128),
        (25.0, 208),
        # Half of the decoder's positions.
        (30.0, 224),
    ],
)
def test_token_limit(whisper, seconds, expected):
    assert whisper.token_limit(seconds) == expected


@pytest.fixture
def limited(encoded, monkeypatch):
    """A function that allows so many tokens, whatever the duration."""

    def limit(n_tokens):
        monkeypatch.setattr(encoded, "tokens_per_second", 0.0)
        monkeypatch.setattr(encoded, "tokens_minimum", n_tokens)
        assert encoded.token_limit(4.0) == n_tokens
        return encoded

    return limit


@pytest.mark.parametrize("beam_size", [1, 2])
def test_no_more_tokens_than_the_limit(limited, heard, beam_size):
    feats, seconds = heard
    (text,) = limited(4).transcribe(feats[:1], seconds[:1], beam_size)
    tokens = limited(4).tokenizer.encode(" " + text, add_special_tokens=False)
    assert 1 <= len(tokens) <= 4
    assert TEXTS[0].startswith(text.rstrip(".!? "))


@pytest.mark.parametrize("n_tokens", [8, 27, 49])
def test_the_limit_is_exact(limited, heard, monkeypatch, n_tokens):
    """27 / 1500 * 1500 is 26.999... in binary."""
    steps = []
    forward = Whisper.forward_decoder

    def never_ending(self, *arguments, **kwargs):
        steps.append(1)
        logits, *rest = forward(self, *arguments, **kwargs)
        logits[..., 50256] = -torch.inf
        return logits, *rest

    monkeypatch.setattr(Whisper, "forward_decoder", never_ending)
    limited(n_tokens).transcribe(heard[0][:1], heard[1][:1], beam_size=1)
    assert len(steps) == n_tokens


def test_utterances_of_one_limit_are_decoded_together(
    encoded, heard, monkeypatch
):
    calls = []

    def search(states, limit, beam_size):
        calls.append((len(states), limit))
        return [f"{limit}-{i}" for i in range(len(states))]

    monkeypatch.setattr(encoded, "_search", search)
    seconds = torch.tensor([9.0, 2.0, 6.0])
    texts = encoded.transcribe(heard[0], seconds)
    assert calls == [(1, 48), (2, 88)]
    assert texts == ["88-0", "48-0", "88-1"]


def test_decoding_leaves_no_trace(encoded, heard):
    """Searchers hold Whisper; they must not become part of it."""
    names = [name for name, _ in encoded.named_modules()]
    state = set(encoded.state_dict())
    encoded.transcribe(heard[0][:1], heard[1][:1], beam_size=1)
    assert [name for name, _ in encoded.named_modules()] == names
    assert set(encoded.state_dict()) == state


# Loading


def linked(folder, replaced):
    """A model's folder whose files, but for one, are tiny.en's."""
    folder.mkdir()
    for file in resolve(TINY).iterdir():
        if file.name != replaced:
            (folder / file.name).symlink_to(file.resolve())
    return folder


@pytest.mark.parametrize("data", [b"", bytes(1000), b"\x20" + bytes(40)])
def test_damaged_weights_are_named(tmp_path, data):
    folder = linked(tmp_path / "model", "model.safetensors")
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(UserError) as error:
        FrozenWhisper(str(folder))
    message = str(error.value)
    assert "\n" not in message and str(folder) in message


def test_truncated_weights_are_named(tmp_path):
    folder = linked(tmp_path / "model", "model.safetensors")
    with open(resolve(TINY) / "model.safetensors", "rb") as file:
        (folder / "model.safetensors").write_bytes(file.read(1_000_000))
    with pytest.raises(UserError) as error:
        FrozenWhisper(str(folder))
    assert str(error.value).startswith(f"{folder}: cannot be loaded as a Wh")


def test_weights_of_another_model_are_not_filled_with_random_ones(tmp_path):
    folder = linked(tmp_path / "model", "model.safetensors")
    save_file(
        {"model.encoder.conv1.bias": torch.zeros(384)},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(UserError) as error:
        FrozenWhisper(str(folder))
    assert f"{folder}: its weights lack decoder." in str(error.value)


def test_weights_without_a_tokenizer_are_named(tmp_path):
    folder = linked(tmp_path / "model", "tokenizer.json")
    with pytest.raises(UserError) as error:
        FrozenWhisper(str(folder))
    assert "<|startoftranscript|> has id" in str(error.value)


def test_missing_weights_are_named(tmp_path):
    folder = linked(tmp_path / "model", "model.safetensors")
    with pytest.raises(UserError) as error:
        FrozenWhisper(str(folder))
    assert str(folder) in str(error.value)


def test_a_multilingual_whisper_wants_a_language(monkeypatch):
    monkeypatch.setattr(Whisper, "is_multilingual", True)
    with pytest.raises(UserError, match="language: none given for openai/"):
        FrozenWhisper(TINY)


def test_loading_is_quiet_and_leaves_the_loggers_alone(capfd):
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_warning()
    logger = logging.getLogger("speechbrain.integrations.huggingface.whisper")
    before = logger.level
    whisper = FrozenWhisper(TINY)
    assert whisper.n_mels == 80
    assert capfd.readouterr() == ("", "")
    assert logger.level == before
    assert transformers_logging.get_verbosity() == transformers_logging.WARNING
    with pytest.raises(RuntimeError), hugging_face.quiet():
        raise RuntimeError
    assert logger.level == before
