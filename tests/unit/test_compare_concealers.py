"""The table of concealers, and the tool that makes it, on two short sounds."""

import json
import sys

import pytest
import torch

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import concealers
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.frontends.concealment import MelInterpolation, RepeatPacket
from speechbrain_ext.frontends.inpainting_concealer import InpaintingConcealer
from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
from speechbrain_ext.inference import PacketLossASR
from speechbrain_ext.inference.export import export_inpainter, export_untrained

INPAINTER = """
features: !new:speechbrain_ext.features.segment_log_magnitude.SegmentLogMagnitude
    phase: griffin-lim
    iterations: 2
front_end: !new:speechbrain_ext.frontends.inpainting_unet.InpaintingUNet
"""
WAVEFORMS = ["bare", "LPC", "two-sided LPC", "repeat", "inpainter"]


@pytest.fixture
def tool(load_tool):
    """The tool as a module."""
    return load_tool("compare_concealers")


@pytest.fixture
def manifest(tmp_path):
    """Two sounds of 50 packets, no sample of which is 0."""
    rows = []
    for name in ("a", "b"):
        signal = 0.1 + 0.05 * torch.rand(16000)
        save_audio(tmp_path / f"{name}.wav", signal)
        rows.append(
            {
                "ID": name,
                "duration": 1.0,
                "wav": str(tmp_path / f"{name}.wav"),
                "spk_id": "s",
                "wrd": "one two three",
            }
        )
    write_manifest(tmp_path / "test.csv", rows)
    return tmp_path / "test.csv"


@pytest.fixture
def models(tmp_path, random_whispers):
    """Folders by what they are; the recogniser writes nonsense."""
    whisper = random_whispers[80]
    for name, front_end in (
        ("mel", MelInterpolation),
        ("repeat", RepeatPacket),
    ):
        export_untrained(front_end, whisper, None, tmp_path / name, beam_size=1)
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(INPAINTER)
    modules = {
        "features": SegmentLogMagnitude("griffin-lim"),
        "front_end": InpaintingUNet(),
    }
    export_inpainter(folder, modules, tmp_path / "inpainter")
    return {name: tmp_path / name for name in ("mel", "repeat", "inpainter")}


@pytest.fixture
def heard(monkeypatch):
    """PLCMOS is the share of samples that are not 0; who asks is counted."""
    calls = []

    def share(signal):
        calls.append(signal)
        return float((signal != 0).float().mean())

    monkeypatch.setattr(concealers, "plcmos", share)
    return calls


@pytest.fixture
def run(tool, models, manifest, tmp_path, monkeypatch):
    """Run the tool; give results.json and results.md."""

    def call(*more):
        out = tmp_path / "out"
        words = [
            *("compare_concealers.py", "--model", models["mel"]),
            *("--inpainter", models["inpainter"]),
            *("--concealer", models["repeat"], "--data", manifest),
            *("--rates", 0, 0.4, "--out", out, *more),
        ]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        tool.main()
        rows = json.loads((out / "results.json").read_text())
        return rows, (out / "results.md").read_text()

    return call


def test_all_systems_are_in_one_table(run, heard, capsys):
    rows, report = run()
    assert all(tuple(row) == ROW_KEYS for row in rows)
    found = {
        (row["metric"], row["system"], row["level"]): row["value"]
        for row in rows
    }
    systems = {*WAVEFORMS, "mel"}
    for metric, expected in (
        ("wer", systems),
        ("wer_relative_reduction", systems - {"bare"}),
        ("plcmos", {*WAVEFORMS}),
        ("plcmos_gain", {*WAVEFORMS} - {"bare"}),
    ):
        assert {key[1:] for key in found if key[0] == metric} == {
            (system, level) for system in expected for level in (0.0, 0.4)
        }
    assert {row["n"] for row in rows} == {2}
    # 20 of 50 packets are lost: zero fill hears silence there.
    assert found["plcmos", "bare", 0.4] == pytest.approx(0.6)
    assert found["plcmos", "inpainter", 0.4] > 0.9
    assert found["plcmos_gain", "inpainter", 0.4] == pytest.approx(
        found["plcmos", "inpainter", 0.4] - 0.6
    )
    assert all(found["plcmos", name, 0.0] == 1.0 for name in WAVEFORMS)
    table = capsys.readouterr().out
    assert table.strip() in report
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert "40 % loss: WER %" in lines[0]
    (mel,) = (line for line in lines if line.startswith("| mel "))
    # No waveform, no PLCMOS.
    assert mel.rstrip(" |").count("[") == 2 and mel.endswith("|")
    (bare,) = (line for line in lines if line.startswith("| bare "))
    assert "0.60 [" in bare


def test_what_is_finished_is_kept(run, heard, monkeypatch):
    rows, _ = run()
    # Two utterances: once without loss, and five systems with.
    assert len(heard) == 2 * (1 + 5)
    monkeypatch.setattr(
        PacketLossASR, "transcribe_batch", lambda *_, **__: 1 / 0
    )
    assert run() == (rows, run()[1])
    assert len(heard) == 12


def test_seeds_are_averaged(run, heard):
    rows, report = run("--seeds", 3, 4)
    assert "seeds 3, 4" in report
    (bare,) = (
        row
        for row in rows
        if (row["system"], row["level"], row["metric"])
        == ("bare", 0.4, "plcmos")
    )
    assert bare["value"] == pytest.approx(0.6) and bare["seed"] == 3


def test_other_settings_are_other_systems():
    def settings(iterations):
        features = SegmentLogMagnitude("griffin-lim", iterations)
        concealer = InpaintingConcealer(features, InpaintingUNet())
        return concealers._settings(concealer)

    assert settings(2) == settings(2) != settings(3)


def test_what_repairs_no_waveforms_is_refused(models):
    with pytest.raises(UserError, match="mel.*MelInterpolation.*waveforms"):
        concealers.waveform_front_ends(concealers=[models["mel"]])
    with pytest.raises(UserError, match="LPC.*names that differ"):
        concealers.waveform_front_ends([f"LPC={models['inpainter']}"])


def test_two_systems_of_one_name_are_refused(
    tool, models, manifest, tmp_path, monkeypatch, capsys
):
    words = f"x --model LPC={models['mel']} --data {manifest} --out"
    monkeypatch.setattr(sys, "argv", [*words.split(), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stop:
        tool.main()
    assert stop.value.code == 2
    assert "two systems are named LPC" in capsys.readouterr().err


def test_real_plcmos_of_the_front_ends(run):
    rows, _ = run("--rates", 0.2)
    values = [row["value"] for row in rows if row["metric"] == "plcmos"]
    assert len(values) == 5 and all(1 <= value <= 5 for value in values)
