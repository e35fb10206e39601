"""Synthesised noise is what it says; the noisy mini corpus is whole or absent."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import soundfile
import torch
from scipy.signal import welch

from speechbrain_ext.corpora import noisy_mini
from speechbrain_ext.corpora.lexicon import cmu_lexicon, text_to_phones
from speechbrain_ext.corpora.manifest import read_manifest, read_rows
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corpora.mini_noise import (
    TEST_KINDS,
    TRAIN_KINDS,
    make_mini_noise,
    write_clips,
)
from speechbrain_ext.corpora.mixing import PEAK, mix, mix_rows
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS, find_noises
from speechbrain_ext.corpora.noisy_mini import prepare_noisy_mini
from speechbrain_ext.errors import UserError

SIZES = {"train_minutes": 0.2, "valid_utterances": 2, "test_utterances": 9}
SPLITS = ("train", "valid", "test")
RATE = 16000


@pytest.fixture(scope="module")
def mini_folder(tmp_path_factory):
    """A small clean corpus; tests must not change it."""
    folder = tmp_path_factory.mktemp("clean") / "mini"
    prepare_mini(folder, n_workers=2, **SIZES)
    return folder


@pytest.fixture(scope="module")
def speech(mini_folder):
    return [row["wav"] for row in read_manifest(mini_folder / "train.csv")]


@pytest.fixture(scope="module")
def noise(tmp_path_factory, speech):
    """Clips of every kind, by kind: [time] each."""
    manifest = make_mini_noise(
        tmp_path_factory.mktemp("noise"), speech, minutes=0.5
    )
    clips = {}
    for row in read_rows(manifest, NOISE_COLUMNS):
        clip, rate = soundfile.read(row["wav"])
        assert (rate, len(clip) / rate) == (RATE, row["duration"])
        assert 15 <= row["duration"] <= 20
        clips.setdefault(row["kind"], []).append(clip)
    return clips


def contents(folder, *suffixes):
    """Every file below a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in suffixes
    }


# ---- kinds of noise --------------------------------------------------------


def spectrum(clip, size=1024):
    """Return Hz and dB."""
    hertz, power = welch(clip, RATE, nperseg=size)
    return hertz, 10 * numpy.log10(power + 1e-15)


def tonality(clip):
    """How far the strongest line stands above what is around it, in dB."""
    hertz, decibels = spectrum(clip, 16384)
    around = numpy.convolve(decibels, numpy.ones(65) / 65, "same")
    return (decibels - around)[(hertz > 45) & (hertz < 4000)].max()


def kurtosis(clip):
    return numpy.mean((clip - clip.mean()) ** 4) / clip.var() ** 2


