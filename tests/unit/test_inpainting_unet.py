"""Partial convolutions by hand, and the U-Net of Table 1."""

import pytest
import torch
from torch.nn import functional as F

from speechbrain_ext.errors import UserError
from speechbrain_ext.frontends.inpainting_unet import (
    InpaintingUNet,
    PartialConv2d,
)

SIDE = 128


@pytest.fixture
def feats():
    return torch.randn(2, SIDE, SIDE)


@pytest.fixture
def lost():
    lost = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    lost[0, 30:60] = True
    lost[1, 10:50, 20:90] = True
    return lost


# ---- partial convolution ---------------------------------------------------


def test_partial_convolution_by_hand():
    convolve = PartialConv2d(1, 1, 3, padding=1)
    convolve.weight.data = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    convolve.bias.data.fill_(0.5)
    x = torch.tensor([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    valid = torch.tensor([[[[1.0, 0, 0], [1, 0, 0], [0, 0, 0]]]])
    y, seen = (each.detach() for each in convolve(x, valid))
    # The window of the first bin has four bins inside, two of them valid.
    by_hand = [
        [(1 * 5 + 4 * 8) * 4 / 2, (1 * 4 + 4 * 7) * 6 / 2, None],
        [(1 * 2 + 4 * 5) * 6 / 2, (1 * 1 + 4 * 4) * 9 / 2, None],
        [4 * 2 * 4 / 1, 4 * 1 * 6 / 1, None],
    ]
    for row, (got, wanted) in enumerate(zip(y[0, 0], by_hand, strict=True)):
        for column, value in enumerate(wanted):
            # Where nothing is valid there is no bias either.
            value = 0.0 if value is None else value + 0.5
            assert float(got[column]) == pytest.approx(value), (row, column)
    assert seen[0, 0].tolist() == [[1, 1, 0]] * 3


def test_channels_have_masks_of_their_own():
    convolve = PartialConv2d(2, 1, 1, bias=False)
    convolve.weight.data = torch.tensor([[[[3.0]], [[5.0]]]])
    x = torch.tensor([[[[1.0, 1.0]], [[1.0, 1.0]]]])
    valid = torch.tensor([[[[1.0, 1.0]], [[1.0, 0.0]]]])
    y, seen = convolve(x, valid)
    assert y.flatten().tolist() == [8.0, 6.0]
    assert seen.flatten().tolist() == [1, 1]


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (7, 2)])
def test_all_valid_is_a_full_convolution(kernel, stride):
    pad = kernel // 2
    partial = PartialConv2d(3, 4, kernel, stride, padding=pad)
    x = torch.randn(2, 3, 20, 20)
    y, seen = partial(x, torch.ones_like(x))
    full = F.conv2d(x, partial.weight, partial.bias, stride, pad)
    torch.testing.assert_close(y, full)
    assert seen.all() and seen.shape == y.shape


def test_masked_values_change_nothing_and_get_no_gradient():
    convolve = PartialConv2d(1, 2, 3, padding=1).double()
    valid = (torch.rand(1, 1, 6, 6) > 0.4).double()
    x = torch.randn(1, 1, 6, 6, dtype=torch.double, requires_grad=True)
    y, _ = convolve(x, valid)
    other, _ = convolve(torch.where(valid > 0, x, 99.0), valid)
    assert torch.equal(y, other)
    y.square().sum().backward()
    assert not x.grad[valid == 0].any() and x.grad[valid > 0].all()


def test_gradients_are_those_of_finite_differences():
    convolve = PartialConv2d(2, 2, 3, stride=2, padding=1).double()
    valid = (torch.rand(1, 2, 5, 5) > 0.4).double()
    x = torch.randn(1, 2, 5, 5, dtype=torch.double, requires_grad=True)
    parameters = [p.detach().requires_grad_() for p in convolve.parameters()]

    def run(x, weight, bias):
        named = {"weight": weight, "bias": bias}
        return torch.func.functional_call(convolve, named, (x, valid))[0]

    assert torch.autograd.gradcheck(run, (x, *parameters))


# ---- the network -----------------------------------------------------------


