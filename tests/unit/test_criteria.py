"""What training minimises, compared with values computed by hand."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from speechbrain_ext.backends.whisper import IGNORED, FrozenWhisper
from speechbrain_ext.criteria.features import FeatureDistance
from speechbrain_ext.criteria.recognition import WhisperCrossEntropy


def restoration(clean, repaired, frame_lengths):
    return SimpleNamespace(
        clean=torch.as_tensor(clean),
        repaired=torch.as_tensor(repaired),
        frame_lengths=torch.as_tensor(frame_lengths),
    )


# L1 of the features


def test_l1_by_hand():
    clean = [
        [[0.0, 1.0], [2.0, 3.0], [0.0, 0.0], [0.0, 0.0]],
        [[1.0, 1.0], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0]],
    ]
    repaired = [
        [[0.5, 1.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]],
        [[0.0, 4.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    ]
    losses = FeatureDistance()(restoration(clean, repaired, [1.0, 0.25]))
    # (0.5 + 2 + 1) over 4 frames of 2; (1 + 3) over 1 frame of 2.
    assert losses.tolist() == pytest.approx([3.5 / 8, 2.0])


def test_l1_does_not_depend_on_batch_mates_or_padding():
    torch.manual_seed(0)
    clean, repaired = torch.randn(3, 50, 80), torch.randn(3, 50, 80)
    lengths = torch.tensor([1.0, 0.5, 0.02])
    together = FeatureDistance()(restoration(clean, repaired, lengths))
    for row, frames in enumerate([50, 25, 1]):
        part = slice(row, row + 1)
        alone = FeatureDistance()(
            restoration(
                clean[part, :frames], repaired[part, :frames], torch.ones(1)
            )
        )
        assert float(alone[0]) == pytest.approx(float(together[row]))


def test_l1_gives_no_gradient_to_the_padding():
    repaired = torch.randn(2, 10, 4, requires_grad=True)
    lengths = torch.tensor([1.0, 0.3])
    FeatureDistance()(
        restoration(torch.zeros(2, 10, 4), repaired, lengths)
    ).sum().backward()
    assert (repaired.grad[0] != 0).all()
    assert (repaired.grad[1, :3] != 0).all()
    assert (repaired.grad[1, 3:] == 0).all()
    # The mean over 3 frames of 4 values.
    assert repaired.grad[1, 0].abs().tolist() == pytest.approx([1 / 12] * 4)


@pytest.mark.parametrize("length", [0.0, 1e-4])
def test_l1_of_next_to_nothing_is_finite(length):
    one = restoration(torch.zeros(1, 10, 4), torch.ones(1, 10, 4), [length])
    losses = FeatureDistance()(one)
    assert torch.isfinite(losses).all()


# Whisper's cross entropy


class StubBackEnd(torch.nn.Module):
    """Says fixed logits; remembers what it was asked."""

    def __init__(self, logits, targets):
        super().__init__()
        self.fixed_logits = torch.tensor(logits, requires_grad=True)
        self.targets = torch.tensor(targets)
        self.calls = []

    def encode_text(self, texts):
        self.calls.append(("encode_text", texts))
        return torch.zeros_like(self.targets), self.targets

    def encode(self, feats):
        self.calls.append(("encode", feats))
        return feats + 1

    def representations(self, feats, lengths, names):
        assert names == ["encoder"]
        return [self.encode(feats)]

    def logits(self, states, tokens, wanted):
        self.calls.append(("logits", states, tokens))
        return self.fixed_logits[wanted]


LOGITS = [
    [[9.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [0.0, 0.0, 5.0]],
    [[0.0, 9.0, 0.0], [math.log(3), 0.0, 0.0], [7.0, 7.0, 7.0], [1.0, 1.0, 1]],
]
TARGETS = [
    [IGNORED, 1, 2, 0],
    [IGNORED, 0, IGNORED, IGNORED],
]


def batch_of(repaired, texts):
    return SimpleNamespace(
        repaired=repaired, texts=texts, frame_lengths=torch.ones(len(texts))
    )


def stub_criterion(logits=LOGITS):
    back_end = StubBackEnd(logits, TARGETS)
    feats = torch.zeros(2, 6, 4)
    batch = batch_of(feats, ["one", "two"])
    return back_end, WhisperCrossEntropy(back_end)(batch)


def test_cross_entropy_by_hand():
    _, losses = stub_criterion()
    first = math.log(3)  # Uniform.
    second = math.log(1 + math.exp(-1) + math.exp(-2))
    third = math.log(2 + math.exp(5))
    expected = [(first + second + third) / 3, math.log(5 / 3)]
    assert losses.tolist() == pytest.approx(expected, abs=1e-6)


def test_cross_entropy_is_torchs_own_an_utterance():
    _, losses = stub_criterion()
    for loss, logits, targets in zip(losses, LOGITS, TARGETS):
        expected = F.cross_entropy(
            torch.tensor(logits), torch.tensor(targets), ignore_index=IGNORED
        )
        assert float(loss.detach()) == pytest.approx(float(expected))


def test_prompt_and_padding_do_not_count():
    _, losses = stub_criterion()
    changed = [[list(scores) for scores in row] for row in LOGITS]
    changed[0][0] = [-50.0, 50.0, 3.0]
    changed[1][0] = changed[1][2] = changed[1][3] = [80.0, -80.0, 0.0]
    back_end, found = stub_criterion(changed)
    assert found.tolist() == losses.tolist()
    found.sum().backward()
    gradients = back_end.fixed_logits.grad.abs().sum(dim=2)
    assert (gradients > 0).tolist() == [
        [False, True, True, True],
        [False, True, False, False],
    ]


def test_the_back_end_sees_the_repaired_features_and_the_texts():
    back_end, _ = stub_criterion()
    (_, texts), (_, feats), (_, states, tokens) = back_end.calls
    assert texts == ["one", "two"]
    assert torch.equal(feats, torch.zeros(2, 6, 4))
    assert torch.equal(states, torch.ones(2, 6, 4))
    assert tokens.shape == (2, 4)


def test_cross_entropy_is_computed_in_float32():
    """Halves would round the sum over 51864 tokens."""
    back_end = StubBackEnd(LOGITS, TARGETS)
    back_end.fixed_logits = back_end.fixed_logits.detach().bfloat16()
    batch = batch_of(torch.zeros(2, 6, 4), ["a", "b"])
    assert WhisperCrossEntropy(back_end)(batch).dtype == torch.float32


@pytest.fixture(scope="module")
def criterion():
    return WhisperCrossEntropy(FrozenWhisper("openai/whisper-tiny.en"))


TEXTS = ["Yes.", "The train leaves at twenty past nine.", "Not a word."]


def test_batch_mates_do_not_change_the_cross_entropy(criterion):
    feats = 0.3 * torch.randn(3, 120, 80)
    with torch.no_grad():
        together = criterion(batch_of(feats, TEXTS))
        assert together.shape == (3,)
        for row, text in enumerate(TEXTS):
            alone = criterion(batch_of(feats[row : row + 1], [text]))
            torch.testing.assert_close(
                alone[0], together[row], atol=1e-4, rtol=1e-4
            )


def test_each_utterances_gradient_is_its_own(criterion):
    feats = (0.3 * torch.randn(2, 60, 80)).requires_grad_()
    losses = criterion(batch_of(feats, TEXTS[:2]))
    losses[1].backward()
    assert (feats.grad[0] == 0).all()
    assert feats.grad[1].abs().max() > 0
    assert all(p.grad is None for p in criterion.parameters())