def sharpest_attack(clip):
    """The steepest rise to something loud, in dB over the 20 ms before."""
    energies = (clip[: len(clip) // 64 * 64].reshape(-1, 64) ** 2).mean(axis=1)
    before = numpy.convolve(energies, numpy.ones(5) / 5, "valid")[:-1]
    after = energies[5:]
    return 10 * numpy.log10((after / before)[after > energies.mean()]).max()


def test_there_are_kinds_for_training_and_others_for_the_test(noise):
    assert TEST_KINDS == ("hum", "clatter")
    assert not set(TRAIN_KINDS) & set(TEST_KINDS)
    assert list(noise) == [*TRAIN_KINDS, *TEST_KINDS]
    assert all(len(clips) == 2 for clips in noise.values())


def test_levels(noise):
    for kind, clips in noise.items():
        for clip in clips:
            rms = numpy.sqrt((clip**2).mean())
            assert 0.005 < rms < 0.051, kind
            assert numpy.abs(clip).max() <= 0.91, kind


def test_pink_falls_by_about_three_decibels_an_octave(noise):
    for clip in noise["pink"]:
        hertz, decibels = spectrum(clip)
        band = (hertz > 100) & (hertz < 7000)
        slope = numpy.polyfit(numpy.log2(hertz[band]), decibels[band], 1)[0]
        assert 0.75 * -3.01 > slope > 1.25 * -3.01


def test_speech_shaped_noise_has_the_spectrum_of_speech(noise, speech):
    said = numpy.concatenate([soundfile.read(path)[0] for path in speech])
    for clip in noise["speech-shaped"]:
        apart = spectrum(clip, 512)[1] - spectrum(said, 512)[1]
        assert numpy.std(apart[3:-5]) < 1.5


def test_babble_is_speech_of_several(noise, speech):
    said = numpy.concatenate([soundfile.read(path)[0] for path in speech])
    for clip in noise["babble"]:
        apart = spectrum(clip, 512)[1] - spectrum(said, 512)[1]
        assert numpy.std(apart[3:-5]) < 4
        # Of many voices the sum is nearly Gaussian, which one voice is not.
        assert 3 < kurtosis(clip) < kurtosis(said)


def test_nothing_in_training_is_as_tonal_as_hum(noise):
    assert min(map(tonality, noise["hum"])) > 38
    for kind in TRAIN_KINDS:
        assert max(map(tonality, noise[kind])) < 36, kind


def test_hum_has_harmonics(noise):
    for clip in noise["hum"]:
        hertz, decibels = spectrum(clip, 16384)
        low = (hertz > 45) & (hertz < 210)
        lines = hertz[low][decibels[low] > decibels[low].max() - 25]
        pitch = lines[0]
        near = [numpy.abs(hertz - k * pitch).argmin() for k in range(1, 6)]
        peaks = [decibels[i - 8 : i + 9].max() for i in near]
        floor = numpy.median(decibels[near[0] : near[-1]])
        assert sum(peak > floor + 6 for peak in peaks) >= 4


def test_nothing_in_training_is_as_sudden_as_clatter(noise):
    assert min(map(kurtosis, noise["clatter"])) > 20
    assert min(map(sharpest_attack, noise["clatter"])) > 40
    for kind in TRAIN_KINDS:
        assert max(map(sharpest_attack, noise[kind])) < 30, kind


def test_a_clip_depends_on_seed_kind_and_number_alone(tmp_path, speech):
    kinds = ["pink", "rustle"]
    write_clips(tmp_path / "a", [], kinds, 0.5, seed=1, n_workers=3)
    write_clips(tmp_path / "b", speech, ["rustle"], 0.1, seed=1, n_workers=1)
    write_clips(tmp_path / "c", [], kinds, 0.1, seed=2)
    first, second, other = (contents(tmp_path / name, ".wav") for name in "abc")
    assert len(first) == 4 and len(second) == 1 and len(other) == 2
    assert second.items() <= first.items()
    assert not set(first.values()) & set(other.values())


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kinds": ["whistle"]}, "noise whistle: no such kind; expected babbl"),
        ({"kinds": ["babble"]}, "speech: none given; expected some for babble"),
        ({"kinds": ["pink"], "minutes": 0}, "minutes: is 0; expected"),
    ],
)
def test_noise_that_cannot_be_made(tmp_path, options, named):
    with pytest.raises(UserError, match=named):
        make_mini_noise(tmp_path, [], **options)


# ---- mixing ----------------------------------------------------------------


def test_nothing_clips_and_clean_and_noisy_stay_together():
    generator = torch.Generator().manual_seed(1)
    speech, noise = torch.randn(2, 5000, generator=generator)
    for level, snr in ((0.01, 5), (0.2, -10), (0.5, 20)):
        clean, noisy = mix(level * speech, noise, snr)
        added = noisy.double() - clean.double()
        ratio = clean.double().square().sum() / added.square().sum()
        assert 10 * ratio.log10() == pytest.approx(snr, abs=1e-3)
        assert max(clean.abs().max(), noisy.abs().max()) <= PEAK + 1e-6
        kept = torch.equal(clean, level * speech)
        assert kept == (level == 0.01)


