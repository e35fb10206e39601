"""Concealment in front of a recogniser: folders, inference and training."""

import pytest
import torch
from safetensors.torch import save_file
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from speechbrain_ext.audio import load_audio
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.corruption.packet_loss import (
    FeaturePacketLoss,
    GilbertElliottLoss,
    SpanLoss,
    WaveformPacketLoss,
)
from speechbrain_ext.criteria.features import FeatureDistance
from speechbrain_ext.criteria.waveform import StftMagnitudeComplexMae
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.frontends.concealment import (
    LinearPrediction,
    MelInterpolation,
    RepeatPacket,
)
from speechbrain_ext.frontends.light_adapter import LightAdapter
from speechbrain_ext.frontends.recurrent_concealer import RecurrentConcealer
from speechbrain_ext.inference import PacketLossASR
from speechbrain_ext.inference.export import export_untrained

WHISPER = "openai/whisper-tiny.en"
CLASSICAL = [RepeatPacket, LinearPrediction, MelInterpolation]


def damage():
    model = GilbertElliottLoss(rates=[0.4], rate_weights=[1])
    return WaveformPacketLoss(model, seed=0)


# Models' folders


@pytest.fixture(scope="module")
def signal(utterances):
    return load_audio(utterances[1]["wav"])


class Listener(torch.nn.Module):
    """Keeps what a recogniser is given and reads nothing."""

    def transcribe(self, feats, seconds, beam_size=None):
        self.feats = feats
        return [""] * len(feats)


@pytest.mark.parametrize("front_end", CLASSICAL)
def test_an_untrained_folder_is_a_model(front_end, signal, tmp_path):
    """It loads, conceals before or after the features, and reads words."""
    folder = tmp_path / "a model: 1"
    export_untrained(front_end, WHISPER, None, folder, beam_size=1)
    asr = PacketLossASR.from_hparams(source=str(folder))
    assert type(asr.mods.front_end) is front_end
    assert asr.packet_samples == 320 and asr.mods.back_end.beam_size == 1
    damaged, lost = damage()(signal[None], torch.ones(1), ["a"], 0, rate=0.1)
    (text,) = asr.transcribe_batch(damaged, torch.ones(1), lost)
    assert len(text.split()) > 1

    asr.mods.back_end = listener = Listener()
    gone = lost.repeat_interleave(320, dim=1)[:, : len(signal)]
    features = WhisperLogMel().eval()
    with torch.no_grad():
        asr.transcribe_batch(damaged, torch.ones(1), lost)
        if front_end is MelInterpolation:
            feats = features(damaged, torch.ones(1))
            share = features.lost_share(gone, 3000)
            ends = torch.tensor([len(signal) / 480000])
            expected = front_end()(feats, ends, share)
        else:
            repaired = front_end()(damaged, torch.ones(1), gone)
            expected = features(repaired, torch.ones(1))
        torch.testing.assert_close(listener.feats, expected)
        asr.transcribe_batch(damaged, torch.ones(1), lost, front_end=False)
        torch.testing.assert_close(
            listener.feats, features(damaged, torch.ones(1))
        )


def test_a_language_is_written_down(tmp_path):
    export_untrained(RepeatPacket, "openai/whisper-base", "no", tmp_path)
    text = (tmp_path / "hyperparams.yaml").read_text()
    # Unquoted, YAML would read Norwegian as False.
    assert 'language: "no"' in text


def test_what_must_be_trained_is_refused(tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(UserError, match="RecurrentConcealer has parameters"):
        export_untrained(RecurrentConcealer, WHISPER, None, folder)
    assert not folder.exists()


def test_zeroed_frames_and_waveforms_do_not_go_together(tmp_path):
    export_untrained(RepeatPacket, WHISPER, None, tmp_path)
    file = tmp_path / "hyperparams.yaml"
    file.write_text(
        file.read_text().replace(
            "zero_lost_frames: False", "zero_lost_frames: True"
        )
    )
    with pytest.raises(UserError, match="zero_lost_frames.*RepeatPacket"):
        PacketLossASR.from_hparams(source=str(tmp_path))


def test_an_interpolating_model_may_zero_frames(tmp_path):
    export_untrained(MelInterpolation, WHISPER, None, tmp_path)
    file = tmp_path / "hyperparams.yaml"
    file.write_text(
        file.read_text().replace(
            "zero_lost_frames: False", "zero_lost_frames: True"
        )
    )
    assert PacketLossASR.from_hparams(source=str(tmp_path)).hparams


def test_weights_for_what_has_none_are_named(tmp_path):
    export_untrained(RepeatPacket, WHISPER, None, tmp_path)
    file = tmp_path / "front_end.safetensors"
    save_file({"weight": torch.zeros(1)}, file)
    with pytest.raises(UserError, match="RepeatPacket"):
        PacketLossASR.from_hparams(source=str(tmp_path))


# Training


def make_brain(front_end, criterion, **damages):
    return RestorationBrain(
        front_end=front_end,
        features=WhisperLogMel(context="batch"),
        criteria={"loss": criterion},
        weights={"loss": 1.0},
        back_end=FrozenWhisper(WHISPER),
        metric=None,
        opt_class=lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
        run_opts={"device": "cpu"},
        **damages,
    )


@pytest.fixture(scope="module")
def batch(utterances):
    return PaddedBatch(
        [
            {"id": row["ID"], "sig": load_audio(row["wav"]), "wrd": row["wrd"]}
            for row in utterances[:2]
        ]
    )


def test_a_waveform_front_end_is_trained(batch):
    torch.manual_seed(0)
    brain = make_brain(
        RecurrentConcealer(hidden_size=16),
        StftMagnitudeComplexMae(),
        waveform_damage=damage(),
    )
    brain.init_optimizers()
    brain.on_stage_start(Stage.TRAIN, 1)
    brain.modules.train()
    seen = brain.compute_forward(batch, Stage.TRAIN)
    lengths = seen.lengths
    features = brain.modules.features
    assert seen.repaired_wavs.shape == seen.wavs.shape
    changed = seen.repaired_wavs != seen.damaged_wavs
    assert changed.any(dim=1).all() and not changed.all()
    with torch.no_grad():
        expected = features(seen.repaired_wavs, lengths)
    assert torch.equal(seen.repaired, expected)
    losses = [float(brain.fit_batch(batch)) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_a_feature_front_end_has_no_repaired_waveform(batch):
    brain = make_brain(
        LightAdapter(), FeatureDistance(), waveform_damage=damage()
    )
    seen = brain.compute_forward(batch, Stage.VALID)
    assert seen.repaired_wavs is None
    # An untrained one changes nothing.
    assert torch.equal(seen.repaired, seen.damaged)


def test_without_damage_a_waveform_front_end_changes_nothing(batch):
    brain = make_brain(RepeatPacket(), StftMagnitudeComplexMae())
    seen = brain.compute_forward(batch, Stage.VALID)
    assert torch.equal(seen.repaired_wavs, seen.wavs)
    assert torch.equal(seen.repaired, seen.clean)


def test_lost_mel_frames_cannot_be_repaired_in_the_waveform():
    with pytest.raises(UserError, match="feature_damage.*RepeatPacket"):
        make_brain(
            RepeatPacket(),
            StftMagnitudeComplexMae(),
            feature_damage=FeaturePacketLoss(SpanLoss(), seed=0),
        )
