"""What goes to a model card, and the recording beside it."""

import json

import pytest
import soundfile
import torch

from speechbrain_ext import inference
from speechbrain_ext.audio import load_audio, save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.results import result_row
from speechbrain_ext.inference.classes import INTERFACES
from speechbrain_ext.inference.silence import silent_runs
from speechbrain_ext.publishing.card import complete_body, localise_links
from speechbrain_ext.publishing.example import write_example
from speechbrain_ext.publishing.kinds import KINDS
from speechbrain_ext.publishing.results import (
    draw_results,
    eval_results,
    own_system,
    read_results,
)


def test_every_interface_has_words_for_its_card():
    assert {name.rpartition(".")[2] for name in INTERFACES} == set(KINDS)
    for name, kind in KINDS.items():
        method = kind.call.removeprefix("model.").partition("(")[0]
        assert hasattr(getattr(inference, name), method)
        assert "{repo}" in kind.command and kind.metrics


# --- The recording


@pytest.fixture
def folder(tmp_path):
    """A results folder with utterances of 1, 3 and 20 s, clean and noisy."""
    rows = []
    for seconds in (1, 3, 20):
        clean = 0.1 + 0.1 * torch.rand(16000 * seconds)
        paths = [tmp_path / f"{kind}{seconds}.wav" for kind in ("a", "b")]
        for path, signal in zip(paths, (clean, -clean)):
            save_audio(path, signal)
        rows.append(
            {
                "ID": f"u{seconds}",
                "duration": float(seconds),
                "wav": paths[0],
                "spk_id": "s",
                "wrd": "a",
                "noisy_wav": paths[1],
            }
        )
    write_manifest(tmp_path / "test.csv", rows)
    return tmp_path


@pytest.mark.parametrize("interface", ["PerceptualEnhancer", "RobustASR"])
def test_an_enhancer_is_tried_on_a_noisy_recording(folder, interface):
    write_example(folder / "out.wav", [folder], interface)
    assert torch.equal(
        load_audio(folder / "out.wav"), load_audio(folder / "b3.wav")
    )


def test_a_mixture_is_mixed(tmp_path):
    speech, noise = 0.9 * torch.ones(48000), 0.5 * torch.randn(16000)
    for name, signal in (("speech", speech), ("noise", noise)):
        save_audio(tmp_path / f"{name}.wav", signal)
    row = {
        "ID": "u",
        "duration": 3.0,
        "wav": tmp_path / "speech.wav",
        "spk_id": "s",
        "wrd": "a",
        "snr": 0.0,
        "noise": "hiss",
        "noise_wav": tmp_path / "noise.wav",
        "noise_start": 0.0,
    }
    write_manifest(tmp_path / "test.csv", [row])
    write_example(tmp_path / "out.wav", [tmp_path], "FusionASR")
    found = load_audio(tmp_path / "out.wav")
    # As loud as the speech, and nothing of either is clipped.
    assert found.abs().max() == pytest.approx(1.0, abs=1e-3)
    correlation = torch.corrcoef(torch.stack([found[:16000], noise]))[0, 1]
    assert correlation > 0.99


@pytest.mark.parametrize("interface", ["PacketLossASR", "Inpainter"])
def test_what_repairs_losses_is_tried_on_lossy_speech(folder, interface):
    write_example(folder / "out.wav", [folder], interface)
    signal, clean = (
        load_audio(folder / "out.wav"),
        load_audio(folder / "a3.wav"),
    )
    lost = silent_runs(signal[None], 320)[0]
    assert 0.05 < lost.float().mean() < 0.5
    assert torch.equal(signal[~lost], clean[~lost])


def test_a_recording_may_be_chosen_and_is_kept(folder):
    samples = torch.rand(8000).numpy()
    soundfile.write(folder / "mine.flac", samples, 8000)
    other = folder / "hub"
    other.mkdir()
    write_example(
        other / "example.wav", [folder], "Inpainter", folder / "mine.flac"
    )
    assert len(load_audio(other / "example.wav")) == 16000
    write_example(folder / "again.wav", [folder, other], "Inpainter")
    assert (folder / "again.wav").read_bytes() == (
        other / "example.wav"
    ).read_bytes()
    with pytest.raises(UserError, match="gone.wav"):
        write_example(folder / "x.wav", [folder], "Inpainter", "gone.wav")


