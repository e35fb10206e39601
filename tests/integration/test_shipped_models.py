"""The models in pretrained/: what their cards say of them, on a few utterances."""

from pathlib import Path

import pytest
import torch

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
from speechbrain_ext.corruption.lost_packets import lost_samples
from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
from speechbrain_ext.inference import PacketLossASR
from speechbrain_ext.metrics.wer import TextNormaliser, WordErrorRate

PRETRAINED = Path(__file__).resolve().parents[2] / "pretrained"
N_UTTERANCES = 8


@pytest.fixture(scope="module", params=["en", "es"])
def asr_and_speech(request, tmp_path_factory):
    """tiny.en's model on English; base's on Spanish, which it never heard."""
    language = request.param
    name = {"en": "plc-whisper-tiny.en", "es": "plc-whisper-base"}[language]
    asr = PacketLossASR.from_hparams(PRETRAINED / name, backend="ctranslate2")
    asr.language = language
    asr.mods.back_end.beam_size = 1
    manifest = prepare_mini(
        tmp_path_factory.mktemp("mini"),
        train_minutes=0.1,
        valid_utterances=1,
        test_utterances=N_UTTERANCES,
        language=language,
    )["test"]
    return asr, read_manifest(manifest)


def texts(asr, rows, rate, front_end=True):
    damage = WaveformPacketLoss(GilbertElliottLoss(mean_burst=3.0), seed=0)
    signals, masks = [], []
    for row in rows:
        wav = load_audio(row["wav"])[None]
        lossy, packets = damage(wav, torch.ones(1), [row["ID"]], 0, rate)
        signals.append(lossy[0])
        masks.append(
            lost_samples(packets, damage.packet_samples, wav.shape[1])[0]
        )
    return asr.transcribe_signals(signals, masks, front_end=front_end)


def errors(asr, rows, rate, front_end):
    score = WordErrorRate(TextNormaliser(asr.language))
    found = texts(asr, rows, rate, front_end)
    references = [row["wrd"] for row in rows]
    score.append([row["ID"] for row in rows], found, references)
    return score.summarize()


def test_speech_that_arrived_is_left_alone(asr_and_speech):
    asr, rows = asr_and_speech
    assert texts(asr, rows[:3], 0.0) == texts(asr, rows[:3], 0.0, False)


def test_it_makes_fewer_errors_where_packets_are_lost(asr_and_speech):
    asr, rows = asr_and_speech
    assert errors(asr, rows, 0.4, True) < 0.9 * errors(asr, rows, 0.4, False)
