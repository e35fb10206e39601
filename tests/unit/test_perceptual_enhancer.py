"""The enhancer's interface: lengths, chunks, files, and models that do not fit."""

import pytest
import torch

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.log_magnitude import LogMagnitude
from speechbrain_ext.frontends.identity import Identity
from speechbrain_ext.frontends.wide_resnet import WideResNetEnhancer
from speechbrain_ext.inference import PerceptualEnhancer
from speechbrain_ext.inference.export import export_enhancer

HPARAMS = """
features: !new:speechbrain_ext.features.log_magnitude.LogMagnitude
front_end: !new:speechbrain_ext.frontends.wide_resnet.WideResNetEnhancer
    channels: [4, 6]
    dense: [8]
"""


def make(front_end):
    modules = {"features": LogMagnitude(), "front_end": front_end.eval()}
    return PerceptualEnhancer(modules=modules, hparams={})


def network(channels=[4, 6]):
    return WideResNetEnhancer(channels, dense=[8]).eval()


@pytest.mark.parametrize("seconds", [0.1, 11.5, 12.0, 12.3, 23.2, 40.0])
def test_chunks_that_change_nothing_leave_the_signal(seconds):
    signal = torch.randn(round(seconds * 16000))
    enhanced = make(Identity()).enhance_signal(signal)
    torch.testing.assert_close(enhanced, signal, atol=1e-4, rtol=0)


def test_chunks_sound_like_the_whole(monkeypatch):
    enhancer = make(network())
    signal = 0.1 * torch.randn(20 * 16000)
    chunked = enhancer.enhance_signal(signal)
    monkeypatch.setattr(PerceptualEnhancer, "chunk_seconds", 60.0)
    whole = enhancer.enhance_signal(signal)
    # The means of squeeze and excitation are those of a chunk.
    assert (chunked - whole).abs().mean() < 0.05 * whole.abs().mean()


def test_a_batch_gives_what_each_gives_alone():
    enhancer = make(network())
    signals = [0.1 * torch.randn(n) for n in (16000, 9000)]
    for one, signal in zip(enhancer.enhance_signals(signals), signals):
        torch.testing.assert_close(
            one, enhancer.enhance_signal(signal), atol=1e-5, rtol=0
        )


def test_a_file_of_another_rate(tmp_path):
    save_audio(tmp_path / "in.wav", 0.1 * torch.randn(8000), 8000)
    enhanced = make(network()).enhance_file(
        tmp_path / "in.wav", tmp_path / "out.wav"
    )
    assert len(enhanced) == len(load_audio(tmp_path / "out.wav")) == 16000


def test_an_exported_model_loads_and_enhances_alike(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(HPARAMS)
    front_end = network()
    export_enhancer(tmp_path, {"front_end": front_end})
    loaded = PerceptualEnhancer.from_hparams(source=tmp_path / "model")
    signal = 0.1 * torch.randn(16000)
    torch.testing.assert_close(
        loaded.enhance_signal(signal), make(front_end).enhance_signal(signal)
    )


def test_weights_of_another_architecture_name_the_first_tensor(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(HPARAMS)
    export_enhancer(tmp_path, {"front_end": network([4, 8])})
    with pytest.raises(UserError, match=r"network.blocks.1.*\[8, .*\[6, "):
        PerceptualEnhancer.from_hparams(source=tmp_path / "model")
