"""Mixtures that are listed in manifests and mixed when they are read."""

import numpy
import pytest
import soundfile
import torch
from scipy import stats

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora import mixture_manifests, prepare
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
)
from speechbrain_ext.corpora.mixture_manifests import (
    write_mixture_manifests,
    write_noise_manifests,
)
from speechbrain_ext.corpora.noise_files import (
    NOISE_COLUMNS,
    NoiseCuts,
    find_noises,
)
from speechbrain_ext.corpora.noise_mixtures import (
    SNR_RANGES,
    MixtureReader,
    list_mixtures,
    render_mixtures,
    split_noises,
)
from speechbrain_ext.corpora.prepare import prepare_generic_enhancement
from speechbrain_ext.errors import UserError

SPLITS = ("train", "valid", "test")


def write(path, samples, rate=SAMPLE_RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


def hiss(n, seed=0):
    return 0.1 * numpy.random.default_rng(seed).standard_normal(n)


def some_noises(n, seconds=10.0):
    return [
        {"ID": f"n{i}", "duration": seconds, "wav": f"n{i}.wav", "kind": "k"}
        for i in range(n)
    ]


def some_rows(n, seconds=4.0):
    return [{"ID": f"u{i}", "duration": seconds} for i in range(n)]


def snr_of(clean, noisy):
    ratio = clean.square().sum() / (noisy - clean).square().sum()
    return 10 * float(ratio.log10())


# ---- which noise is for what ----------------------------------------------


def test_no_two_splits_share_a_recording():
    noises = [
        {"ID": f"door_Freesound_{n}_{part}", "wav": "", "kind": "door"}
        for n in range(100)
        for part in range(3)
    ]
    parts = split_noises(noises)
    assert [len(part) for part in parts.values()] == [270, 15, 15]
    recordings = [
        {noise["ID"].rpartition("_")[0] for noise in part}
        for part in parts.values()
    ]
    assert [len(names) for names in recordings] == [90, 5, 5]
    assert not set.intersection(*recordings[:2])
    assert not recordings[2] & (recordings[0] | recordings[1])


def test_the_order_of_the_files_does_not_matter():
    noises = some_noises(50)
    first, second = split_noises(noises), split_noises(noises[::-1])
    for split in SPLITS:
        assert first[split] == second[split][::-1]


def test_three_cuts_of_one_recording_are_divided_where_there_is_no_other():
    noises = [{"ID": f"street_{n}"} for n in range(3)]
    assert all(len(part) == 1 for part in split_noises(noises).values())
    with pytest.raises(UserError, match="noise: 2 recordings; expected at"):
        split_noises(noises[:2])


# ---- which mixtures there are ---------------------------------------------


def test_a_mixture_is_a_function_of_the_seed_and_its_name():
    noises = some_noises(20)
    rows = list_mixtures(some_rows(30), noises, (0, 10), seed=1)
    again = list_mixtures(some_rows(30)[::-1], noises, (0, 10), seed=1)
    assert {row["ID"]: row for row in rows} == {r["ID"]: r for r in again}
    assert list_mixtures(some_rows(3), noises, (0, 10), 1) == rows[:3]
    other = list_mixtures(some_rows(30), noises, (0, 10), seed=2)
    for key in ("noise_wav", "noise_start", "snr"):
        pairs = [one[key] != two[key] for one, two in zip(rows, other)]
        assert sum(pairs) > 20, key


def test_every_utterance_is_mixed_before_any_is_again():
    rows = list_mixtures(some_rows(7), some_noises(9), (0, 10), 1, count=17)
    assert len({row["ID"] for row in rows}) == 17
    said = [row["ID"].rpartition("-")[0] for row in rows]
    for first in (0, 7):
        assert len(set(said[first : first + 7])) == 7
    assert len(set(said[14:])) == 3


def test_snrs_and_starts_are_uniform():
    rows = list_mixtures(some_rows(2000), some_noises(10), (-3, 20), seed=3)
    snrs = [(row["snr"] + 3) / 23 for row in rows]
    assert stats.kstest(snrs, "uniform").pvalue > 0.01
    starts = [row["noise_start"] / 6 for row in rows]
    assert stats.kstest(starts, "uniform").pvalue > 0.01
    counts = numpy.unique([r["noise_wav"] for r in rows], return_counts=True)
    assert len(counts[1]) == 10
    assert stats.chisquare(counts[1]).pvalue > 0.01


def test_short_noise_may_start_anywhere():
    rows = list_mixtures(some_rows(200), some_noises(2, 1.0), (0, 10), 1)
    starts = [row["noise_start"] for row in rows]
    assert 0 <= min(starts) < 0.1 and 0.9 < max(starts) < 1


# ---- mixing ---------------------------------------------------------------


@pytest.fixture
def speech(tmp_path):
    return write(tmp_path / "speech.wav", hiss(16000, seed=7))


def test_the_noise_is_at_its_place_and_level(tmp_path):
    noise = write(tmp_path / "noise.wav", hiss(32000))
    clean = torch.from_numpy(hiss(8000, seed=1)).float()
    noisy = MixtureReader()(clean, noise, 0.75, -3.0)
    assert snr_of(clean, noisy) == pytest.approx(-3.0, abs=1e-3)
    place = load_audio(noise)[12000:20000]
    cosine = torch.cosine_similarity(noisy - clean, place, dim=0)
    assert float(cosine) == pytest.approx(1.0, abs=1e-5)


def test_noise_that_is_shorter_starts_again(tmp_path):
    noise = write(tmp_path / "noise.wav", hiss(3000))
    clean = torch.ones(8000)
    added = MixtureReader()(clean, noise, 1000 / SAMPLE_RATE, 5.0) - clean
    assert torch.allclose(added[:3000], added[3000:6000], atol=1e-6)
    assert torch.allclose(added[:2000], added[6000:], atol=1e-6)
    assert not torch.allclose(added[:2000], added[1000:3000], atol=1e-2)


def test_noise_of_another_rate_is_resampled(tmp_path):
    time = numpy.arange(96000) / 48000
    noise = write(tmp_path / "n.wav", 0.3 * numpy.sin(6283.185 * time), 48000)
    clean = 1e-3 * torch.ones(16000)
    added = MixtureReader()(clean, noise, 0.5, 0.0) - clean
    assert int(torch.fft.rfft(added).abs().argmax()) == 1000


def test_a_silent_piece_gives_way_to_the_loudest(tmp_path):
    samples = numpy.concatenate([numpy.zeros(16000), hiss(4000)])
    noise = write(tmp_path / "noise.wav", samples)
    clean = torch.ones(2000)
    noisy = MixtureReader()(clean, noise, 0.0, 10.0)
    assert snr_of(clean, noisy) == pytest.approx(10.0, abs=1e-3)


def test_silent_speech_stays_finite(tmp_path):
    noise = write(tmp_path / "noise.wav", hiss(16000))
    assert MixtureReader()(torch.zeros(800), noise, 0.0, 5.0).isfinite().all()


def test_silent_noise_is_refused(tmp_path, speech):
    noise = write(tmp_path / "noise.wav", numpy.zeros(16000))
    with pytest.raises(UserError, match="noise.wav: is silent; expected noise"):
        MixtureReader()(torch.ones(800), noise, 0.0, 5.0)


# ---- manifests ------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path, speech):
    """Two mixtures: a whole recording and a segment of it."""
    noise = write(tmp_path / "noise.wav", hiss(32000))
    rows = [
        {
            "ID": name,
            "duration": seconds,
            "wav": speech,
            "spk_id": "s",
            "wrd": "hi",
            "start": start,
            "snr": 5.0,
            "noise": "hiss",
            "noise_wav": noise,
            "noise_start": 0.5,
            "seed": 1,
        }
        for name, start, seconds in (("a", 0.0, 1.0), ("b", 0.25, 0.5))
    ]
    write_manifest(tmp_path / "mix.csv", rows)
    return tmp_path / "mix.csv"


def test_a_data_set_mixes_them(manifest, speech):
    rows = read_manifest(manifest)
    pairs = [MixtureReader().load_pair(row) for row in rows]
    data = manifest_dataset(manifest)
    for item, (clean, noisy) in zip(data, pairs, strict=True):
        assert torch.equal(item["sig"], clean)
        assert torch.equal(item["noisy"], noisy)
        assert snr_of(clean, noisy) == pytest.approx(5.0, abs=1e-3)
    assert torch.equal(pairs[1][0], load_audio(speech)[4000:12000])
    assert "noisy" not in manifest_dataset(manifest, noisy=False)[0]


def test_rendered_mixtures_are_what_would_be_mixed(manifest, tmp_path):
    rendered = read_manifest(render_mixtures(manifest, tmp_path / "out"))
    reader = MixtureReader()
    for row, before in zip(rendered, read_manifest(manifest), strict=True):
        assert "noise_wav" not in row and row["snr"] == 5.0
        clean, noisy = reader.load_pair(row)
        wanted = reader.load_pair(before)
        # 16 bits, and perhaps lowered together.
        gain = float(clean.norm() / wanted[0].norm())
        assert gain <= 1 + 1e-3
        for found, right in zip((clean, noisy), wanted):
            assert torch.allclose(found, gain * right, atol=2e-4)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("noise_wav", "gone.wav", "a: no recording of noise gone.wav"),
        ("noise_start", "-1", "a: noise_start is '-1'; expected seconds"),
        ("snr", "", "a: noise_wav without noise_start and snr; expected"),
    ],
)
def test_bad_mixtures_are_named(manifest, column, value, expected):
    rows = read_manifest(manifest)
    rows[0][column] = value
    write_manifest(manifest, rows)
    with pytest.raises(UserError, match=expected) as caught:
        read_manifest(manifest)
    assert "\n" not in str(caught.value)


