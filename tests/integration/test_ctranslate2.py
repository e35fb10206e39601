"""The fast backend as a user loads it, in Python and in the shell."""

import json
import sys

import pytest
import torch

from speechbrain_ext import cli
from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corruption.packet_loss import (
    GilbertElliottLoss,
    WaveformPacketLoss,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.inference import PacketLossASR


@pytest.fixture(scope="module")
def damaged(utterances, tmp_path_factory):
    """Files of the test split with 40 % of their packets lost, as strings."""
    folder = tmp_path_factory.mktemp("damaged")
    damage = WaveformPacketLoss(GilbertElliottLoss(), seed=0)
    files = []
    for row in utterances[:3]:
        wav = load_audio(row["wav"])[None]
        received, _ = damage(wav, torch.ones(1), [row["ID"]], 0, rate=0.4)
        files.append(str(folder / f"{row['ID']}.wav"))
        save_audio(files[-1], received[0])
    return files


@pytest.fixture(scope="module")
def texts(changed_model_folder, damaged):
    """What the torch path makes of them, through the front-end."""
    asr = PacketLossASR.from_hparams(changed_model_folder)
    return [asr.transcribe_file(file) for file in damaged]


@pytest.fixture
def run(capsys):
    """Run the command in this process; give its status and output."""

    def call(*arguments):
        capsys.readouterr()
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code
        output = capsys.readouterr()
        return status, output.out, output.err

    return call


def test_files_together_are_files_alone_in_torch(
    changed_model_folder, damaged, texts, monkeypatch
):
    def refuse(*arguments, **named):
        raise AssertionError("torch's Whisper was made")

    monkeypatch.setattr(FrozenWhisper, "__init__", refuse)
    asr = PacketLossASR.from_hparams(
        changed_model_folder, backend="ctranslate2"
    )
    assert asr.transcribe_files(damaged) == texts
    # More windows than a batch, and a silent one among them.
    signals, lost = zip(*(asr.read(file) for file in damaged))
    silence = torch.zeros(8000)
    found = asr.transcribe_signals(
        [signals[0], silence, *signals[1:]],
        [lost[0], silence == 0, *lost[1:]],
        batch_size=2,
    )
    assert found == [texts[0], "", *texts[1:]]
    bare = asr.transcribe_files(damaged, front_end=False)
    assert bare != texts


def test_a_recogniser_that_ctranslate2_does_not_run(model_folder, tmp_path):
    for file in model_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = tmp_path / "hyperparams.yaml"
    text = file.read_text().replace("whisper.FrozenWhisper", "other.Model")
    file.write_text(text)
    with pytest.raises(UserError, match="no Whisper of ours; .*torch"):
        PacketLossASR.from_hparams(tmp_path, backend="ctranslate2")


def test_transcribe(run, changed_model_folder, damaged, texts):
    status, out, _ = run(
        "transcribe",
        *damaged,
        "--model",
        changed_model_folder,
        "--backend=ctranslate2",
        "--batch-size=2",
        "--json",
    )
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["file"] for row in rows] == damaged
    assert [row["text"] for row in rows] == texts
    assert all(0.35 < row["lost_fraction"] < 0.45 for row in rows)


def test_what_was_read_before_a_bad_file_is_written_down(
    run, changed_model_folder, damaged, texts, tmp_path
):
    bad = tmp_path / "bad.wav"
    bad.write_text("no audio")
    status, out, errors = run(
        "transcribe",
        damaged[0],
        bad,
        damaged[1],
        "--model",
        changed_model_folder,
        "--backend=ctranslate2",
    )
    assert status == 2
    assert out == f"{damaged[0]}: {texts[0]}\n"
    assert str(bad) in errors.splitlines()[-1]


@pytest.mark.parametrize(
    ("compute_type", "name"),
    [("float32", "ctranslate2"), ("int8", "ctranslate2-int8")],
)
def test_evaluate_names_the_backend(
    run, manifests, model_folder, tmp_path, compute_type, name
):
    status, _, errors = run(
        "evaluate",
        f"--model={model_folder}",
        f"--data={manifests['test']}",
        f"--out={tmp_path}",
        "--rates=0.4",
        "--backend=ctranslate2",
        f"--compute-type={compute_type}",
    )
    assert status == 0, errors
    rows = json.loads((tmp_path / "results.json").read_text())
    assert {row["backend"] for row in rows} == {name}
    assert {row["system"] for row in rows} == {"bare", "untrained"}


def test_without_the_package_one_line_names_the_fix(
    run, model_folder, damaged, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    status, _, errors = run(
        "transcribe",
        damaged[0],
        f"--model={model_folder}",
        "--backend=ctranslate2",
    )
    assert status == 2
    (line,) = errors.splitlines()
    assert line.startswith("error: backend ctranslate2: not installed")
    assert line.endswith("pip install 'speechbrain-ext[ctranslate2]'")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compute-type=int8"], "--compute-type int8: torch computes"),
        (["--batch-size=0"], "--batch-size 0: expected"),
        (
            ["--backend=ctranslate2", "--compute-type=int3"],
            "CTranslate2 cannot run it on cpu in int3",
        ),
    ],
)
def test_what_cannot_be_asked_for(run, model_folder, damaged, arguments, said):
    status, _, errors = run(
        "transcribe", damaged[0], f"--model={model_folder}", *arguments
    )
    assert status == 2
    (line,) = errors.splitlines()
    assert line.startswith("error: ") and said in line
