"""Conv-TasNet: SpeechBrain's modules, without what a batch does to them."""

import pytest
import torch
from hypothesis import (
    given,
    strategies as st,
)
from speechbrain.lobes.models import conv_tasnet as lobes
from speechbrain.nnet.CNN import Conv1d

from speechbrain_ext.errors import UserError
from speechbrain_ext.frontends.conv_tasnet import ConvTasNetEnhancer

SMALL = {"N": 12, "L": 16, "B": 6, "H": 10, "X": 3, "R": 2}


@pytest.fixture(scope="module")
def enhancer():
    """A small one whose normalisations are none that could be left out."""
    torch.manual_seed(3)
    made = ConvTasNetEnhancer(**SMALL)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith(("gamma", "beta", "act.weight")):
                parameter.normal_(1.0, 0.5)
    return made


def run(enhancer, wavs, lengths):
    with torch.no_grad():
        return enhancer(wavs, torch.tensor(lengths))


def test_the_sizes_that_are_not_given_are_the_papers():
    defaults = ConvTasNetEnhancer.__init__.__defaults__
    assert defaults == (4096, 320, 256, 512, 3, 8, 4)


def test_weights_are_those_of_speechbrains_modules(enhancer):
    sizes = {name: SMALL[name] for name in "NBHXR"}
    theirs = {
        **parts("encoder", lobes.Encoder(SMALL["L"], SMALL["N"])),
        **parts("mask_net", lobes.MaskNet(**sizes, P=3, C=1)),
        **parts("decoder", lobes.Decoder(SMALL["L"], SMALL["N"])),
    }
    ours = enhancer.state_dict()
    assert {name: value.shape for name, value in ours.items()} == theirs


def parts(name, module):
    state = module.state_dict()
    return {f"{name}.{key}": value.shape for key, value in state.items()}


def test_without_padding_it_is_speechbrains_own_forward(enhancer):
    wavs = torch.randn(2, 256)
    sizes = {name: SMALL[name] for name in "NBHXR"}
    mask_net = lobes.MaskNet(**sizes, P=3, C=1)
    mask_net.load_state_dict(enhancer.mask_net.state_dict())
    for module in mask_net.modules():
        if isinstance(module, Conv1d):
            module.padding_mode = "constant"
    with torch.no_grad():
        # One hop of silence on either side.
        padded = torch.nn.functional.pad(wavs, (8, 8))
        mixture = enhancer.encoder(padded)
        mask = mask_net(mixture.transpose(1, 2))
        expected = enhancer.decoder(mixture, mask.permute(1, 3, 0, 2))
    found = run(enhancer, wavs, [1.0, 1.0])
    torch.testing.assert_close(found, expected[:, 8:-8, 0])


@given(samples=st.integers(1, 100), hop=st.integers(1, 9))
def test_any_length_comes_back(samples, hop):
    enhancer = ConvTasNetEnhancer(N=4, L=2 * hop, B=2, H=2, X=2, R=1)
    found = run(enhancer, torch.randn(1, samples), [1.0])
    assert found.shape == (1, samples) and found.isfinite().all()


def test_an_odd_window_is_taken_as_well():
    enhancer = ConvTasNetEnhancer(N=4, L=11, B=2, H=2, X=1, R=1)
    assert run(enhancer, torch.randn(1, 63), [1.0]).shape == (1, 63)


def test_every_sample_is_under_two_windows(enhancer):
    """Where the mask is 1 the output is a sum over both windows' bases."""
    constant = ConvTasNetEnhancer(N=1, L=16, B=1, H=1, X=1, R=1)
    with torch.no_grad():
        constant.encoder.conv1d_U.conv.weight.fill_(1 / 16)
        constant.decoder.basis_signals.w.weight.fill_(1.0)
        constant._mask = lambda mixture, ends: torch.ones_like(mixture)
        found = constant(torch.ones(1, 50), torch.ones(1))
    # A window whose half is outside hears half; inside, both hear all.
    assert found[0, 8:40].tolist() == pytest.approx([2.0] * 32)
    assert found[0, :8].tolist() == pytest.approx([1.5] * 8)


