"""The recurrent concealer, and the loss that it is trained with."""

import math
from types import SimpleNamespace

import pytest
import torch

from speechbrain_ext.criteria.waveform import StftMagnitudeComplexMae
from speechbrain_ext.frontends.recurrent_concealer import RecurrentConcealer

PACKET = 320


def small(**settings):
    torch.manual_seed(0)
    return RecurrentConcealer(**{"hidden_size": 16, **settings}).eval()


def as_mask(packets):
    return torch.as_tensor(packets).bool().repeat_interleave(PACKET, dim=1)


def test_default_size_is_a_laptops():
    n_weights = sum(p.numel() for p in RecurrentConcealer().parameters())
    assert 1e6 < n_weights < 2e6


def test_one_packet_by_hand():
    """The prediction from the past 7 packets, and its surplus faded out."""
    net = small()
    wavs = torch.randn(1, 10 * PACKET)
    lost = as_mask([[0] * 8 + [1, 0]])
    wavs = wavs * ~lost
    with torch.no_grad():
        found = net(wavs, torch.ones(1), lost).view(10, PACKET)
        past = wavs.view(1, 10, PACKET)[:, 1:8]
        predicted = net.predict(past, torch.ones(1, 7))[0]
    torch.testing.assert_close(found[8], predicted[:PACKET])
    gain = torch.cos(math.pi / 2 * (torch.arange(80) + 0.5) / 80) ** 2
    received = wavs.view(10, PACKET)[9, :80]
    expected = gain * predicted[PACKET:] + (1 - gain) * received
    torch.testing.assert_close(found[9, :80], expected)


def test_concealed_packets_are_context():
    """The second packet of a burst follows the first one's prediction."""
    net = small()
    wavs, lost = torch.randn(1, 10 * PACKET), as_mask([[0] * 7 + [1, 1, 0]])
    wavs = wavs * ~lost
    with torch.no_grad():
        found = net(wavs, torch.ones(1), lost).view(1, 10, PACKET)
        received = torch.tensor([[1.0] * 6 + [0.0]])
        first = net.predict(wavs.view(1, 10, PACKET)[:, :7], torch.ones(1, 7))
        second = net.predict(found[:, 1:8], received)
    torch.testing.assert_close(found[0, 8, 80:], second[0, 80:PACKET])
    head = net.rising * second[0, :80] + (1 - net.rising) * first[0, PACKET:]
    torch.testing.assert_close(found[0, 8, :80], head)


