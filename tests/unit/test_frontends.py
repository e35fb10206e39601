"""Front-ends: sizes, any number of frames, and what they must leave alone."""

import pytest
import torch
from torch import nn

from speechbrain_ext.frontends.adaptation_unet import AdaptationUNet
from speechbrain_ext.frontends.light_adapter import LightAdapter
from speechbrain_ext.weight_files import save_weights

FRAME_COUNTS = [1, 2, 3, 7, 16, 101]


def small_unet(**settings):
    return AdaptationUNet(**{"width": 4, "n_bottleneck": 2, **settings})


def small_light(trained=True, **settings):
    """A light adapter; as if trained, its corrections are not zero."""
    net = LightAdapter(
        **{"widths": [16, 24, 32], "dilations": [1, 2], **settings}
    )
    if trained:
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def randomise_statistics(net):
    """Give batch norms means and variances that matter."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return net


# The paper's network


def test_default_size_is_the_papers():
    assert 7.4e6 <= n_parameters(AdaptationUNet()) <= 7.6e6


def test_parameters_by_hand():
    """width 4, depth 1, one bottleneck block of 8 channels, 2 inside."""

    def conv(n_in, n_out, kernel):
        return n_in * n_out * kernel**2 + n_out

    def block(n_in, n_out, kernel):
        return conv(n_in, n_out, kernel) + 2 * n_out

    expected = block(1, 4, 7) + block(4, 8, 3)
    expected += block(8, 2, 1) + block(2, 2, 3) + block(2, 8, 1)
    expected += block(8, 4, 3) + conv(4, 1, 7)
    assert n_parameters(small_unet(depth=1, n_bottleneck=1)) == expected


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("frames", [*FRAME_COUNTS, 3000])
def test_unet_takes_any_number_of_frames(frames, training):
    net = small_unet(width=2, n_bottleneck=1).train(training)
    with torch.no_grad():
        found = net(torch.randn(1, frames, 80), torch.ones(1))
    assert found.shape == (1, frames, 80)
    assert torch.isfinite(found).all()


def test_unet_takes_any_number_of_mels():
    net = small_unet(depth=2)
    assert net(torch.randn(2, 9, 13), torch.ones(2)).shape == (2, 9, 13)


def test_unet_skips_every_scale():
    """Without the bottleneck each scale's own skip still carries the input."""
    net = small_unet(depth=3).eval()
    scales = {}

    def remember(index):
        def hook(module, inputs, output):
            scales[index] = output.shape[1:]
            # Only the skips are left.
            return torch.zeros_like(output)

        return hook

    for index, block in enumerate(net.up):
        block.register_forward_hook(remember(index))
    entries = {}

    def remember_input(index):
        return lambda module, inputs: entries.update(
            {index: inputs[0].shape[1:]}
        )

    for index, block in enumerate(net.down):
        block.register_forward_pre_hook(remember_input(index))
    x = torch.randn(1, 16, 80)
    found = net(x, torch.ones(1))
    # Shapes going up mirror those going down.
    assert [tuple(scales[i]) for i in range(3)] == [
        (16, 4, 20),
        (8, 8, 40),
        (4, 16, 80),
    ]
    assert [entries[2 - i] for i in range(3)] == [scales[i] for i in range(3)]
    # And with only the last skip left, it is added as it is.
    expected = net.exit(net.entry(x[:, None]))[:, 0]
    torch.testing.assert_close(found, expected)


