"""The Wide-ResNet-like network: context, batches, masks and sizes."""

import pytest
import torch

from speechbrain_ext.features.log_magnitude import LogMagnitude
from speechbrain_ext.frontends.spectral import SpectralFrontEnd
from speechbrain_ext.frontends.wide_resnet import (
    SqueezeExcitation,
    WideResNet,
    WideResNetEnhancer,
)


def enhancer(**settings):
    return WideResNetEnhancer([4, 6], dense=[8], **settings).eval()


def test_the_papers_sizes():
    network = WideResNetEnhancer()
    assert network.network.layers[-1] == "block6"
    # 257 bins, halved six times, rounding up.
    assert network.network.n_outputs == 512 * 5


@pytest.mark.parametrize("block,context", [(1, 3), (2, 6)])
def test_a_block_sees_as_many_frames_as_table_3_says(block, context):
    """7 frames the first, 13 the second: 3 and 6 on each side."""
    network = WideResNet([3, 3]).eval()
    # The squeeze sees the whole utterance; the table counts convolutions.
    for part in network.blocks:
        torch.nn.init.zeros_(part.excitation.excite.weight)
    feats = torch.rand(1, 41, 257, requires_grad=True)
    network(feats, torch.ones(1))[block - 1][0, :, 20].sum().backward()
    seen = feats.grad[0].abs().sum(dim=1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (20 - context, 20 + context)


def test_neighbours_in_a_batch_change_nothing():
    network = enhancer()
    feats = torch.rand(2, 20, 257)
    together = network(feats, torch.tensor([1.0, 0.6]))
    alone = network(feats[1:, :12], torch.ones(1))
    torch.testing.assert_close(together[1:, :12], alone)
    assert together[1, 12:].abs().max() == 0


def test_a_mask_never_amplifies_and_is_learnt_through():
    network = enhancer()
    feats = torch.rand(1, 9, 257) * 3
    repaired = network(feats, torch.ones(1))
    assert (repaired <= feats + 1e-6).all() and (repaired >= 0).all()
    repaired.sum().backward()
    assert network.output.bias.grad.abs().min() > 0


def test_a_mapping_may_amplify():
    network = enhancer(masking=False)
    torch.nn.init.constant_(network.output.bias, 50.0)
    feats = torch.rand(1, 9, 257)
    assert (network(feats, torch.ones(1)) > feats).all()


def test_the_squeeze_is_the_mean_of_the_utterances_own_frames():
    squeeze = SqueezeExcitation(2)
    torch.nn.init.eye_(squeeze.squeeze.weight)
    torch.nn.init.eye_(squeeze.excite.weight)
    for layer in (squeeze.squeeze, squeeze.excite):
        torch.nn.init.zeros_(layer.bias)
    x = torch.full((1, 2, 4, 3), 5.0)
    x[:, :, :2] = torch.tensor([1.0, -1.0])[None, :, None, None]
    inside = torch.tensor([1.0, 1.0, 0.0, 0.0])[None, None, :, None]
    weights = squeeze(x, inside).flatten()
    # Means 1 and -1; the rectifier makes the second 0.
    torch.testing.assert_close(weights, torch.tensor([1.0, 0.0]).sigmoid())


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_front_end_stays_as_it_is(frozen):
    front_end = SpectralFrontEnd(LogMagnitude(), enhancer(), frozen).train()
    assert front_end.enhancer.training is not frozen
    trained = [p for p in front_end.parameters() if p.requires_grad]
    assert bool(trained) is not frozen
    wavs = torch.randn(1, 4000, requires_grad=True)
    front_end(wavs, torch.ones(1)).square().sum().backward()
    assert wavs.grad.abs().max() > 0
