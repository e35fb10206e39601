"""The models in pretrained/: what their cards say of them, on a few utterances."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora import noisy_mini
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corpora.segments import load_segment, read_segments
from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
from speechbrain_ext.evaluation.inpainting_systems import Masking, Reference
from speechbrain_ext.evaluation.packet_loss import evaluate_packet_loss
from speechbrain_ext.evaluation.word_errors import read_word_errors
from speechbrain_ext.inference import (
    GenericEnhancer,
    Inpainter,
    PerceptualEnhancer,
)
from speechbrain_ext.metrics.quality import pesq, sdr, stoi

ADAPTED = "adapted"


@pytest.fixture(
    scope="module",
    params=[("plc-whisper-tiny.en", "en"), ("plc-whisper-base", "es")],
    ids=lambda param: param[0],
)
def evaluation(request, repository, tmp_path_factory):
    """tiny.en's model in English; base's in Spanish, which it never heard."""
    model, language = request.param
    manifest = prepare_mini(
        tmp_path_factory.mktemp("mini"),
        train_minutes=0.1,
        valid_utterances=1,
        test_utterances=8,
        language=language,
    )["test"]
    folder = tmp_path_factory.mktemp("evaluation")
    evaluate_packet_loss(
        f"{ADAPTED}={repository / 'pretrained' / model}",
        manifest,
        WaveformPacketLoss(GilbertElliottLoss(mean_burst=3.0), seed=0),
        folder,
        rates=[0.0, 0.4],
        backend="ctranslate2",
        language=language,
        progressbar=False,
    )
    lines = (folder / "transcripts.jsonl").read_text().splitlines()
    return SimpleNamespace(
        wer={
            (row.system, row.level): row.wer
            for row in read_word_errors(folder / "errors.json")
        },
        texts={
            (row["system"], row["level"]): row["texts"]
            for row in map(json.loads, lines)
        },
    )


def test_speech_that_arrived_is_left_alone(evaluation):
    texts = evaluation.texts
    assert texts[ADAPTED, 0.0] == texts["bare", 0.0]
    assert any(texts["bare", 0.0].values())


def test_it_makes_fewer_errors_where_packets_are_lost(evaluation):
    wer = evaluation.wer
    assert wer[ADAPTED, 0.4] < 0.9 * wer["bare", 0.4]


@pytest.fixture(scope="module")
def noisy_rows(tmp_path_factory):
    """A little of the noisy mini corpus, in noises that training never had."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noisy_mini, "BABBLE_LANGUAGES", ("it",))
        manifest = noisy_mini.prepare_noisy_mini(
            tmp_path_factory.mktemp("noisy mini"),
            train_minutes=0.1,
            valid_utterances=1,
            test_utterances=16,
            noise_minutes=0.5,
        )["test"]
    return read_manifest(manifest)


def enhanced_gains(enhancer, rows, scores):
    """[utterances, scores]: what enhancement adds to each score."""
    found = []
    for row in rows:
        clean, noisy = load_audio(row["wav"]), load_audio(row["noisy_wav"])
        (signal,) = enhancer.enhance_signals([noisy])
        found.append(
            [score(clean, signal) - score(clean, noisy) for score in scores]
        )
    return np.array(found)


@pytest.fixture(scope="module")
def gains(repository, noisy_rows):
    enhancer = PerceptualEnhancer.from_hparams(
        source=repository / "pretrained" / "mimic-enhance-mini"
    )
    return enhanced_gains(enhancer, noisy_rows, (pesq, stoi))


def test_speech_is_better_to_hear_and_to_understand_without_noise(gains):
    pesq_gain, stoi_gain = gains.mean(axis=0)
    assert pesq_gain > 0.2
    assert stoi_gain > 0.02
    # Hardly an utterance pays for the others' gain.
    assert (gains[:, 1] > -0.02).mean() > 0.8


def test_a_generic_enhancer_is_nearer_to_clean_speech(repository, noisy_rows):
    enhancer = GenericEnhancer.from_hparams(
        source=repository / "pretrained" / "ssl-mse-mini"
    )
    gains = enhanced_gains(enhancer, noisy_rows, (sdr, pesq))
    sdr_gain, pesq_gain = gains.mean(axis=0)
    assert sdr_gain > 3.0
    assert pesq_gain > 0.2
    assert (gains[:, 0] > 0).mean() > 0.8


@pytest.fixture(scope="module")
def inpainted(repository, tmp_path_factory):
    """[systems, segments, (PESQ, STOI)]: gaps, linear prediction, repaired."""
    manifest = prepare_mini(
        tmp_path_factory.mktemp("mini"),
        train_minutes=0.1,
        valid_utterances=1,
        test_utterances=16,
    )["test"]
    rows = read_segments(manifest)[:24]
    wavs = torch.stack([load_segment(row) for row in rows])
    ids = [row["ID"] for row in rows]
    inpainter = Inpainter.from_hparams(
        source=repository / "pretrained" / "inpainter-mini"
    )
    features, masking = inpainter.mods.features, Masking("time", 0.2)
    lost = masking.draw(ids, 128, 128)
    repaired = inpainter.inpaint_batch(
        wavs, torch.ones(len(wavs)), lost, keep_observed=True
    )
    systems = [
        *(
            Reference(name, features).process(wavs, ids, masking)
            for name in ("gaps", "lpc")
        ),
        repaired,
    ]
    return np.array(
        [
            [
                [score(clean, found) for score in (pesq, stoi)]
                for clean, found in zip(wavs, system)
            ]
            for system in systems
        ]
    )


def test_gaps_of_a_fifth_are_repaired(inpainted):
    gaps, predicted, repaired = np.nanmean(inpainted, axis=1)
    assert repaired[0] > gaps[0] + 0.3
    assert repaired[1] > gaps[1] + 0.08
    assert repaired[0] > predicted[0]
    assert repaired[1] > predicted[1] + 0.02