def test_a_row_without_noise_has_no_pair(manifest):
    row = read_manifest(manifest)[0]
    row.pop("noise_wav")
    with pytest.raises(UserError, match="a: neither noisy_wav nor noise_wav"):
        MixtureReader().load_pair(row)


# ---- preparers ------------------------------------------------------------


@pytest.fixture
def dns(tmp_path):
    """Noise as the DNS Challenge has it, and speech, which it also has."""
    folder = tmp_path / "DNS" / "datasets_fullband"
    for n in range(8):
        path = folder / "noise_fullband" / f"fan_Freesound_{n}_0.wav"
        write(path, hiss(24000, seed=n), 48000)
    write(folder / "clean_fullband" / "speech.wav", hiss(800))
    return tmp_path / "DNS"


@pytest.fixture
def libri(tmp_path):
    """One chapter a split, of three utterances."""
    root = tmp_path / "LibriSpeech"
    for number, split in enumerate(
        ("train-clean-100", "dev-clean", "test-clean")
    ):
        folder = root / split / str(number) / "1"
        names = [f"{number}-1-{n:04d}" for n in range(3)]
        for n, name in enumerate(names):
            write(folder / f"{name}.flac", hiss(6000 + 800 * n))
        lines = "".join(f"{name} GOOD MORNING\n" for name in names)
        (folder / f"{number}-1.trans.txt").write_text(lines)
    return root


