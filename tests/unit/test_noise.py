"""Additive noise and reverberation: the SNR that comes out, and from where."""

import copy
import math
import pickle

import numpy
import pytest
import scipy.signal
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from scipy import stats

from speechbrain_ext.corpora import noise_files
from speechbrain_ext.corpora.noise_files import NoiseCuts, find_noises
from speechbrain_ext.corruption.noise import (
    AdditiveNoise,
    DamageSequence,
    Reverberation,
)
from speechbrain_ext.corruption.packet_loss import (
    BernoulliLoss,
    WaveformPacketLoss,
)
from speechbrain_ext.errors import UserError

RATE = 16000
LENGTHS = (8000, 4001, 6400)
IDS = ["a", "b", "c"]


def write(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def hiss(n_samples=RATE, seed=0):
    return 0.1 * numpy.random.default_rng(seed).standard_normal(n_samples)


@pytest.fixture
def noises(tmp_path):
    """A folder of three noises of two kinds."""
    for number, name in enumerate(["wind/a.wav", "wind/b.flac", "rain.wav"]):
        path = tmp_path / "noises" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, hiss(RATE, number), RATE)
    return tmp_path / "noises"


@pytest.fixture
def speech():
    """A padded batch, its padding not zero, and relative lengths."""
    generator = torch.Generator().manual_seed(1)
    wavs = 0.1 * torch.randn(3, max(LENGTHS), generator=generator)
    return wavs, torch.tensor(LENGTHS) / max(LENGTHS)


def snr_of(clean, noisy):
    """In dB, in double precision."""
    clean, noise = clean.double(), noisy.double() - clean.double()
    return 10 * math.log10(clean.square().sum() / noise.square().sum())


# ---- the SNR ---------------------------------------------------------------


@pytest.mark.parametrize("snr", [-5, 0, 2.5, 17.5])
def test_the_snr_is_exact_over_the_utterance_s_own_samples(noises, speech, snr):
    wavs, lengths = speech
    damage = AdditiveNoise(noises, [0], seed=1)
    noisy, lost = damage(wavs, lengths, IDS, epoch=0, rate=snr)
    assert lost is None
    for n, wav, row in zip(LENGTHS, wavs, noisy, strict=True):
        assert snr_of(wav[:n], row[:n]) == pytest.approx(snr, abs=1e-3)
        assert not row[n:].any()


def test_snrs_are_drawn_with_equal_chances(noises):
    wavs, snrs = torch.ones(400, 160), [0, 5, 10, 15]
    names = [str(number) for number in range(400)]
    damage = AdditiveNoise(noises, snrs, seed=1)
    noisy, _ = damage(wavs, torch.ones(400), names, epoch=3)
    got = [snr_of(*rows) for rows in zip(wavs, noisy, strict=True)]
    counts = [sum(abs(each - snr) < 0.01 for each in got) for snr in snrs]
    assert sum(counts) == 400
    assert stats.chisquare(counts).pvalue > 1e-3


def test_snrs_are_drawn_from_a_range(noises):
    wavs = torch.ones(400, 160)
    names = [str(number) for number in range(400)]
    damage = AdditiveNoise(noises, None, seed=1, snr_range=(-3, 12))
    noisy, _ = damage(wavs, torch.ones(400), names, epoch=0)
    got = [snr_of(*rows) for rows in zip(wavs, noisy, strict=True)]
    assert stats.kstest(got, stats.uniform(-3, 15).cdf).pvalue > 1e-3


def test_the_noise_is_the_same_at_each_snr(noises, speech):
    wavs, lengths = speech
    damage = AdditiveNoise(noises, [0, 5], seed=1)
    quiet, loud = (
        damage(wavs, lengths, IDS, epoch=0, rate=rate)[0] for rate in (20, 0)
    )
    clean = wavs[0]
    assert torch.allclose(10 * (quiet[0] - clean), loud[0] - clean, atol=1e-5)


def test_silent_speech_stays_silent(noises):
    damage = AdditiveNoise(noises, [0], seed=1)
    noisy, _ = damage(torch.zeros(1, 160), torch.ones(1), ["a"], epoch=0)
    assert not noisy.any()


# ---- what it depends on ----------------------------------------------------


def damages(noises):
    rir = numpy.exp(-numpy.arange(400) / 50) * hiss(400, 7)
    rirs = write(noises.parent / "rirs" / "room.wav", rir).parent
    write(noises.parent / "rirs" / "hall.wav", rir[::-1])
    noise, room = AdditiveNoise(noises, [0, 5], 1), Reverberation(rirs, 1)
    return [noise, room, DamageSequence([room, noise])]