def test_a_noise_that_is_shorter_than_the_speech(tmp_path, mini_folder):
    rows = read_manifest(mini_folder / "test.csv")
    soundfile.write(tmp_path / "hiss.wav", numpy.ones(8000) / 2, RATE)
    noises = find_noises(tmp_path)
    with pytest.raises(UserError, match="hiss.wav: 0.50 s of noise are short"):
        mix_rows(tmp_path, "test", rows, noises, [0], seed=1)
    mix_rows(tmp_path, "test", rows, noises, [0], seed=1, repeat=True)
    assert {row["noise"] for row in rows} == {"hiss"}


# ---- the noisy corpus ------------------------------------------------------


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, mini_folder):
    """Make a small corpus with synthesised noise; tests must not change it."""
    folder = tmp_path_factory.mktemp("noisy") / "corpus"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noisy_mini, "BABBLE_LANGUAGES", ("it",))
        prepare_noisy_mini(
            folder, clean_folder=mini_folder, noise_minutes=0.1, **SIZES
        )
    return folder


def test_pairs_have_their_snr_and_do_not_clip(noisy):
    for split in SPLITS:
        for row in read_manifest(noisy / f"{split}.csv"):
            clean, rate = soundfile.read(row["wav"])
            damaged, noisy_rate = soundfile.read(row["noisy_wav"])
            assert rate == noisy_rate == RATE
            assert len(clean) == len(damaged) == round(row["duration"] * RATE)
            power = ((damaged - clean) ** 2).sum()
            snr = 10 * numpy.log10((clean**2).sum() / power)
            assert snr == pytest.approx(row["snr"], abs=0.02)
            assert numpy.abs(damaged).max() <= PEAK + 1e-4


def test_the_speech_is_that_of_the_mini_corpus(noisy, mini_folder):
    for split in SPLITS:
        rows = read_manifest(noisy / f"{split}.csv")
        for row, was in zip(
            rows, read_manifest(mini_folder / f"{split}.csv"), strict=True
        ):
            for key in ("ID", "duration", "spk_id", "wrd"):
                assert row[key] == was[key]
            scaled, _ = soundfile.read(row["wav"])
            clean, _ = soundfile.read(was["wav"])
            gain = (scaled @ clean) / (clean @ clean)
            assert 0.2 < gain <= 1.0001
            assert scaled == pytest.approx(gain * clean, abs=1e-4)
            phones, unknown = text_to_phones(row["wrd"], cmu_lexicon())
            assert row["phn"] == ("" if unknown else " ".join(phones))


def test_snrs_and_kinds_are_voicebank_s_and_the_test_s_are_unseen(noisy):
    rows = {split: read_manifest(noisy / f"{split}.csv") for split in SPLITS}
    for split in ("train", "valid"):
        assert {row["snr"] for row in rows[split]} <= {0, 5, 10, 15}
        assert {row["noise"] for row in rows[split]} <= {*TRAIN_KINDS}
    # Nine utterances: each of the eight conditions, and one again.
    conditions = {(row["snr"], row["noise"]) for row in rows["test"]}
    assert conditions == {
        (snr, kind) for snr in (2.5, 7.5, 12.5, 17.5) for kind in TEST_KINDS
    }


def test_noise_manifests(noisy):
    noises = {
        split: read_rows(noisy / f"{split}-noise.csv", NOISE_COLUMNS)
        for split in SPLITS
    }
    kinds = {split: {row["kind"] for row in noises[split]} for split in SPLITS}
    assert kinds["train"] == kinds["valid"] == {*TRAIN_KINDS}
    assert kinds["test"] == {*TEST_KINDS}
    clips = contents(noisy / "wav" / "noise", ".wav")
    assert len(clips) == sum(map(len, noises.values()))
    assert len(set(clips.values())) == len(clips)
    assert find_noises(noisy / "train-noise.csv") == noises["train"]


