"""The LMFB representation, against librosa's-style steps by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.signal import get_window
from transformers.audio_utils import mel_filter_bank

from speechbrain_ext.backends.log_mel_filterbank import LogMelFilterbank
from speechbrain_ext.criteria.representation import RepresentationDistance


def represent(wavs, lengths):
    model = LogMelFilterbank()
    return model.representations(
        wavs[..., None], torch.tensor(lengths), ["lmfb"]
    )[0]


def test_frames_are_those_by_hand():
    """Windows of 400 samples every 200, 80 filters, logarithms."""
    wav = torch.randn(3000)
    filters = mel_filter_bank(
        257, 80, 0.0, 8000.0, 16000, norm=None, mel_scale="htk"
    )
    window = np.zeros(512)
    window[56:456] = get_window("hann", 400)
    padded = np.pad(wav.double().numpy(), 256)
    found = represent(wav[None], [1.0])[0]
    assert found.shape == (16, 80)
    for frame in (0, 7, 15):
        part = padded[200 * frame : 200 * frame + 512] * window
        power = np.abs(np.fft.rfft(part)) ** 2
        expected = np.log(power @ filters + 1e-5)
        np.testing.assert_allclose(found[frame], expected, rtol=1e-3, atol=1e-3)


def test_an_utterance_does_not_depend_on_its_batch():
    wavs = torch.randn(2, 3000)
    found = represent(wavs, [1.0, 0.5])
    alone = represent(wavs[1:, :1500], [1.0])
    torch.testing.assert_close(found[1, :8], alone[0], atol=1e-4, rtol=1e-4)
    relative = LogMelFilterbank().relative_frames(
        torch.tensor([1.0, 0.5]), 3000, 16
    )
    assert (relative * 16).tolist() == [16, 8]


def test_silence_is_finite_and_so_are_its_gradients():
    wavs = torch.zeros(1, 2000, requires_grad=True)
    found = represent(wavs, [1.0])
    assert found.unique().tolist() == pytest.approx([np.log(1e-5)])
    found.sum().backward()
    assert wavs.grad.isfinite().all()


def test_lmfb_loss_is_the_equation():
    clean, repaired = torch.randn(2, 1, 4000)
    criterion = RepresentationDistance(LogMelFilterbank(), power=2)
    loss = criterion(
        SimpleNamespace(
            clean=clean[..., None],
            repaired=repaired[..., None],
            frame_lengths=torch.ones(1),
        )
    )
    difference = represent(clean, [1.0]) - represent(repaired, [1.0])
    expected = difference.square().sum() / difference.numel()
    torch.testing.assert_close(loss, expected[None])
