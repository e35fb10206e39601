"""Stage 3 with SpeechBrain's own recogniser: from train.py to RobustASR."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file
from speechbrain import Stage
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_ext.audio import load_audio
from speechbrain_ext.backends.speechbrain_recogniser import (
    SpeechBrainRecogniser,
)
from speechbrain_ext.brains.experiment import parse_arguments
from speechbrain_ext.brains.thaw import SlowThawBrain
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.frontends.wide_resnet import WideResNetEnhancer
from speechbrain_ext.inference import PerceptualEnhancer, RobustASR
from speechbrain_ext.inference.export import export_enhancer

CHANNELS, DENSE = [2, 2], [4]

# What an enhancement recipe's folder says of its pieces.
ENHANCER = f"""
features: !new:speechbrain_ext.features.log_magnitude.LogMagnitude
    window_ms: 32
    hop_ms: 16
front_end: !new:speechbrain_ext.frontends.wide_resnet.WideResNetEnhancer
    channels: {CHANNELS}
    dense: {DENSE}
"""


@pytest.fixture(scope="module")
def enhancer(tmp_path_factory):
    """The model's folder of an enhancer that takes half of everything away."""
    folder = tmp_path_factory.mktemp("enhancement")
    (folder / "hyperparams.yaml").write_text(ENHANCER, encoding="utf-8")
    torch.manual_seed(0)
    export_enhancer(folder, {"front_end": WideResNetEnhancer(CHANNELS, DENSE)})
    return folder / "model"


class Run:
    """What a training left: its folder and the weights after each epoch."""

    def __init__(self, folder):
        self.folder = folder
        self.epochs = []

    @property
    def model(self):
        return self.folder / "model"

    def watch(self, brain):
        """Keep a copy of the weights."""
        self.epochs.append(
            {
                f"{name}.{key}": value.clone()
                for name in ("front_end", "back_end")
                for key, value in brain.modules[name].state_dict().items()
            }
        )

    def moved(self, epoch, part):
        """Names below ``part`` that differ from the epoch before (or none)."""
        before, after = self.epochs[epoch - 1], self.epochs[epoch]
        names = [name for name in after if name.startswith(part)]
        assert names
        return {n for n in names if not torch.equal(before[n], after[n])}


@pytest.fixture(scope="module")
def train(
    repository,
    noisy,
    enhancer,
    speechbrain_source,
    random_whispers,
    loaded_train,
    tmp_path_factory,
):
    """Train with a YAML file of the recipe, in this process."""
    recipe = repository / "recipes" / "Voicebank" / "MTL" / "perceptual_loss"

    def run(name, *more):
        ran = Run(tmp_path_factory.mktemp("runs") / name)
        arguments = [
            recipe / "hparams" / f"{name}.yaml",
            f"--output_folder={ran.folder}",
            "--data_folder=",
            "--skip_prep=True",
            *(f"--{x}_csv={noisy[x]}" for x in ("train", "valid", "test")),
            f"--noise_folder={noisy['train-noise']}",
            f"--enhance_folder={enhancer}",
            f"--recogniser_source={speechbrain_source}",
            f"--unadapted_source={random_whispers[80]}",
            f"--channels={CHANNELS}",
            f"--dense={DENSE}",
            "--metrics=[si_sdr]",
            "--number_of_epochs=2",
            "--frozen_epochs=1",
            "--lr=0.01",
            "--batch_seconds=12",
            "--num_workers=0",
            *more,
        ]
        with pytest.MonkeyPatch.context() as patch:
            _settle(patch, ran)
            module.main(*parse_arguments([str(part) for part in arguments]))
        return ran

    with loaded_train(recipe) as module:
        yield run


def _settle(patch, ran):
    """Put back what a training changes, and watch its epochs."""
    patch.setattr(sys, "excepthook", sys.excepthook)
    patch.setenv("SB_GLOBAL_SEED", "0")
    start, end = SlowThawBrain.on_fit_start, SlowThawBrain.on_stage_end

    def on_fit_start(self):
        start(self)
        ran.watch(self)

    def on_stage_end(self, stage, *arguments):
        end(self, stage, *arguments)
        if stage == Stage.TRAIN:
            ran.watch(self)

    patch.setattr(SlowThawBrain, "on_fit_start", on_fit_start)
    patch.setattr(SlowThawBrain, "on_stage_end", on_stage_end)


@pytest.fixture(scope="module")
def robust(train):
    """The recogniser is adapted to the frozen enhancer."""
    return train("robust_asr")


@pytest.fixture(scope="module")
def joint(train):
    """Both are trained; a short run as for a recipe's test."""
    return train("joint", "--debug")


@pytest.fixture(scope="module")
def bypassing(train):
    """The recogniser is adapted to the noise itself."""
    return train("robust_asr", "--bypass_enhancer=True", "--debug")


def recordings(noisy):
    """Two noisy files of the test set."""
    return [row["noisy_wav"] for row in read_manifest(noisy["test"])[:2]]


