"""The word classifier, and the deep feature loss that its pools make."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from speechbrain_ext.backends.speech_vgg import (
    VGG16,
    FrozenSpeechVGG,
    SpeechVGG,
)
from speechbrain_ext.criteria.representation import RepresentationDistance
from speechbrain_ext.errors import UserError

SMALL = [[4, 4], [8, 8], [8] * 3, [8] * 3, [8] * 3]


def small(cls=SpeechVGG, **settings):
    return cls(10, SMALL, dense=[16], **settings)


def batch(clean, repaired):
    lengths = torch.ones(len(clean))
    return SimpleNamespace(
        clean=clean, repaired=repaired, frame_lengths=lengths
    )


def test_the_layers_are_those_of_vgg_16():
    with torch.device("meta"):
        model = SpeechVGG()
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    assert [len(block) for block in VGG16] == [2, 2, 3, 3, 3]
    assert {each.kernel_size for each in convolutions} == {(3, 3)}
    dense = [
        m.out_features for m in model.classifier if isinstance(m, nn.Linear)
    ]
    assert dense == [4096, 4096, 1000]
    # 16 weight layers, which gave it its name.
    assert len(convolutions) + len(dense) == 16
    parameters = sum(p.numel() for p in convolutions[0].parameters())
    assert parameters == 64 * (9 + 1)


def test_each_block_ends_in_a_pool_that_halves():
    model, feats = small(), torch.randn(2, 128, 128)
    pools = model.representations(feats, torch.ones(2), model.pools)
    sides = [(pool.shape[1], pool.shape[3]) for pool in pools]
    assert sides == [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]
    assert [pool.shape[2] for pool in pools] == [4, 8, 8, 8, 8]
    # After a ReLU, and no output has died.
    assert all(pool.min() >= 0 and pool.std() > 0.1 for pool in pools)
    first = torch.relu(model.blocks[0](feats[:, None]))
    maxima = first.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
    torch.testing.assert_close(pools[0], maxima.transpose(1, 2))


def test_the_deep_feature_loss_is_the_sum_of_the_pools_l1():
    model = small(FrozenSpeechVGG)
    clean, repaired = torch.randn(2, 2, 128, 128)
    loss = RepresentationDistance(model, model.pools)(batch(clean, repaired))
    with torch.no_grad():
        outputs = [
            model.representations(x, torch.ones(2), model.pools)
            for x in (clean, repaired)
        ]
    expected = sum(
        (one - other).abs().mean(dim=(1, 2, 3))
        for one, other in zip(*outputs, strict=True)
    )
    torch.testing.assert_close(loss, expected)
    same = RepresentationDistance(model, model.pools)(batch(clean, clean))
    assert not same.any()


def test_gradients_reach_the_repaired_features_alone():
    model = small(FrozenSpeechVGG)
    clean = torch.randn(2, 128, 128)
    repaired = (clean + 0.1).requires_grad_()
    loss = RepresentationDistance(model, model.pools)
    loss(batch(clean, repaired)).sum().backward()
    assert (repaired.grad != 0).float().mean() > 0.99
    assert all(p.grad is None for p in model.parameters())


def test_no_later_part_is_run():
    model = small()
    model.blocks[2] = model.words = None
    pools = model.representations(
        torch.randn(1, 128, 128), torch.ones(1), ["pool2"]
    )
    assert len(pools) == 1


def test_words_are_learnt():
    """Four words, each with a pattern of its own, in a few steps."""
    model = SpeechVGG(4, [[4], [8], [8], [8], [8]], dense=[16], dropout=0.0)
    targets = torch.arange(4)
    feats = 0.1 * torch.randn(4, 128, 128)
    for word in range(4):
        feats[word, :, 32 * word : 32 * word + 32] += 1
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(model(feats, torch.ones(4)), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def test_other_shapes_are_refused():
    model = small()
    with pytest.raises(UserError, match="129 bins; expected 128"):
        model(torch.zeros(1, 128, 129), torch.ones(1))
    with pytest.raises(UserError, match="100 frames; expected 128"):
        model(torch.zeros(1, 100, 128), torch.ones(1))
    # A last segment's pools are those of what there is.
    pools = model.representations(
        torch.zeros(1, 100, 128), torch.ones(1), model.pools
    )
    assert pools[-1].shape[1] == 4