@pytest.mark.parametrize("which", range(3))
def test_batch_and_order_do_not_matter(noises, speech, which):
    wavs, lengths = speech
    damage = damages(noises)[which]
    together, _ = damage(wavs, lengths, IDS, epoch=2)
    for row, (n, name) in enumerate(zip(LENGTHS, IDS, strict=True)):
        alone, _ = damage(wavs[row : row + 1, :n], torch.ones(1), [name], 2)
        assert torch.equal(alone[0], together[row, :n])
        assert not together[row, n:].any()
    wider = torch.nn.functional.pad(wavs.flip(0), (0, 123))
    lengths = lengths.flip(0) * max(LENGTHS) / wider.shape[1]
    again, _ = damage(wider, lengths, IDS[::-1], epoch=2)
    assert torch.equal(again.flip(0)[:, : wavs.shape[1]], together)


@pytest.mark.parametrize("which", range(3))
def test_seed_epoch_and_id_each_matter(noises, which):
    damage = damages(noises)[which]
    names = [f"utterance-{number}" for number in range(9)]
    wavs = hiss(4000, 5)[None].repeat(9, axis=0)

    def damaged(names, damage, epoch):
        wav = torch.tensor(wavs).float()
        return damage(wav, torch.ones(9), names, epoch)[0]

    first = damaged(names, damage, 1)
    others = names[1:] + names[:1]
    assert torch.equal(first, damaged(names, copy.deepcopy(damage), 1))
    assert torch.equal(first, damaged(names, damage.with_seed(1), 1)) or (
        isinstance(damage, DamageSequence)
    )
    assert not torch.equal(first, damaged(others, damage, 1))
    assert not torch.equal(first, damaged(names, damage.with_seed(2), 1))
    assert not torch.equal(first, damaged(names, damage, 2))


def test_the_global_generators_are_left_alone(noises, speech):
    torch.manual_seed(0)
    numpy.random.seed(0)
    damages(noises)[2](*speech, IDS, epoch=0)
    numbers = torch.rand(1).item(), numpy.random.random()
    torch.manual_seed(0)
    numpy.random.seed(0)
    assert numbers == (torch.rand(1).item(), numpy.random.random())


def test_noise_and_room_are_drawn_apart(noises):
    """Damages of one seed would otherwise pair a noise with a room."""
    noise, room, _ = damages(noises)
    names = [str(number) for number in range(60)]
    wavs, lengths = torch.ones(60, 2000), torch.ones(60)
    noisy, _ = noise(wavs, lengths, names, epoch=0)
    wet, _ = room(wavs, lengths, names, epoch=0)
    loud = [snr_of(*rows) < 2 for rows in zip(wavs, noisy, strict=True)]
    first = [torch.allclose(row, wet[0]) for row in wet]
    pairs = set(zip(loud, first, strict=True))
    assert len(pairs) == 4


def test_a_damage_survives_pickling(noises, speech):
    for damage in damages(noises):
        again = pickle.loads(pickle.dumps(damage))
        first, second = (each(*speech, IDS, 0)[0] for each in (damage, again))
        assert torch.equal(first, second)


def test_damages_come_from_yaml(noises):
    module = "speechbrain_ext.corruption.noise"
    loaded = load_hyperpyyaml(
        f"damage: !new:{module}.AdditiveNoise\n"
        f"    noises: {noises}\n"
        "    snrs: [0, 5, 10, 15]\n"
        "    seed: 1\n"
    )
    noisy, _ = loaded["damage"](torch.ones(1, 99), torch.ones(1), ["a"], 0)
    assert loaded["damage"].name == "additive-noise"
    assert noisy.shape == (1, 99)


# ---- recordings ------------------------------------------------------------


def test_noises_are_found_in_a_folder_a_list_and_a_manifest(noises, tmp_path):
    rows = find_noises(noises)
    assert [(row["ID"], row["kind"], row["duration"]) for row in rows] == [
        ("rain", "rain", 1.0),
        ("wind-a", "wind", 1.0),
        ("wind-b", "wind", 1.0),
    ]
    listed = find_noises([row["wav"] for row in rows[:2]])
    assert [row["kind"] for row in listed] == ["rain", "a"]
    manifest = tmp_path / "noise.csv"
    manifest.write_text(f"ID,duration,wav,kind\nx,1.0,{rows[0]['wav']},hum\n")
    assert find_noises(manifest) == [
        {"ID": "x", "duration": 1.0, "wav": rows[0]["wav"], "kind": "hum"}
    ]