def test_unet_reaches_from_every_scale_to_its_output():
    """Gradients reach all weights, through the skips and the bottleneck."""
    net = small_unet()
    net(torch.randn(2, 32, 80), torch.ones(2)).square().mean().backward()
    still = [
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # A bias in front of a batch norm has no effect, but its gradient is noise.
    assert still == []


def test_unet_is_deterministic_in_evaluation():
    net = randomise_statistics(small_unet()).eval()
    x = torch.randn(3, 24, 80)
    with torch.no_grad():
        first = net(x, torch.ones(3))
        assert torch.equal(net(x, torch.ones(3)), first)
        alone = net(x[1:2], torch.ones(1))
        torch.testing.assert_close(alone[0], first[1], atol=1e-5, rtol=1e-4)
        # In training, batch mates matter.
        net.train()
        together = net(x, torch.ones(3))[1]
        assert (net(x[1:2], torch.ones(1))[0] - together).abs().max() > 1e-3


def test_unet_is_blind_to_lengths_and_losses():
    net = small_unet().eval()
    x = torch.randn(2, 8, 80)
    lost = torch.ones(2, 8)
    found = net(x, torch.tensor([1.0, 0.5]), lost)
    assert torch.equal(found, net(x, torch.ones(2)))


def test_unet_convolutions_have_unit_spectral_norm():
    net = small_unet(width=16)
    # In training each pass is a step of the power iteration.
    for _ in range(50):
        net(torch.randn(1, 8, 8), torch.ones(1))
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 3 + 2 * 3 + 3 + 1
    for convolution in convolutions:
        matrix = convolution.weight.detach().flatten(1)
        norm = float(torch.linalg.matrix_norm(matrix, 2))
        assert norm == pytest.approx(1.0, rel=0.05)


# The light one


@pytest.mark.parametrize("informed", [True, False])
@pytest.mark.parametrize("frames", [*FRAME_COUNTS, 3000])
def test_light_untrained_changes_nothing(frames, informed):
    net = small_light(trained=False, informed=informed)
    x = torch.randn(2, frames, 80)
    lost = torch.rand(2, frames)
    assert torch.equal(net(x, torch.ones(2), lost), x)
    assert torch.equal(net(x, torch.tensor([1.0, 0.4])), x)


@pytest.mark.parametrize("frames", [*FRAME_COUNTS, 3000])
def test_light_changes_any_number_of_frames(frames):
    net = small_light()
    x = torch.randn(2, frames, 80)
    found = net(x, torch.ones(2), torch.ones(2, frames))
    assert found.shape == x.shape
    assert ((found - x).abs().amax(dim=2) > 0).all()


@pytest.mark.parametrize("reach", [0, 4, 25])
def test_informed_changes_only_what_is_near_a_loss(reach):
    net = small_light(reach=reach)
    x = torch.randn(2, 200, 80)
    lost = torch.zeros(2, 200)
    lost[0, 90:93] = 0.01
    changed = (net(x, torch.ones(2), lost) != x).any(dim=2)
    assert changed[0].nonzero()[:, 0].tolist() == list(
        range(90 - reach, 93 + reach)
    )
    assert not changed[1].any()


def test_informed_without_a_mask_changes_nothing():
    x = torch.randn(1, 50, 80)
    assert torch.equal(small_light()(x, torch.ones(1)), x)


def test_informed_uses_the_mask_itself():
    """The same frames may change; how, depends on what was lost of them."""
    net = small_light()
    x = torch.randn(1, 60, 80)
    lost = torch.zeros(1, 60)
    lost[:, 20:30] = 1.0
    whole = net(x, torch.ones(1), lost)
    partly = net(x, torch.ones(1), 0.3 * lost)
    assert (whole - partly).abs().max() > 1e-3


def test_a_boolean_mask_is_ones_and_zeros():
    net = small_light()
    x, lost = torch.randn(1, 30, 80), torch.rand(1, 30) < 0.3
    expected = net(x, torch.ones(1), lost.float())
    assert torch.equal(net(x, torch.ones(1), lost), expected)


def test_blind_ignores_the_mask_and_changes_everything():
    net = small_light(informed=False)
    x = torch.randn(1, 60, 80)
    found = net(x, torch.ones(1), torch.rand(1, 60))
    assert torch.equal(found, net(x, torch.ones(1)))
    assert (found != x).any(dim=2).all()


@pytest.mark.parametrize("informed", [True, False])
def test_light_changes_nothing_past_the_end(informed):
    net = small_light(informed=informed)
    x = torch.randn(2, 100, 80)
    lengths = torch.tensor([1.0, 0.37])
    found = net(x, lengths, torch.ones(2, 100))
    assert torch.equal(found[1, 37:], x[1, 37:])
    assert (found[1, :37] != x[1, :37]).any(dim=1).all()
    assert (found[0] != x[0]).any(dim=1).all()


def test_light_rows_do_not_see_each_other():
    net = small_light()
    x, lost = torch.randn(4, 75, 80), torch.rand(4, 75)
    lengths = torch.tensor([1.0, 0.8, 0.6, 0.4])
    together = net(x, lengths, lost)
    for row in range(4):
        part = slice(row, row + 1)
        alone = net(x[part], lengths[part], lost[part])[0]
        torch.testing.assert_close(alone, together[row], atol=1e-5, rtol=1e-4)


def test_light_sees_a_second_to_each_side():
    """Dilations 1, 2, 4, 8 at a quarter of the frame rate."""
    net = LightAdapter(
        widths=[8, 8, 8], dilations=[1, 2, 4, 8], reach=1000
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    x = torch.randn(1, 600, 80, dtype=torch.float64, requires_grad=True)
    lost = torch.ones(1, 600)
    net(x, torch.ones(1), lost)[0, 300].sum().backward()
    seen = x.grad[0].abs().amax(dim=1).nonzero()[:, 0]
    # 1 + 2 + 4 + 8 and one each for the second convolutions, times 4 frames,
    # and what the entry, the exit and the resampling add.
    assert 300 - int(seen.min()) in range(76, 101)
    assert int(seen.max()) - 300 in range(76, 101)


def test_gradients_reach_every_weight_of_the_light_one():
    """Zeros open from the outside in: the exit, then the blocks' seconds."""
    net = small_light(trained=False)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    x, clean = torch.randn(2, 40, 80), torch.randn(2, 40, 80)
    waiting = []
    for _ in range(3):
        optimiser.zero_grad()
        repaired = net(x, torch.ones(2), torch.ones(2, 40))
        (repaired - clean).abs().mean().backward()
        waiting.append(
            {
                name
                for name, parameter in net.named_parameters()
                if not parameter.grad.any()
            }
        )
        optimiser.step()
    assert "exit.weight" not in waiting[0] and "entry.weight" in waiting[0]
    assert "entry.weight" not in waiting[1]
    assert all(".first." in name or ".norm." in name for name in waiting[1])
    assert waiting[2] == set()


def test_light_learns_to_repair():
    """Lost frames hold -1; the clean ones are the mean of their neighbours."""
    net = small_light(trained=False)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    clean = torch.randn(8, 1, 80).expand(8, 40, 80)
    lost = torch.zeros(8, 40)
    lost[:, 15:20] = 1.0
    damaged = torch.where(lost[..., None] > 0, torch.tensor(-1.0), clean)
    losses = []
    for _ in range(100):
        optimiser.zero_grad()
        loss = (net(damaged, torch.ones(8), lost) - clean).abs().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_the_shipped_size_fits_in_20_megabytes(tmp_path):
    net = LightAdapter(widths=[128, 256, 384], dilations=[1, 2, 4, 8])
    assert {p.dtype for p in net.state_dict().values()} == {torch.float32}
    file = tmp_path / "front_end.safetensors"
    save_weights(file, net)
    assert 1e6 < file.stat().st_size <= 20e6