# --- Results


def row(system, metric, level, value):
    return result_row(
        system, "torch", "My test", "noise", level, metric, (value,) * 3, 9, 1
    )


def test_numbers_of_the_models_own_go_to_the_card():
    rows = [
        row("noisy", "pesq", 5.0, 1.2),
        row("mine", "pesq", 5.0, 1.61239),
        row("mine", "pesq", None, 2.0),
        row("mine", "pesq", 10.0, float("nan")),
        row("mine", "wer", 5.0, 0.123456),
        row("mine", "pesq_gain", 5.0, 0.4),
    ]
    found = eval_results(rows, "mine", KINDS["PerceptualEnhancer"])
    values = [(one.metric_name, one.metric_value) for one in found]
    assert values == [("PESQ", 1.612), ("PESQ", 2.0), ("WER %", 12.346)]
    assert [one.dataset_name for one in found[:2]] == [
        "My test, noise 5",
        "My test, noise all levels",
    ]
    assert found[0].dataset_type == "my-test"
    assert found[2].metric_args == {"ci_low": 12.346, "ci_high": 12.346, "n": 9}


def test_which_system_is_the_models():
    rows = [{"system": name} for name in ("bare", "a", "b")]
    assert own_system(rows, ["b", "a"]) == "b"
    assert own_system(rows[:2], ["x"]) == "a"
    assert own_system([], ["x"]) is None
    for given in (rows, rows[:1]):
        with pytest.raises(UserError, match="expected --system"):
            own_system(given, ["x"])


@pytest.mark.parametrize("text", ["{}", "[1]", "[{}]", '{"a": 1}', "1", "[["])
def test_what_are_no_results_are_named(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match=r"results\.json"):
        read_results(tmp_path / "results.json")


def test_results_are_drawn(tmp_path):
    file = tmp_path / "figure.png"
    rows = [row(name, "pesq", level, 2) for name in "ab" for level in (0, 5)]
    assert draw_results(file, rows, KINDS["PerceptualEnhancer"])
    assert file.read_bytes().startswith(b"\x89PNG")
    alone = [row("a", "pesq", None, 2.0)]
    assert not draw_results(file, alone, KINDS["PerceptualEnhancer"])
    words = [row("a", "wer", 0.4, 0.2)]
    assert draw_results(file, words, KINDS["PacketLossASR"])
    json.dumps(rows)


# --- Links


def test_links_need_nothing_outside(tmp_path):
    (tmp_path / "author").mkdir()
    (tmp_path / "hub").mkdir()
    (tmp_path / "figure.png").write_bytes(b"one")
    (tmp_path / "hub" / "results.json").write_text("[]")
    body = (
        "![A figure](../figure.png), [web](https://a.b/c), [rows](results.json)"
        ", [page](../../recipes/x.md#part), [same](../same), [here](#limits)"
    )
    author, hub = tmp_path / "author", tmp_path / "hub"
    found = localise_links(body, author, hub)
    assert found == (
        "![A figure](figure.png), [web](https://a.b/c), [rows](results.json)"
        ", page (`recipes/x.md`), same, [here](#limits)"
    )
    assert (hub / "figure.png").read_bytes() == b"one"
    with pytest.raises(UserError, match=r"gone\.png: no such image"):
        localise_links("![x](gone.png)", author, hub)
    (tmp_path / "figure.png").write_bytes(b"two")
    with pytest.raises(UserError, match=r"another figure\.png"):
        localise_links(body, author, hub)


def test_a_card_is_completed_once():
    kind = KINDS["Inpainter"]
    body = "# Mine\n\nWords.\n\n## Training\n\nLong.\n\n## Citation\n\nMe.\n"
    first = complete_body(body, "a/b", "Inpainter", kind, "f.png", None)
    assert first.index("Words.") < first.index("load(") < first.index("Long.")
    assert first.count("## Cit") == 1 and kind.limits in first
    again = complete_body(first, "c/d", "Inpainter", kind, "f.png", "text")
    assert "a/b" not in again and again.count("```python") == 1
