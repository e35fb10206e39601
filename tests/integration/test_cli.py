"""The speechbrain-ext command, as a user types it."""

import json
import os
import re
import resource
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_ext import cli
from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.corpora.manifest import COLUMNS, write_manifest
from speechbrain_ext.corruption.lost_packets import (
    lost_samples,
    read_lost_packets,
)
from speechbrain_ext.evaluation import enhancement
from speechbrain_ext.evaluation.results import ROW_KEYS

PACKET = 320


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


@pytest.fixture
def refused(run):
    """Run what must be refused: the one line on standard error."""

    def call(*arguments):
        status, _, errors = run(*arguments)
        assert status == 2, errors
        # An evaluation that has begun has shown its progress.
        bar = re.compile(r"(.*\d%\|.*\r?)+\n")
        (line,) = bar.sub("", errors).splitlines()
        assert line.startswith("error: ") and errors.endswith("\n")
        return line

    return call


@pytest.fixture(scope="session")
def command(run_program):
    """Run the command as a program of its own."""

    def call(*arguments, cwd="."):
        return run_program(["-m", "speechbrain_ext.cli", *arguments], cwd)

    return call


@contextmanager
def full_disk(n_bytes=1000):
    """Let no file grow past a size: writing fails as on a full disk."""
    # Python leaves the signal ignored that would otherwise end the process.
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


# --- Help


@pytest.mark.parametrize(
    "name",
    ["transcribe", "enhance", "inpaint", "corrupt", "evaluate", "publish"],
)
def test_help_shows_every_option_and_an_example(run, name):
    status, out, errors = run(name, "--help")
    assert (status, errors) == (0, "")
    assert f"usage: speechbrain-ext {name} " in out
    assert "example" in out and f"  speechbrain-ext {name} " in out


def test_help_names_the_commands(run):
    status, out, _ = run("--help")
    assert status == 0
    for name in (
        *("transcribe", "enhance", "inpaint", "corrupt", "evaluate", "publish"),
    ):
        assert re.search(rf"^ +{name}\s+\w+ ", out, re.MULTILINE)