def results(run):
    """Value by system and metric."""
    rows = json.loads((run.folder / "results.json").read_text())
    rows = rows["rows"] if isinstance(rows, dict) else rows
    return {(row["system"], row["metric"]): row for row in rows}


def test_training_begins_with_what_was_pretrained(
    robust, enhancer, speechbrain_source
):
    start = robust.epochs[0]
    for name, value in load_file(enhancer / "front_end.safetensors").items():
        assert torch.equal(start[f"front_end.enhancer.{name}"], value)
    source = SpeechBrainRecogniser(speechbrain_source)
    for name, value in source.state_dict().items():
        assert torch.equal(start[f"back_end.{name}"], value)


def test_the_decoder_learns_first_and_the_encoder_later(robust):
    assert not robust.moved(1, "back_end.encoder.")
    assert robust.moved(1, "back_end.decoder.")
    assert robust.moved(1, "back_end.output.")
    moved = robust.moved(2, "back_end.encoder.")
    assert any("LSTM" in name or ".RNN." in name for name in moved)
    # The running averages of batch normalisation wait as well.
    assert any(name.endswith("running_mean") for name in moved)


def test_a_frozen_enhancer_stays_as_it_is(robust):
    assert not robust.moved(1, "front_end.")
    assert not robust.moved(2, "front_end.")


def test_joint_training_moves_the_enhancer_after_the_wait(joint):
    assert not joint.moved(1, "front_end.")
    assert not joint.moved(1, "back_end.encoder.")
    moved = joint.moved(2, "front_end.enhancer.")
    assert any(name.endswith("first.weight") for name in moved)
    assert any(name.endswith("running_mean") for name in moved)
    assert joint.moved(2, "back_end.encoder.")


def test_training_writes_checkpoints_and_a_log(robust):
    saved = Checkpointer(robust.folder / "save").find_checkpoints()
    assert {found.meta["epoch"] for found in saved} >= {2}
    log = (robust.folder / "train_log.txt").read_text().splitlines()
    assert len(log) == 3
    assert all("nll" in line and "WER" in line for line in log)


@pytest.mark.parametrize("name", ["robust", "joint", "bypassing"])
def test_the_export_is_the_best_checkpoint(name, request):
    run = request.getfixturevalue(name)
    found = {
        f"{part}.{key}": value
        for part in ("front_end", "back_end")
        for key, value in load_file(run.model / f"{part}.safetensors").items()
    }
    epochs = run.epochs[1:]
    assert any(
        all(torch.equal(found[key], epoch[key]) for key in epoch)
        for epoch in epochs
    )
    assert found.keys() == epochs[0].keys()
    assert not any("lm" in key.split(".") for key in found)


def test_a_robust_recogniser_loads_and_writes(
    robust, noisy, speechbrain_source
):
    text = (robust.model / "hyperparams.yaml").read_text()
    assert f"source: {speechbrain_source}\n" in text and "!ref" not in text
    asr = RobustASR.from_hparams(robust.model)
    exported = load_file(robust.model / "back_end.safetensors")
    for name, value in asr.mods.back_end.state_dict().items():
        assert torch.equal(value, exported[name]), name
    assert not any(module.training for module in asr.mods.modules())
    assert asr.language is None

    file = recordings(noisy)[0]
    enhanced = asr.enhancer().enhance_signal(load_audio(file))
    lengths = torch.ones(1)
    (expected,) = asr.mods.back_end.transcribe(
        enhanced[None, :, None], torch.tensor([len(enhanced) / 16000])
    )
    assert expected and asr.transcribe_file(file) == expected
    assert asr.transcribe_batch(load_audio(file)[None], lengths) == [expected]


def test_its_enhancer_is_the_one_of_stage_2(robust, enhancer, noisy):
    signal = load_audio(recordings(noisy)[0])
    own = RobustASR.from_hparams(robust.model).enhancer()
    published = PerceptualEnhancer.from_hparams(enhancer)
    enhanced = own.enhance_signal(signal)
    torch.testing.assert_close(enhanced, published.enhance_signal(signal))
    assert not torch.allclose(enhanced, signal, atol=1e-3)


def test_it_was_evaluated_beside_the_recordings(robust, joint):
    for run, name in ((robust, "robust"), (joint, "joint")):
        found = results(run)
        for system in ("clean", "noisy", name):
            assert (system, "wer") in found
        assert (name, "si_sdr") in found


def test_a_bypassed_enhancer_is_none(bypassing, noisy):
    asr = RobustASR.from_hparams(bypassing.model)
    assert asr.enhancer() is None
    for file in recordings(noisy):
        signal = load_audio(file)
        heard = asr.transcribe_file(file)
        assert heard == asr.transcribe_file(file, front_end=False)
        (expected,) = asr.mods.back_end.transcribe(
            signal[None, :, None], torch.tensor([len(signal) / 16000])
        )
        assert heard == expected
    found = results(bypassing)
    robust, noise = (found[x, "si_sdr"]["value"] for x in ("robust", "noisy"))
    assert robust == noise
    assert not bypassing.moved(2, "front_end.")
