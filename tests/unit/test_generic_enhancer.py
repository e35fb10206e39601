"""The generic enhancer's interface: observation adding, lengths, chunks, files."""

import json

import pytest
import torch

from speechbrain_ext import inference
from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.log_magnitude import LogMagnitude
from speechbrain_ext.frontends.conv_tasnet import ConvTasNetEnhancer
from speechbrain_ext.frontends.identity import Identity
from speechbrain_ext.inference import GenericEnhancer, PerceptualEnhancer
from speechbrain_ext.inference.export import export_generic_enhancer
from speechbrain_ext.inference.observation import add_observation

SIZES = {"N": 16, "L": 32, "B": 8, "H": 12, "P": 3, "X": 2, "R": 1}
HPARAMS = "front_end: !new:speechbrain_ext.frontends.conv_tasnet." + (
    "ConvTasNetEnhancer\n"
    + "".join(f"    {name}: {size}\n" for name, size in SIZES.items())
)


class Halver(torch.nn.Module):
    """An enhancer whose output is known."""

    takes_waveforms = True

    def forward(self, wavs, lengths, lost=None):
        return wavs / 2


def make(front_end):
    return GenericEnhancer({"front_end": front_end}, hparams={})


@pytest.mark.parametrize(
    ("ratio", "factor"), [(0.0, 0.5), (0.1, 0.55), (0.5, 0.75), (1.0, 1.0)]
)
def test_observation_adding_is_equation_22(ratio, factor):
    """beta y + (1 - beta) y / 2, by every way in."""
    enhancer, signal = make(Halver()), torch.randn(1000)
    expected = factor * signal
    batch = enhancer.enhance_batch(signal[None], torch.ones(1), ratio)
    (several,) = enhancer.enhance_signals([signal], ratio)
    alone = enhancer.enhance_signal(signal, observation=ratio)
    for found in (
        batch[0],
        several,
        alone,
        enhancer(signal[None], torch.ones(1), ratio)[0],
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_what_is_no_ratio_is_refused(ratio):
    with pytest.raises(UserError, match="observation: is .*expected a ratio"):
        make(Halver()).enhance_signal(torch.ones(9), ratio)
    with pytest.raises(UserError, match="observation"):
        add_observation(torch.ones(9), torch.ones(9), ratio)


def test_a_batch_gives_what_each_gives_alone_and_ends_in_zeros():
    enhancer = make(ConvTasNetEnhancer(**SIZES))
    signals = [0.1 * torch.randn(n) for n in (5000, 3001)]
    together = enhancer.enhance_signals(signals, 0.1)
    for one, signal in zip(together, signals, strict=True):
        assert len(one) == len(signal)
        torch.testing.assert_close(
            one, enhancer.enhance_signal(signal, 0.1), atol=1e-5, rtol=0
        )
    wavs = torch.nn.utils.rnn.pad_sequence(signals, True)
    # What stands in the padding is no observation.
    wavs[1, 3001:] = 1.0
    batch = enhancer.enhance_batch(wavs, torch.tensor([1.0, 3001 / 5000]), 0.5)
    assert not batch[1, 3001:].any()


@pytest.mark.parametrize("seconds", [0.01, 1.0, 1.001, 2.7])
def test_chunks_that_change_nothing_leave_the_signal(monkeypatch, seconds):
    monkeypatch.setattr(GenericEnhancer, "chunk_seconds", 1.0)
    monkeypatch.setattr(GenericEnhancer, "overlap_seconds", 0.2)
    signal = torch.randn(round(seconds * 16000))
    enhanced = make(Identity()).enhance_signal(signal, 0.3)
    torch.testing.assert_close(enhanced, signal, atol=1e-5, rtol=0)


def test_long_audio_is_enhanced_in_chunks_of_bounded_length(monkeypatch):
    heard = []

    class Listener(Halver):
        def forward(self, wavs, lengths, lost=None):
            heard.append(wavs.shape)
            return super().forward(wavs, lengths)

    monkeypatch.setattr(GenericEnhancer, "chunk_seconds", 1.0)
    monkeypatch.setattr(GenericEnhancer, "overlap_seconds", 0.2)
    enhancer, signal = make(Listener()), torch.randn(70000)
    several = enhancer.enhance_signals([signal, signal[:100]])
    assert [len(one) for one in several] == [70000, 100]
    assert len(heard) > 4 and max(shape[1] for shape in heard) == 16000
    torch.testing.assert_close(several[0], signal / 2)


def test_a_signal_without_samples_is_refused():
    with pytest.raises(UserError, match="signal: holds no samples"):
        make(Halver()).enhance_signal(torch.zeros(0))


def test_a_file_of_another_rate_with_observation(tmp_path):
    save_audio(tmp_path / "in.wav", 0.1 * torch.randn(8000), 8000)
    enhanced = make(Halver()).enhance_file(
        tmp_path / "in.wav", tmp_path / "out.wav", observation=0.5
    )
    heard = load_audio(tmp_path / "in.wav")
    torch.testing.assert_close(enhanced, 0.75 * heard)
    torch.testing.assert_close(
        load_audio(tmp_path / "out.wav"), enhanced, atol=1e-4, rtol=0
    )


def test_a_perceptual_enhancer_has_observation_adding_as_well():
    enhancer = PerceptualEnhancer(
        {"features": LogMagnitude(), "front_end": Halver()}, hparams={}
    )
    signal = 0.1 * torch.randn(8000)
    alone = enhancer.enhance_signal(signal)
    torch.testing.assert_close(
        enhancer.enhance_signal(signal, 0.2), 0.2 * signal + 0.8 * alone
    )


def test_an_exported_model_loads_and_enhances_alike(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(HPARAMS)
    front_end = ConvTasNetEnhancer(**SIZES).eval()
    export_generic_enhancer(tmp_path, {"front_end": front_end})
    folder = tmp_path / "model"
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "front_end.safetensors",
        "hyperparams.yaml",
    ]
    config = json.loads((folder / "config.json").read_text())
    name = config["interface"].rpartition(".")[2]
    loaded = getattr(inference, name).from_hparams(source=folder)
    assert isinstance(loaded, GenericEnhancer)
    signal = 0.1 * torch.randn(4000)
    torch.testing.assert_close(
        loaded.enhance_signal(signal), make(front_end).enhance_signal(signal)
    )


def test_weights_of_another_architecture_are_named(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(HPARAMS)
    other = ConvTasNetEnhancer(**{**SIZES, "N": 20})
    export_generic_enhancer(tmp_path, {"front_end": other})
    with pytest.raises(UserError, match=r"front_end.safetensors.*\[20, "):
        GenericEnhancer.from_hparams(source=tmp_path / "model")