def test_help_and_version_do_not_wait_for_torch(run_program):
    program = (
        "import sys; from speechbrain_ext import cli\n"
        "try: cli.main(['corrupt', '--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert run_program(["-c", program], ".").returncode == 0


# --- corrupt


@pytest.mark.parametrize("loss", [0, 0.1, 0.37, 1])
def test_corrupt_loses_exactly_the_rate(run, speech, tmp_path, loss):
    out, lost = tmp_path / "out.wav", tmp_path / "lost.txt"
    status = run(
        *("corrupt", speech, out, "--loss", loss, "--seed", 1),
        *("--lost-out", lost),
    )
    assert status == (0, "", "")
    clean, damaged = load_audio(speech), load_audio(out)
    assert len(clean) == len(damaged)
    packets = -(-len(clean) // PACKET)
    lines = lost.read_text().split("\n")
    assert lines.pop() == "" and set(lines) <= {"0", "1"}
    assert len(lines) == packets
    assert lines.count("1") == round(loss * packets)
    gone = lost_samples(read_lost_packets(lost)[None], PACKET, len(clean))[0]
    assert (damaged[gone] == 0).all()
    assert torch.equal(damaged[~gone], clean[~gone])


def test_the_same_seed_gives_the_same_bytes(run, speech, tmp_path):
    files = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        out, lost = tmp_path / f"{name}.wav", tmp_path / f"{name}.txt"
        run(
            *("corrupt", speech, out, "--loss", 0.4, "--seed", seed),
            *("--lost-out", lost),
        )
        files[name] = out.read_bytes(), lost.read_bytes()
    assert files["a"] == files["b"]
    assert files["a"][0] != files["c"][0] and files["a"][1] != files["c"][1]


def test_bursts_are_as_long_as_asked(run, tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 120 * SAMPLE_RATE)
    soundfile.write(tmp_path / "in.wav", noise, SAMPLE_RATE)
    lengths = {}
    for burst in (1.5, 6):
        run(
            *("corrupt", tmp_path / "in.wav", tmp_path / "out.wav"),
            *("--loss", 0.3, "--seed", 1, "--mean-burst", burst),
            *("--lost-out", tmp_path / "lost.txt"),
        )
        lines = (tmp_path / "lost.txt").read_text().replace("\n", "")
        bursts = [run for run in lines.split("0") if run]
        lengths[burst] = np.mean([len(run) for run in bursts])
    assert lengths[1.5] == pytest.approx(1.5, rel=0.15)
    assert lengths[6] == pytest.approx(6, rel=0.3)


def test_corrupt_makes_16_khz_of_anything(run, tmp_path):
    stereo = np.random.default_rng(0).normal(0, 0.1, (44100, 2))
    soundfile.write(tmp_path / "in.flac", stereo, 44100)
    out = tmp_path / "new" / "out.flac"
    assert run(
        *("corrupt", tmp_path / "in.flac", out, "--loss", 0.5, "--seed", 1)
    ) == (0, "", "")
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.frames) == (16000, 1, 16000)


# --- transcribe


@pytest.fixture(scope="module")
def texts(model_folder, utterances):
    """What the recogniser makes of the test split."""
    from speechbrain_ext.inference import PacketLossASR

    asr = PacketLossASR.from_hparams(source=str(model_folder))
    return [asr.transcribe_file(row["wav"]) for row in utterances]


def test_transcribe_prints_the_text_and_nothing_else(
    command, model_folder, utterances, texts, tmp_path
):
    """In another folder than the checkout, with nothing but the program."""
    ran = command(
        *("transcribe", utterances[0]["wav"], "--model", model_folder),
        cwd=tmp_path,
    )
    assert (ran.returncode, ran.stdout) == (0, texts[0] + "\n")
    assert ran.stderr == ""
    assert not list(tmp_path.iterdir())


def test_transcribe_names_each_of_several_files(
    run, model_folder, utterances, texts
):
    files = [row["wav"] for row in utterances[:2]]
    status, out, errors = run("transcribe", *files, "--model", model_folder)
    assert (status, errors) == (0, "")
    assert out.splitlines() == [
        f"{file}: {text}" for file, text in zip(files, texts)
    ]


def test_json_is_one_object_a_file(run, model_folder, utterances, texts):
    files = [row["wav"] for row in utterances[:2]]
    status, out, errors = run(
        "transcribe", *files, "--model", model_folder, "--json"
    )
    assert (status, errors) == (0, "")
    for line, row, text in zip(
        out.splitlines(), utterances[:2], texts[:2], strict=True
    ):
        found = json.loads(line)
        assert list(found) == ["file", "text", "duration", "lost_fraction"]
        assert found["file"] == row["wav"] and found["text"] == text
        assert found["duration"] == pytest.approx(row["duration"], abs=1e-3)
        assert found["lost_fraction"] == 0


@pytest.fixture
def damaged(run, utterances, tmp_path):
    """A damaged wav and its lost-packet file."""
    out, lost = tmp_path / "damaged.wav", tmp_path / "lost.txt"
    run(
        *("corrupt", utterances[0]["wav"], out, "--loss", 0.4, "--seed", 1),
        *("--lost-out", lost),
    )
    return out, lost


def transcript(run, *arguments):
    """Transcribe one file to its JSON object."""
    status, out, errors = run("transcribe", *arguments, "--json")
    assert (status, errors) == (0, "")
    return json.loads(out)


def test_lost_packets_are_found_or_given(run, changed_model_folder, damaged):
    """A front-end that acts shows whether it is told the same."""
    wav, lost = damaged
    found = transcript(run, wav, "--model", changed_model_folder)
    given = transcript(
        run, wav, "--lost", lost, "--model", changed_model_folder
    )
    assert found["text"] == given["text"]
    for one in (found, given):
        assert one["lost_fraction"] == pytest.approx(0.4, abs=0.01)


def test_what_a_lost_packet_file_names_is_not_heard(
    run, model_folder, utterances, damaged
):
    """Given beside the undamaged speech it has the damaged one's effect."""
    wav, lost = damaged
    whole = transcript(
        *(run, utterances[0]["wav"], "--lost", lost, "--model", model_folder)
    )
    heard = transcript(run, wav, "--lost", lost, "--model", model_folder)
    assert whole["text"] == heard["text"]
    assert whole["lost_fraction"] == heard["lost_fraction"]


def test_front_end_none_is_the_bare_recogniser(
    run, model_folder, changed_model_folder, damaged
):
    wav, lost = damaged
    bare, untrained, changed = (
        transcript(run, wav, "--lost", lost, "--model", *more)["text"]
        for more in (
            (changed_model_folder, "--front-end", "none"),
            (model_folder,),
            (changed_model_folder,),
        )
    )
    assert bare == untrained
    assert bare != changed


def test_wholly_lost_speech_is_an_empty_line(
    run, model_folder, speech, tmp_path
):
    lost = tmp_path / "lost.txt"
    packets = -(-soundfile.info(speech).frames // 320)
    lost.write_text("1\n" * packets)
    arguments = speech, "--lost", lost, "--model", model_folder
    assert run("transcribe", *arguments) == (0, "\n", "")
    found = transcript(run, *arguments)
    assert (found["text"], found["lost_fraction"]) == ("", 1.0)


def test_a_reader_that_went_away_is_no_error(
    model_folder, speech, repository, tmp_path
):
    """speechbrain-ext ... | head -c 0"""
    import subprocess
    import sys

    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "speechbrain_ext.cli", "transcribe", speech]
            + ["--model", model_folder],
            env={**os.environ, "PYTHONPATH": str(repository)},
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (ran.returncode, ran.stderr) == (1, "")


# --- inpaint

INPAINTER = """
features: !new:speechbrain_ext.features.segment_log_magnitude.SegmentLogMagnitude
    phase: griffin-lim
    iterations: 2
front_end: !new:speechbrain_ext.frontends.inpainting_unet.InpaintingUNet
    informed: {informed}
"""


@pytest.fixture(scope="module")
def inpainters(tmp_path_factory):
    """Models' folders whose weights are random, by whether they are told."""
    from hyperpyyaml import load_hyperpyyaml

    from speechbrain_ext.inference.export import export_inpainter

    folders = {}
    for informed in (True, False):
        folder = tmp_path_factory.mktemp("inpainter")
        text = INPAINTER.format(informed=informed)
        (folder / "hyperparams.yaml").write_text(text)
        torch.manual_seed(0)
        export_inpainter(folder, load_hyperpyyaml(text))
        folders[informed] = folder / "model"
    return folders


def test_inpaint_repairs_what_was_lost_and_no_more(
    run, inpainters, utterances, damaged, tmp_path
):
    wav, lost = damaged
    out, inferred = tmp_path / "whole.wav", tmp_path / "inferred.wav"
    model = inpainters[True]
    status = run("inpaint", wav, out, "--model", model, "--lost", lost)
    assert status == (0, "", "")
    heard, found = load_audio(wav), load_audio(out)
    gone = lost_samples(read_lost_packets(lost)[None], PACKET, len(heard))[0]
    assert len(found) == len(heard)
    assert (found[gone] != 0).float().mean() > 0.5
    # But for 4 ms on either side of a gap.
    far = torch.nn.functional.max_pool1d(gone[None].float(), 129, 1, 64)[0] == 0
    assert far.any() and torch.equal(found[far], heard[far])
    # Digital silence says the same.
    run("inpaint", wav, inferred, "--model", model)
    assert inferred.read_bytes() == out.read_bytes()


def test_inpaint_takes_a_mask_and_can_estimate_phases(
    run, inpainters, speech, tmp_path
):
    signal, mask = load_audio(speech), tmp_path / "mask.npy"
    lost = np.zeros((-(-len(signal) // 128), 128), bool)
    lost[20:30] = True
    np.save(mask, lost)
    kept, estimated = tmp_path / "kept.wav", tmp_path / "estimated.wav"
    more = "--model", inpainters[True], "--mask", mask
    assert run("inpaint", speech, kept, *more) == (0, "", "")
    assert run("inpaint", speech, estimated, *more, "--estimate-phases")[0] == 0
    rest = slice(31 * 128, None)
    torch.testing.assert_close(
        load_audio(kept)[rest], signal[rest], atol=1e-4, rtol=0
    )
    difference = load_audio(estimated)[rest] - signal[rest]
    assert difference.norm() > 0.1 * signal[rest].norm()


def test_a_blind_inpainter_needs_no_mask(run, inpainters, speech, tmp_path):
    out = tmp_path / "out.flac"
    status = run("inpaint", speech, out, "--model", inpainters[False])
    assert status == (0, "", "")
    assert len(load_audio(out)) == len(load_audio(speech))


def test_what_inpaint_cannot_use_is_named(
    refused, inpainters, model_folder, speech, damaged, tmp_path
):
    out = tmp_path / "out.wav"
    out.write_text("what was there")
    save_audio(tmp_path / "tone.wav", torch.full((8000,), 0.1))
    mask = tmp_path / "mask.npy"
    np.save(mask, np.zeros((3, 128), bool))
    model = "--model", inpainters[True]
    for arguments, said in (
        ([tmp_path / "tone.wav", out, *model], "tone.wav: nothing says"),
        ([speech, out, *model, "--mask", mask], "mask.npy: has the shape"),
        ([speech, out, *model, "--mask", "gone.npy"], "gone.npy: no such"),
        ([speech, out, *model, "--lost", "gone.txt"], "gone.txt: no such"),
        ([speech, out, *model, "--lost", "a", "--mask", "b"], "--mask"),
        ([speech, out, "--model", model_folder], "PacketLossASR"),
        ([speech, out, "--model", tmp_path / "gone"], "no such folder"),
        (["gone.wav", out, *model], "gone.wav"),
    ):
        assert said in refused("inpaint", *arguments)
    line = refused("enhance", speech, out, *model)
    assert str(inpainters[True]) in line and "Inpainter" in line
    both = "--model", inpainters[True], model_folder
    line = refused("evaluate", "--data", "gone", "--out", "results", *both)
    assert "expected models of one kind" in line and "Inpainter" in line
    assert out.read_text() == "what was there"


# --- enhance


@pytest.fixture(scope="module")
def enhancers(tmp_path_factory):
    """Models' folders whose weights are random, by their interface."""
    from hyperpyyaml import load_hyperpyyaml

    from speechbrain_ext.inference import export

    folders = {}
    for name, text, write in (
        ("GenericEnhancer", GENERIC, export.export_generic_enhancer),
        ("PerceptualEnhancer", PERCEPTUAL, export.export_enhancer),
    ):
        folder = tmp_path_factory.mktemp(name)
        (folder / "hyperparams.yaml").write_text(text)
        torch.manual_seed(0)
        write(folder, load_hyperpyyaml(text))
        folders[name] = folder / "model"
    return folders


GENERIC = """
front_end: !new:speechbrain_ext.frontends.conv_tasnet.ConvTasNetEnhancer
    N: 16
    L: 32
    B: 8
    H: 8
    X: 2
    R: 1
"""
PERCEPTUAL = """
features: !new:speechbrain_ext.features.log_magnitude.LogMagnitude
front_end: !new:speechbrain_ext.frontends.wide_resnet.WideResNetEnhancer
    channels: [4, 6]
    dense: [8]
"""


@pytest.mark.parametrize("name", ["GenericEnhancer", "PerceptualEnhancer"])
def test_enhance_leaves_the_observation_s_share(
    run, enhancers, speech, tmp_path, name
):
    model = "--model", enhancers[name]
    alone, mixed = tmp_path / "alone.wav", tmp_path / "mixed.wav"
    assert run("enhance", speech, alone, *model) == (0, "", "")
    run("enhance", speech, mixed, *model, "--observation", "0.25")
    expected = 0.25 * load_audio(speech) + 0.75 * load_audio(alone)
    torch.testing.assert_close(load_audio(mixed), expected, atol=2e-4, rtol=0)


def test_what_enhance_cannot_use_is_named(
    refused, enhancers, model_folder, speech, tmp_path
):
    out = tmp_path / "out.wav"
    out.write_text("what was there")
    model = "--model", enhancers["GenericEnhancer"]
    for arguments, said in (
        ([*model, "--observation", "1.5"], "observation: is 1.5; expected"),
        ([*model, "--observation", "much"], "--observation"),
        (["--model", model_folder], "GenericEnhancer or PerceptualEnhancer"),
    ):
        assert said in refused("enhance", speech, out, *arguments)
    assert out.read_text() == "what was there"


def test_ratios_are_for_models_of_enhancement(
    refused, enhancers, model_folder, tmp_path
):
    where = "--data", "gone.csv", "--out", tmp_path / "results"
    line = refused(
        *("evaluate", "--model", model_folder, *where),
        *("--observations", "0.1"),
    )
    assert "--observations" in line and "enhancement" in line
    model = "--model", enhancers["GenericEnhancer"]
    line = refused("evaluate", *model, *where, "--validation", "valid.csv")
    assert "--validation: expected --observations" in line
    for option in ("--recogniser", "--metrics"):
        line = refused(
            *("evaluate", "--model", model_folder, *where, option, "pesq")
        )
        assert f"{option}: expected models of enhancement" in line


@pytest.mark.parametrize(
    "options, recogniser, metrics",
    [
        ((), "openai/whisper-tiny.en", enhancement.SIGNAL_METRICS),
        (
            ("--recogniser", "a/whisper", "--metrics", "sdr", "pesq"),
            "a/whisper",
            ["sdr", "pesq"],
        ),
    ],
)
def test_evaluate_takes_a_recogniser_and_metrics(
    run, enhancers, tmp_path, monkeypatch, options, recogniser, metrics
):
    given = {}
    monkeypatch.setattr(
        enhancement, "evaluate_enhancement", lambda *_, **x: given.update(x)
    )
    manifest = tmp_path / "test.csv"
    manifest.write_text("ID,duration,wav,noisy_wav,snr,noise,wrd\n")
    status, *_ = run(
        *("evaluate", "--model", enhancers["GenericEnhancer"]),
        *("--data", manifest, "--out", tmp_path / "results", *options),
    )
    assert status == 0
    assert (given["recogniser"], given["metrics"]) == (recogniser, metrics)


# --- evaluate


@pytest.fixture(scope="module")
def evaluation(command, changed_model_folder, ljspeech, tmp_path_factory):
    """Results of the command on a folder in LJSpeech's layout."""
    out = tmp_path_factory.mktemp("evaluation")
    ran = command(
        *("evaluate", "--model", changed_model_folder, "--data", ljspeech),
        *("--rates", 0, 0.4, "--seeds", 3, 4, "--out", out),
    )
    assert ran.returncode == 0, ran.stderr
    return out, ran.stdout


def test_evaluate_writes_its_results(evaluation, utterances):
    out, printed = evaluation
    rows = json.loads((out / "results.json").read_text())
    assert all(tuple(row) == ROW_KEYS for row in rows)
    described = {
        (row["system"], row["level"], row["metric"]): row for row in rows
    }
    assert described.keys() == {
        ("bare", 0.0, "wer"),
        ("bare", 0.4, "wer"),
        ("changed", 0.0, "wer"),
        ("changed", 0.4, "wer"),
        ("changed", 0.0, "wer_relative_reduction"),
        ("changed", 0.4, "wer_relative_reduction"),
    }
    for row in rows:
        assert row["backend"] == "torch" and row["seed"] == 3
        assert row["test_set"].startswith("little-lj")
        assert row["n"] == len(utterances)
        if row["metric"] == "wer":
            assert 0 <= row["ci_low"] <= row["value"] <= row["ci_high"]
    # Nothing is lost: the front-end acts nowhere.
    assert (
        described["changed", 0.0, "wer"]["value"]
        == (described["bare", 0.0, "wer"]["value"])
    )
    assert described["bare", 0.0, "wer"]["value"] < 0.3
    assert (
        described["bare", 0.4, "wer"]["value"]
        > (described["bare", 0.0, "wer"]["value"])
    )
    table = (out / "results.md").read_text()
    assert printed.strip() and printed.strip() in table
    (figure,) = out.glob("*.png")
    assert figure.read_bytes()[:4] == b"\x89PNG"
    assert figure.name in table


def test_evaluate_goes_on_from_what_is_finished(
    run, evaluation, changed_model_folder, ljspeech, tmp_path, monkeypatch
):
    """The same again, without the recogniser: and the same comes out."""
    from speechbrain_ext.inference import PacketLossASR

    def refuse(*arguments, **named):
        raise AssertionError("transcribed again")

    monkeypatch.setattr(PacketLossASR, "transcribe_batch", refuse)
    out = Path(shutil.copytree(evaluation[0], tmp_path / "out"))
    expected = (out / "results.json").read_text()
    (out / "results.json").unlink()
    status, _, _ = run(
        *("evaluate", "--model", changed_model_folder, "--data", ljspeech),
        *("--rates", 0, 0.4, "--seeds", 3, 4, "--out", out),
    )
    assert status == 0
    assert (out / "results.json").read_text() == expected


# --- Bad input: audio


def write_bad_audio(folder):
    """Write one file of each kind that is no speech: file by what is said."""
    files = {
        "no such file": folder / "missing.wav",
        "not a readable audio file": folder / "text.wav",
        "holds no samples": folder / "zero-seconds.wav",
        "NaN": folder / "nan.wav",
    }
    files["not a readable audio file"].write_text("This is text.\n" * 100)
    soundfile.write(files["holds no samples"], np.zeros(0), SAMPLE_RATE)
    samples = np.zeros(SAMPLE_RATE)
    samples[100] = np.nan
    soundfile.write(files["NaN"], samples, SAMPLE_RATE, subtype="FLOAT")
    return files


@pytest.mark.parametrize("name", ["transcribe", "corrupt"])
def test_bad_audio_is_named(refused, model_folder, tmp_path, name):
    files = write_bad_audio(tmp_path)
    empty = tmp_path / "empty.wav"
    empty.touch()
    for said, file in [*files.items(), ("audio", empty)]:
        out = tmp_path / "out.wav"
        out.write_text("what was there")
        more = {
            "transcribe": ["--model", model_folder],
            "corrupt": [out, "--loss", 0.1, "--seed", 1],
        }[name]
        line = refused(name, file, *more)
        assert str(file) in line and said in line
        assert out.read_text() == "what was there"


def test_one_bad_file_of_several_is_named(refused, model_folder, speech):
    line = refused("transcribe", speech, "gone.wav", "--model", model_folder)
    assert "gone.wav" in line


# --- Bad input: the command line


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["corrupt", "IN", "OUT", "--loss", "1.5", "--seed", "1"], "1.5"),
        (["corrupt", "IN", "OUT", "--loss", "-0.1", "--seed", "1"], "-0.1"),
        (["corrupt", "IN", "OUT", "--loss", "nan", "--seed", "1"], "nan"),
        (["corrupt", "IN", "OUT", "--loss", "half", "--seed", "1"], "--loss"),
        (["corrupt", "IN", "OUT", "--loss", "0.5"], "--seed"),
        (["corrupt", "IN", "OUT", "--loss", "0.5", "--seed", "x"], "--seed"),
        (
            "corrupt IN OUT --loss 0.5 --seed 1 --mean-burst 0".split(),
            "mean_burst",
        ),
        (["corrupt", "IN", "OUT", "--los", "0.5", "--seed", "1"], "--loss"),
        (["transcribe", "IN"], "--model"),
        (["transcribe", "--model", "MODEL"], "FILE"),
        (["transcribe", "IN", "--model", "MODEL", "--typo"], "--typo"),
        (
            "transcribe IN --model MODEL --front-end some".split(),
            "--front-end",
        ),
        ("transcribe IN --model MODEL --backend other".split(), "--backend"),
        ("transcribe IN --model MODEL --device abacus".split(), "abacus"),
        ("transcribe IN --model MODEL --device cuda:7".split(), "cuda:7"),
        ("evaluate --model MODEL --data LJ --out D --rates 2".split(), "2"),
        (
            "evaluate --model MODEL --data LJ --out D --batch-size 0".split(),
            "batch",
        ),
        (["translate", "IN"], "translate"),
        ([], "COMMAND"),
    ],
)
def test_bad_arguments_are_named(
    refused, model_folder, speech, ljspeech, tmp_path, arguments, key
):
    out = tmp_path / "out.wav"
    out.write_text("what was there")
    values = {
        "IN": speech,
        "OUT": out,
        "MODEL": model_folder,
        "LJ": ljspeech,
        "D": tmp_path / "results",
    }
    line = refused(*(values.get(word, word) for word in arguments))
    assert key in line
    assert out.read_text() == "what was there"


# --- Bad input: lost-packet files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        ("0\n1\n", "shorter"),
        ("0\n" * 50 + "2\n" + "0\n" * 500, "line 51"),
        ("0 1 0 1\n" * 500, "line 1"),
        ("", "empty"),
        (b"\xff\xfe\x00", "text"),
    ],
)
def test_a_bad_lost_packet_file_is_named(
    refused, model_folder, speech, tmp_path, content, said
):
    lost = tmp_path / "lost.txt"
    if isinstance(content, bytes):
        lost.write_bytes(content)
    elif content is not None:
        lost.write_text(content)
    line = refused(
        "transcribe", speech, "--lost", lost, "--model", model_folder
    )
    assert str(lost) in line and said in line


