"""The SSL-MSE recipe: pre-training, each fine-tuning, and what they leave."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_rows,
)
from speechbrain_ext.corpora.mixture_manifests import write_mixture_manifests
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.inference import GenericEnhancer

TINY = ("--N=8", "--L=32", "--B=4", "--H=8", "--X=2", "--R=1")
FEW = ("--number_of_epochs=1", "--batch_seconds=4", "--num_workers=0")


@pytest.fixture(scope="module")
def mixtures(manifests, tmp_path_factory):
    """Mixtures of the little corpus; its other speech is noise enough."""
    folder = tmp_path_factory.mktemp("mixtures")
    rows = read_rows(manifests["train"], ("ID", "duration", "wav"))
    noise = [
        {**{name: row.get(name) for name in NOISE_COLUMNS}, "kind": "babble"}
        for row in rows
    ]
    write_rows(folder / "noise.csv", noise, NOISE_COLUMNS)
    noises = dict.fromkeys(manifests, folder / "noise.csv")
    return write_mixture_manifests(manifests, noises, folder, seed=1)


@pytest.fixture(scope="module")
def train(repository, loaded_train, mixtures):
    """Run a stage in this process: ``train(hparams, output_folder, ...)``."""
    from speechbrain_ext.brains.experiment import parse_arguments
    from speechbrain_ext.errors import exit_on_user_error

    folder = repository / "recipes" / "LibriSpeech" / "enhance" / "ssl_mse"
    csvs = [
        f"--{split}_csv={mixtures[split]}"
        for split in ("train", "valid", "test")
    ]

    def run(hparams, output_folder, *more):
        arguments = [f"hparams/{hparams}", f"--output_folder={output_folder}"]
        if hparams.startswith("mini_"):
            arguments.append(f"--noise_csv={mixtures['train-noise']}")
        else:
            arguments.append("--data_folder=")
        arguments += ["--skip_prep=True", *csvs, *TINY, *FEW, *more]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "excepthook", sys.excepthook)
            patch.setenv("SB_GLOBAL_SEED", "0")
            with loaded_train(folder) as module, exit_on_user_error():
                module.main(*parse_arguments([str(a) for a in arguments]))

    return run


@pytest.fixture(scope="module")
def pretrained(train, tmp_path_factory):
    """The output folder of a pre-training, which is measured as well."""
    out = tmp_path_factory.mktemp("stages") / "pretrain"
    train(
        "mini_pretrain_snr.yaml",
        out,
        "--whisper_source=null",
        "--metrics=[sdr]",
        "--observations=[0.0, 0.5]",
    )
    return out


@pytest.fixture
def finetune(train, pretrained, tmp_path):
    """Fine-tune from it: the folder of the model."""

    def run(hparams, *more):
        folder = f"--pretrain_folder={pretrained / 'model'}"
        train(hparams, tmp_path / "out", folder, "--evaluate=null", *more)
        return tmp_path / "out"

    return run


@pytest.fixture(scope="module")
def wavlm(debug_data, tmp_path_factory):
    """A folder with a tiny WavLM of random weights."""
    return debug_data.make_wavlm(tmp_path_factory.mktemp("wavlm"))


def weights(folder):
    return load_file(folder / "model" / "front_end.safetensors")


def same_weights(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_pretraining_ships_an_enhancer_that_is_measured(
    pretrained, mixtures, logged
):
    log = logged(pretrained)
    # The loss is the negative SNR in dB, of which nothing else is added.
    assert log["valid loss"] == log["valid snr"]
    assert log["lr"] == pytest.approx(0.001)
    rows = json.loads((pretrained / "results.json").read_text())
    systems = {row["system"] for row in rows if row["metric"] == "sdr"}
    assert {"SNR", "SNR+OA0.5"} <= systems
    enhancer = GenericEnhancer.from_hparams(source=pretrained / "model")
    wav = load_audio(read_manifest(mixtures["test"])[0]["wav"])
    assert enhancer.enhance_signal(wav).shape == wav.shape


def test_the_snr_loss_as_it_is_printed(train, tmp_path, logged):
    out, more = tmp_path / "out", ("--debug", "--evaluate=null")
    train("pretrain_snr.yaml", out, "--numerator=estimate", *more)
    assert logged(out)["lr"] == pytest.approx(0.0005)
    assert (out / "model" / "front_end.safetensors").is_file()


@pytest.mark.parametrize(
    ("hparams", "loss"),
    [
        ("mini_ssl_mse.yaml", "ssl"),
        ("mini_lmfb.yaml", "lmfb"),
        ("mini_asr_loss.yaml", "asr"),
    ],
)
def test_finetuning_begins_with_the_pretrained_front_end(
    finetune, pretrained, random_whispers, hparams, loss, logged
):
    source = {"ssl": "ssl_source", "asr": "recogniser_source"}.get(loss)
    more = [f"--{source}={random_whispers[80]}"] if source else []
    out = finetune(hparams, "--lr=0", "--snr_weight=0.5", *more)
    assert same_weights(out, pretrained)
    log = logged(out)
    for side in ("train", "valid"):
        total = log[f"{side} {loss}"] + 0.5 * log[f"{side} snr"]
        assert log[f"{side} loss"] == pytest.approx(total, rel=0.02, abs=0.02)
        assert log[f"{side} {loss}"] > 0


@pytest.mark.parametrize("cached", [True, False])
def test_a_self_supervised_model_teaches(
    finetune, pretrained, wavlm, tmp_path, cached, logged
):
    cache = tmp_path / "cache"
    out = finetune(
        "ssl_mse.yaml",
        f"--ssl_source={wavlm}",
        *([f"--ssl_cache_folder={cache}"] if cached else []),
    )
    assert not same_weights(out, pretrained)
    assert logged(out)["train ssl"] > 0
    # Train, valid and test, each utterance once.
    kept = list(cache.rglob("*.safetensors"))
    assert len(kept) == (5 + 4 + 4) * cached


def test_a_hybrid_recogniser_teaches(
    finetune, pretrained, speechbrain_source, logged
):
    out = finetune("asr_loss.yaml", f"--recogniser_source={speechbrain_source}")
    assert not same_weights(out, pretrained)
    assert logged(out)["train asr"] > 0


def test_a_weight_of_0_leaves_the_snr_loss_out(finetune, logged):
    out = finetune("lmfb.yaml", "--snr_weight=0", "--debug")
    assert "snr" not in "".join(logged(out))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--snr_weight=-0.1"], "weights: snr has -0.1; expected 0 or more"),
        (
            ["--ssl_layer_weights=[1, 1, 1]"],
            "layer_weights: are [1, 1, 1]; expected upper_half or a number for "
            "each of 1 layers",
        ),
        (["--N=6"], "does not fit a ConvTasNetEnhancer: encoder.conv1d_U"),
        (["--pretrain_folder=nowhere"], "nowhere/front_end.safetensors: not"),
        (["--ssl_source=nowhere"], "nowhere: not found. Tried:"),
        (["--P=2"], "P: is 2; expected a whole number of 1 or more, odd"),
    ],
)
def test_what_is_wrong_is_one_line(
    finetune, random_whispers, capsys, more, said
):
    with pytest.raises(SystemExit) as stop:
        finetune(
            "mini_ssl_mse.yaml", f"--ssl_source={random_whispers[80]}", *more
        )
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("error: ")]
    assert said in line
