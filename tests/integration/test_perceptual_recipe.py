"""The perceptual-loss recipe: its three stages, and what they leave behind."""

import json

import pytest
import soundfile
import torch
from safetensors.torch import load_file

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.inference import PerceptualEnhancer, RobustASR

TINY = ("--number_of_epochs=1", "--skip_prep=True")
TINY_PERCEPTUAL = ("--perceptual_channels=[4,4]", "--perceptual_dense=8")
TINY_ENHANCER = ("--channels=[4,4]", "--dense=[8]")


@pytest.fixture(scope="module")
def noisy_manifests(tmp_path_factory):
    """The smallest noisy mini corpus that serves all tests."""
    from speechbrain_ext.corpora import noisy_mini

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noisy_mini, "BABBLE_LANGUAGES", ("it",))
        return noisy_mini.prepare_noisy_mini(
            tmp_path_factory.mktemp("noisy mini corpus"),
            train_minutes=0.3,
            valid_utterances=3,
            test_utterances=3,
            noise_minutes=0.1,
        )


@pytest.fixture(scope="module")
def folder(repository):
    """The folder of the recipe."""
    return repository / "recipes" / "Voicebank" / "MTL" / "perceptual_loss"


@pytest.fixture(scope="module")
def train(run_program, folder, noisy_manifests):
    """Run a stage: its process."""

    def run(hparams, output_folder, *more):
        csvs = [
            f"--{split}_csv={noisy_manifests[split]}"
            for split in ("train", "valid", "test")
        ]
        arguments = ["train.py", f"hparams/{hparams}", *TINY, *csvs]
        return run_program(
            [*arguments, f"--output_folder={output_folder}", *more], folder
        )

    return run


@pytest.fixture(scope="module")
def perceptual(train, tmp_path_factory):
    """Stage 1's output folder."""
    out = tmp_path_factory.mktemp("stages") / "perceptual"
    ran = train(
        "mini_perceptual.yaml",
        out,
        "--channels=[4,4]",
        "--dense=8",
        "--decoder_neurons=8",
    )
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.fixture(scope="module")
def stage_2(train, perceptual, noisy_manifests):
    """Arguments of stage 2 after the small stage 1."""
    return [
        f"--perceptual_folder={perceptual / 'model'}",
        f"--noise_csv={noisy_manifests['train-noise']}",
        "--decoder_neurons=8",
        "--perceptual_layers=[block2]",
        *TINY_PERCEPTUAL,
        *TINY_ENHANCER,
    ]


@pytest.fixture(scope="module")
def enhanced(train, stage_2, tmp_path_factory):
    """Stage 2's output folder."""
    out = tmp_path_factory.mktemp("stages") / "enhance"
    ran = train("mini_enhance.yaml", out, *stage_2)
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.fixture(scope="module")
def robust(train, enhanced, noisy_manifests, tmp_path_factory):
    """Stage 3's output folder."""
    out = tmp_path_factory.mktemp("stages") / "robust"
    ran = train(
        "mini_robust_asr.yaml",
        out,
        f"--enhance_folder={enhanced / 'model'}",
        f"--noise_csv={noisy_manifests['train-noise']}",
        "--metrics=[stoi]",
        *TINY_ENHANCER,
    )
    assert ran.returncode == 0, ran.stderr
    return out


def test_stage_1_logs_each_loss_and_the_phone_error_rate(perceptual, logged):
    log = logged(perceptual)
    for name in ("nll", "ctc", "alignment"):
        assert log[f"train {name}"] > 0 and log[f"valid {name}"] > 0
    assert "valid PER" in log
    assert "PER" in (perceptual / "train_log.txt").read_text().splitlines()[-1]
    weights = load_file(perceptual / "model" / "perceptual_model.safetensors")
    assert weights["ctc.weight"].shape == (40, 8)


def test_stage_2_logs_both_losses_and_is_measured(enhanced, logged):
    log = logged(enhanced)
    assert log["train l1"] > 0 and log["train perceptual"] > 0
    assert log["valid PESQ"] >= 1
    rows = json.loads((enhanced / "results.json").read_text())
    assert all(list(row) == list(ROW_KEYS) for row in rows)
    systems = {row["system"] for row in rows}
    assert systems == {"clean", "noisy", "mimic"}
    metrics = {row["metric"] for row in rows if row["system"] == "mimic"}
    assert {"pesq", "stoi", "covl", "wer", "pesq_gain"} <= metrics


def test_a_weight_of_0_leaves_the_perceptual_loss_out(
    train, stage_2, tmp_path, logged
):
    ran = train(
        "mini_enhance.yaml",
        tmp_path,
        *stage_2,
        "--perceptual_weight=0",
        "--debug",
        "--metrics=[stoi]",
    )
    assert ran.returncode == 0, ran.stderr
    assert "perceptual" not in "".join(logged(tmp_path))