@pytest.mark.parametrize("n", [256, 255, 129, 40, 7, 1])
def test_an_utterance_does_not_depend_on_its_batch(enhancer, n):
    wavs = torch.randn(3, 256)
    together = run(enhancer, wavs, [1.0, n / 256, 0.6])
    alone = run(enhancer, wavs[1:2, :n], [1.0])
    torch.testing.assert_close(together[1, :n], alone[0], atol=1e-6, rtol=1e-4)
    assert not together[1, n:].any()


def test_what_stands_in_the_padding_is_not_heard(enhancer):
    wavs = torch.randn(2, 200)
    louder = wavs.clone()
    louder[1, 100:] = 50.0
    one, other = (run(enhancer, x, [1.0, 0.5]) for x in (wavs, louder))
    assert torch.equal(one, other)


def test_a_longer_batch_changes_nothing(enhancer):
    wavs = torch.randn(1, 200)
    longer = torch.nn.functional.pad(wavs, (0, 333))
    found = run(enhancer, longer, [200 / 533])
    expected = run(enhancer, wavs, [1.0])
    torch.testing.assert_close(found[:, :200], expected, atol=1e-6, rtol=1e-4)


def test_an_empty_utterance_is_silence(enhancer):
    found = run(enhancer, torch.randn(2, 100), [1.0, 0.0])
    assert found.isfinite().all() and not found[1].any()


def test_gradients_are_those_without_padding(enhancer):
    wavs = torch.randn(2, 160)
    (enhancer(wavs, torch.tensor([1.0, 0.5]))[1] ** 2).sum().backward()
    padded = [p.grad.clone() for p in enhancer.parameters()]
    enhancer.zero_grad()
    (enhancer(wavs[1:, :80], torch.ones(1)) ** 2).sum().backward()
    for found, parameter in zip(padded, enhancer.parameters()):
        torch.testing.assert_close(found, parameter.grad, atol=1e-5, rtol=1e-3)
    assert all(p.grad.any() for p in enhancer.parameters())
    enhancer.zero_grad()


def test_silence_has_finite_gradients(enhancer):
    enhancer(torch.zeros(1, 100), torch.ones(1)).sum().backward()
    assert all(p.grad.isfinite().all() for p in enhancer.parameters())
    enhancer.zero_grad()


def test_half_precision_gives_the_waveforms_precision(enhancer):
    wavs = torch.randn(2, 160)
    exact = run(enhancer, wavs, [1.0, 0.5])
    with torch.autocast("cpu", torch.bfloat16):
        found = run(enhancer, wavs, [1.0, 0.5])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact, atol=0.1, rtol=0.1)


def test_it_takes_waveforms_and_ignores_what_was_lost(enhancer):
    assert enhancer.takes_waveforms
    wavs = torch.randn(1, 64)
    with torch.no_grad():
        lost = enhancer(wavs, torch.ones(1), torch.ones(1, 64).bool())
    assert torch.equal(lost, run(enhancer, wavs, [1.0]))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"L": 1}, "L: is 1; expected a whole number of 2 or more"),
        ({"P": 4}, "P: is 4; expected a whole number of 1 or more, odd"),
        ({"N": 0}, "N: is 0; expected"),
        ({"R": 1.5}, "R: is 1.5; expected"),
        ({"X": 9}, "X: is 9; expected fewer blocks, as the last one's kernel"),
        ({"X": 8, "P": 5}, "X: is 8; expected fewer blocks"),
    ],
)
def test_impossible_sizes_are_refused(sizes, said):
    with pytest.raises(UserError) as error:
        ConvTasNetEnhancer(**{**SMALL, **sizes})
    assert str(error.value).startswith(said)
