"""Evaluation under packet loss, with a recogniser that counts its calls."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corruption.packet_loss import (
    FeaturePacketLoss,
    GilbertElliottLoss,
    SpanLoss,
    TraceLoss,
    WaveformPacketLoss,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import systems
from speechbrain_ext.evaluation.decoding import System
from speechbrain_ext.evaluation.packet_loss import (
    evaluate_packet_loss,
    evaluate_systems,
)
from speechbrain_ext.evaluation.report import results_table, write_report
from speechbrain_ext.evaluation.results import (
    ROW_KEYS,
    result_row,
    write_results,
)
from speechbrain_ext.evaluation.transcripts import Transcripts
from speechbrain_ext.inference import loading

WORDS = "alpha bravo charlie delta echo foxtrot golf hotel india juliet"
UTTERANCES = 5
PACKETS = 100


class FakeASR(torch.nn.Module):
    """Loses a tenth of the words with each tenth of the packets.

    With its front-end it loses half as many.
    """

    def __init__(self, packet_samples=320):
        super().__init__()
        self.packet_samples = packet_samples
        self.language = None
        self.mods = torch.nn.ModuleDict(
            {
                "front_end": torch.nn.Linear(1, 1),
                "back_end": torch.nn.Linear(1, 1),
            }
        )
        self.calls = []
        self.fails_at = None

    def transcribe_batch(self, wavs, lengths, lost=None, front_end=True):
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append((wavs, lengths, lost, front_end))
        texts = []
        for length, mask in zip(lengths, lost, strict=True):
            n_samples = round(length.item() * wavs.shape[1])
            packets = math.ceil(n_samples / self.packet_samples)
            share = mask[:packets].float().mean().item()
            drop = round(10 * share / (2 if front_end else 1))
            texts.append(" ".join(WORDS.split()[drop:]))
        return texts


@pytest.fixture
def rows(tmp_path):
    """Utterances of 100 packets, each of another number of samples."""
    rows = []
    for number in range(UTTERANCES):
        wav = tmp_path / "wavs" / f"u{number}.wav"
        n_samples = 320 * PACKETS - 7 * number
        save_audio(wav, torch.full((n_samples,), 0.5))
        rows.append(
            {
                "ID": f"u{number}",
                "duration": n_samples / 16000,
                "wav": str(wav),
                "spk_id": "s",
                "wrd": WORDS.title() + ".",
            }
        )
    return rows


@pytest.fixture
def damage():
    return WaveformPacketLoss(GilbertElliottLoss(), seed=99)


def pair(asr):
    return {"bare": System(asr, front_end=False), "adapted": System(asr)}


def evaluate(asr, rows, damage, folder, **options):
    options = {"rates": [0, 0.4], "batch_size": 2, **options}
    return evaluate_systems(
        pair(asr), rows, damage, folder, progressbar=False, **options
    )


# ---- what is measured ------------------------------------------------------


def test_results_have_the_schema_and_the_values(rows, damage, tmp_path):
    results = evaluate(
        FakeASR(), rows, damage, tmp_path / "out", seeds=[3, 4], test_set="ten"
    )
    expected = [
        ("bare", 0.0, "wer", 0.0),
        ("adapted", 0.0, "wer", 0.0),
        ("adapted", 0.0, "wer_relative_reduction", 0.0),
        ("bare", 0.4, "wer", 0.4),
        ("adapted", 0.4, "wer", 0.2),
        ("adapted", 0.4, "wer_relative_reduction", 0.5),
    ]
    assert results == [
        {
            "system": system,
            "backend": "torch",
            "test_set": "ten",
            "corruption": "gilbert-elliott-3",
            "level": level,
            "metric": metric,
            # All utterances are alike, so the intervals have no width.
            "value": pytest.approx(value),
            "ci_low": pytest.approx(value),
            "ci_high": pytest.approx(value),
            "n": UTTERANCES,
            "seed": 3,
        }
        for system, level, metric, value in expected
    ]
    assert all(tuple(row) == ROW_KEYS for row in results)
    assert json.loads((tmp_path / "out/results.json").read_text()) == results


def test_all_systems_get_the_same_damaged_packets(rows, damage, tmp_path):
    asr = FakeASR()
    evaluate(asr, rows, damage, tmp_path / "out", rates=[0.4], batch_size=2)
    bare = [call for call in asr.calls if not call[3]]
    adapted = [call for call in asr.calls if call[3]]
    assert len(bare) == len(adapted) == 3
    for ours, theirs in zip(adapted, bare, strict=True):
        assert all(
            torch.equal(a, b) for a, b in zip(ours[:3], theirs[:3], strict=True)
        )
    for wavs, lengths, lost, _ in asr.calls:
        assert lost.dtype == torch.bool
        assert lost.shape == (len(wavs), PACKETS)
        assert (lost.sum(dim=1) == 40).all()
        samples = lost.repeat_interleave(320, dim=1)[:, : wavs.shape[1]]
        for wav, length, gone in zip(wavs, lengths, samples, strict=True):
            n = round(length.item() * wavs.shape[1])
            assert torch.equal(wav[:n] == 0, gone[:n])


def test_damage_is_that_of_validation_and_of_the_seed(rows, damage, tmp_path):
    asr = FakeASR()
    evaluate(asr, rows, damage, tmp_path / "out", rates=[0.4], seeds=[7])
    # Batches are by length, the longest, u0, first.
    drawn = WaveformPacketLoss(GilbertElliottLoss(), seed=7).draw(
        [320 * PACKETS], ["u0"], epoch=0, rate=0.4
    )
    assert torch.equal(asr.calls[0][2][0], drawn[0])
    assert damage.seed == 99


def test_errors_are_summed_over_seeds_and_the_same_packets_decoded_once(
    rows, damage, tmp_path
):
    asr = FakeASR()
    options = {"rates": [0.4, 0, 0.4], "seeds": [1, 2, 3], "batch_size": 5}
    results = evaluate(asr, rows, damage, tmp_path / "out", **options)
    # Two systems, one condition without loss and three with.
    assert len(asr.calls) == 2 * (1 + 3)
    assert [row["level"] for row in results] == [0, 0, 0, 0.4, 0.4, 0.4]
    assert results[3]["value"] == pytest.approx(0.4)


def test_features_are_damaged_in_the_recogniser(rows, tmp_path):
    asr = FakeASR(packet_samples=160)
    mel = FeaturePacketLoss(SpanLoss(), seed=0)
    results = evaluate(asr, rows, mel, tmp_path / "out", rates=[0.3])
    assert results[0]["corruption"] == "mel-spans"
    assert results[0]["value"] == pytest.approx(0.3)
    for wavs, lengths, lost, _ in asr.calls:
        assert (lost.sum(dim=1) == 60).all()
        for wav, length in zip(wavs, lengths, strict=True):
            assert (wav[: round(length.item() * len(wav))] == 0.5).all()


def test_packets_are_told_in_the_recogniser_s_units(rows, damage, tmp_path):
    asr = FakeASR(packet_samples=160)
    results = evaluate(asr, rows, damage, tmp_path / "out", rates=[0.4])
    assert results[0]["value"] == pytest.approx(0.4)
    for _, _, lost, _ in asr.calls:
        assert lost.shape[1] == 2 * PACKETS
        assert torch.equal(lost[:, ::2], lost[:, 1::2])


def test_packets_that_the_recogniser_cannot_name_are_refused(rows, tmp_path):
    mel = FeaturePacketLoss(SpanLoss(), seed=0)
    with pytest.raises(UserError, match="mel-spans.*160.*320"):
        evaluate(FakeASR(), rows, mel, tmp_path / "out")


def test_traces_have_their_own_level(rows, tmp_path):
    for number, row in enumerate(rows):
        lines = ["1"] * 30 + ["0"] * 70
        if number == 0:
            lines = ["1"] * 80 + ["0"] * 20
        file = tmp_path / f"{row['ID']}_is_lost.txt"
        file.write_text("\n".join(lines))
    damage = WaveformPacketLoss(TraceLoss(tmp_path), seed=0)
    results = evaluate(FakeASR(), rows, damage, tmp_path / "out", rates=None)
    assert results[0]["corruption"] == "trace"
    assert results[0]["level"] == pytest.approx((80 + 4 * 30) / 500)
    assert results[0]["value"] == pytest.approx((8 + 4 * 3) / 50)
    assert results[0]["ci_low"] < 0.4 < results[0]["ci_high"]


def test_a_system_without_a_bare_one_has_no_reduction(rows, damage, tmp_path):
    results = evaluate_systems(
        {"adapted": System(FakeASR())},
        rows,
        damage,
        tmp_path / "out",
        rates=[0.4],
        progressbar=False,
    )
    assert [row["metric"] for row in results] == ["wer"]


def test_a_reference_without_words_does_not_count(
    rows, damage, tmp_path, caplog
):
    rows[0]["wrd"] = "[noise]"
    results = evaluate(FakeASR(), rows, damage, tmp_path / "out")
    assert {row["n"] for row in results} == {UTTERANCES - 1}
    assert caplog.text.count("u0: no word is left") == 1


# ---- going on --------------------------------------------------------------


def test_finished_texts_are_used_again(rows, damage, tmp_path):
    folder = tmp_path / "out"
    first = evaluate(FakeASR(), rows, damage, folder, rates=[0.4])
    torch.manual_seed(1)
    asr = FakeASR()
    torch.manual_seed(1)
    again = FakeASR()
    assert evaluate(asr, rows, damage, folder, rates=[0.4]) == first
    assert len(asr.calls) == 6, "other weights must decode again"
    assert evaluate(again, rows, damage, folder, rates=[0.4]) == first
    assert not again.calls
    evaluate(again, rows, damage, folder, rates=[0.4, 0.5])
    assert len(again.calls) == 6, "one new rate, two systems, three batches"


def test_a_bare_recogniser_does_not_wait_for_its_front_end(
    rows, damage, tmp_path
):
    asr = FakeASR()
    evaluate(asr, rows, damage, tmp_path / "out")
    asr.calls.clear()
    with torch.no_grad():
        asr.mods["front_end"].weight += 1
    evaluate(asr, rows, damage, tmp_path / "out")
    assert [front_end for *_, front_end in asr.calls] == [True] * 6
    asr.calls.clear()
    with torch.no_grad():
        asr.mods["back_end"].weight += 1
    evaluate(asr, rows, damage, tmp_path / "out")
    assert len(asr.calls) == 12


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [5]},
        {"settings": "beam 5"},
        {"batch_size": 3},
        {"damage": WaveformPacketLoss(GilbertElliottLoss(5), seed=0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_decode_again(rows, damage, tmp_path, change):
    asr = FakeASR()
    options = {"damage": damage, "rates": [0.4], "folder": tmp_path / "out"}
    evaluate(asr, rows, **options)
    asr.calls.clear()
    evaluate(asr, rows, **options)
    assert not asr.calls
    evaluate(asr, rows, **{**options, **change})
    assert asr.calls


def test_other_audio_decodes_again(rows, damage, tmp_path):
    asr = FakeASR()
    evaluate(asr, rows, damage, tmp_path / "out", rates=[0])
    save_audio(rows[0]["wav"], torch.full((320 * PACKETS,), 0.25))
    asr.calls.clear()
    evaluate(asr, rows, damage, tmp_path / "out", rates=[0])
    assert asr.calls


def test_another_transcript_is_only_scored_again(rows, damage, tmp_path):
    asr = FakeASR()
    evaluate(asr, rows, damage, tmp_path / "out", rates=[0])
    asr.calls.clear()
    rows[0]["wrd"] += " Kilo."
    results = evaluate(asr, rows, damage, tmp_path / "out", rates=[0])
    assert not asr.calls
    assert results[0]["value"] == pytest.approx(1 / 51)


def test_a_stopped_run_goes_on(rows, damage, tmp_path):
    folder = tmp_path / "out"
    torch.manual_seed(1)
    whole = evaluate(FakeASR(), rows, damage, tmp_path / "whole")
    torch.manual_seed(1)
    asr = FakeASR()
    # Four conditions of three batches each: in the middle of the third.
    asr.fails_at = 7
    with pytest.raises(KeyboardInterrupt):
        evaluate(asr, rows, damage, folder)
    assert not (folder / "results.json").exists()
    transcripts = folder / "transcripts.jsonl"
    assert len(transcripts.read_text().splitlines()) == 2
    # A kill while the next line was written.
    with open(transcripts, "a") as file:
        file.write('{"key": "5a')
    asr.fails_at = None
    asr.calls.clear()
    assert evaluate(asr, rows, damage, folder) == whole
    assert len(asr.calls) == 6
    asr.calls.clear()
    assert evaluate(asr, rows, damage, folder) == whole
    assert not asr.calls


def test_transcripts_are_for_people_too(rows, damage, tmp_path):
    evaluate(FakeASR(), rows, damage, tmp_path / "out", rates=[0.4], seeds=[2])
    lines = (tmp_path / "out/transcripts.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    assert first["system"] == "bare" and first["seed"] == 2
    assert first["level"] == 0.4 and first["corruption"] == "gilbert-elliott-3"
    assert list(first["texts"]) == [row["ID"] for row in rows]
    assert first["texts"]["u0"] == " ".join(WORDS.split()[4:])


def test_lines_of_other_programs_are_passed_over(tmp_path):
    file = tmp_path / "transcripts.jsonl"
    file.write_text('[1]\n\nnull\n{"texts": {}}\n{"key": "k", "texts": {}}')
    assert Transcripts(file).get("k") == {}
    Transcripts(file).add("other", {"a": "x"})
    assert Transcripts(file).get("k") == {}
    assert Transcripts(file).get("other") == {"a": "x"}


# ---- bad input -------------------------------------------------------------


@pytest.mark.parametrize(
    "options, named",
    [
        ({"rates": [0.2, 1.5]}, "loss rate 1.5"),
        ({"rates": []}, "rates"),
        ({"seeds": []}, "seeds"),
    ],
)
def test_settings_that_make_no_sense(rows, damage, tmp_path, options, named):
    asr = FakeASR()
    with pytest.raises(UserError, match=named):
        evaluate(asr, rows, damage, tmp_path / "out", **options)
    assert not asr.calls


def test_no_utterances_and_no_words(rows, damage, tmp_path):
    with pytest.raises(UserError, match="no utterance"):
        evaluate(FakeASR(), [], damage, tmp_path / "out")
    for row in rows:
        row["wrd"] = "[noise]"
    asr = FakeASR()
    with pytest.raises(UserError, match="reference has a word"):
        evaluate(asr, rows, damage, tmp_path / "out")
    assert not asr.calls


def test_audio_that_is_none_is_named(rows, damage, tmp_path):
    (tmp_path / "text.wav").write_text("this is no audio")
    rows[1]["wav"] = str(tmp_path / "text.wav")
    with pytest.raises(UserError, match="text.wav"):
        evaluate(FakeASR(), rows, damage, tmp_path / "out")


def test_a_folder_that_cannot_be_is_named_before_work(rows, damage, tmp_path):
    (tmp_path / "out").write_text("a file")
    asr = FakeASR()
    with pytest.raises(UserError, match="out/transcripts.jsonl"):
        evaluate(asr, rows, damage, tmp_path / "out")
    assert not asr.calls


def test_old_results_outlive_a_failure(rows, damage, tmp_path):
    folder = tmp_path / "out"
    evaluate(FakeASR(), rows, damage, folder)
    before = (folder / "results.json").read_bytes()
    row = result_row("a", "t", "s", "c", 0, "wer", (0, 0, 0), 1, 0)
    with pytest.raises(ValueError):
        write_results(folder / "results.json", [{**row, "value": math.nan}])
    assert (folder / "results.json").read_bytes() == before


# ---- the report ------------------------------------------------------------


def rows_of_results():
    def row(system, level, metric, *estimate):
        return result_row(
            system, "torch", "test/set", "spans", level, metric, estimate, 60, 1
        )

    return [
        row("adapted", 0.05, "wer", 0.11, 0.1, 0.12),
        row("adapted", 0.4, "wer", 0.2, 0.1, 0.3),
        row("adapted", 0.05, "wer_relative_reduction", -math.inf, -math.inf, 0),
        row("adapted", 0.4, "wer_relative_reduction", 0.5, 0.4, 0.6),
        row("bare", 0.05, "wer", 0, 0, 0),
        row("bare", 0.4, "wer", 1.25, 1, 1.5),
    ]


def test_the_table_has_systems_down_and_rates_across():
    lines = results_table(rows_of_results()).splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    del cells[1]
    assert cells == [
        ["WER %", "5 % loss", "40 % loss"],
        ["bare", "0.0 [0.0, 0.0]", "125.0 [100.0, 150.0]"],
        ["adapted", "11.0 [10.0, 12.0]", "20.0 [10.0, 30.0]"],
        ["adapted: reduction %", "- [-, 0.0]", "50.0 [40.0, 60.0]"],
    ]
    assert len({len(line) for line in lines if line.startswith("|")}) == 1
    assert "test/set: 60 utterances" in lines[0]


def test_what_is_not_finite_has_no_value_in_json(tmp_path):
    file = tmp_path / "results.json"
    write_results(file, rows_of_results())
    row = json.loads(file.read_text())[2]
    assert (row["value"], row["ci_low"], row["ci_high"]) == (None, None, 0)


def test_the_report_has_a_table_and_a_figure(tmp_path):
    files = write_report(tmp_path, rows_of_results(), "Damage seeds: 1, 2.")
    assert [file.name for file in files] == [
        "results.md",
        "wer-test-set-spans.png",
    ]
    text = files[0].read_text()
    assert results_table(rows_of_results()) in text
    assert "Damage seeds: 1, 2." in text
    assert "(wer-test-set-spans.png)" in text
    pixels = imread(files[1])
    assert min(pixels.shape[:2]) >= 600
    # The bare line is black, the adapted one blue; both are drawn.
    blue = np.array([0x00, 0x72, 0xB2]) / 255
    for colour in (blue, np.zeros(3)):
        close = np.abs(pixels[..., :3] - colour).max(axis=-1) < 0.02
        assert close.sum() > 500
    # The area of an interval is a light tint of the line's colour.
    tint = 1 - 0.15 * (1 - blue)
    assert (np.abs(pixels[..., :3] - tint).max(axis=-1) < 0.01).sum() > 1000


def test_each_test_set_and_backend_has_its_own_figure(tmp_path):
    rows = rows_of_results()
    other = [{**row, "backend": "ctranslate2"} for row in rows]
    third = [{**row, "test_set": "other"} for row in rows]
    files = write_report(tmp_path, rows + other + third)
    assert [file.name for file in files] == [
        "results.md",
        "wer-test-set-spans-torch.png",
        "wer-test-set-spans-ctranslate2.png",
        "wer-other-spans.png",
    ]
    assert all(file.read_bytes()[:4] == b"\x89PNG" for file in files[1:])


# ---- a model's folder ------------------------------------------------------


@pytest.fixture
def shipped(monkeypatch):
    """A model's folder is loaded as this fake."""
    asr = FakeASR()
    monkeypatch.setattr(loading, "interface_name", lambda _: "PacketLossASR")
    monkeypatch.setattr(
        systems.PacketLossASR,
        "from_hparams",
        lambda source, **options: asr,
    )
    # What is loaded is checked to be one.
    monkeypatch.setattr(systems, "PacketLossASR", FakeASR)
    return asr


