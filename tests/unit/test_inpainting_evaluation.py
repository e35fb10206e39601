"""Evaluation of inpainting: what it writes of systems that are known."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import (
    given,
    strategies as st,
)

from speechbrain_ext import cli
from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.manifest import write_rows
from speechbrain_ext.corpora.segments import load_segment, read_segments
from speechbrain_ext.corruption.masks import KINDS
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation import (
    inpainting,
    kegler2019 as paper,
)
from speechbrain_ext.evaluation.enhancement_scores import (
    EnhancementScores,
    pool_scores,
    read_scores,
)
from speechbrain_ext.evaluation.inpainting import evaluate_inpainting_systems
from speechbrain_ext.evaluation.inpainting_systems import (
    InpaintingSystem,
    Masking,
    Reference,
    load_inpainting_system,
)
from speechbrain_ext.evaluation.inpainting_tables import (
    inpainting_rows,
    inpainting_table,
)
from speechbrain_ext.evaluation.results import ROW_KEYS
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.frontends.inpainting_unet import InpaintingUNet
from speechbrain_ext.inference import model_folder
from speechbrain_ext.inference.export import export_inpainter

N = 3
COLUMNS = ("ID", "duration", "wav", "start")


class Standin:
    """Stands for an Inpainter, and keeps what it is given."""

    def __init__(self, repair=lambda feats, lost: feats, informed=True):
        self.mods = SimpleNamespace(
            features=SegmentLogMagnitude("griffin-lim", iterations=2),
            front_end=SimpleNamespace(informed=informed),
        )
        self.repair = repair
        self.given = []

    def inpaint_features(self, feats, lengths, lost):
        assert torch.equal(lengths, torch.ones(len(feats)))
        self.given.append((feats, lost))
        return self.repair(feats, lost)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    """A file of a little more than three segments, silent in the third."""
    time = torch.arange(55000) / 16000
    voice = sum(torch.sin(120 * k * 6.2832 * time) / k for k in range(1, 30))
    syllables = (6.2832 * 3 * time).sin().clamp(min=0.05)
    signal = 0.1 * voice * syllables + 0.001 * torch.randn(len(time))
    signal[2 * 16384 : 3 * 16384] = 0
    file = tmp_path_factory.mktemp("speech") / "a.wav"
    save_audio(file, signal / signal.abs().max() / 2)
    return file


@pytest.fixture
def rows(speech, tmp_path):
    """The file's segments, as a manifest has them."""
    found = [
        {"ID": f"a-{n}", "duration": 1.024, "wav": speech, "start": n * 1.024}
        for n in range(N)
    ]
    write_rows(tmp_path / "segments.csv", found, COLUMNS)
    return read_segments(tmp_path / "segments.csv")


def run(systems, rows, folder, **settings):
    settings = {
        "kinds": ("time",),
        "sizes": (0.2,),
        "metrics": ("si_sdr",),
        "n_panels": 0,
        "n_workers": 1,
        "ceiling": False,
        **settings,
    }
    return evaluate_inpainting_systems(
        systems, rows, folder, progressbar=False, **settings
    )


def value(results, system, metric, kind="time", level=0.2):
    (row,) = (
        row
        for row in results
        if (row["system"], row["metric"], row["corruption"], row["level"])
        == (system, metric, kind, level)
    )
    return row["value"]


# --- Segments


def test_a_segment_is_its_part_of_the_file(rows, speech):
    import soundfile

    samples, _ = soundfile.read(speech, dtype="float32")
    for number in (2, 0, 1):
        start = 16384 * number
        segment = load_segment(rows[number])
        assert np.array_equal(segment, samples[start : start + 16384])


