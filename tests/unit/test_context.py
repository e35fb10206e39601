"""Networks over a frame and its context: windows, chunks and the mappers."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.features.context import ContextNetwork, stack_context
from speechbrain_ext.features.frames import inside_frames
from speechbrain_ext.frontends.context_mapper import (
    ContextDNN,
    ContextWideResNet,
)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(network):
    """Make a network at its own size, without its weights."""
    with torch.device("meta"):
        return network()


# Windows


def test_windows_by_hand():
    feats = torch.tensor([[1.0, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0]])
    windows = stack_context(
        feats[..., None], torch.tensor([1.0, 0.5, 0.25]), past=2, future=1
    )
    assert windows.shape == (3, 4, 4, 1)
    assert windows[0, ..., 0].tolist() == [
        [1, 1, 1, 2],
        [1, 1, 2, 3],
        [1, 2, 3, 4],
        [2, 3, 4, 4],
    ]
    assert windows[1, :2, :, 0].tolist() == [[5, 5, 5, 6], [5, 5, 6, 6]]
    assert windows[2, 0, :, 0].tolist() == [7, 7, 7, 7]


def test_the_middle_of_a_window_is_its_frame():
    feats = torch.randn(2, 30, 5)
    windows = stack_context(feats, torch.ones(2))
    assert windows.shape == (2, 30, 11, 5)
    assert torch.equal(windows[:, :, 5], feats)
    assert torch.equal(windows[:, 5:-5, 0], feats[:, :-10])
    assert torch.equal(windows[:, 5:-5, 10], feats[:, 10:])


@pytest.mark.parametrize("frames", [1, 2, 5, 6, 40])
def test_windows_do_not_depend_on_the_batch(frames):
    torch.manual_seed(frames)
    feats = torch.randn(3, 40, 4)
    lengths = torch.tensor([1.0, frames / 40, 0.3])
    together = stack_context(feats, lengths)[1, :frames]
    alone = stack_context(feats[1:2, :frames], torch.ones(1))[0]
    assert torch.equal(together, alone)


def test_windows_are_a_view():
    feats = torch.randn(1, 1000, 20)
    windows = stack_context(feats, torch.ones(1))
    assert windows.untyped_storage().nbytes() < 1.02 * feats.nbytes


def test_no_context():
    feats = torch.randn(2, 7, 3)
    windows = stack_context(feats, torch.ones(2), past=0, future=0)
    assert torch.equal(windows[:, :, 0], feats)


def test_each_utterance_has_a_frame():
    inside = inside_frames(torch.tensor([1.0, 0.49, 0.01]), 5)
    assert inside.sum(dim=1).tolist() == [5, 2, 1]


# The network around them

STAGES = {
    "first": lambda: nn.Sequential(nn.Flatten(), nn.Linear(33, 6)),
    "second": lambda: nn.Sequential(nn.Tanh(), nn.Linear(6, 2)),
}


def small_network(**settings):
    torch.manual_seed(0)
    return ContextNetwork(
        {name: stage() for name, stage in STAGES.items()}, **settings
    )


def by_hand(network, feats):
    """One utterance of [frames, 3], without batches, chunks or views."""
    padded = [feats[0]] * 5 + list(feats) + [feats[-1]] * 5
    windows = [torch.cat(padded[i : i + 11]) for i in range(len(feats))]
    first = network.stages["first"][1](torch.stack(windows))
    return first, network.stages["second"](first)


def test_network_by_hand():
    network = small_network()
    feats = torch.randn(2, 9, 3)
    outputs = network.representations(
        feats, torch.tensor([1.0, 4 / 9]), ["second", "first"]
    )
    for row, frames in enumerate([9, 4]):
        first, second = by_hand(network, feats[row, :frames])
        torch.testing.assert_close(outputs[1][row, :frames], first)
        torch.testing.assert_close(outputs[0][row, :frames], second)
    assert outputs[0][1, 4:].eq(0).all() and outputs[1][1, 4:].eq(0).all()
    assert torch.equal(network(feats, torch.tensor([1.0, 4 / 9])), outputs[0])


@pytest.mark.parametrize("chunk_frames", [1, 3, 13, 1000])
def test_chunks_change_nothing(chunk_frames):
    feats = torch.randn(2, 9, 3)
    lengths = torch.tensor([1.0, 4 / 9])
    expected = small_network()(feats, lengths)
    outputs = small_network(chunk_frames=chunk_frames)(feats, lengths)
    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize("recompute", [True, False])
def test_gradients_of_chunks(recompute):
    """With dropout, what is computed again must be the same again."""

    def gradients(**settings):
        network = small_network(**settings)
        network.stages["second"].append(nn.Dropout(0.5))
        feats = torch.linspace(-1, 1, 54).reshape(2, 9, 3).requires_grad_()
        torch.manual_seed(1)
        network(feats, torch.tensor([1.0, 4 / 9])).square().sum().backward()
        return [feats.grad, *(p.grad for p in network.parameters())]

    expected = gradients(chunk_frames=4, recompute=False)
    found = gradients(chunk_frames=4, recompute=recompute)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert found[0][0].abs().sum() > 0 and found[0][1, 4:].eq(0).all()


@pytest.mark.parametrize(("recompute", "runs"), [(True, 2), (False, 1)])
def test_only_so_many_frames_at_once(recompute, runs):
    class Recorder(nn.Flatten):
        def forward(self, x):
            seen.append(tuple(x.shape))
            return super().forward(x)

    seen = []
    stages = {"flat": Recorder(), "output": nn.Tanh()}
    network = ContextNetwork(stages, chunk_frames=7, recompute=recompute)
    feats = torch.randn(2, 10, 3, requires_grad=True)
    output = network(feats, torch.tensor([1.0, 0.5]))
    # 10 and 5 frames; the padding is not computed.
    chunks = [(7, 11, 3), (7, 11, 3), (1, 11, 3)]
    assert seen == chunks
    output.sum().backward()
    assert sorted(seen) == sorted(runs * chunks)
    seen.clear()
    with torch.no_grad():
        network(feats, torch.tensor([1.0, 0.5]))
    assert seen == chunks


def test_later_stages_are_not_run():
    network = small_network()
    network.stages["second"] = None
    feats = torch.randn(1, 4, 3)
    network.representations(feats, torch.ones(1), ["first"])
    with pytest.raises(TypeError):
        network(feats, torch.ones(1))


# The mappers


def test_dnn_size():
    """11 frames of 257 bins, two layers of 2048 nodes, 257 outputs."""
    expected = 2828 * 2048 + 2049 * 2048 + 2049 * 257
    assert n_parameters(on_meta(ContextDNN)) == expected == 10_514_689


def test_dnn_by_hand():
    mapper = ContextDNN(n_channels=2, hidden=[4, 3], past=1, future=1).eval()
    feats = torch.randn(1, 3, 2)
    weights = [stage[-1] for stage in mapper.stages.values()]
    x = weights[0](feats.reshape(1, 6))
    x = weights[1](torch.where(x > 0, x, 0.3 * x))
    x = weights[2](torch.where(x > 0, x, 0.3 * x))
    found = mapper(feats, torch.ones(1))[:, 1]
    torch.testing.assert_close(found, x.relu())


def test_wide_resnet_size():
    """Four blocks of 3x3 convolutions; 17 bins of one frame are left."""

    def conv(inputs, outputs):
        return inputs * outputs * 9 + outputs

    expected = conv(1, 128) + 2 * conv(128, 128)
    expected += 3 * conv(128, 128)
    expected += conv(128, 256) + 2 * conv(256, 256)
    expected += 3 * conv(256, 256)
    expected += (17 * 256 + 1) * 2048 + 2049 * 2048 + 2049 * 257
    assert n_parameters(on_meta(ContextWideResNet)) == expected


def test_wide_resnet_by_hand():
    mapper = ContextWideResNet(
        n_channels=9, filters=[3, 4], dense=[5], past=2, future=1
    ).eval()
    feats = torch.randn(1, 6, 9)
    x = feats[:, None, 1:5]
    for block in list(mapper.stages.values())[:2]:
        x = F.conv2d(x, *block.downsample.parameters(), 2, 1)
        residual = F.conv2d(x.relu(), *block.first.parameters(), 1, 1)
        x = x + F.conv2d(residual.relu(), *block.second.parameters(), 1, 1)
    assert x.shape == (1, 4, 1, 3)
    x = mapper.stages["dense1"][-1](x.flatten(1)).relu()
    x = mapper.stages["output"][-1](x)
    found = mapper(feats, torch.ones(1))[:, 3]
    torch.testing.assert_close(found, x.relu())


def mappers(dropout=0.1):
    torch.manual_seed(0)
    settings = {"n_channels": 33, "dropout": dropout, "chunk_frames": 16}
    return [
        ContextDNN(hidden=[16, 16], **settings),
        ContextWideResNet(filters=[4, 4], dense=[16], **settings),
    ]


@pytest.mark.parametrize("mapper", mappers(), ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("frames", [1, 2, 11, 33])
def test_mappers_do_not_depend_on_the_batch(mapper, frames):
    mapper.eval()
    feats = torch.rand(2, 33, 33)
    feats[1, frames:] = 100.0
    with torch.no_grad():
        together = mapper(feats, torch.tensor([1.0, frames / 33]))
        alone = mapper(feats[1:, :frames], torch.ones(1))
    torch.testing.assert_close(together[1:, :frames], alone)
    assert together.shape == feats.shape
    assert together[1, frames:].eq(0).all()


@pytest.mark.parametrize("mapper", mappers(), ids=lambda m: type(m).__name__)
def test_magnitudes_are_never_negative(mapper):
    feats = torch.randn(1, 9, 33)
    with torch.no_grad():
        assert mapper.eval()(feats, torch.ones(1)).min() == 0
    # While it learns, a bin that fell below 0 can rise again.
    outputs = mapper.train()(feats, torch.ones(1))
    assert outputs.min() < 0
    outputs.clamp(max=0).sum().backward()
    assert any(p.grad.abs().sum() > 0 for p in mapper.parameters())


@pytest.mark.parametrize("mapper", mappers(0.0), ids=lambda m: type(m).__name__)
def test_mappers_learn(mapper):
    torch.manual_seed(0)
    clean = torch.rand(2, 10, 1).expand(-1, -1, 33)
    noisy = clean + torch.rand(33)
    optimiser = torch.optim.Adam(mapper.train().parameters(), 1e-2)
    losses = []
    for _ in range(20):
        loss = (mapper(noisy, torch.ones(2)) - clean).square().mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.4 * losses[0]