def test_one_lost_packet_file_for_two_files_is_refused(
    refused, model_folder, speech, damaged
):
    lost = damaged[1]
    line = refused(
        "transcribe", speech, speech, "--lost", lost, "--model", model_folder
    )
    assert str(lost) in line


# --- Bad input: models


@pytest.mark.parametrize("name", ["transcribe", "evaluate"])
def test_what_is_no_model_is_named(
    refused, model_folder, speech, ljspeech, tmp_path, name
):
    broken = Path(shutil.copytree(model_folder, tmp_path / "broken"))
    weights = broken / "front_end.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    empty = tmp_path / "empty"
    empty.mkdir()
    more = {
        "transcribe": [speech],
        "evaluate": ["--data", ljspeech, "--out", tmp_path / "results"],
    }[name]
    for source, said in (
        (broken, "front_end.safetensors"),
        (empty, "empty"),
        (tmp_path / "missing", "missing"),
        (speech, "speech.wav"),
    ):
        line = refused(name, *more, "--model", source)
        assert said in line and str(source) in line


# --- Bad input: data


def write_rows(path, rows, columns=COLUMNS):
    """Write a manifest with some of its columns."""
    write_manifest(path, rows)
    lines = [line.split(",") for line in path.read_text().splitlines()]
    keep = [index for index, name in enumerate(COLUMNS) if name in columns]
    path.write_text(
        "".join(",".join(line[i] for i in keep) + "\n" for line in lines)
    )