def again(folder, mini_folder, **options):
    """Call as the fixture did."""
    return prepare_noisy_mini(
        folder,
        clean_folder=mini_folder,
        **{"noise_minutes": 0.1, **SIZES, **options},
    )


def test_a_second_call_does_nothing(noisy, mini_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(noisy_mini, "write_clips", None)
    monkeypatch.setattr(noisy_mini, "mix_rows", None)
    before = contents(noisy, ".wav", ".csv", ".json")
    copies = again(noisy, mini_folder, save_folder=tmp_path)
    assert contents(noisy, ".wav", ".csv", ".json") == before
    assert set(copies) == {
        *SPLITS,
        *(f"{split}-noise" for split in SPLITS),
    }
    for name, copy in copies.items():
        assert copy == tmp_path / f"{name}.csv"
        assert copy.read_bytes() == (noisy / f"{name}.csv").read_bytes()


@pytest.fixture
def recordings(tmp_path):
    """Five noises of a user: one kind of four files, one of one file."""
    rng = numpy.random.default_rng(1)
    for number in range(5):
        kind = "street" if number < 4 else "."
        path = tmp_path / "recordings" / kind / f"n{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        clip = 0.1 * rng.standard_normal(7 * RATE)
        soundfile.write(path, clip, RATE)
    return tmp_path / "recordings"


def test_a_user_s_noises(tmp_path, mini_folder, recordings):
    manifests = again(tmp_path / "out", mini_folder, noise_folder=recordings)
    noises = {
        split: read_rows(manifests[f"{split}-noise"], NOISE_COLUMNS)
        for split in SPLITS
    }
    used = [row["wav"] for rows in noises.values() for row in rows]
    assert sorted(used) == sorted(map(str, recordings.rglob("*.wav")))
    assert {row["kind"] for rows in noises.values() for row in rows} == {
        "street",
        "n4",
    }
    assert all(noises.values())
    for split in SPLITS:
        kinds = {row["noise"] for row in read_manifest(manifests[split])}
        assert kinds <= {row["kind"] for row in noises[split]}


def test_snrs_of_a_range(tmp_path, mini_folder, recordings):
    ranges = {"train": (-3, 20), "valid": (-3, 20), "test": (0, 10)}
    made = {
        name: again(
            tmp_path / name,
            mini_folder,
            noise_folder=recordings,
            snr_ranges=value,
        )
        for name, value in (("drawn", ranges), ("fixed", None))
    }
    for split, (low, high) in ranges.items():
        rows = read_manifest(made["drawn"][split])
        assert all(low <= row["snr"] <= high for row in rows)
        assert len({row["snr"] for row in rows}) == len(rows)
        for row in rows:
            clean, damaged = (
                soundfile.read(row[key])[0] for key in ("wav", "noisy_wav")
            )
            ratio = (clean**2).sum() / ((damaged - clean) ** 2).sum()
            assert 10 * numpy.log10(ratio) == pytest.approx(
                row["snr"], abs=0.05
            )
    fixed = read_manifest(made["fixed"]["test"])
    assert {row["snr"] for row in fixed} <= {2.5, 7.5, 12.5, 17.5}
    markers = [
        json.loads((tmp_path / name / noisy_mini.MARKER).read_text())
        for name in made
    ]
    # What was made before there were ranges is found again.
    assert markers[0].pop("snr_ranges") and markers[0] == markers[1]


def test_the_same_for_the_same_settings(tmp_path, mini_folder, recordings):
    for name in "ab":
        again(tmp_path / name, mini_folder, noise_folder=recordings)
    first, second = (contents(tmp_path / name, ".wav") for name in "ab")
    assert first and first == second


def test_valid_and_test_do_not_depend_on_train(
    tmp_path, mini_folder, recordings
):
    # Another minute count has another clean corpus, so that one is made here.
    sizes = {**SIZES, "train_minutes": 0.1}
    again(tmp_path / "a", mini_folder, noise_folder=recordings)
    prepare_noisy_mini(tmp_path / "b", noise_folder=recordings, **sizes)
    for split in ("valid", "test"):
        for side in ("clean", "noisy"):
            first, second = (
                contents(tmp_path / name / "wav" / side / split, ".wav")
                for name in "ab"
            )
            assert first and first == second


def test_other_settings_or_a_lost_file_make_it_anew(
    tmp_path, mini_folder, recordings
):
    folder = tmp_path / "out"

    def make(**options):
        again(folder, mini_folder, noise_folder=recordings, **options)
        return contents(folder, ".wav")

    before = make()
    next(folder.glob("wav/noisy/valid/*.wav")).unlink()
    assert make() == before
    make(repeat=True)
    assert json.loads((folder / noisy_mini.MARKER).read_text())["repeat"]
    (recordings / "street" / "n0.wav").rename(recordings / "street" / "n9.wav")
    assert make() != before
    assert not (folder / "wav.partial").exists()


def test_two_at_once_make_one(tmp_path, mini_folder, recordings, monkeypatch):
    made, real = [], noisy_mini.mix_rows
    monkeypatch.setattr(
        noisy_mini,
        "mix_rows",
        lambda *arguments: made.append(arguments[1]) or real(*arguments),
    )
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(
                again, tmp_path / "out", mini_folder, noise_folder=recordings
            )
            for _ in range(2)
        ]
    assert calls[0].result() == calls[1].result()
    assert sorted(made) == sorted(SPLITS)


