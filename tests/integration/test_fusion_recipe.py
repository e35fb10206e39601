"""The spectrogram-fusion recipe: each stage, and the model that it leaves."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file

from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.cli import main
from speechbrain_ext.corpora.fusion_corpus import write_fusion_manifests
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.noise_files import find_noises
from speechbrain_ext.errors import UserError
from speechbrain_ext.inference import FusionASR

FEW = ("--number_of_epochs=1", "--batch_seconds=4", "--num_workers=0")
TRANSFORMER = ("--channels=2", "--d_model=16", "--nhead=2", "--d_ffn=16")
TRANSFORMER += ("--encoder_layers=1", "--decoder_layers=1")
ENHANCEMENT = ("--enhance_layers=1", "--enhance_hidden=8")
FUSION = ("--fusion_layers=1", "--fusion_hidden=8")
ALL = (*TRANSFORMER, *ENHANCEMENT, *FUSION)


@pytest.fixture(scope="module")
def corpus(manifests, tmp_path_factory):
    """Manifests of the little corpus in three kinds of noise."""
    folder = tmp_path_factory.mktemp("fusion corpus")
    generator = torch.Generator().manual_seed(1)
    for kind in ("a", "b", "c"):
        noise = 0.1 * torch.randn(16000 * 8, generator=generator)
        save_audio(folder / "noise" / kind / "noise.wav", noise)
    speech = {name: read_manifest(path) for name, path in manifests.items()}
    for row in (row for rows in speech.values() for row in rows):
        row["wrd"] = "".join(
            c for c in row["wrd"].lower() if c.isalpha() or c in "' "
        )
    speech["dev"] = speech["test"]
    return write_fusion_manifests(
        speech, find_noises(folder / "noise"), folder, seed=1
    )


@pytest.fixture(scope="module")
def train(repository, loaded_train, corpus):
    """Run a stage in this process: ``train(hparams, output_folder, ...)``."""
    from speechbrain_ext.brains.experiment import parse_arguments

    folder = repository / "recipes" / "AISHELL-1/ASR/spectrogram_fusion"
    names = {"train": "train", "valid": "valid", "test": "valid"}
    csvs = [f"--{name}_csv={corpus[part]}" for name, part in names.items()]

    def run(hparams, output_folder, *more):
        arguments = [f"hparams/{hparams}", f"--output_folder={output_folder}"]
        if "asr" not in hparams:
            arguments.append(f"--noise_csv={corpus['train-noise']}")
        arguments += ["--skip_prep=True", *csvs, *FEW, *more]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setattr(sys, "excepthook", sys.excepthook)
            patch.setenv("SB_GLOBAL_SEED", "0")
            with loaded_train(folder) as module:
                module.main(*parse_arguments([str(a) for a in arguments]))
        return output_folder / "model"

    return run


@pytest.fixture(scope="module")
def stages(train, tmp_path_factory):
    """The three pre-trained modules' folders, by the recipe's keys."""
    out = tmp_path_factory.mktemp("stages")
    asr = train("mini_pretrain_asr.yaml", out / "asr", *TRANSFORMER)
    heads = train("mini_pretrain_enhance.yaml", out / "heads", *ENHANCEMENT)
    fusion = train(
        "mini_pretrain_fusion.yaml",
        out / "fusion",
        f"--enhance_folder={heads}",
        f"--asr_folder={asr}",
        *ALL,
    )
    return {"asr": asr, "enhance": heads, "fusion": fusion}


@pytest.fixture(scope="module")
def joint(train, stages, tmp_path_factory):
    """The output folder of a joint training."""
    out = tmp_path_factory.mktemp("joint")
    train("mini_joint_fusion.yaml", out, *begin(stages), *ALL)
    return out


def begin(stages, *names):
    names = names or ("asr", "enhance", "fusion")
    return [
        "--evaluate=null",
        *(f"--{name}_folder={stages[name]}" for name in names),
    ]


def weights(folder, name):
    return load_file(folder / f"{name}.safetensors")


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_the_fusion_stage_leaves_the_other_modules_alone(stages):
    for name, source in (("enhancement", "enhance"), ("back_end", "asr")):
        assert same(
            weights(stages["fusion"], name), weights(stages[source], name)
        )


def test_joint_training_changes_every_module(stages, joint):
    for name in ("enhancement", "fusion", "back_end"):
        before = weights(stages["fusion"], name)
        after = weights(joint / "model", name)
        assert before.keys() == after.keys()
        assert not same(before, after), name


def test_the_recogniser_of_noisy_speech_leaves_the_front_end_alone(
    train, stages, tmp_path
):
    more = (*begin(stages), "--output=noisy", *ALL)
    folder = train("mini_joint_fusion.yaml", tmp_path / "out", *more)
    for name in ("enhancement", "fusion"):
        assert same(weights(stages["fusion"], name), weights(folder, name))
    assert not same(
        weights(stages["asr"], "back_end"), weights(folder, "back_end")
    )
    assert FusionASR.from_hparams(source=folder).output == "noisy"


def test_a_head_without_joint_training_is_what_was_pretrained(
    train, stages, tmp_path, logged
):
    more = [
        *begin(stages, "asr", "enhance"),
        *TRANSFORMER,
        *ENHANCEMENT,
    ]
    separate = train(
        "mini_joint_mapping.yaml", tmp_path / "a", *more, "--number_of_epochs=0"
    )
    for name in ("enhancement", "back_end"):
        assert same(weights(stages["fusion"], name), weights(separate, name))
    train("mini_joint_masking.yaml", tmp_path / "b", *more, "--beta=0.5")
    losses = logged(tmp_path / "b")
    assert losses["train loss"] == pytest.approx(
        0.5 * (losses["train asr"] + losses["train masking"]), rel=0.01
    )


def test_the_model_transcribes_and_enhances(joint, corpus, tmp_path):
    model = FusionASR.from_hparams(source=joint / "model")
    assert (model.output, len(model.outputs)) == ("fusion", 4)
    rows = read_manifest(corpus["valid"])
    files = [row["wav"] for row in rows[:3]]
    texts = model.transcribe_files(files)
    assert texts == [model.transcribe_file(file) for file in files]
    assert all(
        set(text) <= set("abcdefghijklmnopqrstuvwxyz' ") for text in texts
    )
    wav = load_audio(files[0])
    for output in model.outputs:
        enhanced = model.enhance_file(files[0], output=output)
        assert enhanced.shape == wav.shape
        if output == "noisy":
            torch.testing.assert_close(enhanced, wav, rtol=1e-3, atol=1e-4)
    found = model.spectrograms(wav[None], torch.ones(1))
    assert {x.shape[2] for x in found.values()} == {257}
    assert model.transcribe_batch(torch.zeros(1, 8000), torch.ones(1)) == [""]
    with pytest.raises(UserError, match="output: 'both'; expected one of"):
        model.transcribe_file(files[0], output="both")
    model.output = "masking"
    assert model.transcribe_file(files[0]) == model.transcribe_file(
        files[0], "masking"
    )


def test_the_folder_is_plain(joint):
    text = (joint / "model" / "hyperparams.yaml").read_text()
    assert "!name" not in text and "!apply" not in text and "!ref" not in text
    config = json.loads((joint / "model" / "config.json").read_text())
    assert config["interface"] == "speechbrain_ext.inference.FusionASR"


def test_the_commands_take_it(joint, corpus, tmp_path, capsys):
    file, folder = read_manifest(corpus["valid"])[0]["wav"], joint / "model"
    model = FusionASR.from_hparams(source=folder)
    for more, output in (
        ([], None),
        (["--spectrogram", "mapping"], "mapping"),
        (["--front-end", "none"], "noisy"),
    ):
        main(["transcribe", file, "--model", str(folder), *more])
        printed = capsys.readouterr().out.strip()
        assert printed == model.transcribe_file(file, output).strip()
    out = tmp_path / "out.wav"
    main(
        ["enhance", file, str(out), "--model", str(folder)]
        + ["--spectrogram", "masking"]
    )
    expected = model.enhance_file(file, output="masking")
    torch.testing.assert_close(load_audio(out), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--lost", "x.txt"], "--lost: expected none"),
        (["--language", "en"], "--language: expected none"),
        (
            ["--front-end", "none", "--spectrogram", "fusion"],
            "--front-end none",
        ),
    ],
)
def test_what_the_commands_refuse(joint, more, message, capsys):
    command = ["transcribe", "a.wav", "--model", str(joint / "model"), *more]
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_character_that_is_none_of_the_set_is_named(train, corpus, tmp_path):
    rows = read_manifest(corpus["train"])
    rows[1]["wrd"] += "?"
    write_manifest(tmp_path / "train.csv", rows)
    with pytest.raises(UserError) as caught:
        train(
            "mini_pretrain_asr.yaml",
            tmp_path / "out",
            *TRANSFORMER,
            f"--train_csv={tmp_path / 'train.csv'}",
        )
    assert rows[1]["ID"] in str(caught.value) and "'?'" in str(caught.value)
