"""Whisper's features: the reference, batch mates, gradients, lost shares."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from speechbrain_ext.features.whisper_log_mel import (
    HOP_LENGTH,
    WINDOW_FRAMES,
    WhisperLogMel,
    mask_padding,
)

#: One sample, less than a window, whole frames and not, (nearly) all of 30 s.
LENGTHS = [1, 399, 16000, 16100, 73457, 479690, 480000]


def speech_like(n_samples, seed=0):
    """Noise with a moving level and a tone, 16 kHz."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n_samples, generator=generator)
    seconds = torch.arange(n_samples) / 16000
    level = 0.1 * torch.sin(2 * torch.pi * 1.3 * seconds + seed) ** 4 + 1e-3
    tone = 0.05 * torch.sin(2 * torch.pi * 440 * seconds)
    return level * (noise + tone)


def reference(wav, n_mels=80):
    """[3000, mels] as transformers computes them."""
    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    found = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt")
    return found.input_features[0].T


def batch_of(wavs):
    """Pad to the longest: [batch, time] and relative lengths [batch]."""
    lengths = torch.tensor([len(wav) for wav in wavs], dtype=torch.float32)
    padded = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    return padded, lengths / padded.shape[1]


# The reference


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_equals_the_feature_extractor(n_samples):
    wav = speech_like(n_samples)
    feats = WhisperLogMel()(wav[None], torch.ones(1))
    assert feats.shape == (1, 3000, 80) and feats.dtype == torch.float32
    torch.testing.assert_close(feats[0], reference(wav), atol=1e-4, rtol=0)


def test_equals_the_feature_extractor_with_128_mels():
    wav = speech_like(20000)
    feats = WhisperLogMel(n_mels=128)(wav[None], torch.ones(1))
    expected = reference(wav, n_mels=128)
    torch.testing.assert_close(feats[0], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("context", ["30s", "batch"])
def test_batch_mates_change_nothing(context):
    """Quiet, loud and silent utterances of several lengths in one batch."""
    wavs = [speech_like(n, seed) for seed, n in enumerate(LENGTHS[1:5])]
    wavs[0] *= 1e-3
    wavs[1] *= 8.0
    wavs.append(torch.zeros(20000))
    feats = WhisperLogMel(context=context)(*batch_of(wavs))
    for wav, row in zip(wavs, feats):
        expected = reference(wav)[: len(row)]
        torch.testing.assert_close(row, expected, atol=1e-4, rtol=0)


def test_what_stands_in_the_padding_changes_nothing():
    wavs, lengths = batch_of([speech_like(16000), speech_like(9000)])
    features = WhisperLogMel(context="batch")
    expected = features(wavs, lengths)
    wavs[1, 9000:] = 0.7
    torch.testing.assert_close(features(wavs, lengths), expected)


def test_silence_is_flat():
    """The floor of 1e-10 is 10 decades down: (-10 + 4) / 4."""
    feats = WhisperLogMel()(torch.zeros(1, 16000), torch.ones(1))
    assert torch.equal(feats, torch.full((1, 3000, 80), -1.5))


# Context


@pytest.mark.parametrize("n_samples", LENGTHS)
def test_batch_context_is_the_start_of_the_whole(n_samples):
    wav = speech_like(n_samples)[None]
    short = WhisperLogMel(context="batch")(wav, torch.ones(1))
    whole = WhisperLogMel(context="30s")(wav, torch.ones(1))
    start = whole[:, : short.shape[1]]
    torch.testing.assert_close(short, start, atol=1e-5, rtol=0)


@pytest.mark.parametrize("n_samples", [16000, 16001, 16160])
def test_a_loud_end_sets_the_floor_in_any_context(n_samples):
    """The loudest window may stand behind the last frame of the batch."""
    wav = 1e-4 * speech_like(n_samples)
    wav[-30:] = 0.9
    short = WhisperLogMel(context="batch")(wav[None], torch.ones(1))[0]
    torch.testing.assert_close(
        short, reference(wav)[: len(short)], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(1, 2), (160, 2), (161, 2), (320, 2), (321, 4), (480000, 3000)],
)
def test_batch_context_is_an_even_number_of_frames(n_samples, expected):
    features = WhisperLogMel(context="batch")
    assert features.n_frames(n_samples) == expected
    wavs = torch.zeros(1, n_samples)
    assert features(wavs, torch.ones(1)).shape[1] == expected


@pytest.mark.parametrize("context", ["30s", "batch"])
def test_evaluation_is_always_30_seconds(context):
    features = WhisperLogMel(context=context).eval()
    assert features(torch.zeros(1, 3200), torch.ones(1)).shape[1] == 3000


@pytest.mark.parametrize("context", ["30s", "batch"])
@pytest.mark.parametrize("training", [True, False])
def test_more_than_30_seconds_are_refused(context, training):
    features = WhisperLogMel(context=context).train(training)
    assert features.max_samples == 480000
    with pytest.raises(ValueError, match="30.0 s of audio; Whisper takes at"):
        features(torch.zeros(1, 480001), torch.ones(1))


def test_an_unknown_context_is_named():
    with pytest.raises(ValueError, match="context: '15s'; expected"):
        WhisperLogMel(context="15s")


# Gradients and precision


