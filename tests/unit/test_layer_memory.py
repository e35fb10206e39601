"""What a frozen model says of training utterances is computed once."""

import pytest
import torch
from torch import nn

from speechbrain_ext.backends.downstream import DownstreamClassifier
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.whisper_encoder import FrozenWhisperEncoder

HOP = 160


class Counter(Frozen, nn.Module):
    """Two layers of 10 ms frames; it notes the seconds that it is given."""

    layers = ("layer1", "layer2")

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


def make(memory_gb=1.0, upstream=None):
    return DownstreamClassifier(
        upstream or Counter(), None, 4, HOP, 16, memory_gb=memory_gb
    ).train()


def sums(model, *batch):
    """The sums of the upstream's layers, which are all equal at first."""
    return model.representations(*batch, ["features"])[0]


@pytest.fixture
def batch():
    wavs = torch.randn(2, 16000, 1)
    return wavs, torch.tensor([1.0, 0.5])


def test_an_utterance_is_read_once_without_its_padding(batch):
    model, (wavs, lengths) = make(), batch
    first = sums(model, wavs, lengths)
    # Other padding, another batch.
    other = torch.cat([wavs[1:, :9000], torch.randn(1, 9000, 1)])
    second = sums(model, other, torch.tensor([8000 / 9000, 1]))
    assert model.upstream.seconds == [1.0, 0.5, 9000 / 16000]
    assert first.shape == (2, 100, HOP) and not first[1, 50:].any()
    assert torch.equal(first[1, :50], second[0, :50])


def test_what_was_changed_is_read_again(batch):
    model, (wavs, lengths) = make(), batch
    sums(model, wavs, lengths)
    louder = sums(model, 1.01 * wavs, lengths)
    assert len(model.upstream.seconds) == 4
    assert torch.equal(louder, sums(make(), 1.01 * wavs, lengths))


def test_evaluation_keeps_nothing_and_takes_what_is_kept(batch):
    model = make().eval()
    sums(model, *batch)
    assert not len(model.memory)
    sums(model.train(), *batch)
    sums(model.eval(), *batch)
    assert len(model.upstream.seconds) == 4
    assert len(model.memory) == 2 and not model.upstream.training


def test_memory_has_a_limit(batch):
    # Two layers of 100 frames of 160 numbers: 128 kB, and half of it.
    model = make(memory_gb=150e3 / 1e9)
    for _ in range(2):
        sums(model, *batch)
    assert model.upstream.seconds == [1.0, 0.5, 0.5]
    model = make(memory_gb=0.0)
    for _ in range(2):
        sums(model, *batch)
    assert len(model.upstream.seconds) == 4 and model.memory is None


def test_gradients_reach_the_waveform(batch):
    model, (wavs, lengths) = make(), batch
    wavs.requires_grad_()
    sums(model, wavs, lengths).sum().backward()
    # Half of each of 2 x and (2 x) ** 2.
    torch.testing.assert_close(wavs.grad, 1 + 4 * wavs.detach())
    assert not len(model.memory)


def test_a_model_with_memory_is_the_model_without_it():
    encoder = FrozenWhisperEncoder("openai/whisper-tiny.en")
    models = [
        DownstreamClassifier(
            encoder, None, 4, 384, 16, normalise=True, memory_gb=memory_gb
        )
        for memory_gb in (0.0, 1.0)
    ]
    models[1].load_state_dict(models[0].state_dict())
    signals = [0.1 * torch.randn(n) for n in (16000, 9001, 321)]
    outputs = []
    for model in models:
        feats, lengths = model.train().batch(signals)
        outputs.append(model(feats, lengths))
    assert len(models[1].memory) == 3
    torch.testing.assert_close(*outputs, atol=1e-4, rtol=0)
    assert models[0].state_dict().keys() == models[1].state_dict().keys()
