"""Whisper over waveforms: a representation, and a recogniser."""

from types import SimpleNamespace

import pytest
import torch
from transformers import WhisperFeatureExtractor

from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.backends.whisper_encoder import (
    FrozenWaveformWhisper,
    FrozenWhisperEncoder,
)
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.criteria.recognition import WhisperCrossEntropy
from speechbrain_ext.criteria.representation import RepresentationDistance
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel

TINY = "openai/whisper-tiny.en"
TEXT = "Please bring two bottles of water."
NAMES = ["layer1", "layer2", "layer3", "layer4"]


@pytest.fixture(scope="module")
def encoder():
    return FrozenWhisperEncoder(TINY)


@pytest.fixture(scope="module")
def speech():
    (samples,) = synthesise([Request(TEXT, "en-GB")])
    return torch.from_numpy(samples.copy()).float() / 32768


def represent(model, wavs, lengths, names=NAMES):
    with torch.no_grad():
        return model.representations(
            wavs[..., None], torch.tensor(lengths), names
        )


def test_30_s_give_what_transformers_gives(encoder, speech):
    """Its own features and its own encoder, which takes 30 s only."""
    wav = speech.repeat(1 + 480000 // len(speech))[:480000]
    mels = WhisperFeatureExtractor()(
        wav.numpy(), sampling_rate=16000, return_tensors="pt"
    ).input_features
    with torch.no_grad():
        outputs = encoder.encoder(mels, output_hidden_states=True)
    found = represent(encoder, wav[None], [1.0])
    for x, y in zip(found, outputs.hidden_states[1:]):
        torch.testing.assert_close(x, y, atol=2e-3, rtol=1e-3)


def test_an_utterance_does_not_depend_on_its_batch(encoder, speech):
    samples = len(speech)
    wavs = torch.stack([0.1 * torch.randn(samples), speech])
    # Half of a position is one, too.
    end = samples // 2 // 320 * 320 + 100
    wavs[1, end:] = 0
    found = represent(encoder, wavs, [1.0, end / samples])
    alone = represent(encoder, speech[None, :end], [1.0])
    positions = -(-end // 320)
    for x, y in zip(found, alone):
        assert y.shape[1] == positions
        torch.testing.assert_close(x[1, :positions], y[0], atol=1e-4, rtol=1e-3)
    frames = found[0].shape[1]
    relative = encoder.relative_frames(
        torch.tensor([1.0, end / samples]), samples, frames
    )
    assert (relative * frames).tolist() == pytest.approx([frames, positions])


@pytest.mark.parametrize("samples", [1, 320, 321, 5000])
def test_any_length_has_50_positions_a_second(encoder, samples):
    found = represent(encoder, torch.randn(1, samples), [1.0], ["layer1"])
    assert found[0].shape == (1, -(-samples // 320), 384)
    assert found[0].isfinite().all()


def test_30_s_and_a_little_less_share_a_batch(encoder):
    wavs = 0.1 * torch.randn(2, 480000)
    wavs[1, 479000:] = 0
    found = represent(encoder, wavs, [1.0, 479000 / 480000], ["layer1"])
    alone = represent(encoder, wavs[1:, :479000], [1.0], ["layer1"])
    torch.testing.assert_close(
        found[0][1, :1496], alone[0][0, :1496], atol=1e-4, rtol=1e-3
    )


def test_more_than_30_s_are_refused(encoder):
    with pytest.raises(ValueError, match="30 s at once"):
        represent(encoder, torch.zeros(1, 480001), [1.0])


def test_no_later_layer_is_run(encoder, monkeypatch):
    monkeypatch.setattr(encoder.encoder.layers[1], "forward", None)
    represent(encoder, torch.zeros(1, 3200), [1.0], ["layer1"])


def test_it_is_frozen_and_gradients_reach_the_waveform(encoder):
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    assert not any(p.requires_grad for p in encoder.parameters())
    wavs = (0.1 * torch.randn(2, 8000)).requires_grad_()
    criterion = RepresentationDistance(
        encoder, layer_weights="upper_half", power=2, weigh_first=True
    )
    losses = criterion(
        SimpleNamespace(
            clean=torch.randn(2, 8000, 1),
            repaired=wavs[..., None],
            frame_lengths=torch.tensor([1.0, 0.5]),
        )
    )
    losses.sum().backward()
    assert losses.shape == (2,) and wavs.grad.isfinite().all()
    assert wavs.grad[0].any() and wavs.grad[1, :4000].any()
    assert not wavs.grad[1, 4000:].any()


def test_other_sizes_are_read_from_the_model(random_whispers):
    encoder = FrozenWhisperEncoder(random_whispers[128])
    assert encoder.layers == ("layer1",)
    found = represent(encoder, torch.randn(1, 3200), [1.0], ["layer1"])
    assert found[0].shape == (1, 10, 16)


@pytest.fixture(scope="module")
def whisper():
    return FrozenWaveformWhisper(TINY)


def test_the_recogniser_reads_what_its_features_give(whisper, speech):
    features = WhisperLogMel(context="batch").train()
    expected = FrozenWhisper(TINY).encode(features(speech[None], torch.ones(1)))
    found = represent(whisper, speech[None], [1.0], ["encoder"])
    torch.testing.assert_close(found[0], expected)


def test_cross_entropy_of_waveforms_falls_with_the_noise(whisper, speech):
    noise = 0.3 * speech.std() * torch.randn_like(speech)
    wavs = torch.stack([speech, speech + noise, speech + 10 * noise])
    wavs.requires_grad_()
    losses = WhisperCrossEntropy(whisper)(
        SimpleNamespace(
            repaired=wavs[..., None],
            frame_lengths=torch.ones(3),
            texts=[TEXT] * 3,
        )
    )
    losses.sum().backward()
    assert losses[0] < losses[1] < losses[2]
    assert wavs.grad.isfinite().all() and wavs.grad[2].any()
