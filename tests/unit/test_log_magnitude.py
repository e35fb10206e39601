"""Log magnitudes, the way back, and what a batch may not change."""

import numpy
import pytest
import torch

from speechbrain_ext.features.filterbank import LogMelOfLogMagnitude
from speechbrain_ext.features.log_magnitude import LogMagnitude


def test_a_frame_equals_numpys_transform():
    wavs = torch.randn(1, 4096)
    feats = LogMagnitude()(wavs, torch.ones(1))
    # Frame 8's window has its middle at sample 8 * 256.
    segment = wavs[0, 8 * 256 - 256 : 8 * 256 + 256].double().numpy()
    # Periodic, as spectra have it.
    window = numpy.hamming(513)[:-1]
    expected = numpy.log1p(numpy.abs(numpy.fft.rfft(segment * window)))
    numpy.testing.assert_allclose(feats[0, 8], expected, atol=1e-4)


@pytest.mark.parametrize("window_ms,hop_ms", [(32, 16), (25, 10)])
def test_the_way_back_is_exact(window_ms, hop_ms):
    features = LogMagnitude(window_ms, hop_ms)
    wavs = torch.randn(2, 16123)
    lengths = torch.tensor([1.0, 0.5])
    again = features.resynthesise(features(wavs, lengths), wavs, lengths)
    end = round(16123 * 0.5)
    torch.testing.assert_close(again[0], wavs[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(again[1, :end], wavs[1, :end], atol=1e-4, rtol=0)
    assert again[1, end:].abs().max() == 0


def test_a_mask_is_applied_to_the_complex_spectrum():
    features = LogMagnitude()
    wavs, lengths = torch.randn(1, 8192), torch.ones(1)
    mask = torch.rand(1, 33, 257)
    repaired = (mask * features(wavs, lengths).expm1()).log1p()
    found = features.resynthesise(repaired, wavs, lengths)
    masked = mask * features.spectrum(wavs, lengths)
    expected = torch.istft(
        masked.transpose(1, 2), 512, 256, 512, features.window, length=8192
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_neighbours_in_a_batch_change_nothing():
    features = LogMagnitude()
    wavs = torch.randn(2, 8000)
    lengths = torch.tensor([1.0, 0.6])
    together = features(wavs, lengths)
    alone = features(wavs[1:, :4800], torch.ones(1))
    frames = alone.shape[1]
    torch.testing.assert_close(together[1:, :frames], alone)
    share = features.relative_frames(lengths, 8000, together.shape[1])
    assert round(float(share[1] * together.shape[1])) == frames


def test_silence_stays_silent():
    features = LogMagnitude()
    wavs = torch.zeros(1, 4000)
    feats = features(wavs, torch.ones(1))
    assert feats.abs().max() == 0
    assert features.resynthesise(feats, wavs, torch.ones(1)).abs().max() == 0


def test_gradients_reach_the_magnitudes_through_the_filterbank():
    feats = torch.rand(1, 5, 257, requires_grad=True)
    LogMelOfLogMagnitude(40)(feats).sum().backward()
    # The filters' triangles cover all bins but the first and the last.
    assert feats.grad[..., 1:-1].abs().min() > 0


def test_a_window_longer_than_the_transform_is_refused():
    with pytest.raises(ValueError, match="window_ms 64"):
        LogMagnitude(window_ms=64)