def test_whole_files_are_cut(speech, tmp_path):
    """As the paper cuts them; what is left is not used."""
    row = {"ID": "a", "duration": 55000 / 16000, "wav": speech}
    write_rows(tmp_path / "whole.csv", [row], COLUMNS[:3])
    rows = read_segments(tmp_path / "whole.csv")
    assert [(row["ID"], row["start"]) for row in rows] == [
        ("a-000", 0.0),
        ("a-001", 1.024),
        ("a-002", 2.048),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": "soon"}, "start is 'soon'; expected seconds"),
        ({"start": -1}, "start is '-1'; expected seconds"),
        ({"duration": 2.0}, "lasts 2 s; expected a segment of 1.024 s"),
    ],
)
def test_what_is_no_segment_is_refused(speech, tmp_path, changes, message):
    row = {"ID": "a", "duration": 1.024, "wav": speech, "start": 0, **changes}
    write_rows(tmp_path / "bad.csv", [row], COLUMNS)
    with pytest.raises(UserError, match=rf"bad\.csv: a: {message}"):
        read_segments(tmp_path / "bad.csv")


def test_files_shorter_than_a_segment_are_refused_or_counted(
    speech, tmp_path, caplog
):
    short = {"ID": "s", "duration": 1.0, "wav": speech}
    write_rows(tmp_path / "short.csv", [short], COLUMNS[:3])
    with pytest.raises(
        UserError, match=r"short\.csv: no file is as long as a segment"
    ):
        read_segments(tmp_path / "short.csv")
    long = {"ID": "l", "duration": 2.0, "wav": speech}
    write_rows(tmp_path / "both.csv", [short, long], COLUMNS[:3])
    assert [row["ID"] for row in read_segments(tmp_path / "both.csv")] == [
        "l-000"
    ]
    assert "1 of 2 files are shorter" in caplog.text


def test_a_segment_past_the_file_s_end_is_refused(rows):
    with pytest.raises(UserError, match=r"a\.wav: ends before 4\.024 s"):
        load_segment({**rows[0], "start": 3.0})


# --- Systems