def test_a_model_is_evaluated_with_and_without_its_front_end(
    rows, damage, tmp_path, shipped, capsys
):
    manifest = tmp_path / "test-clean.csv"
    write_manifest(manifest, rows)
    results = evaluate_packet_loss(
        tmp_path / "plc-model",
        manifest,
        damage,
        tmp_path / "out",
        rates=[0.4],
        progressbar=False,
    )
    assert [row["system"] for row in results] == [
        "bare",
        "plc-model",
        "plc-model",
    ]
    assert {row["test_set"] for row in results} == {"test-clean"}
    assert results_table(results) in capsys.readouterr().out
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {
        "errors.json",
        "results.json",
        "results.md",
        "transcripts.jsonl",
        "wer-test-clean-gilbert-elliott-3.png",
    }


def test_debug_takes_two_utterances(rows, damage, tmp_path, shipped):
    manifest = tmp_path / "test.csv"
    write_manifest(manifest, rows)
    results = evaluate_packet_loss(
        "model", manifest, damage, tmp_path / "out", debug=True
    )
    assert {row["n"] for row in results} == {2}
    assert sorted({row["level"] for row in results}) == [
        0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
    ]


def test_a_model_of_zeroed_samples_is_not_given_zeroed_frames(
    rows, tmp_path, shipped
):
    manifest = tmp_path / "test.csv"
    write_manifest(manifest, rows)
    shipped.packet_samples = 160
    shipped.hparams = SimpleNamespace(zero_lost_frames=False)
    mel = FeaturePacketLoss(SpanLoss(), seed=0)
    options = {"rates": [0.4], "progressbar": False}
    with pytest.raises(UserError, match="plc: .*zero_lost_frames"):
        evaluate_packet_loss("plc", manifest, mel, tmp_path / "out", **options)
    shipped.hparams.zero_lost_frames = True
    evaluate_packet_loss("plc", manifest, mel, tmp_path / "out", **options)
    assert shipped.calls


def test_a_manifest_is_checked_before_the_model_is_loaded(tmp_path, damage):
    with pytest.raises(UserError, match="none.csv"):
        evaluate_packet_loss(
            "no-model", tmp_path / "none.csv", damage, tmp_path / "out"
        )
