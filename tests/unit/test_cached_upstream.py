"""What a frozen model says of training utterances is computed once."""

import pytest
import torch
from torch import nn

from speechbrain_ext.backends.cached_upstream import CachedUpstream
from speechbrain_ext.backends.downstream import DownstreamClassifier
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.whisper_encoder import FrozenWhisperEncoder

HOP = 160
NAMES = ["layer1", "layer2"]


class Counter(Frozen, nn.Module):
    """Two layers of 10 ms frames that count the utterances they are given."""

    layers = tuple(NAMES)

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.seconds = []
        self.freeze()

    def representations(self, feats, lengths, names):
        self.seconds += [feats.shape[1] / 16000] * len(feats)
        frames = self.scale * feats.squeeze(2).unfold(1, HOP, HOP)
        return [frames if name == "layer1" else frames**2 for name in names]

    def relative_frames(self, lengths, samples, frames):
        return (lengths * samples).div(HOP, rounding_mode="floor") / frames


@pytest.fixture
def batch():
    wavs = torch.randn(2, 16000, 1)
    return wavs, torch.tensor([1.0, 0.5])


def test_an_utterance_is_read_once_without_its_padding(batch):
    cached = CachedUpstream(Counter()).train()
    wavs, lengths = batch
    first = cached.representations(wavs, lengths, NAMES)
    # Other padding, another batch.
    other = torch.cat([wavs[1:, :9000], torch.randn(1, 9000, 1)])
    second = cached.representations(
        other, torch.tensor([8000 / 9000, 1]), NAMES
    )
    assert cached.upstream.seconds == [1.0, 0.5, 9000 / 16000]
    assert first[0].shape == (2, 100, HOP) and not first[0][1, 50:].any()
    for before, after in zip(first, second, strict=True):
        assert torch.equal(before[1, :50], after[0, :50])


def test_what_was_changed_is_read_again(batch):
    cached = CachedUpstream(Counter()).train()
    wavs, lengths = batch
    cached.representations(wavs, lengths, NAMES)
    louder = cached.representations(1.01 * wavs, lengths, NAMES)
    assert len(cached.upstream.seconds) == 4
    fresh = CachedUpstream(Counter()).representations(
        1.01 * wavs, lengths, NAMES
    )
    assert torch.equal(louder[1], fresh[1])
    # Other layers were not kept.
    cached.representations(wavs, lengths, ["layer2"])
    assert len(cached.upstream.seconds) == 6


def test_evaluation_keeps_nothing_and_takes_what_is_kept(batch):
    cached = CachedUpstream(Counter()).eval()
    cached.representations(*batch, NAMES)
    assert not cached.kept
    cached.train().representations(*batch, NAMES)
    cached.eval().representations(*batch, NAMES)
    assert len(cached.upstream.seconds) == 4
    assert len(cached.kept) == 2 and not cached.upstream.training


def test_memory_has_a_limit(batch):
    # Two layers of 100 frames of 160 numbers: 128 kB, and half of it.
    cached = CachedUpstream(Counter(), limit_gb=150e3 / 1e9).train()
    for _ in range(2):
        cached.representations(*batch, NAMES)
    assert cached.upstream.seconds == [1.0, 0.5, 0.5]


def test_gradients_reach_the_waveform(batch):
    cached = CachedUpstream(Counter()).train()
    wavs, lengths = batch
    wavs.requires_grad_()
    cached.representations(wavs, lengths, NAMES)[1].sum().backward()
    torch.testing.assert_close(wavs.grad, 8 * wavs.detach())
    assert not cached.kept


def test_a_model_on_it_is_the_model_without_it():
    encoder = FrozenWhisperEncoder("openai/whisper-tiny.en")
    models = [
        DownstreamClassifier(upstream, None, 4, 384, 16, normalise=True)
        for upstream in (encoder, CachedUpstream(encoder))
    ]
    models[1].load_state_dict(models[0].state_dict())
    signals = [0.1 * torch.randn(n) for n in (16000, 9001, 321)]
    outputs = []
    for model in models:
        feats, lengths = model.train().batch(signals)
        outputs.append(model(feats, lengths))
    assert len(models[1].upstream.kept) == 3
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=0)
    assert models[0].state_dict().keys() == models[1].state_dict().keys()