@given(
    kind=st.sampled_from(KINDS),
    size=st.sampled_from((0.1, 0.2, 0.3, 0.4)),
    seed=st.integers(0, 9),
)
def test_all_fillings_and_references_have_one_mask(kind, size, seed):
    masking, ids = Masking(kind, size, seed), ["a", "b"]
    drawn = masking.draw(ids, 128, 128)
    feats = torch.ones(2, 128, 128)
    for filling in ("gaps", "noise", "additive"):
        damaged, lost = masking.damage(feats, ids, filling)
        assert torch.equal(lost, drawn)
        assert torch.equal(damaged != feats, drawn)
    if kind == "random":
        assert (drawn.sum(dim=(1, 2)) == round(size * 128 * 128)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_masks_do_not_depend_on_the_batch(kind):
    masking = Masking(kind, 0.3, 1)
    both = masking.draw(["a", "b"], 128, 128)
    assert torch.equal(masking.draw(["b"], 128, 128)[0], both[1])


def test_linear_prediction_is_given_what_is_left(rows):
    """Outside of what it fills, it is the speech with gaps."""
    features = SegmentLogMagnitude("griffin-lim")
    wavs, ids = load_segment(rows[0])[None], ["a"]
    for kind in ("time", "time-frequency"):
        masking = Masking(kind, 0.3)
        gaps, lpc = (
            Reference(name, features).process(wavs, ids, masking)
            for name in ("gaps", "lpc")
        )
        lost = masking.draw(ids, 128, 128)
        touched = features.touched_samples(lost, 16384)
        assert 0.3 < touched.float().mean() < 0.4
        assert torch.equal(lpc[~touched], gaps[~touched])
        assert lpc[touched].abs().sum() > gaps[touched].abs().sum()
    assert not Reference("lpc", features).applies("random")


def test_the_noise_is_the_segment_s_own(rows):
    features = SegmentLogMagnitude("griffin-lim")
    noise = Reference("noise", features)
    wavs = torch.stack([load_segment(row) for row in rows[:2]])
    masking = Masking("time", 0.3)
    both = noise.process(wavs, ["a", "b"], masking)
    alone = noise.process(wavs[1:], ["b"], masking)
    assert torch.allclose(both[1:], alone, atol=1e-6)
    other = noise.process(wavs[1:], ["b"], Masking("time", 0.3, seed=1))
    assert not torch.allclose(alone, other, atol=1e-3)


def test_a_model_gets_its_filling_and_the_cell_s_masks(rows, tmp_path):
    informed, blind = Standin(), Standin(informed=False)
    systems = {
        "informed": InpaintingSystem(informed),
        "blind": InpaintingSystem(blind, "noise"),
    }
    run(systems, rows, tmp_path, kinds=KINDS, sizes=(0.1, 0.3), seed=5)
    assert len(informed.given) == len(blind.given) == 6
    ids = [row["ID"] for row in rows]
    cells = [(kind, size) for kind in KINDS for size in (0.1, 0.3)]
    for cell, (gaps, mask), (noise, same) in zip(
        cells, informed.given, blind.given, strict=True
    ):
        expected = Masking(*cell, 5).draw(ids, 128, 128)
        assert torch.equal(mask, expected) and torch.equal(same, expected)
        assert (gaps[mask] == 0).all() and noise[mask].std() > 0.5
        assert torch.equal(gaps[~mask], noise[~mask])


# --- Models' folders and the command

PIECES = """
features: !new:speechbrain_ext.features.segment_log_magnitude.SegmentLogMagnitude
    phase: griffin-lim
    iterations: 2
front_end: !new:speechbrain_ext.frontends.inpainting_unet.InpaintingUNet
    informed: {}
{}
"""


def exported(folder, informed, filling):
    """A model's folder, as a training with this filling writes it."""
    folder.mkdir()
    filling = filling and f"filling: {filling}"
    text = PIECES.format(informed, filling)
    (folder / "hyperparams.yaml").write_text(text)
    modules = {
        "features": SegmentLogMagnitude("griffin-lim", iterations=2),
        "front_end": InpaintingUNet(informed),
    }
    export_inpainter(folder, modules)
    return folder / "model"


@pytest.mark.parametrize(
    ("informed", "filling", "expected"),
    [
        (True, "gaps", "gaps"),
        (False, "noise", "noise"),
        (False, "additive", "additive"),
        (False, "", "gaps"),
    ],
)
def test_a_folder_says_what_its_model_is_given(
    tmp_path, informed, filling, expected
):
    folder = exported(tmp_path / "run", informed, filling)
    system = load_inpainting_system(folder)
    assert (system.informed, system.filling) == (informed, expected)


def test_the_command_evaluates_folders(rows, tmp_path, capsys):
    model = exported(tmp_path / "run", False, "noise")
    out = tmp_path / "out"
    rows = [{key: row[key] for key in COLUMNS} for row in rows[:1]]
    write_rows(tmp_path / "one.csv", rows, COLUMNS)
    options = [
        *("evaluate", "--model", f"FC-noise={model}", "--out", str(out)),
        *("--data", str(tmp_path / "one.csv"), "--kinds", "random"),
    ]
    assert cli.main([*options, "--sizes", "0.4", "--seeds", "3"]) == 0
    assert "| Random, 40 % |" in capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert {row["system"] for row in results} == {
        "gaps",
        "noise",
        "FC-noise",
        "FC-noise, observed kept",
        "resynthesised",
    }
    assert {row["seed"] for row in results} == {3}
    assert (out / "spectrograms-random-FC-noise.png").is_file()
    for refused, message in (
        (["--rates", "0.1"], "--rates, --noise: expected --sizes"),
        (["--seeds", "0", "1"], "--seeds: expected one"),
        (["--sizes", "2"], "sizes: are 2; expected shares"),
    ):
        with pytest.raises(SystemExit):
            cli.main([*options, *refused])
        assert message in capsys.readouterr().err


def test_other_models_have_no_masks(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(model_folder, "interface_name", lambda _: "RobustASR")
    with pytest.raises(SystemExit):
        cli.main(
            [
                *("evaluate", "--model", str(tmp_path), "--data", "gone.csv"),
                *("--out", str(tmp_path), "--kinds", "time"),
            ]
        )
    assert "expected models of inpainting" in capsys.readouterr().err


def test_debug_leaves_two_segments(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(
        inpainting,
        "load_inpainting_system",
        lambda *_: InpaintingSystem(Standin()),
    )
    inpainting.evaluate_inpainting(
        "m=x",
        tmp_path / "segments.csv",
        tmp_path / "out",
        kinds=("time",),
        sizes=(0.2,),
        metrics=("si_sdr",),
        ceiling=False,
        debug=True,
        progressbar=False,
    )
    *_, model, last = read_scores(tmp_path / "out" / "scores.json")
    assert (model.system, model.ids) == ("m", ["a-0", "a-1"])
    assert model.test_set == "segments"
    assert last.system == "m, observed kept"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_observed_can_be_kept(rows, kind):
    """Then only the masks are heard: what is perfect there gives the speech."""
    wavs = torch.stack([load_segment(row) for row in rows])
    ids = [row["ID"] for row in rows]
    system = InpaintingSystem(Standin()).keeping_observed()
    masking = Masking(kind, 0.1)
    feats, damaged, repaired, lost = system.repair(wavs, ids, masking)
    assert torch.equal(repaired[~lost], feats[~lost])
    kept = system.process(wavs, ids, masking)
    untouched = ~system.features.touched_samples(
        torch.ones_like(lost) * lost.any(dim=2, keepdim=True), wavs.shape[1]
    )
    torch.testing.assert_close(
        kept[untouched], wavs[untouched], atol=1e-4, rtol=0
    )


def test_what_a_blind_model_does_not_notice_is_heard(rows):
    """It is not told where the masks are, and nothing clean shines through."""
    wavs = torch.stack([load_segment(row) for row in rows])
    ids = [row["ID"] for row in rows]
    masking = Masking("time", 0.2)
    standin = Standin()
    standin.mods.front_end = SimpleNamespace(informed=False)
    system = InpaintingSystem(standin, "additive").keeping_observed()
    clean = standin.mods.features(wavs, torch.ones(N))
    *_, damaged, lost = system.repair(wavs, ids, masking)
    assert not lost.any() and not torch.equal(damaged, clean)
    heard = system.process(wavs, ids, masking)
    assert (heard - wavs).norm() > wavs.norm()
    # A perfect one repairs all that it finds.
    standin.repair = lambda feats, lost: clean
    *_, lost = system.repair(wavs, ids, masking)
    assert 0.15 < lost.float().mean() < 0.25
    repaired = system.process(wavs, ids, masking)
    assert (repaired - wavs).norm() < 0.6 * wavs.norm()


# --- Results


def test_a_perfect_model_reaches_the_ceiling(rows, tmp_path):
    """Its features are the clean ones, whatever the masks."""
    clean = Standin()
    feats = clean.mods.features(
        torch.stack([load_segment(row) for row in rows]), torch.ones(N)
    )
    clean.repair = lambda *_: feats
    results = run(
        {
            "perfect": InpaintingSystem(clean),
            "idle": InpaintingSystem(Standin()),
        },
        rows,
        tmp_path,
        metrics=("stoi",),
        ceiling=True,
    )
    ceiling = value(results, "resynthesised", "stoi", "none", 0.0)
    assert value(results, "perfect", "stoi") == pytest.approx(ceiling)
    assert value(results, "idle", "stoi") < ceiling
    assert all(tuple(row) == ROW_KEYS for row in results)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    text = (tmp_path / "results.md").read_text()
    assert f"the ceiling: STOI {ceiling:.3f}" in text


def test_a_failed_metric_is_named_and_counts_for_no_system(rows, tmp_path):
    """The third segment is silent; one model is silent in the first, too."""

    def silence(feats, lost):
        feats = feats.clone()
        feats[0] = -1e4
        return feats

    systems = {
        "idle": InpaintingSystem(Standin()),
        "mute": InpaintingSystem(Standin(silence)),
    }
    results = run(systems, rows, tmp_path, metrics=("pesq", "stoi"))
    scores = {one.system: one for one in read_scores(tmp_path / "scores.json")}
    assert scores["idle"].undefined("pesq") == ["a-2"]
    assert scores["mute"].undefined("pesq") == ["a-0", "a-2"]
    for system, failed in (("idle", 1), ("mute", 2), ("gaps", 1)):
        assert value(results, system, "pesq_undefined") == failed
        # Of two finite values of gaps the paired one alone is the mean.
        expected = scores[system].scores["pesq"][1]
        assert value(results, system, "pesq") == pytest.approx(expected)
    (row,) = (
        row
        for row in results
        if row["system"] == "gaps" and row["metric"] == "pesq"
    )
    assert row["n"] == 1
    text = (tmp_path / "results.md").read_text()
    assert (
        "Time, 20 %: 2 of 3 segments count for no system, as PESQ is not "
        "defined for some: a-2 (gaps, noise, lpc, idle, mute); a-0 (mute)."
    ) in text


def test_what_is_finished_is_kept(rows, tmp_path, monkeypatch):
    """A run that stops goes on; the outcome is that of one that did not."""
    settings = {"kinds": ("time", "random"), "sizes": (0.1, 0.2)}
    whole = Standin()
    expected = run(
        {"m": InpaintingSystem(whole)}, rows, tmp_path / "whole", **settings
    )
    stopped = Standin()

    def stop(feats, lost):
        if len(stopped.given) > 2:
            raise KeyboardInterrupt
        return feats

    stopped.repair = stop
    with pytest.raises(KeyboardInterrupt):
        run({"m": InpaintingSystem(stopped)}, rows, tmp_path / "b", **settings)
    resumed = Standin()
    found = run(
        {"m": InpaintingSystem(resumed)}, rows, tmp_path / "b", **settings
    )
    assert len(whole.given) == 4 and len(resumed.given) == 2
    assert found == expected
    for name in ("results.json", "results.md", "scores.json"):
        first, second = (
            (tmp_path / folder / name).read_bytes() for folder in ("whole", "b")
        )
        assert first == second


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({}, 0),
        ({"seed": 1}, 1),
        ({"metrics": ("si_sdr", "stoi")}, 1),
        ({"sizes": (0.2, 0.3)}, 1),
        ({"batch_size": 2}, 0),
        ({"test_set": "other"}, 0),
    ],
)
def test_other_settings_are_measured_anew(rows, tmp_path, changes, calls):
    run({"m": InpaintingSystem(Standin())}, rows, tmp_path)
    again = Standin()
    run({"m": InpaintingSystem(again)}, rows, tmp_path, **changes)
    assert len(again.given) == calls


def test_another_model_or_other_speech_is_measured_anew(rows, tmp_path):
    run({"m": InpaintingSystem(Standin())}, rows, tmp_path)
    for system, used in (
        (InpaintingSystem(Standin(), settings="other"), rows),
        (InpaintingSystem(Standin(), "noise"), rows),
        (InpaintingSystem(Standin()), rows[:2]),
        (InpaintingSystem(Standin()), [{**rows[0], "ID": "b"}, *rows[1:]]),
    ):
        run({"m": system}, used, tmp_path)
        assert len(system.inpainter.given) == 1
    fitted = Standin()
    fitted.mods.features.mean += 1
    run({"m": InpaintingSystem(fitted)}, rows, tmp_path)
    assert len(fitted.given) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kinds": ("diagonal",)},
            "kinds: are diagonal; expected some of time",
        ),
        ({"kinds": ()}, "kinds: are none"),
        ({"sizes": (0.0,)}, "sizes: are 0; expected shares above 0"),
        ({"sizes": (0.1, 0.1)}, r"sizes: are 0\.1, 0\.1; .* each once"),
        ({"metrics": ("warmth",)}, "metrics: are warmth"),
        ({"batch_size": 0}, "batch_size: is 0"),
    ],
)
def test_settings_without_meaning_are_refused(rows, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        run({"m": InpaintingSystem(Standin())}, rows, tmp_path, **changes)
    assert not any(tmp_path.glob("results*"))


def test_a_model_may_not_have_a_reference_s_name(rows, tmp_path):
    with pytest.raises(UserError, match="model lpc: expected another name"):
        run({"lpc": InpaintingSystem(Standin())}, rows, tmp_path)


def test_spectrograms_are_drawn_of_each_model_and_kind(rows, tmp_path):
    systems = {"speechVGG": InpaintingSystem(Standin())}
    run(systems, rows, tmp_path, kinds=("time", "random"), n_panels=2)
    names = sorted(file.name for file in tmp_path.glob("*.png"))
    assert names == [
        "spectrograms-random-speechVGG.png",
        "spectrograms-time-speechVGG.png",
    ]
    text = (tmp_path / "results.md").read_text()
    assert all(f"]({name})" in text for name in names)


def test_tables_have_informed_and_blind_models_and_the_paper(rows, tmp_path):
    systems = {
        "speechVGG": InpaintingSystem(Standin()),
        "FC-gaps": InpaintingSystem(Standin(informed=False)),
    }
    run(systems, rows[:1], tmp_path, kinds=KINDS, metrics=("stoi",))
    lines = (tmp_path / "results.md").read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    ]
    assert ["STOI", "gaps", "noise", "lpc", "speechVGG"] in cells
    assert ["STOI", "gaps", "noise", "speechVGG", "FC-gaps"] in cells
    (first, second) = (row for row in cells if row[0] == "Random, 20 %")
    assert first[1].endswith("] (0.809)") and first[3] == "-"
    assert second[4].endswith("] (0.904)")