@pytest.mark.parametrize("make", ["folder", "file", "list", "manifest"])
def test_missing_noises_are_named(tmp_path, make):
    gone = tmp_path / "gone"
    source = {
        "folder": gone,
        "file": gone.with_suffix(".wav"),
        "list": [gone.with_suffix(".wav")],
        "manifest": gone.with_suffix(".csv"),
    }[make]
    damage = AdditiveNoise(source, [0], seed=1)
    with pytest.raises(UserError, match="gone.*: no such file") as caught:
        apply(damage)
    assert "\n" not in str(caught.value)


def apply(damage):
    return damage(torch.ones(1, 800), torch.ones(1), ["a"], epoch=0)


def test_a_manifest_that_names_a_missing_file(tmp_path):
    manifest = tmp_path / "noise.csv"
    manifest.write_text("ID,duration,wav,kind\nx,1.0,gone.wav,hum\n")
    with pytest.raises(UserError, match="noise.csv: x: no audio file gone.wav"):
        apply(AdditiveNoise(manifest, [0], seed=1))


def test_a_folder_without_noises(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="no audio files; expected recordings"):
        apply(AdditiveNoise(tmp_path, [0], seed=1))
    (tmp_path / "noise.wav").write_text("not audio")
    with pytest.raises(UserError, match="noise.wav: not a readable audio file"):
        apply(AdditiveNoise(tmp_path, [0], seed=1))


def test_a_recording_shorter_than_the_speech(noises, speech):
    short = write(noises / "short.wav", hiss(4800))
    damage = AdditiveNoise(noises, [0], seed=1)
    damage(torch.ones(1, 4800), torch.ones(1), ["a"], 0)
    with pytest.raises(UserError) as caught:
        damage(torch.ones(1, 8000), torch.ones(1), ["a"], 0)
    assert str(caught.value) == (
        f"{short}: 0.30 s of noise are shorter than speech of 0.50 s; "
        "expected longer recordings, or repeat: True"
    )
    repeating = AdditiveNoise(short, [0], seed=1, repeat=True)
    wavs, lengths = speech
    noisy, _ = repeating(wavs, lengths, IDS, 0, rate=0)
    noise = (noisy - wavs)[0]
    assert torch.allclose(noise[:3200], noise[4800:], atol=1e-6)
    assert snr_of(wavs[0], noisy[0]) == pytest.approx(0, abs=1e-3)


def test_a_silent_recording_is_named(tmp_path):
    path = write(tmp_path / "silence.wav", 1e-5 * hiss())
    damage = AdditiveNoise(path, [0], seed=1)
    with pytest.raises(UserError, match="silence.wav: is silent; expected noi"):
        damage(torch.ones(1, 160), torch.ones(1), ["a"], 0)


def test_pauses_of_a_recording_are_not_cut_out(tmp_path):
    # A second of noise in forty, and dither in the rest.
    samples = 1e-5 * hiss(40 * RATE)
    samples[30 * RATE : 31 * RATE] = hiss()
    cuts = NoiseCuts(find_noises(write(tmp_path / "rare.wav", samples)))
    mean = (samples**2).mean() / numpy.abs(samples).max() ** 2 * 32767**2
    for seed in range(40):
        noise, _ = cuts.draw(800, numpy.random.default_rng(seed))
        assert noise.square().mean() > 1e-4 * mean


def test_all_of_a_recording_is_used(tmp_path):
    ramp = numpy.linspace(0.1, 0.9, 1000)
    cuts = NoiseCuts(find_noises(write(tmp_path / "ramp.wav", ramp)))
    draws = [
        cuts.draw(990, numpy.random.default_rng(seed))[0] / 32767 * 0.9
        for seed in range(200)
    ]
    starts = {round((draw[0].item() - 0.1) / 0.8 * 999) for draw in draws}
    assert starts == set(range(11))


def test_recordings_of_other_rates_are_resampled(tmp_path):
    time = numpy.arange(8000) / 8000
    path = write(tmp_path / "tone.wav", numpy.sin(6283.185 * time), 8000)
    damage = AdditiveNoise(path, [0], seed=1)
    noisy, _ = damage(torch.ones(1, 8000), torch.ones(1), ["a"], 0)
    spectrum = torch.fft.rfft(noisy[0] - 1).abs()
    assert spectrum.argmax() == 500


