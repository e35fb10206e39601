"""The inpainting recipe: its two stages, from LibriSpeech's layout to tables."""

import json

import pytest
import torch
from safetensors.torch import load_file

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.inference import Inpainter

SPLITS = ("train-clean-100", "test-clean", "dev-clean")
TINY = (
    "--n_words=2",
    "--channels=[[4],[4],[4],[4],[4]]",
    "--dense=[8]",
    "--number_of_epochs=1",
    "--num_workers=0",
)
ONE_CELL = ("--kinds=[time]", "--sizes=[0.2]")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """LibriSpeech with two utterances a split, and when words are said."""
    root = tmp_path_factory.mktemp("corpora") / "LibriSpeech"
    generator = torch.Generator().manual_seed(0)
    for number, split in enumerate(SPLITS):
        folder = root / split / str(number) / "1"
        folder.mkdir(parents=True)
        texts, alignments = [], []
        for name in (f"{number}-1-0000", f"{number}-1-0001"):
            # Syllables, so that PESQ finds something to judge.
            samples = torch.randn(3 * 16000, generator=generator)
            envelope = torch.sin(torch.arange(3 * 16000) * 20 / 16000) ** 2
            save_audio(folder / f"{name}.flac", 0.1 * samples * envelope)
            texts.append(f"{name} WITH A MORNING\n")
            alignments.append(
                f'{name} ",WITH,A,MORNING," "0.5,0.9,1.1,1.9,3.0"\n'
            )
        (folder / f"{number}-1.trans.txt").write_text("".join(texts))
        (folder / f"{number}-1.alignment.txt").write_text("".join(alignments))
    return root


@pytest.fixture(scope="module")
def train(run_program, repository, tree):
    """Run a stage: its process."""
    folder = repository / "recipes/LibriSpeech/inpainting/deep_feature_loss"

    def run(hparams, output_folder, *more):
        arguments = ["train.py", f"hparams/{hparams}", *TINY]
        arguments.append(f"--output_folder={output_folder}")
        # A later argument wins over an earlier one.
        return run_program([*arguments, f"--data_folder={tree}", *more], folder)

    return run


@pytest.fixture(scope="module")
def classifier(train, tmp_path_factory):
    """Stage 1's output folder."""
    out = tmp_path_factory.mktemp("stages") / "speech_vgg"
    ran = train("speech_vgg.yaml", out)
    assert ran.returncode == 0, ran.stderr
    return out


@pytest.fixture(scope="module")
def informed(train, classifier, tmp_path_factory):
    """Stage 2's output folder."""
    out = tmp_path_factory.mktemp("stages") / "informed"
    source = f"--speech_vgg_folder={classifier / 'model'}"
    ran = train("informed.yaml", out, source, *ONE_CELL)
    assert ran.returncode == 0, ran.stderr
    return out


def test_stage_1_learns_the_words_of_the_alignments(classifier, logged):
    assert (classifier / "words.txt").read_text() == "morning\nwith\n"
    assert len(read_manifest(classifier / "train.csv")) == 4
    log = logged(classifier)
    assert log["train cross_entropy"] > 0 and 0 <= log["valid WER"] <= 100
    weights = load_file(classifier / "model" / "speech_vgg.safetensors")
    assert weights["classifier.3.weight"].shape == (2, 8)


def test_both_stages_have_the_statistics_of_the_same_segments(
    classifier, informed
):
    one, other = (
        load_file(out / "features.safetensors")
        for out in (classifier, informed)
    )
    assert one["mean"].abs().max() > 0
    for name, value in one.items():
        assert torch.equal(value, other[name])
    shipped = load_file(informed / "model" / "features.safetensors")
    assert torch.equal(shipped["mean"], one["mean"])


def test_stage_2_is_trained_by_the_deep_feature_loss_alone(informed, logged):
    log = logged(informed)
    assert log["train deep"] == log["train loss"] > 0
    assert "train l1" not in log
    # Two utterances of 3 s have two segments each.
    assert len(read_manifest(informed / "train.csv")) == 4


def test_what_stage_2_ships_is_measured(informed):
    rows = json.loads((informed / "results.json").read_text())
    assert all(list(row) == list(ROW_KEYS) for row in rows)
    cell = {row["system"] for row in rows if row["level"] == 0.2}
    assert {"gaps", "noise", "lpc", "PC-gaps", "PC-gaps, observed kept"} == cell
    assert {row["metric"] for row in rows} == {"stoi", "pesq", "pesq_raw"}
    inpainter = Inpainter.from_hparams(source=informed / "model")
    assert inpainter.mods.front_end.informed
    wavs = 0.1 * torch.randn(1, 16384)
    lost = torch.zeros(1, 128, 128, dtype=torch.bool)
    lost[:, 40:60] = True
    repaired = inpainter.inpaint_batch(wavs, torch.ones(1), lost)
    assert repaired.shape == wavs.shape and repaired.isfinite().all()


def test_a_blind_network_without_a_deep_feature_loss(train, tmp_path):
    ran = train(
        "blind_noise.yaml",
        tmp_path / "out",
        "--l1_weight=1",
        "--deep_weight=0",
        "--pretrained=null",
        "--debug",
        *ONE_CELL,
    )
    assert ran.returncode == 0, ran.stderr
    model = Inpainter.from_hparams(source=tmp_path / "out" / "model")
    assert not model.mods.front_end.informed
    assert model.hparams.filling == "noise"


def refused(ran):
    """The one line of a run that must have been refused."""
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stderr.splitlines()[-1]


def test_a_classifier_of_another_size_is_refused(train, classifier, tmp_path):
    ran = train(
        "informed.yaml",
        tmp_path / "out",
        f"--speech_vgg_folder={classifier / 'model'}",
        "--dense=[9]",
    )
    line = refused(ran)
    assert "speech_vgg.safetensors: does not fit a FrozenSpeechVGG" in line
    assert not (tmp_path / "out" / "save").exists()


def test_a_filling_that_is_none_is_refused(train, classifier, tmp_path):
    ran = train("informed.yaml", tmp_path / "out", "--filling=silence")
    assert refused(ran).startswith(
        "error: filling: is silence; expected one of"
    )