# --- Tables and claims of scores made by hand


def scores(system, values, size=0.1, kind="time"):
    """A system's STOI in a cell."""
    ids = [f"s-{place}" for place in range(len(values))]
    unknown = [math.nan] * len(ids)
    return EnhancementScores(
        system,
        ids,
        unknown,
        {"stoi": values},
        corruption=kind,
        level=size,
    )


def test_a_cell_is_the_mean_of_what_all_systems_have():
    rows = inpainting_rows(
        [
            scores("gaps", [0.25, 0.75, math.nan, 0.9]),
            scores("speechVGG", [0.5, 0.5, 0.5, math.nan]),
        ]
    )
    assert value(rows, "gaps", "stoi", level=0.1) == 0.5
    text = inpainting_table(rows, "stoi", ["gaps", "lpc", "speechVGG"])
    assert text.splitlines()[2] == (
        "| Time, 10 % | 0.500 [0.250, 0.750] (0.893) | - (0.921) | "
        "0.500 [0.500, 0.500] (0.938) |"
    )


def test_sizes_are_averaged_by_segment():
    sizes = [
        scores("a", [0.2, 0.4, math.nan], 0.3),
        scores("a", [0.4, 0.8, 0.5], 0.4),
        scores("a", [1.0, 1.0, 1.0], 0.1),
    ]
    pooled = pool_scores(sizes, (0.3, 0.4)).scores["stoi"]
    assert pooled[:2] == pytest.approx([0.3, 0.6]) and math.isnan(pooled[2])
    assert pool_scores(sizes, (0.2,)) is None
    assert pool_scores([]) is None


def test_the_paper_s_numbers_are_as_printed():
    """Spot checks of both tables, and the bold ones of Table 3."""
    assert paper.published("noVGG", "random", 0.3, "stoi") == 0.872
    assert paper.published("imgvgg", "time", 0.2, "pesq_raw") == 2.713
    raw = "pesq_raw"
    assert paper.published("FC-noise", "time-frequency", 0.4, raw) == 1.787
    assert paper.published("PC-gaps", "time", 0.1, raw) == 3.240
    # Wideband PESQ has another scale.
    assert paper.published("PC-gaps", "time", 0.1, "pesq") is None
    assert paper.published("gaps", "time", 0.15, "stoi") is None
    assert paper.published("mine", "time", 0.1, "stoi") is None
    assert paper.published("gaps", "time", 0.1, "si_sdr") is None
    for kind in KINDS:
        for size in paper.LARGE:
            for metric in paper.METRICS:
                best = max(
                    paper.TABLES,
                    key=lambda name: (
                        paper.published(name, kind, size, metric) or 0
                    ),
                )
                assert best == paper.ADDITIVE