def test_recordings_are_read_once_and_the_oldest_dropped(noises, monkeypatch):
    read = []
    load = noise_files.load_audio
    monkeypatch.setattr(
        noise_files, "load_audio", lambda path: read.append(path) or load(path)
    )
    rows = find_noises(noises)
    cuts = [NoiseCuts([row]) for row in rows]
    for each in cuts:
        each._read = cuts[0]._read
    # There is room for two of them.
    monkeypatch.setattr(noise_files, "CACHE_BYTES", 2 * 2 * RATE)
    for place in (0, 0, 1, 0, 2, 0, 1):
        cuts[place].draw(100, numpy.random.default_rng(0))
    assert read == [rows[place]["wav"] for place in (0, 1, 2, 1)]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"snrs": []}, r"snrs: is \[\]; expected numbers in dB"),
        ({"snrs": [0, math.nan]}, "snrs: is"),
        ({"snrs": 5}, "snrs: is 5"),
        ({"snrs": ["quiet"]}, "snrs: is"),
        ({"snrs": None, "snr_range": [5, 0]}, "snr_range: is"),
        ({"snrs": None, "snr_range": [5]}, "snr_range: is"),
    ],
)
def test_snrs_that_make_no_sense(noises, options, named):
    with pytest.raises(UserError, match=named):
        AdditiveNoise(noises, seed=1, **options)


@pytest.mark.parametrize("rate", [math.inf, "loud"])
def test_a_level_that_is_none(noises, rate):
    damage = AdditiveNoise(noises, [0], seed=1)
    with pytest.raises(UserError, match=f"SNR: is .*{rate}.*expected"):
        damage(torch.ones(1, 160), torch.ones(1), ["a"], 0, rate=rate)


# ---- reverberation ---------------------------------------------------------


def test_reverberation_is_a_convolution_at_the_speech_s_energy(
    tmp_path, speech
):
    rir = numpy.zeros(1200)
    rir[100:] = numpy.exp(-numpy.arange(1100) / 200) * hiss(1100, 3)
    rir[90], rir[100] = 0.01, 0.9
    wavs, lengths = speech
    damage = Reverberation(write(tmp_path / "room.wav", rir), seed=1)
    wet, lost = damage(wavs, lengths, IDS, epoch=0)
    assert lost is None
    for n, wav, row in zip(LENGTHS, wavs, wet, strict=True):
        whole = scipy.signal.fftconvolve(wav[:n].double().numpy(), rir)
        expected = whole[100 : 100 + n]
        expected *= wav[:n].double().norm().item() / numpy.linalg.norm(expected)
        assert row[:n].numpy() == pytest.approx(expected, abs=1e-5)
        lags = numpy.correlate(row[:n].numpy(), wav[:n].numpy(), "full")
        assert lags.argmax() == n - 1


def test_a_perfect_room_changes_nothing(tmp_path, speech):
    rir = numpy.zeros(50)
    rir[20] = 0.3
    wavs, _ = speech
    damage = Reverberation(write(tmp_path / "none.wav", rir), seed=1)
    wet, _ = damage(wavs, torch.ones(3), IDS, epoch=0)
    assert torch.allclose(wet, wavs, atol=1e-6)
    quiet, _ = damage(torch.zeros(1, 99), torch.ones(1), ["a"], epoch=0)
    assert not quiet.any()


def test_a_silent_room_is_named(tmp_path):
    path = write(tmp_path / "room.wav", numpy.zeros(100))
    damage = Reverberation(path, seed=1)
    with pytest.raises(UserError, match="room.wav: is silent; expected an imp"):
        damage(torch.ones(1, 160), torch.ones(1), ["a"], 0)


# ---- sequences -------------------------------------------------------------


def test_damages_come_one_after_the_other(noises, speech):
    wavs, lengths = speech
    noise, room, both = damages(noises)
    wet, _ = room(wavs, lengths, IDS, epoch=0)
    expected, _ = noise(wet, lengths, IDS, epoch=0, rate=3)
    assert torch.equal(both(wavs, lengths, IDS, 0, rate=3)[0], expected)
    assert both.name == "reverberation+additive-noise"
    assert both.packet_samples is None
    other = both.with_seed(5)
    assert [each.seed for each in other.damages] == [5, 6]
    assert [each.seed for each in both.damages] == [1, 1]


def test_a_sequence_with_packet_loss_says_what_is_lost(noises, speech):
    noise, loss = damages(noises)[0], WaveformPacketLoss(BernoulliLoss(), 1)
    sequence = DamageSequence([noise, loss])
    damaged, lost = sequence(*speech, IDS, epoch=0, rate=0.4)
    assert sequence.packet_samples == loss.packet_samples == 320
    assert lost.shape == (3, 25)
    assert lost[0].sum() == 10
    assert not damaged[0, :320].any() == bool(lost[0, 0])
    reverse = DamageSequence([loss, noise])
    assert reverse(*speech, IDS, epoch=0, rate=5)[1] is not None


def test_sequences_that_make_no_sense():
    loss = WaveformPacketLoss(BernoulliLoss(), 1)
    for some in ([], [loss, loss]):
        with pytest.raises(UserError, match=f"damages: {len(some)} of them"):
            DamageSequence(some)