LIBRI = {
    "train_splits": ["train-clean-100"],
    "n_train": 7,
    "n_valid": 3,
    "n_test": 2,
}


def test_librispeech_and_dns(libri, dns, tmp_path):
    made = prepare_generic_enhancement(libri, tmp_path / "out", dns, **LIBRI)
    noises = {}
    for split, count in (("train", 7), ("valid", 3), ("test", 2)):
        rows = read_manifest(made[split])
        assert len(rows) == count
        low, high = SNR_RANGES[split]
        assert all(low <= row["snr"] <= high for row in rows)
        assert all("/noise_fullband/" in row["noise_wav"] for row in rows)
        listed = read_rows(made[f"{split}-noise"], NOISE_COLUMNS)
        noises[split] = {row["wav"] for row in listed}
        assert {row["noise_wav"] for row in rows} <= noises[split]
        assert all("noisy" in item for item in manifest_dataset(made[split]))
    assert sum(map(len, noises.values())) == len(set().union(*noises.values()))
    assert SNR_RANGES == {"train": (-3, 20), "valid": (-3, 20), "test": (0, 10)}


def test_mixtures_are_listed_once(libri, dns, tmp_path, monkeypatch):
    def make(**changes):
        return prepare_generic_enhancement(
            libri, tmp_path / "out", dns, **{**LIBRI, **changes}
        )

    before = make()["train"].read_bytes()
    with monkeypatch.context() as patch:
        for name in ("find_noises", "list_mixtures"):
            patch.delattr(mixture_manifests, name)
        make()
    assert make(n_train=8)["train"].read_bytes() != before
    assert make(seed=2)["train"].read_bytes() != before
    assert make()["train"].read_bytes() == before
    write(dns / "datasets_fullband" / "noise_fullband" / "new.wav", hiss(800))
    assert b"new" in b"".join(
        make()[f"{split}-noise"].read_bytes() for split in SPLITS
    )