def test_loud_and_quiet_are_concealed_alike():
    net = small()
    wavs, lost = torch.randn(1, 3200), as_mask([[0, 0, 0, 1, 1, 0, 0, 1, 0, 0]])
    wavs = wavs * ~lost
    loud = net(wavs, torch.ones(1), lost)
    quiet = net(0.01 * wavs, torch.ones(1), lost)
    torch.testing.assert_close(quiet, 0.01 * loud, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("shift", [1, 160, 319])
def test_gaps_off_the_packets_grid_are_filled(shift):
    """All of them, and past them no more than the fade."""
    net = small()
    lost = torch.zeros(1, 3200, dtype=torch.bool)
    lost[:, 1280 + shift : 1920 + shift] = True
    wavs = torch.randn(1, 3200) * ~lost
    found = net(wavs, torch.ones(1), lost)
    changed = found != wavs
    assert changed[lost].all()
    assert not changed[:, : 1280 + shift].any()
    assert not changed[:, 1920 + shift + 80 :].any()


def test_training_gives_what_inference_gives():
    """Rounds enough for the longest chain: all at once is one after another."""
    net = small(training_rounds=8)
    wavs = torch.randn(2, 4000)
    lost = as_mask(torch.rand(2, 13) < 0.4)[:, :4000]
    wavs, lengths = wavs * ~lost, torch.tensor([1.0, 0.7])
    with torch.no_grad():
        in_turn = net(wavs, lengths, lost)
        together = net.train()(wavs, lengths, lost)
    torch.testing.assert_close(together, in_turn, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("packets", [[0] * 10, [1] * 10, [0, 0, 1, 1, 0] * 2])
def test_gradients_are_finite_whatever_was_lost(packets):
    net = small().train()
    lost = as_mask([packets])
    wavs = torch.randn(1, 3200) * ~lost
    net(wavs, torch.ones(1), lost).square().sum().backward()
    gradients = [parameter.grad for parameter in net.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)
    if 0 < sum(packets) < 10:
        assert all(gradient.any() for gradient in gradients)
    if not any(packets):
        assert not any(gradient.any() for gradient in gradients)


def test_it_learns_to_continue_tones():
    """Better than silence on tones that it never heard."""
    torch.manual_seed(0)
    net = RecurrentConcealer(
        context_packets=2, hidden_size=64, n_layers=1, training_rounds=0
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=5e-3)
    criterion = StftMagnitudeComplexMae(complex_weight=0.5, compression=1.0)
    lost = as_mask([[0, 0, 1, 0]]).expand(32, -1)

    def loss(conceal):
        step, phase = 0.05 + 0.1 * torch.rand(32, 1), 6.28 * torch.rand(32, 1)
        wavs = torch.sin(step * torch.arange(4 * PACKET) + phase)
        repaired = conceal(wavs * ~lost, torch.ones(32), lost)
        share = lost[:, ::160].float()
        return criterion(restoration(wavs, repaired, share)).mean()

    for _ in range(80):
        optimiser.zero_grad()
        loss(net).backward()
        optimiser.step()
    with torch.no_grad():
        assert loss(net.eval()) < 0.8 * loss(lambda x, lengths, lost: x)


# The loss


def restoration(wavs, repaired, lost):
    return SimpleNamespace(
        wavs=torch.as_tensor(wavs),
        repaired_wavs=torch.as_tensor(repaired),
        lost=torch.as_tensor(lost),
    )


def impulse(height, n_samples=1600):
    """A click at the middle of frame 5, whose spectrum is flat there."""
    wavs = torch.zeros(1, n_samples)
    wavs[0, 800] = height
    return wavs


@pytest.mark.parametrize("complex_weight", [0.0, 0.3, 1.0])
def test_stft_distance_by_hand(complex_weight):
    """A click of half its height, in the frame on its peak and no other.

    The click's RMS over its one sample is its height, so the clean spectrum is
    1 in each bin of that frame and the repaired one 0.5, both real. The bins
    have no imaginary part but for the sign that the frame's middle gives.
    """
    lost = torch.zeros(1, 10)
    lost[0, 5] = 1.0
    criterion = StftMagnitudeComplexMae(complex_weight, compression=1.0)
    found = criterion(restoration(impulse(0.8), impulse(0.4), lost))
    magnitude = math.sqrt(1.01) - math.sqrt(0.26)
    expected = (1 - complex_weight) * magnitude + complex_weight * 0.5
    assert found.tolist() == pytest.approx([expected], abs=1e-4)


def test_compressed_distance_by_hand():
    lost = torch.zeros(1, 10)
    lost[0, 5] = 1.0
    criterion = StftMagnitudeComplexMae(complex_weight=1.0, compression=0.3)
    found = criterion(restoration(impulse(0.8), impulse(-0.8), lost))
    # 1 and -1, each raised to 0.3: the floor takes a little of it.
    expected = 2 * math.sqrt(1.01) ** (0.3 - 1)
    assert found.tolist() == pytest.approx([expected], abs=1e-4)
    same = StftMagnitudeComplexMae(complex_weight=0.0)
    assert same(restoration(impulse(0.8), impulse(-0.8), lost)) < 1e-6


def test_only_lost_frames_count():
    wavs = torch.randn(1, 3200)
    other = wavs.clone()
    other[:, 2000:] = 0.0
    lost = torch.zeros(1, 20)
    criterion = StftMagnitudeComplexMae()
    assert criterion(restoration(wavs, other, lost)).tolist() == [0.0]
    lost[:, 2:8] = 1.0
    assert criterion(restoration(wavs, other, lost)).tolist() == [0.0]
    lost[:, 16] = 1.0
    one = criterion(restoration(wavs, other, lost))
    # One frame of seven; then with a weight of its own.
    lost[:, 2:8] = 0.0
    alone = criterion(restoration(wavs, other, lost))
    torch.testing.assert_close(7 * one, alone)
    torch.testing.assert_close(
        criterion(restoration(wavs, other, 0.2 * lost)), alone
    )


def test_the_level_and_the_padding_do_not_matter():
    wavs, repaired = torch.randn(1, 3200), torch.randn(1, 3200)
    lost = torch.rand(1, 20)
    criterion = StftMagnitudeComplexMae()
    expected = criterion(restoration(wavs, repaired, lost))
    quiet = criterion(restoration(0.01 * wavs, 0.01 * repaired, lost))
    torch.testing.assert_close(quiet, expected, atol=1e-5, rtol=1e-4)

    def longer(x, size):
        return torch.cat([x, torch.zeros(1, size)], dim=1)

    padded = criterion(
        restoration(longer(wavs, 800), longer(repaired, 800), longer(lost, 7))
    )
    torch.testing.assert_close(padded, expected, atol=1e-5, rtol=1e-4)


def test_gradients_come_from_lost_frames_and_are_finite():
    """Also where both are silent, and only in windows that lost frames see."""
    wavs, lost = torch.randn(2, 3200), torch.zeros(2, 20)
    wavs[1] = 0.0
    lost[:, 10] = 1.0
    repaired = torch.zeros(2, 3200, requires_grad=True)
    losses = StftMagnitudeComplexMae()(restoration(wavs, repaired, lost))
    losses.sum().backward()
    gradient = repaired.grad
    assert gradient.isfinite().all()
    (where,) = gradient[0].nonzero(as_tuple=True)
    assert 1400 <= int(where[0]) and int(where[-1]) < 1800
    assert len(where) > 390
