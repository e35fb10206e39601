"""Whisper itself is trained: what learns, what is kept, what it is beside."""

import json

import pytest
import torch
from safetensors.torch import load_file

from speechbrain_ext.backends.ctranslate2_decoder import CTranslate2Whisper
from speechbrain_ext.backends.ctranslate2_whisper import read_variables
from speechbrain_ext.backends.fine_tuned import FineTunedWhisper
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
from speechbrain_ext.evaluation.results import BARE
from speechbrain_ext.evaluation.systems import load_systems
from speechbrain_ext.inference import PacketLossASR

POSITIONS = "whisper.model.encoder.embed_positions.weight"


@pytest.fixture(scope="module")
def whisper(random_whispers):
    """A Whisper that learns fast."""
    return str(random_whispers[80])


@pytest.fixture(scope="module")
def arguments(few_steps, whisper):
    """Arguments of train.py for two steps into a folder."""

    def make(folder, *more):
        _, *rest = few_steps(folder)
        return [
            "hparams/finetune_whisper.yaml",
            *rest,
            f"--whisper_source={whisper}",
            "--language=null",
            "--lr=0.01",
            *more,
        ]

    return make


@pytest.fixture(scope="module")
def trained(run_program, arguments, recipe, tmp_path_factory):
    """The output folder of two steps."""
    folder = tmp_path_factory.mktemp("runs") / "fine-tuned"
    limit = "--optimizer_step_limit=2"
    ran = run_program(["train.py", *arguments(folder, limit)], recipe)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def published(whisper):
    """The weights of Whisper as it was."""
    return FrozenWhisper(whisper).state_dict()


def test_all_of_whisper_learns_but_its_sinusoids(trained, published, whisper):
    weights = load_file(trained / "model" / "back_end.safetensors")
    assert weights.keys() == published.keys()
    same = {n for n in weights if torch.equal(weights[n], published[n])}
    learns = dict(FineTunedWhisper(whisper).named_parameters())
    assert same == {POSITIONS, *(published.keys() - learns.keys())}


def test_checkpoints_have_the_trained_whisper(trained):
    saved = sorted((trained / "save").glob("CKPT+*/back_end.ckpt"))
    assert 1 <= len(saved) <= 2
    exported = load_file(trained / "model" / "back_end.safetensors")
    states = [torch.load(path, weights_only=True) for path in saved]
    assert any(
        all(torch.equal(state[name], exported[name]) for name in exported)
        for state in states
    )


def test_a_user_loads_the_trained_whisper(trained, utterances):
    asr = PacketLossASR.from_hparams(str(trained / "model"))
    assert not any(p.requires_grad for p in asr.mods.parameters())
    assert not any(part.training for part in asr.mods.modules())
    exported = load_file(trained / "model" / "back_end.safetensors")
    loaded = asr.mods.back_end.state_dict()
    assert all(torch.equal(loaded[n], exported[n]) for n in exported)
    assert isinstance(asr.transcribe_file(utterances[0]["wav"]), str)


def test_ctranslate2_runs_the_trained_weights(trained):
    """What it is given to run is the trained Whisper, converted."""
    source = str(trained / "model")
    asr = PacketLossASR.from_hparams(source, backend="ctranslate2")
    back_end = asr.mods.back_end
    exported = load_file(trained / "model" / "back_end.safetensors")
    name = "whisper.model.encoder.conv1.weight"
    converted = read_variables(back_end.folder / "model.bin")
    ours = torch.from_numpy(converted["encoder/conv1/weight"].copy())
    assert torch.equal(ours, exported[name])
    assert isinstance(asr.transcribe_batch(*_noise())[0], str)
    untouched = back_end.untouched()
    assert untouched.folder != back_end.folder
    assert type(untouched) is CTranslate2Whisper


def _noise():
    return 0.1 * torch.randn(1, 16000), torch.ones(1)


def test_bare_is_whisper_before_it_was_trained(trained, published):
    damage = WaveformPacketLoss(GilbertElliottLoss(), seed=0)
    systems = load_systems({"fine-tuned": trained / "model"}, damage)
    bare = systems[BARE].asr.mods.back_end.state_dict()
    assert all(torch.equal(bare[n], published[n]) for n in published)
    assert systems[BARE].fingerprint() != systems["fine-tuned"].fingerprint()


def test_results_compare_with_the_untouched_whisper(trained):
    rows = json.loads((trained / "results.json").read_text())
    wer = {r["system"]: r["value"] for r in rows if r["metric"] == "wer"}
    assert wer.keys() == {BARE, "fine-tuned"}
    lines = (trained / "transcripts.jsonl").read_text().splitlines()
    texts = {r["system"]: r["texts"] for r in map(json.loads, lines)}
    assert texts[BARE] != texts["fine-tuned"]


def test_evaluation_alone_recovers_whisper(trained, arguments, run_train):
    """Its own weights, from the checkpoint."""
    before = (trained / "results.json").read_text()
    file = trained / "model" / "back_end.safetensors"
    exported = load_file(file)
    file.unlink()
    run_train(arguments(trained, "--test_only"))
    weights = load_file(file)
    assert all(torch.equal(weights[n], exported[n]) for n in exported)
    assert (trained / "results.json").read_text() == before
