"""The CHiME-2 recipe, on a tiny tree: from train.py to Kaldi's archives."""

import csv
import re
import shlex
import sys

import kaldiio
import numpy
import pytest
import torch
import torchaudio
from safetensors.torch import load_file

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.chime2 import SPLITS
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.features.kaldi_archive import kaldi_frames
from speechbrain_ext.inference import PerceptualEnhancer

RATE = 16000
N_SENONES = 10
TINY = ("--n_senones=10", "--batch_seconds=2", "--num_workers=0")
ONE_EPOCH = (*TINY, "--number_of_epochs=1", "--hidden=[8,8]")


@pytest.fixture(scope="module")
def tree(debug_data, tmp_path_factory):
    """CHiME-2's layout, with transcripts and clean recordings' alignments."""
    return debug_data.make_chime2(
        tmp_path_factory.mktemp("chime2") / "chime2-wsj0"
    )


def write_alignments(path, alignments):
    path.write_text("".join(f"{k} {v}\n" for k, v in alignments.items()))


def read_lines(tree):
    lines = (tree / "alignments.txt").read_text().splitlines()
    return dict(line.split(maxsplit=1) for line in lines)


@pytest.fixture(scope="module")
def recipe(repository):
    """The recipe's folder, for what runs train.py as well."""
    return repository / "recipes" / "CHiME2" / "enhance" / "perceptual_loss"


def of_tree(tree):
    return f"--data_folder={tree}", f"--prepared_folder={tree / 'prepared'}"


@pytest.fixture(scope="module")
def perceptual(run_program, recipe, tree, tmp_path_factory):
    """A run of stage 1."""
    folder = tmp_path_factory.mktemp("perceptual")
    stage = (
        "hparams/perceptual_dnn.yaml",
        f"--output_folder={folder}",
        f"--alignment_file={tree / 'alignments.txt'}",
    )
    ran = run_program(["train.py", *stage, *of_tree(tree), *ONE_EPOCH], recipe)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture(scope="module")
def second_stage(perceptual, tree):
    """Arguments of stage 2, for a folder."""

    def arguments(folder, *more):
        return [
            "hparams/enhance_dnn.yaml",
            f"--output_folder={folder}",
            f"--perceptual_folder={perceptual / 'model'}",
            "--perceptual=dnn",
            "--perceptual_settings={hidden: [8, 8]}",
            *of_tree(tree),
            *ONE_EPOCH,
            *more,
        ]

    return arguments


@pytest.fixture(scope="module")
def enhanced(run_program, recipe, second_stage, tmp_path_factory):
    """A run of stage 2."""
    folder = tmp_path_factory.mktemp("enhanced")
    ran = run_program(["train.py", *second_stage(folder)], recipe)
    assert ran.returncode == 0, ran.stderr
    return folder


def losses(folder):
    """The losses that training, validation and testing log."""
    text = (folder / "train_log.txt").read_text()
    pairs = re.findall(r"(\w+ \w+): ([\d.e+-]+)", text)
    return {name: float(value) for name, value in pairs}


def test_the_perceptual_model_learns_senones(perceptual):
    found = losses(perceptual)
    assert {"train ce", "valid ce", "test ce"} <= found.keys()
    # Hardly better than chance after an epoch, but of as many classes.
    assert abs(found["valid ce"] - numpy.log(N_SENONES)) < 0.7
    state = load_file(perceptual / "model" / "perceptual_model.safetensors")
    assert state["stages.senones.3.weight"].shape == (N_SENONES, 8)


def test_the_enhancer_has_two_losses(enhanced):
    found = losses(enhanced)
    for part in ("train", "valid", "test"):
        assert found[f"{part} perceptual"] > 0
        total = found[f"{part} l2"] + found[f"{part} perceptual"]
        assert found[f"{part} loss"] == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize("split", SPLITS)
def test_archives_hold_every_utterance_with_kaldis_frames(
    enhanced, tree, split
):
    archive = kaldiio.load_scp(str(enhanced / "kaldi" / split / "feats.scp"))
    rows = read_manifest(tree / "prepared" / f"{split}.csv")
    assert list(archive) == sorted(row["ID"] for row in rows)
    assert len(rows) == 6
    for row in rows:
        theirs = torchaudio.compliance.kaldi.spectrogram(
            load_audio(row["noisy_wav"])[None], sample_frequency=RATE
        )
        feats = archive[row["ID"]]
        assert feats.shape == theirs.shape == (len(theirs), 257)
        assert feats.min() == 0 and numpy.isfinite(feats).all()


