"""Inpainting of speech of any length: segments, chunks, masks and files."""

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.frontends import inpainting_concealer
from speechbrain_ext.frontends.inpainting_concealer import (
    InpaintingConcealer,
    inpaint_segments,
    resynthesise_observed,
    segment_starts,
    silent_frame,
)
from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
from speechbrain_ext.inference import Inpainter
from speechbrain_ext.inference.chunks import process_in_chunks
from speechbrain_ext.inference.export import export_inpainter

HPARAMS = """
features: !new:speechbrain_ext.features.segment_log_magnitude.SegmentLogMagnitude
    phase: griffin-lim
    iterations: 4
front_end: !new:speechbrain_ext.frontends.inpainting_unet.InpaintingUNet
    informed: true
"""


def statistics():
    features = SegmentLogMagnitude("griffin-lim", iterations=4)
    features.fit([(speech(32000)[None], torch.ones(1))])
    return features


def speech(samples, seed=0):
    """Noise of a level that changes; never exactly 0."""
    generator = torch.manual_seed(seed)
    level = 0.1 + torch.sin(torch.arange(samples) / 2000).abs()
    return 0.1 * level * torch.randn(samples, generator=generator)


def make(informed=True, network=None):
    torch.manual_seed(0)
    network = network or InpaintingUNet(informed)
    modules = {"features": statistics(), "front_end": network}
    return Inpainter(modules=modules, hparams={})