def test_noise_folders_that_cannot_be_used(libri, tmp_path):
    def refused(noise_folder, expected):
        with pytest.raises(UserError, match=expected) as caught:
            prepare_generic_enhancement(
                libri, tmp_path / "out", noise_folder, **LIBRI
            )
        assert "\n" not in str(caught.value)

    refused("", "noise_folder: not given; expected recordings of noise")
    refused(tmp_path / "none", "none: no such folder; expected recordings")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "empty: no audio files; expected recordings")
    write(tmp_path / "empty" / "one.wav", hiss(800))
    refused(tmp_path / "empty", "noise: 1 recordings; expected at least 3")


def test_no_mixtures_are_refused(libri, dns, tmp_path):
    with pytest.raises(UserError, match="valid: 0 mixtures; expected 1"):
        prepare_generic_enhancement(
            libri, tmp_path / "out", dns, **{**LIBRI, "n_valid": 0}
        )


def test_mixtures_of_all_utterances(libri, dns, tmp_path):
    speech = prepare.prepare_librispeech(
        libri, tmp_path / "speech", {"test": ["test-clean"]}
    )
    noises = write_noise_manifests(dns, tmp_path)
    noises = {"test": noises["test"]}
    made = write_mixture_manifests(speech, noises, tmp_path, seed=1)
    before, after = (
        [row["ID"] for row in read_manifest(path)]
        for path in (speech["test"], made["test"])
    )
    assert before == after and set(made) == {"test", "test-noise"}


def test_without_data_it_is_the_noisy_mini_corpus(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        prepare,
        "prepare_noisy_mini",
        lambda *arguments, **options: asked.append((arguments, options)),
    )
    monkeypatch.setenv("SPEECHBRAIN_EXT_CACHE", str(tmp_path))
    prepare_generic_enhancement("", "out", train_minutes=1)
    prepare_generic_enhancement("", "out", train_minutes=1, test_utterances=9)
    (first, options), (second, _) = asked
    assert first[0] == tmp_path / "noisy-mini-generic-1-minutes"
    assert options["clean_folder"] == tmp_path / "mini-1-minutes"
    assert options["snr_ranges"] == SNR_RANGES
    assert second[0] != first[0]


def test_cuts_of_a_known_place_and_of_a_random_one_are_of_one_recording(
    tmp_path,
):
    path = write(tmp_path / "noise.wav", hiss(8000))
    cuts = NoiseCuts(find_noises(path))
    drawn, _ = cuts.draw(8000, numpy.random.default_rng(0))
    assert torch.equal(drawn, cuts.cut_at(str(path), 0, 8000))