class Killed(BaseException):
    """Ends a run as a signal does: nothing but ``finally`` comes after it."""


@pytest.mark.parametrize(
    ("step", "calls"), [("mix_rows", 2), ("write_manifest", 2)]
)
def test_a_killed_run_looks_incomplete_and_is_made_good(
    tmp_path, mini_folder, recordings, monkeypatch, step, calls
):
    folder = tmp_path / "out"
    expected = again(tmp_path / "whole", mini_folder, noise_folder=recordings)
    called, real = [], getattr(noisy_mini, step)

    def die(*arguments):
        called.append(step)
        if len(called) == calls:
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(noisy_mini, step, die)
        with pytest.raises(Killed):
            again(folder, mini_folder, noise_folder=recordings)
    marker = folder / noisy_mini.MARKER
    assert not marker.exists() or not json.loads(marker.read_text())["complete"]
    again(folder, mini_folder, noise_folder=recordings)
    assert contents(folder / "wav", ".wav") == contents(
        expected["train"].parent / "wav", ".wav"
    )


def test_a_folder_of_something_else_is_left_alone(
    tmp_path, mini_folder, recordings
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.csv").write_text("mine")
    with pytest.raises(UserError, match="train.csv: is not of the noisy mini"):
        again(tmp_path / "out", mini_folder, noise_folder=recordings)
    assert (tmp_path / "out" / "train.csv").read_text() == "mine"
    assert not (tmp_path / "out" / "wav").exists()


def test_noises_that_cannot_be_used(tmp_path, mini_folder, recordings):
    def refused(expected):
        with pytest.raises(UserError, match=expected) as caught:
            again(tmp_path / "out", mini_folder, noise_folder=recordings)
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out" / noisy_mini.MARKER).exists()

    soundfile.write(recordings / "street" / "n0.wav", numpy.ones(800), RATE)
    refused("n0.wav: 0.05 s of noise are shorter than speech")
    for path in recordings.rglob("*.wav"):
        soundfile.write(path, numpy.zeros(7 * RATE), RATE)
    refused(".wav: is silent; expected noise")
    shutil.rmtree(recordings / "street")
    refused("recordings: 1 noise recordings; expected at least 3")
    shutil.rmtree(recordings)
    refused("recordings: no such file or folder; expected recordings")


def test_minutes_of_noise_above_zero(tmp_path):
    with pytest.raises(UserError, match="noise_minutes: is 0; expected"):
        prepare_noisy_mini(tmp_path, noise_minutes=0)