def test_stage_3_ships_a_recogniser_behind_the_same_enhancer(
    robust, enhanced, noisy_manifests, logged
):
    log = logged(robust)
    assert log["train ce"] > 0 and "valid WER" in log
    before = load_file(enhanced / "model" / "front_end.safetensors")
    after = load_file(robust / "model" / "front_end.safetensors")
    for name, value in before.items():
        assert torch.equal(value, after[f"enhancer.{name}"]), name
    asr = RobustASR.from_hparams(source=robust / "model")
    row = read_manifest(noisy_manifests["test"])[0]
    heard = load_audio(row["noisy_wav"])
    enhancer = PerceptualEnhancer.from_hparams(source=enhanced / "model")
    torch.testing.assert_close(
        asr.enhancer().enhance_signal(heard), enhancer.enhance_signal(heard)
    )
    assert isinstance(asr.transcribe_file(row["noisy_wav"]), str)
    rows = json.loads((robust / "results.json").read_text())
    assert {"clean", "noisy", "robust"} == {row["system"] for row in rows}


def command(run_program, tmp_path, *arguments):
    return run_program(["-m", "speechbrain_ext.cli", *arguments], tmp_path)


def test_the_enhance_command_writes_a_file_of_the_same_length(
    run_program, enhanced, tmp_path
):
    save_audio(tmp_path / "in.wav", 0.1 * torch.randn(12000), 8000)
    ran = command(
        run_program,
        tmp_path,
        *("enhance", "in.wav", "out.flac", "--model", enhanced / "model"),
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    info = soundfile.info(tmp_path / "out.flac")
    assert (info.frames, info.samplerate) == (24000, 16000)


def test_the_enhance_command_refuses_in_one_line(
    run_program, enhanced, tmp_path
):
    (tmp_path / "in.wav").write_bytes(b"no audio")
    (tmp_path / "out.wav").write_bytes(b"kept")
    for file, model, named in (
        ("in.wav", enhanced / "model", "in.wav"),
        ("gone.wav", enhanced / "model", "gone.wav"),
        ("in.wav", tmp_path / "gone", "gone"),
    ):
        ran = command(
            run_program,
            tmp_path,
            *("enhance", file, "out.wav", "--model", model),
        )
        assert ran.returncode == 2
        (line,) = ran.stderr.splitlines()
        assert named in line
    assert (tmp_path / "out.wav").read_bytes() == b"kept"


def test_the_evaluate_command_adds_noise_to_clean_speech(
    run_program, enhanced, noisy_manifests, tmp_path
):
    rows = read_manifest(noisy_manifests["test"])[:1]
    for row in rows:
        del row["noisy_wav"], row["snr"], row["noise"], row["phn"]
    write_manifest(tmp_path / "clean.csv", rows)
    ran = command(
        run_program,
        tmp_path,
        *("evaluate", "--model", f"tiny={enhanced / 'model'}"),
        *("--data", "clean.csv", "--out", "out"),
        *("--noise", noisy_manifests["test-noise"], "--snrs", "0", "10"),
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["level"] for row in found} == {None, 0.0, 10.0}
    sdr = {
        row["level"]: row["value"]
        for row in found
        if (row["system"], row["metric"]) == ("noisy", "si_sdr")
    }
    assert sdr[0.0] == pytest.approx(0, abs=1)
    assert sdr[10.0] == pytest.approx(10, abs=1)


def refused(ran):
    """The one line of a run that must have been refused."""
    assert ran.returncode == 2, ran.stderr
    return ran.stderr.splitlines()[-1]


def test_weights_of_another_architecture_name_the_first_tensor(
    train, stage_2, tmp_path
):
    ran = train(
        "mini_enhance.yaml",
        tmp_path / "out",
        *stage_2,
        "--perceptual_channels=[4,6]",
    )
    line = refused(ran)
    assert "perceptual_model.safetensors" in line
    assert "encoder.network.blocks.1.downsample.weight is [4, 4, 3, 3]" in line
    assert not (tmp_path / "out" / "save").exists()


def test_pairs_of_different_lengths_are_refused(
    train, stage_2, noisy_manifests, tmp_path
):
    rows = read_manifest(noisy_manifests["valid"])
    short = tmp_path / "short.wav"
    save_audio(short, load_audio(rows[0]["noisy_wav"])[:-100])
    rows[0]["noisy_wav"] = short
    write_manifest(tmp_path / "valid.csv", rows)
    ran = train(
        "mini_enhance.yaml",
        tmp_path / "out",
        *stage_2,
        f"--valid_csv={tmp_path / 'valid.csv'}",
    )
    assert str(short) in refused(ran)


def test_noises_that_are_not_there_are_refused(train, stage_2, tmp_path):
    ran = train(
        "mini_enhance.yaml",
        tmp_path / "out",
        *stage_2,
        f"--noise_csv={tmp_path / 'gone.csv'}",
    )
    assert "gone.csv" in refused(ran)


def test_a_layer_that_is_not_there_is_refused(train, stage_2, tmp_path):
    ran = train(
        "mini_enhance.yaml",
        tmp_path / "out",
        *stage_2,
        "--perceptual_layers=[blok2]",
    )
    assert refused(ran) == (
        "error: layers: no 'blok2' in a FrozenPerceptualModel; expected some "
        "of block1, block2, dense, encoder"
    )
    assert "Traceback" not in ran.stderr