def time_mask(samples, first, last):
    """All channels of the frames from first up to last."""
    mask = torch.zeros(-(-samples // 128), 128, dtype=torch.bool)
    mask[first:last] = True
    return mask


class Counting(torch.nn.Module):
    """Gives back what it is given, and remembers how often and how long."""

    informed = False

    def __init__(self):
        super().__init__()
        self.sizes = []

    def forward(self, x, lengths, lost=None):
        self.sizes += [tuple(x.shape)]
        return x


# ---- segments --------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 127, 128, 129, 192, 193, 300, 1000])
def test_segments_cover_an_utterance(frames):
    starts = segment_starts(frames)
    covered = np.zeros(frames, int)
    for start in starts:
        covered[start : start + 128] += 1
    assert covered.min() >= 1
    assert all(0 < b - a <= 64 for a, b in zip(starts, starts[1:]))
    # None hangs over, and all but the last are on one grid.
    assert max(starts) + 128 == max(frames, 128)
    assert all(start % 64 == 0 for start in starts[:-1])


@pytest.mark.parametrize("frames", [5, 128, 131, 400])
def test_fading_what_is_left_alone_changes_nothing(frames):
    feats = torch.randn(2, frames, 128)
    found = inpaint_segments(Counting(), feats, torch.ones(2))
    torch.testing.assert_close(found, feats)


def test_a_segment_of_the_networks_size_is_run_once():
    counting, feats = Counting(), torch.randn(3, 128, 128)
    inpaint_segments(counting, feats, torch.ones(3))
    assert counting.sizes == [(3, 128, 128)]
    network, lost = InpaintingUNet().eval(), torch.rand(3, 128, 128) < 0.3
    with torch.no_grad():
        found = inpaint_segments(network, feats, torch.ones(3), lost)
        expected = network(feats.masked_fill(lost, 0), torch.ones(3), lost)
    torch.testing.assert_close(found, expected)


def test_overlapping_segments_are_faded_by_hand():
    class Ordinals(Counting):
        def forward(self, x, lengths, lost=None):
            return torch.arange(len(x)).float()[:, None, None].expand_as(x)

    found = inpaint_segments(Ordinals(), torch.zeros(1, 192, 2), torch.ones(1))
    ramp = (torch.arange(64) + 0.5) / 64
    expected = torch.cat([torch.zeros(64), ramp, torch.ones(64)])
    torch.testing.assert_close(found[0, :, 0], expected)


def test_an_informed_network_does_not_see_what_is_masked():
    inpainter, feats = make(), torch.randn(1, 300, 128)
    lost = torch.rand(feats.shape) < 0.4
    other = torch.where(lost, 100.0, feats)
    found = inpainter.inpaint_features(feats, torch.ones(1), lost)
    again = inpainter.inpaint_features(other, torch.ones(1), lost)
    assert torch.equal(found, again)


@pytest.mark.parametrize("informed", [True, False])
def test_masked_features_are_0_for_who_is_told(informed):
    network, feats = Counting(), torch.randn(1, 128, 128)
    network.informed = informed
    lost = torch.rand(feats.shape) < 0.4
    found = inpaint_segments(network, feats, torch.ones(1), lost)
    expected = feats.masked_fill(lost, 0) if informed else feats
    torch.testing.assert_close(found, expected)


# ---- batches ---------------------------------------------------------------


@pytest.mark.parametrize("informed", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_a_batch_gives_what_each_gives_alone(informed, keep):
    inpainter = make(informed)
    wavs = torch.nn.utils.rnn.pad_sequence(
        [speech(20000), speech(20000, 1), speech(9000, 2)], batch_first=True
    )
    ends = [20000, 20000, 9000]
    lengths = torch.tensor(ends) / 20000
    lost = torch.rand(3, 157, 128) < 0.2
    together = inpainter.inpaint_batch(wavs, lengths, lost, keep)
    for row, end in enumerate(ends):
        alone = inpainter.inpaint_batch(
            wavs[row : row + 1, :end],
            torch.ones(1),
            lost[row : row + 1, : -(-end // 128)],
            keep,
        )
        torch.testing.assert_close(
            together[row, :end], alone[0], atol=1e-4, rtol=0
        )
        assert not together[row, end:].any()


def test_what_is_observed_is_kept_with_its_phases():
    """A band of channels is masked: the others' spectrum stays."""
    inpainter, wavs = make(), speech(32768)[None]
    lost = torch.zeros(1, 256, 128, dtype=torch.bool)
    lost[:, 100:140] = True
    found = inpainter.inpaint_batch(wavs, torch.ones(1), lost, True)
    # Windows reach 64 samples past a frame's hop.
    before, after = 100 * 128 - 64, 140 * 128 + 64
    for part in (slice(0, before), slice(after, None)):
        torch.testing.assert_close(
            found[:, part], wavs[:, part], atol=1e-5, rtol=0
        )
    middle = slice(before + 128, after - 128)
    assert (found - wavs)[:, middle].abs().mean() > 0.01
    paper = inpainter.inpaint_batch(wavs, torch.ones(1), lost, False)
    assert (paper - wavs)[:, :before].abs().mean() > 0.01


def test_a_blind_network_needs_no_mask():
    inpainter, wavs = make(informed=False), speech(20000)[None]
    lost = torch.rand(1, 157, 128) < 0.2
    one = torch.ones(1)
    found = inpainter.inpaint_batch(wavs, one)
    assert torch.equal(found, inpainter.inpaint_batch(wavs, one, lost))
    kept = inpainter.inpaint_batch(wavs, one, lost, keep_observed=True)
    assert (kept - wavs).norm() < 0.8 * (found - wavs).norm()


def test_a_blind_network_keeps_what_it_does_not_change():
    """It hears 40 ms that it does not like; the rest stays, phases included."""

    def dislikes_noise(feats, lengths, lost):
        repaired = feats.clone()
        repaired[:, 60:65] = 0.0
        return repaired + 0.1

    inpainter, wavs = make(informed=False), speech(20000)[None]
    dislikes_noise.informed = False
    inpainter.mods.front_end.forward = dislikes_noise
    damaged = wavs.clone()
    damaged[:, 60 * 128 : 65 * 128] = 0.5 * torch.randn(5 * 128)
    one = torch.ones(1)
    kept = inpainter.inpaint_batch(damaged, one, keep_observed=True)
    far = torch.ones(20000, dtype=torch.bool)
    far[57 * 128 : 68 * 128] = False
    torch.testing.assert_close(kept[:, far], wavs[:, far], atol=1e-4, rtol=0)
    assert (kept - wavs).norm() < 0.7 * (damaged - wavs).norm()
    # The paper's way keeps nothing.
    found = inpainter.inpaint_batch(damaged, one)
    assert (found - wavs)[:, far].norm() > 0.3 * wavs[:, far].norm()


def test_an_informed_network_wants_a_mask():
    with pytest.raises(UserError, match="mask: none given.*informed"):
        make().inpaint_batch(speech(20000)[None], torch.ones(1))


@pytest.mark.parametrize("shape", [(1, 156, 128), (1, 157, 129), (157, 128)])
def test_a_mask_of_another_shape_is_refused(shape):
    lost = torch.zeros(shape, dtype=torch.bool)
    with pytest.raises(UserError, match=r"mask: .*\(1, 157, 128\)"):
        make().inpaint_batch(speech(20000)[None], torch.ones(1), lost)


# ---- what is no speech -----------------------------------------------------


@pytest.mark.parametrize("samples", [1, 100, 5000, 16384, 40000])
@pytest.mark.parametrize("keep", [True, False])
def test_a_wholly_masked_signal_is_silence(samples, keep):
    lost = time_mask(samples, 0, None)
    found = make().inpaint_signal(speech(samples), lost, keep)
    assert found.shape == (samples,)
    assert found.abs().max() < 1e-4


def test_a_long_gap_fades_to_silence_and_back():
    samples = 6 * 16384
    found = make().inpaint_signal(speech(samples), time_mask(samples, 128, 640))
    assert torch.isfinite(found).all()
    assert found[3 * 16384 : 3 * 16384 + 4000].abs().max() < 1e-4
    assert found[:16000].abs().mean() > 0.01


@pytest.mark.parametrize("informed", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_digital_silence_gives_numbers(informed, keep):
    inpainter, silence = make(informed), torch.zeros(20000)
    found = inpainter.inpaint_signal(silence, None, keep)
    assert torch.isfinite(found).all()
    if informed:
        assert found.abs().max() < 1e-4


def test_a_signal_without_samples_is_refused():
    with pytest.raises(UserError, match="no samples"):
        make(informed=False).inpaint_signal(torch.zeros(0))


# ---- long signals ----------------------------------------------------------


def test_chunks_that_cancel_are_turned():
    signal = speech(1000)
    upside_down = iter([1, -1, -1, 1])

    def process(start, end):
        return signal[start:end] * next(upside_down)

    found = process_in_chunks(process, 1000, 400, 100, turn=True)
    torch.testing.assert_close(found, signal)


def test_a_long_signal_in_chunks_equals_the_whole(monkeypatch):
    monkeypatch.setattr(Inpainter, "chunk_seconds", 4.096)
    inpainter, signal = make(), speech(10 * 16384)
    lost = time_mask(len(signal), 0, 0)
    lost[::50] = lost[1::50] = True
    lost[:, 40:44] = True
    chunked = inpainter.inpaint_signal(signal, lost)
    monkeypatch.setattr(Inpainter, "chunk_seconds", 60.0)
    whole = inpainter.inpaint_signal(signal, lost)
    difference = (chunked - whole).abs()
    # A chunk's last segment lies elsewhere; so do the phases at its edges.
    seams = torch.zeros(len(signal), dtype=torch.bool)
    for start in (3, 6, 9):
        seams[start * 16384 - 512 : (start + 1) * 16384 + 512] = True
    assert difference[~seams].max() < 2e-3
    assert difference[seams].mean() < 0.1 * whole.abs().mean()


# ---- gaps and files --------------------------------------------------------


@pytest.fixture
def damaged(tmp_path):
    """A file that lost packets 20 to 23, its signal and what was lost."""
    signal = speech(24000)
    gone = torch.zeros(24000, dtype=torch.bool)
    gone[20 * 320 : 24 * 320] = True
    file = tmp_path / "damaged.wav"
    # Never 0 but where it is lost.
    signal = signal + torch.sign(signal) / 1000
    save_audio(file, signal.masked_fill(gone, 0))
    return file, load_audio(file), gone


def test_silence_and_lost_packets_say_the_same(damaged, tmp_path):
    file, signal, gone = damaged
    inpainter = make()
    by_silence = inpainter.inpaint_file(file)
    lines = ["1" if 20 <= n < 24 else "0" for n in range(75)]
    packets = tmp_path / "lost.txt"
    packets.write_text("\n".join(lines))
    assert torch.equal(
        inpainter.inpaint_file(file, lost_packets=packets), by_silence
    )
    flags = torch.tensor([line == "1" for line in lines])
    assert torch.equal(
        inpainter.inpaint_file(file, lost_packets=flags), by_silence
    )
    assert by_silence[gone].abs().mean() > 1e-3
    # What was received stays, but for what is faded.
    near = torch.zeros_like(gone)
    near[20 * 320 - 64 : 24 * 320 + 64] = True
    assert torch.equal(by_silence[~near], signal[~near])
    assert (by_silence[near & ~gone] != signal[near & ~gone]).any()


def test_it_conceals_as_the_front_end_does(damaged):
    file, signal, gone = damaged
    inpainter = make()
    conceal = InpaintingConcealer(
        inpainter.mods.features, inpainter.mods.front_end
    )
    found = conceal(signal[None], torch.ones(1), gone[None])[0]
    torch.testing.assert_close(
        found, inpainter.inpaint_file(file), atol=1e-5, rtol=0
    )


def test_a_concealer_fills_the_gaps_of_each_of_a_batch():
    torch.manual_seed(0)
    conceal = InpaintingConcealer(statistics(), InpaintingUNet()).eval()
    wavs = torch.stack([speech(20000), speech(20000, 1), speech(20000, 2)])
    ends = [20000, 12000, 20000]
    lost = torch.zeros(3, 20000, dtype=torch.bool)
    lost[0, 3200:4480] = lost[1, 11520:13000] = True
    damaged = wavs.masked_fill(lost, 0)
    found = conceal(damaged, torch.tensor(ends) / 20000, lost)
    # The last one lost nothing; past an end nothing is repaired.
    assert torch.equal(found[2], wavs[2])
    assert torch.equal(found[1, 12000:], damaged[1, 12000:])
    for row, end in enumerate(ends[:2]):
        alone = conceal(
            damaged[row : row + 1, :end],
            torch.ones(1),
            lost[row : row + 1, :end],
        )
        torch.testing.assert_close(
            found[row, :end], alone[0], atol=1e-4, rtol=0
        )
        gone = lost[row, :end]
        assert found[row, :end][gone].abs().mean() > 1e-3


def test_nothing_lost_leaves_a_file_alone(damaged):
    file, signal, _ = damaged
    flags = torch.zeros(75, dtype=torch.bool)
    assert torch.equal(make().inpaint_file(file, lost_packets=flags), signal)


def test_a_mask_from_a_file(damaged, tmp_path):
    file, signal, _ = damaged
    lost = torch.rand(188, 128) < 0.2
    np.save(tmp_path / "mask.npy", lost.numpy())
    inpainter = make()
    expected = inpainter.inpaint_signal(signal, lost)
    for mask in (tmp_path / "mask.npy", lost.numpy(), lost.int(), lost):
        found = inpainter.inpaint_file(file, tmp_path / "out.wav", mask=mask)
        assert torch.equal(found, expected)
    assert soundfile.info(tmp_path / "out.wav").frames == 24000


def test_a_file_of_another_rate(tmp_path):
    signal = speech(12000)
    signal[4000:4320] = 0
    save_audio(tmp_path / "in.wav", signal, 8000)
    found = make().inpaint_file(tmp_path / "in.wav")
    assert len(found) == 24000 and found[8100:8500].abs().mean() > 1e-3


def test_bad_masks_are_named(damaged, tmp_path):
    file, _, _ = damaged
    good = np.zeros((188, 128), bool)
    masks = {
        "no such file": tmp_path / "gone.npy",
        "no array": tmp_path / "text.npy",
        "no array of numbers": tmp_path / "strings.npy",
        "(187, 128); expected (188, 128), frames": tmp_path / "short.npy",
        "other than 0 and 1": tmp_path / "levels.npy",
    }
    masks["no array"].write_text("not an array")
    np.save(masks["no array of numbers"], np.array(["a"]))
    np.save(masks["(187, 128); expected (188, 128), frames"], good[1:])
    np.save(masks["other than 0 and 1"], np.full((188, 128), np.nan))
    for said, mask in masks.items():
        with pytest.raises(UserError) as caught:
            make().inpaint_file(file, tmp_path / "out.wav", mask=mask)
        assert said in str(caught.value) and str(mask) in str(caught.value)
    assert not (tmp_path / "out.wav").exists()


def test_what_is_lost_is_said_once(damaged, tmp_path):
    file, signal, _ = damaged
    flags = torch.zeros(75, dtype=torch.bool)
    mask = np.zeros((188, 128), bool)
    with pytest.raises(UserError, match="damaged.wav: a mask and lost packets"):
        make().inpaint_file(file, mask=mask, lost_packets=flags)
    save_audio(tmp_path / "whole.wav", speech(24000).sign() / 10)
    with pytest.raises(UserError, match="whole.wav: nothing says what is lost"):
        make().inpaint_file(tmp_path / "whole.wav")
    with pytest.raises(UserError, match="signal: nothing says what is lost"):
        make().inpaint_signal(speech(24000))
    found = make(informed=False).inpaint_file(tmp_path / "whole.wav")
    assert len(found) == 24000


# ---- models' folders -------------------------------------------------------


@pytest.mark.parametrize("half", [False, True])
def test_an_exported_model_loads_and_inpaints_alike(tmp_path, half):
    (tmp_path / "hyperparams.yaml").write_text(HPARAMS)
    inpainter = make()
    modules = dict(inpainter.mods)
    if half:
        for weight in modules["front_end"].state_dict().values():
            if weight.is_floating_point():
                weight.copy_(weight.half())
    export_inpainter(tmp_path, modules, half=half)
    folder = tmp_path / "model"
    # Statistics are exact in any case.
    stored = load_file(folder / "features.safetensors")
    for name, value in modules["features"].state_dict().items():
        assert stored[name].dtype == torch.float32
        assert torch.equal(stored[name], value)
    loaded = Inpainter.from_hparams(source=folder)
    signal = speech(24000)
    lost = torch.rand(188, 128) < 0.3
    for keep in (True, False):
        torch.testing.assert_close(
            loaded.inpaint_signal(signal, lost, keep),
            inpainter.inpaint_signal(signal, lost, keep),
        )
    assert loaded.mods.features.mean.dtype == torch.float32


def test_a_folder_without_statistics_is_named(tmp_path):
    (tmp_path / "hyperparams.yaml").write_text(HPARAMS)
    export_inpainter(tmp_path, dict(make().mods))
    (tmp_path / "model" / "features.safetensors").unlink()
    with pytest.raises(UserError, match="features.safetensors"):
        Inpainter.from_hparams(source=tmp_path / "model")


def test_features_of_silence():
    features = statistics()
    torch.testing.assert_close(
        features(torch.zeros(1, 1000), torch.ones(1))[0],
        silent_frame(features).expand(8, -1),
    )


# ---- how gaps go on --------------------------------------------------------


def test_a_tone_goes_on_through_a_gap():
    """Magnitudes are right, and linear prediction knows the phases."""
    features = SegmentLogMagnitude("griffin-lim")
    wavs, one = torch.sin(0.2 * torch.arange(16384.0))[None], torch.ones(1)
    lost = torch.zeros(1, 128, 128, dtype=torch.bool)
    lost[:, 50:64] = True
    feats = features(wavs, one)
    found = resynthesise_observed(features, feats, wavs, one, lost)
    fitted = features.resynthesise(feats, wavs, one, lost)
    gap = slice(50 * 128, 64 * 128)
    missed = [(each - wavs)[:, gap].norm() for each in (found, fitted)]
    assert missed[0] < 0.1 * wavs[:, gap].norm()
    assert missed[0] < 0.5 * missed[1]


def test_what_lies_in_a_gap_is_not_heard():
    """The prediction is made of what was observed, never of what was lost."""
    features, one = SegmentLogMagnitude("griffin-lim"), torch.ones(1)
    wavs = speech(16384)[None]
    lost = torch.zeros(1, 128, 128, dtype=torch.bool)
    lost[:, 50:64] = True
    lost[:, :, 90:100] = True
    feats = features(wavs, one).masked_fill(lost, 0)
    other = wavs.clone()
    # Only windows of lost frames see these samples.
    other[:, 51 * 128 : 63 * 128] = 0.5
    found = [
        resynthesise_observed(features, feats, each, one, lost)
        for each in (wavs, other)
    ]
    torch.testing.assert_close(*found)


def test_a_gap_s_edges_lean_on_the_prediction():
    """Features that are wrong by 1 are less wrong there: 1 - 1/e, 1 - 1/e^2."""
    empty = torch.zeros(1, 20, 1, dtype=torch.bool)
    empty[:, 5:15] = True
    weight = inpainting_concealer._prediction_weight(empty)[0, :, 0]
    expected = [0.3679, 0.1353, 0.0498, 0.0183, 0]
    torch.testing.assert_close(
        weight[5:10], torch.tensor(expected), atol=1e-4, rtol=0
    )
    assert torch.equal(weight, weight.flip(0))
    assert not weight[~empty[0, :, 0]].any()

    features = SegmentLogMagnitude("griffin-lim")
    wavs, one = torch.sin(0.2 * torch.arange(16384.0))[None], torch.ones(1)
    lost = torch.zeros(1, 128, 128, dtype=torch.bool)
    lost[:, 50:64] = True
    wrong = features(wavs, one) + 1
    found = resynthesise_observed(features, wrong, wavs, one, lost)
    # Where the tone is, a channel that prediction knows.
    error = (features(found, one) + 1 - wrong)[0, :, 8].abs()
    assert error[50] < 0.8 * error[56]