def test_a_bad_manifest_is_named(refused, model_folder, speech, tmp_path):
    manifest, out = tmp_path / "test.csv", tmp_path / "out"
    row = dict(ID="u1", duration=3.0, wav=speech, spk_id="s", wrd="hi")
    arguments = "--model", model_folder, "--data", manifest, "--out", out
    assert str(manifest) in refused("evaluate", *arguments)
    for column in COLUMNS:
        write_rows(manifest, [row], set(COLUMNS) - {column})
        line = refused("evaluate", *arguments)
        assert str(manifest) in line and column in line
    for changed, said in (
        (dict(wav=tmp_path / "gone.wav"), "gone.wav"),
        (dict(wrd=" "), "transcript"),
        (dict(duration=0), "duration"),
        (dict(duration=float("nan")), "duration"),
    ):
        write_rows(manifest, [{**row, **changed}])
        line = refused("evaluate", *arguments)
        assert str(manifest) in line and "u1" in line and said in line
    write_rows(manifest, [row, row])
    assert "u1" in refused("evaluate", *arguments)
    write_rows(manifest, [])
    assert str(manifest) in refused("evaluate", *arguments)
    assert not (out / "results.json").exists()


def test_bad_audio_in_a_test_set_is_named(refused, model_folder, tmp_path):
    files = write_bad_audio(tmp_path)
    del files["no such file"]
    for said, file in files.items():
        manifest = tmp_path / "test.csv"
        row = dict(ID="u1", duration=3.0, wav=file, spk_id="s", wrd="hi")
        write_manifest(manifest, [row])
        line = refused(
            *("evaluate", "--model", model_folder, "--data", manifest),
            *("--out", tmp_path / "out", "--rates", 0),
        )
        assert str(file) in line and said in line


