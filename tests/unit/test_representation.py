"""The distance of encoder outputs, and the encoder that runs once for all."""

from types import SimpleNamespace

import pytest
import torch

from speechbrain_ext.criteria.representation import (
    RepresentationDistance,
    represent_repaired,
)


class Encoder(torch.nn.Module):
    """Halves the frames by taking every other one, and counts its calls."""

    layers = ("encoder",)

    def __init__(self):
        super().__init__()
        self.calls = 0

    def representations(self, feats, lengths, names):
        self.calls += 1
        return [feats[:, ::2] * 3.0 for _ in names]


def distance(encoder):
    return RepresentationDistance(encoder, ["encoder"])


def encode_repaired(restoration, encoder):
    return represent_repaired(restoration, encoder, ["encoder"])[0]


def batch(clean, repaired, frame_lengths):
    return SimpleNamespace(
        clean=clean,
        repaired=repaired,
        frame_lengths=torch.tensor(frame_lengths),
    )


def test_equals_the_value_by_hand():
    clean = torch.zeros(1, 4, 2)
    repaired = torch.tensor([[[1.0, 3.0], [9.0, 9.0], [0.0, 2.0], [9.0, 9.0]]])
    loss = distance(Encoder())(batch(clean, repaired, [1.0]))
    # Positions 0 and 2 are kept: 3 * mean(1, 3, 0, 2).
    torch.testing.assert_close(loss, torch.tensor([4.5]))


def test_positions_past_the_end_do_not_count():
    clean = torch.zeros(2, 4, 1)
    repaired = torch.ones(2, 4, 1)
    repaired[1, 2:] = 100.0
    loss = distance(Encoder())(batch(clean, repaired, [1.0, 0.5]))
    torch.testing.assert_close(loss, torch.tensor([3.0, 3.0]))


def test_gradients_reach_the_repaired_side_only():
    clean = torch.zeros(1, 4, 1, requires_grad=True)
    repaired = torch.ones(1, 4, 1, requires_grad=True)
    distance(Encoder())(batch(clean, repaired, [1.0])).sum().backward()
    assert clean.grad is None
    assert repaired.grad[0, ::2].abs().min() > 0


def test_the_repaired_side_is_encoded_once():
    encoder = Encoder()
    restoration = batch(torch.zeros(1, 4, 1), torch.ones(1, 4, 1), [1.0])
    first = encode_repaired(restoration, encoder)
    assert encode_repaired(restoration, encoder) is first
    distance(encoder)(restoration)
    # Once more for the clean side.
    assert encoder.calls == 2


@pytest.mark.parametrize("other", [True, False])
def test_each_back_end_has_its_own_encoding(other):
    restoration = batch(torch.zeros(1, 4, 1), torch.ones(1, 4, 1), [1.0])
    first, second = Encoder(), Encoder()
    encode_repaired(restoration, first)
    encode_repaired(restoration, second if other else first)
    assert second.calls == int(other)