def test_the_convolutions_are_those_of_table_1():
    net = InpaintingUNet()
    rows = [
        [
            (each.convolve.kernel_size[0], each.convolve.out_channels)
            for each in blocks
        ]
        for blocks in (net.encoding, net.decoding)
    ]
    assert rows[0] == [(7, 16), (5, 32), (5, 64), (3, 128), (3, 128), (3, 128)]
    assert rows[1] == [(3, 1), (3, 16), (3, 32), (3, 64), (3, 128), (3, 128)]
    # Below and the encoding block's input.
    inputs = [each.convolve.in_channels for each in net.decoding]
    assert inputs == [16 + 1, 32 + 16, 64 + 32, 128 + 64, 128 + 128, 128 + 128]
    assert {each.convolve.stride for each in net.encoding} == {(2, 2)}
    assert {each.convolve.stride for each in net.decoding} == {(1, 1)}
    assert net.exit.kernel_size == (1, 1)


def test_informed_and_blind_have_the_same_parameters():
    state = InpaintingUNet(informed=True).state_dict()
    InpaintingUNet(informed=False).load_state_dict(state)


def test_an_informed_network_is_the_blind_one_where_nothing_is_lost(feats):
    informed, blind = InpaintingUNet(), InpaintingUNet(informed=False)
    blind.load_state_dict(informed.state_dict())
    found, expected = (
        net.eval()(feats, torch.ones(2)) for net in (informed, blind)
    )
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_an_informed_network_does_not_see_masked_bins(feats, lost):
    net = InpaintingUNet().eval()
    other = torch.where(lost, 1e3, feats)
    found = net(feats, torch.ones(2), lost)
    assert torch.equal(found, net(other, torch.ones(2), lost))
    assert not torch.equal(found, net(feats, torch.ones(2)))


def test_a_blind_network_does_not_see_the_mask(feats, lost):
    net = InpaintingUNet(informed=False).eval()
    found = net(feats, torch.ones(2), lost)
    assert torch.equal(found, net(feats, torch.ones(2)))
    other = torch.where(lost, 0.0, feats)
    assert not torch.equal(found, net(other, torch.ones(2)))


def test_observed_bins_are_kept_where_asked(feats, lost):
    net = InpaintingUNet(keep_observed=True).eval()
    found = net(feats, torch.ones(2), lost)
    assert torch.equal(found[~lost], feats[~lost])
    assert not (found[lost] == feats[lost]).any()
    # A blind network does not know them.
    assert not InpaintingUNet(informed=False, keep_observed=True).keep_observed


def test_lost_frames_are_lost_in_all_channels(feats):
    net = InpaintingUNet().eval()
    frames = torch.zeros(2, SIDE)
    frames[:, 20:40] = 0.3
    bins = (frames > 0)[..., None].expand(2, SIDE, SIDE)
    assert torch.equal(
        net(feats, torch.ones(2), frames), net(feats, torch.ones(2), bins)
    )


@pytest.mark.parametrize("frames", [1, 63, 128, 130])
@pytest.mark.parametrize("informed", [True, False])
def test_any_number_of_frames(frames, informed):
    feats = torch.randn(1, frames, SIDE)
    found = InpaintingUNet(informed).eval()(feats, torch.ones(1))
    assert found.shape == feats.shape and found.isfinite().all()


def test_what_lies_past_an_utterances_end_is_not_seen(feats):
    net = InpaintingUNet().eval()
    lengths = torch.tensor([1.0, 0.5])
    other = feats.clone()
    other[1, 64:] = 99
    found = net(feats, lengths)
    assert torch.equal(found, net(other, lengths))
    alone = net(feats[1:], lengths[1:])
    torch.testing.assert_close(found[1:], alone, atol=1e-5, rtol=1e-4)


def test_all_masked_is_finite(feats):
    net = InpaintingUNet()
    everything = torch.ones(2, SIDE, SIDE, dtype=torch.bool)
    found = net(feats, torch.ones(2), everything)
    assert found.isfinite().all()
    found.sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("informed", [True, False])
def test_every_parameter_learns(feats, lost, informed):
    net = InpaintingUNet(informed)
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    smooth = F.avg_pool2d(feats, 15, 1, 7) * 5
    losses = []
    for _ in range(6):
        loss = (net(smooth * ~lost, torch.ones(2), lost) - smooth).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in net.parameters())
    # A bias before batch normalisation does nothing, a weight does.
    weights = [p for p in net.parameters() if p.dim() == 4]
    assert all(p.grad.any() for p in weights)


def test_a_mask_of_another_shape_is_refused(feats):
    lost = torch.zeros(2, SIDE, SIDE + 1, dtype=torch.bool)
    with pytest.raises(UserError, match="mask: has the shape"):
        InpaintingUNet()(feats, torch.ones(2), lost)