def test_a_folder_of_another_layout_is_named(refused, model_folder, tmp_path):
    line = refused(
        *("evaluate", "--model", model_folder, "--data", tmp_path),
        *("--out", tmp_path / "out"),
    )
    assert str(tmp_path) in line and "metadata.csv" in line


# --- Bad input: outputs


def unwritable(folder):
    """Yield paths below which nothing can be written."""
    (folder / "file").write_text("a file")
    yield folder / "file" / "out.wav"
    (folder / "out.wav").mkdir(exist_ok=True)
    (folder / "out.wav" / "inside").touch()
    yield folder / "out.wav"


def test_an_output_that_cannot_be_written_is_named(refused, speech, tmp_path):
    for out in unwritable(tmp_path):
        line = refused("corrupt", speech, out, "--loss", 0.1, "--seed", 1)
        assert str(out) in line
    assert (tmp_path / "file").read_text() == "a file"
    assert (tmp_path / "out.wav" / "inside").exists()
    out = tmp_path / "speech.mp4"
    line = refused("corrupt", speech, out, "--loss", 0.1, "--seed", 1)
    assert str(out) in line and ".wav" in line
    lost = tmp_path / "file" / "lost.txt"
    line = refused(
        *("corrupt", speech, tmp_path / "good.wav", "--loss", 0.1),
        *("--seed", 1, "--lost-out", lost),
    )
    assert str(lost) in line


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_full_disk_leaves_the_old_output(refused, speech, tmp_path, suffix):
    out = tmp_path / f"out{suffix}"
    out.write_text("what was there")
    before = sorted(path.name for path in tmp_path.iterdir())
    with full_disk():
        line = refused("corrupt", speech, out, "--loss", 0.1, "--seed", 1)
    assert str(out) in line
    assert out.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_damage_in_place_is_whole_or_not_at_all(refused, speech):
    before = speech.read_bytes()
    with full_disk():
        refused("corrupt", speech, speech, "--loss", 0.1, "--seed", 1)
    assert speech.read_bytes() == before


