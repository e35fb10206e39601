"""The SNR loss (eq. 5 of paper 3)."""

from types import SimpleNamespace

import pytest
import torch

from speechbrain_ext.criteria.waveform import SnrLoss
from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics.quality import si_sdr


def batch(clean, estimate, lengths=(1.0,)):
    return SimpleNamespace(
        wavs=clean,
        lengths=torch.tensor(lengths),
        repaired_waveforms=lambda: estimate,
    )


@pytest.mark.parametrize(
    ("numerator", "expected"),
    # ||x||^2 = 25, ||x_hat||^2 = 18, ||x - x_hat||^2 = 1.
    [("clean", -13.9794), ("estimate", -12.5527)],
)
def test_equals_the_values_by_hand(numerator, expected):
    clean, estimate = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 3.0]])
    loss = SnrLoss(numerator)(batch(clean, estimate))
    assert loss.tolist() == pytest.approx([expected], abs=1e-3)


def test_it_depends_on_the_scale():
    wavs = torch.randn(1, 100)
    losses = [
        SnrLoss()(batch(wavs, gain * wavs)).item() for gain in (0.5, 0.9, 1.5)
    ]
    # 20 log10 |1 - gain|.
    assert losses == pytest.approx([-6.0206, -20.0, -6.0206], abs=1e-3)


def test_a_louder_estimate_raises_the_printed_ratio_alone():
    clean = torch.randn(1, 100)
    one, other = batch(clean, clean * 3), batch(clean, clean * 30)
    printed = SnrLoss("estimate")
    # 9 / 4 and 900 / 841 of the clean power.
    assert printed(one).item() == pytest.approx(-3.5218, abs=1e-3)
    assert SnrLoss()(other) > SnrLoss()(one)


def test_at_the_best_scale_it_is_the_scale_invariant_one():
    clean, noise = torch.randn(2, 400)
    noise = noise - clean * (noise @ clean) / (clean @ clean)
    # SI-SDR is of signals without their mean.
    clean, noise = clean - clean.mean(), noise - noise.mean()
    noise = noise - clean * (noise @ clean) / (clean @ clean)
    estimate = clean + 0.1 * noise
    loss = SnrLoss()(batch(clean[None], estimate[None]))
    assert -loss.item() == pytest.approx(si_sdr(clean, estimate), abs=1e-3)


def test_padding_does_not_count():
    clean, estimate = torch.randn(2, 2, 100)
    lengths = (1.0, 0.4)
    found = SnrLoss()(batch(clean, estimate, lengths))
    alone = SnrLoss()(batch(clean[1:, :40], estimate[1:, :40]))
    torch.testing.assert_close(found[1:], alone)
    estimate[1, 40:] = 9.0
    again = SnrLoss()(batch(clean, estimate, lengths))
    assert torch.equal(again, found)


@pytest.mark.parametrize("numerator", ["clean", "estimate"])
@pytest.mark.parametrize(
    ("clean", "estimate"),
    [
        (torch.zeros(1, 50), torch.zeros(1, 50)),
        (torch.zeros(1, 50), torch.full((1, 50), 0.1)),
        (torch.full((1, 50), 0.1), torch.zeros(1, 50)),
        (torch.full((1, 50), 0.1), torch.full((1, 50), 0.1)),
    ],
    ids=["both silent", "clean silent", "estimate silent", "identical"],
)
def test_loss_and_gradient_are_always_finite(numerator, clean, estimate):
    estimate = estimate.clone().requires_grad_()
    loss = SnrLoss(numerator)(batch(clean, estimate))
    loss.sum().backward()
    assert loss.isfinite().all() and estimate.grad.isfinite().all()


def test_an_empty_utterance_is_no_number_by_zero():
    loss = SnrLoss()(batch(torch.randn(1, 9), torch.randn(1, 9), (0.0,)))
    assert loss.tolist() == [0.0]


def test_it_is_computed_in_full_precision():
    clean = torch.randn(1, 1000)
    estimate = clean + 1e-3 * torch.randn(1, 1000)
    with torch.autocast("cpu", torch.bfloat16):
        loss = SnrLoss()(batch(clean, estimate))
    torch.testing.assert_close(loss, SnrLoss()(batch(clean, estimate)))
    assert loss.dtype == torch.float32


def test_another_numerator_is_refused():
    with pytest.raises(UserError, match="^numerator: is 'noisy'; expected"):
        SnrLoss("noisy")
