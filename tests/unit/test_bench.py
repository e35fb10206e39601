"""The benchmarks run and end with the line that others read."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.errors import UserError

BENCH = Path(__file__).resolve().parents[2] / "tools" / "bench"
NUMBER = r"\d+\.\d+"


@pytest.fixture
def bench(monkeypatch, capsys):
    """A function that runs a benchmark and returns the lines it prints."""

    # As for a script: the folder's other files can be imported.
    monkeypatch.syspath_prepend(BENCH)

    def run(name, *arguments):
        module = load(name)
        threads = ["--threads", str(torch.get_num_threads())]
        monkeypatch.setattr(sys, "argv", [name, *threads, *arguments])
        module.main()
        return capsys.readouterr().out.splitlines()

    return run


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_frontend_cost(bench):
    lines = bench("frontend_cost", "--seconds", "1", "--rounds", "1")
    pattern = f"light/encoder ({NUMBER}) unet/encoder ({NUMBER})"
    light, unet = re.fullmatch(pattern, lines[-1]).groups()
    assert float(light) > 0 and float(unet) > 0
    names = [line.split()[0] for line in lines[-4:-1]]
    assert names == ["encoder", "light", "unet"]


def test_ssl_step(bench):
    lines = bench(
        *("ssl_step", "--small", "--seconds", "0.2", "--batch", "1"),
        *("--rounds", "1"),
    )
    pattern = (
        f"step {NUMBER} s parts {NUMBER} s ratio ({NUMBER}) peak (\\d+) MB"
    )
    ratio, megabytes = re.fullmatch(pattern, lines[-1]).groups()
    assert float(ratio) > 0 and int(megabytes) > 0
    assert len(lines) == 6


def test_train_context(bench):
    lines = bench(
        "train_context", "--seconds", "0.5", "--batch", "1", "--rounds", "1"
    )
    (ratio,) = re.fullmatch(f"batch/30s ({NUMBER})", lines[-1]).groups()
    assert float(ratio) > 0


@pytest.fixture
def spoken(tmp_path):
    """A manifest of two utterances."""
    texts = ["Thank you very much.", "Where is the station?"]
    rows = []
    spoken = synthesise([Request(text, "en-US") for text in texts])
    for index, (text, samples) in enumerate(zip(texts, spoken)):
        wav = tmp_path / f"{index}.wav"
        save_audio(wav, torch.tensor(samples / 32768, dtype=torch.float32))
        rows.append(
            {
                "ID": str(index),
                "duration": len(samples) / 16000,
                "wav": str(wav),
                "spk_id": "pico",
                "wrd": text,
            }
        )
    write_manifest(tmp_path / "spoken.csv", rows)
    return str(tmp_path / "spoken.csv")


def test_decode(bench, spoken):
    arguments = ["--files=2", "--rounds=1", "--beam=2", "--loss=0.1"]
    lines = bench("decode", f"--data={spoken}", *arguments)
    pattern = (
        f"files a second, float32/SpeechBrain ({NUMBER}) "
        f"one file, ctranslate2/faster-whisper ({NUMBER}) "
        f"words equal ({NUMBER})"
    )
    found = map(float, re.fullmatch(pattern, lines[-1]).groups())
    files, alone, equal = found
    assert files > 0 and alone > 0 and 0.9 < equal <= 1
    names = [line[:24].strip() for line in lines[-5:-1]]
    fast = ["ctranslate2 float32", "ctranslate2 int8"]
    assert names == ["SpeechBrain", "torch", *fast]


def test_equal_words_are_a_share_of_all(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    equal_words = load("decode").equal_words
    assert equal_words(["a b c", ""], ["a b c", ""]) == 1
    assert equal_words(["a b c", ""], ["a b d", ""]) == 2 / 3
    assert equal_words(["a b c", ""], ["a b c", "d"]) == 3 / 4


def test_decode_wants_enough_files(bench, spoken, capsys):
    with pytest.raises(SystemExit) as stop:
        bench("decode", f"--data={spoken}", "--files=3")
    assert stop.value.code == 2
    assert "has 2 utterances; expected at least 3" in capsys.readouterr().err


def test_the_light_adapter_is_the_exported_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    module = load("frontend_cost")
    (tmp_path / "hyperparams.yaml").write_text(
        "front_end: &front_end "
        "!new:speechbrain_ext.frontends.light_adapter.LightAdapter\n"
        "    widths: [1, 2, 3]\n"
        "modules: {front_end: *front_end}\n"
    )
    assert module.light_settings(tmp_path) == {"widths": [1, 2, 3]}
    with pytest.raises(UserError, match="nowhere/hyperparams.yaml: no such"):
        module.light_settings("nowhere")
    # Where nothing ships yet, the settings that will.
    monkeypatch.setattr(module, "SHIPPED", tmp_path / "none")
    assert module.light_settings(tmp_path / "none") == module.SETTINGS


@pytest.mark.parametrize("name", ["decode", "frontend_cost", "train_context"])
def test_help_teaches(bench, capsys, name):
    with pytest.raises(SystemExit) as stop:
        bench(name, "--help")
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"python tools/bench/{name}.py --" in said
    assert "The last line reads: " in said


def test_phases(bench, tmp_path):
    speech = synthesise([Request("Good morning, everybody.", "en-GB")])[0]
    save_audio(tmp_path / "a.wav", torch.from_numpy(speech / 32768).float())
    row = {"ID": "a", "wav": tmp_path / "a.wav", "spk_id": "s", "wrd": "Hi."}
    row.update(start=0.1, duration=1.024)
    write_manifest(tmp_path / "segments.csv", [row])
    data = str(tmp_path / "segments.csv")
    lines = bench("phases", "--data", data, "--iterations", "1", "100")
    pattern = f"(.*) pesq ({NUMBER}) stoi ({NUMBER}) seconds-a-segment .*"
    found = [re.fullmatch(pattern, line).groups() for line in lines]
    names = [name for name, *_ in found]
    gaps = ["gaps-fitted", "gaps-predicted"]
    assert names == ["lws", "griffin-lim-1", "griffin-lim-100", *gaps]
    stoi = {name: float(value) for name, _, value in found}
    assert stoi["griffin-lim-100"] > stoi["griffin-lim-1"] > 0.5
    assert min(stoi["gaps-fitted"], stoi["gaps-predicted"]) > stoi["lws"]