def test_gradients_are_those_of_finite_differences():
    features = WhisperLogMel(context="batch")
    wav = speech_like(4000)[None].requires_grad_()
    generator = torch.Generator().manual_seed(1)
    weights = torch.randn(1, 26, 80, generator=generator)
    direction = torch.randn(1, 4000, generator=generator)

    def value(x):
        return (features(x, torch.ones(1)) * weights).sum()

    (gradient,) = torch.autograd.grad(value(wav), wav)
    step = 1e-5
    with torch.no_grad():
        difference = value(wav + step * direction)
        difference -= value(wav - step * direction)
    analytic = float((gradient * direction).sum())
    assert analytic == pytest.approx(float(difference) / (2 * step), rel=0.02)


def test_gradients_are_finite_in_silence_and_zero_in_the_padding():
    wavs, lengths = batch_of([speech_like(6000), speech_like(3000)])
    wavs[0, 1000:4000] = 0.0
    wavs.requires_grad_()
    WhisperLogMel(context="batch")(wavs, lengths).sum().backward()
    assert torch.isfinite(wavs.grad).all()
    assert wavs.grad[0, 4000:].abs().max() > 0
    assert (wavs.grad[1, 3000:] == 0).all()
    assert wavs.grad[1, :3000].abs().max() > 0


def test_float32_under_autocast():
    wav = speech_like(16000)[None]
    lost = torch.zeros(1, 16000, dtype=torch.bool)
    lost[:, 5000:9001] = True
    features = WhisperLogMel(context="batch")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = features(wav, torch.ones(1))
        from_halves = features(wav.bfloat16(), torch.ones(1))
        share = features.lost_share(lost, 100)
    assert found.dtype == from_halves.dtype == share.dtype == torch.float32
    assert torch.equal(found, features(wav, torch.ones(1)))
    assert torch.equal(share, features.lost_share(lost, 100))


# Lost shares


def share_by_hand(lost, frame):
    """The definition: the Hann window's weight on lost samples."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    first = frame * HOP_LENGTH - 200
    weight = sum(
        window[k]
        for k in range(400)
        if 0 <= first + k < len(lost) and lost[first + k]
    )
    return weight / window.sum()


def test_lost_share_by_hand():
    lost = torch.rand(2, 5000) < torch.tensor([[0.1], [0.6]])
    lost[0, 1600:2400] = True
    share = WhisperLogMel().lost_share(lost, 32)
    assert share.shape == (2, 32) and share.dtype == torch.float32
    for row, flags in zip(share.tolist(), lost.tolist()):
        expected = [share_by_hand(flags, frame) for frame in range(32)]
        assert row == pytest.approx(expected, abs=1e-5)
    # Samples 1600 to 2400 are wholly lost: the windows of frames 12 and 13.
    assert share[0, 12:14].tolist() == pytest.approx([1.0, 1.0])


def test_a_lost_packet_is_seen_by_five_frames():
    """320 samples from sample 1600; windows reach 200 samples to each side."""
    lost = torch.zeros(1, 4800, dtype=torch.bool)
    lost[:, 1600:1920] = True
    share = WhisperLogMel().lost_share(lost, 30)[0]
    assert share.nonzero()[:, 0].tolist() == [9, 10, 11, 12, 13]
    # The window of frame 11 loses all but 40 samples at each of its ends:
    # integral of the Hann window, 0.1 - sin(0.2 pi) / (2 pi) at each.
    ends = 2 * (0.1 - np.sin(0.2 * np.pi) / (2 * np.pi))
    assert float(share[11]) == pytest.approx(1 - ends, abs=1e-3)
    assert float(share[10]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("frames", [1, 50, WINDOW_FRAMES])
def test_lost_share_has_as_many_frames_as_asked(frames):
    lost = torch.ones(1, 8000, dtype=torch.bool)
    share = WhisperLogMel().lost_share(lost, frames)[0]
    assert len(share) == frames
    assert (share >= 0).all() and (share <= 1).all()
    # Past the 50 frames of the signal nothing is lost.
    assert (share[52:] == 0).all()


def test_nothing_lost_is_exactly_zero():
    lost = torch.zeros(1, 8000, dtype=torch.bool)
    assert (WhisperLogMel().lost_share(lost, 50) == 0).all()


# Padding


def test_padding_is_masked_in_any_number_of_dimensions():
    ones = torch.ones(2, 4, 3)
    masked = mask_padding(ones, torch.tensor([0.75, 0.25]))
    assert masked[..., 0].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert torch.equal(masked, masked[..., :1].expand(2, 4, 3))


@pytest.mark.parametrize(
    ("total", "product"), [(16790, 16000.0009765625), (16593, 15999.9990234375)]
)
def test_relative_lengths_are_rounded_to_the_sample(total, product):
    """What float32 makes of 16000 samples of so many."""
    length = torch.tensor([16000.0]) / total
    assert float(length * total) == product
    masked = mask_padding(torch.ones(1, total), length)
    assert int(masked.sum()) == 16000


def test_buffers_move_with_the_module_and_stay_out_of_checkpoints():
    features = WhisperLogMel()
    assert features.state_dict() == {}
    assert list(features.parameters()) == []
    assert {name for name, _ in features.named_buffers()} == {
        "filters",
        "window",
    }