def test_archives_hold_what_the_exported_model_gives(enhanced, tree):
    model = PerceptualEnhancer.from_hparams(enhanced / "model")
    row = read_manifest(tree / "prepared" / "test.csv")[-1]
    wavs, whole = load_audio(row["noisy_wav"])[None], torch.ones(1)
    with torch.no_grad():
        feats = model.mods.features(wavs, whole)
        feats = model.mods.front_end(feats, whole)[0]
    index = enhanced / "kaldi" / "test" / "feats.scp"
    found = kaldiio.load_scp(str(index))[row["ID"]]
    expected = kaldi_frames(feats, wavs.shape[1]).numpy()
    numpy.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_archives_alone_from_a_checkpoint(enhanced, second_stage, run_train):
    files = sorted((enhanced / "kaldi").rglob("feats.*"))
    assert len(files) == 6
    before = {file: file.read_bytes() for file in files}
    for file in files:
        file.unlink()
    run_train(second_stage(enhanced, "--test_only"))
    assert {file: file.read_bytes() for file in files} == before


def recipe_rows(repository):
    with open(repository / "tests" / "recipes" / "CHiME2.csv") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("number", range(5))
def test_debug_flags_of_the_recipe_tests(
    repository, tree, tmp_path, run_train, number
):
    """Their data folder is a variable, as SpeechBrain gives them to a shell."""
    rows = recipe_rows(repository)
    assert len(rows) == 5
    row = rows[number]
    flags = row["test_debug_flags"].replace(
        "$CHIME2_TREE", shlex.quote(str(tree))
    )
    output = tmp_path / "out"
    yaml = repository / row["Hparam_file"]
    run_train([yaml, f"--output_folder={output}", *shlex.split(flags)])
    (checked,) = re.findall(r"file_exists=\[(.*)\]", row["test_debug_checks"])
    # SpeechBrain copies the program that runs, which here is pytest.
    for name in set(checked.split(",")) - {"train.py"}:
        assert (output / name).is_file(), name


# What is wrong


def refused(run_train, capsys, arguments):
    """Run what must be refused: its line on standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        run_train(arguments)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("error: ")]


@pytest.fixture
def first_stage(tree, tmp_path):
    """Arguments of stage 1 with changed alignments."""

    def arguments(alignments, *more):
        file = tmp_path / "alignments.txt"
        write_alignments(file, alignments)
        return [
            "hparams/perceptual_dnn.yaml",
            f"--output_folder={tmp_path / 'out'}",
            f"--alignment_file={file}",
            *of_tree(tree),
            *ONE_EPOCH,
            *more,
        ]

    return arguments


def test_a_missing_alignment_ends_in_one_line(
    tree, recipe, run_program, first_stage, tmp_path
):
    alignments = read_lines(tree)
    del alignments["050c01010"]
    ran = run_program(["train.py", *first_stage(alignments)], recipe)
    assert ran.returncode == 2
    errors = [
        line for line in ran.stderr.splitlines() if line.startswith("error:")
    ]
    assert len(errors) == 1 and "Traceback" not in ran.stderr
    assert "no alignment of 050c01010" in errors[0]
    assert not (tmp_path / "out" / "train_log.txt").exists()


def test_an_alignment_of_another_length(
    tree, first_stage, run_train, capsys, tmp_path
):
    alignments = read_lines(tree)
    alignments["013c02030"] = "1 2 3"
    (line,) = refused(run_train, capsys, first_stage(alignments))
    assert "013c02034 has 3 targets for" in line
    assert not (tmp_path / "out" / "train_log.txt").exists()


def test_a_senone_too_many(tree, first_stage, run_train, capsys):
    arguments = first_stage(read_lines(tree), "--n_senones=9")
    (line,) = refused(run_train, capsys, arguments)
    assert "has the target 9; expected 0 to 8" in line


def test_an_unknown_condition(tree, first_stage, run_train, capsys):
    arguments = first_stage(read_lines(tree), "--alignment_condition=12dB")
    (line,) = refused(run_train, capsys, arguments)
    assert "'12dB'; expected null or one of clean" in line


def test_no_perceptual_model_yet(second_stage, run_train, capsys, tmp_path):
    arguments = second_stage(tmp_path / "out", "--perceptual_folder=gone")
    (line,) = refused(run_train, capsys, arguments)
    assert "gone/perceptual_model.safetensors: not readable" in line
    assert not (tmp_path / "out" / "kaldi").exists()


def test_kaldiio_is_missed_before_the_training(
    second_stage, run_train, capsys, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "kaldiio", None)
    (line,) = refused(run_train, capsys, second_stage(tmp_path / "out"))
    assert "kaldiio: not installed" in line
    assert not (tmp_path / "out" / "train_log.txt").exists()


def test_weights_of_another_architecture(
    second_stage, run_train, capsys, tmp_path
):
    arguments = second_stage(
        tmp_path / "out", "--perceptual_settings={hidden: [8, 4]}"
    )
    (line,) = refused(run_train, capsys, arguments)
    assert "does not fit a FrozenSenoneDNN: stages.layer2" in line