def test_results_that_cannot_be_written_are_named_first(
    refused, model_folder, ljspeech, tmp_path
):
    file = tmp_path / "file"
    file.write_text("a file")
    for out in (file, file / "results"):
        line = refused(
            *("evaluate", "--model", model_folder, "--data", ljspeech),
            *("--out", out),
        )
        assert str(file) in line
    assert file.read_text() == "a file"


def test_a_full_disk_leaves_old_results(
    refused, evaluation, changed_model_folder, ljspeech, tmp_path
):
    out = Path(shutil.copytree(evaluation[0], tmp_path / "out"))
    before = {path: path.read_bytes() for path in sorted(out.iterdir())}
    with full_disk(100):
        line = refused(
            *("evaluate", "--model", changed_model_folder),
            *("--data", ljspeech, "--rates", 0, "--seeds", 3, "--out", out),
        )
    assert str(out) in line
    assert {path: path.read_bytes() for path in sorted(out.iterdir())} == before


# --- As a program


@pytest.mark.parametrize(
    "arguments",
    [
        ["transcribe", "gone.wav", "--model", "MODEL"],
        ["corrupt", "gone.wav", "out.wav", "--loss", "2", "--seed", "1"],
        ["evaluate", "--model", "gone", "--data", "gone.csv", "--out", "out"],
    ],
    ids=lambda words: words[0],
)
def test_a_program_says_one_line_and_exits_with_2(
    command, model_folder, tmp_path, arguments
):
    words = [model_folder if word == "MODEL" else word for word in arguments]
    ran = command(*words, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: ")
    assert "gone" in line or "2" in line
    assert not list(tmp_path.iterdir())
