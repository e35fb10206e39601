"""The recogniser as a user loads it: real Whisper, real files."""

import shutil
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corruption.packet_loss import (
    GilbertElliottLoss,
    WaveformPacketLoss,
    write_lost_packets,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.inference import PacketLossASR
from speechbrain_ext.inference.silence import silent_runs, split_at_pauses
from speechbrain_ext.metrics.wer import normalise_text

PACKET = 320


@pytest.fixture(scope="module")
def asr(model_folder):
    return PacketLossASR.from_hparams(source=str(model_folder))


@pytest.fixture(scope="module")
def changed_asr(changed_model_folder):
    return PacketLossASR.from_hparams(source=str(changed_model_folder))


@pytest.fixture(scope="module")
def spoken(utterances):
    """Signals of the test split, [time] each, and their texts."""
    return (
        [load_audio(row["wav"]) for row in utterances],
        [row["wrd"] for row in utterances],
    )


@pytest.fixture(scope="module")
def text(asr, utterances):
    """What the recogniser makes of the first utterance."""
    return asr.transcribe_file(utterances[0]["wav"])


def word_errors(references, hypotheses):
    """Count the words that are wrong, and those that are missing."""
    output = jiwer.process_words(
        [normalise_text(text) for text in references],
        [normalise_text(text) for text in hypotheses],
    )
    wrong = output.substitutions + output.deletions + output.insertions
    return wrong, output.deletions


def lose(signal, rate=0.4, name="a"):
    """Lose packets: the damaged signal and which packets, as one batch."""
    damage = WaveformPacketLoss(GilbertElliottLoss(), seed=0)
    return damage(signal[None], torch.ones(1), [name], epoch=0, rate=rate)


# --- What comes in


def test_real_words_are_read(asr, utterances):
    texts = [asr.transcribe_file(row["wav"]) for row in utterances]
    references = [row["wrd"] for row in utterances]
    words = sum(len(normalise_text(text).split()) for text in references)
    assert word_errors(references, texts)[0] <= 0.25 * words


def test_stereo_is_heard_as_its_mean(asr, spoken, text, tmp_path):
    left = spoken[0][0].numpy()
    noise = np.random.default_rng(0).normal(0, 0.1, len(left))
    file = tmp_path / "stereo.wav"
    channels = np.stack([left + noise, left - noise], axis=1)
    soundfile.write(file, channels, SAMPLE_RATE, subtype="FLOAT")
    assert asr.transcribe_file(file) == text


@pytest.mark.parametrize("rate", [8000, 44100])
def test_any_sample_rate_is_read(asr, spoken, tmp_path, rate):
    file = tmp_path / "speech.flac"
    signal = torchaudio.functional.resample(spoken[0][0], SAMPLE_RATE, rate)
    save_audio(file, signal, rate)
    wrong, _ = word_errors(spoken[1][:1], [asr.transcribe_file(file)])
    assert wrong <= 2
    heard, lost = asr.read(file)
    assert len(heard) == len(lost)
    assert abs(len(heard) - len(spoken[0][0])) <= 2
    assert not lost.any()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_digital_silence_at_any_rate_counts_as_lost(asr, tmp_path, rate):
    """60 ms of zeros in the middle; 10 ms of zeros are no packet."""
    samples = np.random.default_rng(0).uniform(0.01, 0.1, rate)
    samples[rate // 2 : rate // 2 + 6 * rate // 100] = 0
    samples[rate // 4 : rate // 4 + rate // 100] = 0
    file = tmp_path / "gaps.wav"
    soundfile.write(file, samples, rate)
    signal, lost = asr.read(file)
    (where,) = lost.nonzero(as_tuple=True)
    # A sample at most is rounded away at each edge.
    assert abs(int(where[0]) - 8000) <= 2 and abs(len(where) - 960) <= 3
    assert lost[where[0] : where[-1] + 1].all()
    assert (signal[lost] == 0).all()


def test_given_lost_packets_replace_the_search_for_silence(
    asr, spoken, tmp_path
):
    damaged, lost = lose(spoken[0][0])
    audio, packets = tmp_path / "damaged.wav", tmp_path / "lost.txt"
    save_audio(audio, damaged[0])
    write_lost_packets(packets, lost[0])
    found = asr.read(audio)
    for given in (packets, lost[0]):
        signal, gone = asr.read(audio, given)
        # The search sees the same, or a zero sample beside a lost packet.
        assert torch.equal(signal, found[0])
        assert gone.sum() == lost.sum() * PACKET
        assert not (gone & ~found[1]).any()
    nothing = torch.zeros_like(lost[0])
    assert not asr.read(audio, nothing)[1].any()


@pytest.mark.parametrize("front_end", [True, False])
@pytest.mark.parametrize("level", [0.0, 1 / 32768])
def test_silence_gives_empty_text(asr, tmp_path, level, front_end):
    """Digital silence, and the last bit that a converter toggles."""
    file = tmp_path / "silence.wav"
    sign = np.random.default_rng(0).choice([-1, 1], 2 * SAMPLE_RATE)
    soundfile.write(file, level * sign, SAMPLE_RATE)
    assert asr.transcribe_file(file, front_end=front_end) == ""


def test_wholly_lost_speech_gives_empty_text(asr, spoken, utterances):
    signal = spoken[0][0]
    lost = torch.ones(1, -(-len(signal) // PACKET), dtype=torch.bool)
    batch = signal[None], torch.ones(1)
    assert asr.transcribe_batch(*batch, lost) == [""]
    assert asr.transcribe_batch(*batch, lost, front_end=False) == [""]
    assert asr.transcribe_file(utterances[0]["wav"], lost[0]) == ""


@pytest.mark.parametrize("n_samples", [1, 200, 320])
def test_a_file_of_few_samples_is_valid(asr, tmp_path, n_samples):
    file = tmp_path / "click.wav"
    soundfile.write(file, np.full(n_samples, 0.1), SAMPLE_RATE)
    assert isinstance(asr.transcribe_file(file), str)


# --- The front-end


def test_an_untrained_front_end_changes_no_text(asr, spoken):
    damaged, lost = lose(spoken[0][1])
    batch = damaged, torch.ones(1), lost
    assert asr.transcribe_batch(*batch) == (
        asr.transcribe_batch(*batch, front_end=False)
    )


def test_the_front_end_acts_where_packets_are_lost(changed_asr, spoken):
    signal = spoken[0][1]
    damaged, lost = lose(signal)
    batch = damaged, torch.ones(1), lost
    assert changed_asr.transcribe_batch(*batch) != (
        changed_asr.transcribe_batch(*batch, front_end=False)
    )
    whole = signal[None], torch.ones(1)
    assert changed_asr.transcribe_batch(*whole) == (
        changed_asr.transcribe_batch(*whole, front_end=False)
    )


def test_loaded_weights_are_those_of_the_file(
    asr, changed_asr, changed_model_folder
):
    other = PacketLossASR.from_hparams(source=str(changed_model_folder))
    weights = changed_asr.mods.front_end.state_dict()
    for name, value in other.mods.front_end.state_dict().items():
        assert torch.equal(value, weights[name])
    assert weights["exit.weight"].abs().sum() > 0
    assert asr.mods.front_end.state_dict()["exit.weight"].abs().sum() == 0
    assert not any(p.requires_grad for p in changed_asr.parameters())
    assert not changed_asr.mods.training


# --- Batches


@pytest.fixture(scope="module")
def damaged_files(spoken, tmp_path_factory):
    """Files of four damaged utterances of different length."""
    folder = tmp_path_factory.mktemp("damaged")
    files = []
    for number, signal in enumerate(spoken[0]):
        damaged, _ = lose(signal, rate=0.3, name=str(number))
        files.append(folder / f"{number}.wav")
        save_audio(files[-1], damaged[0])
    return files


def as_batch(signals):
    """Pad signals to one batch: wavs and relative lengths."""
    wavs = torch.nn.utils.rnn.pad_sequence(signals, batch_first=True)
    lengths = torch.tensor([len(signal) for signal in signals])
    return wavs, lengths / wavs.shape[1]


@pytest.mark.parametrize("front_end", [True, False])
def test_a_batch_gives_what_its_files_give(
    changed_asr, damaged_files, front_end
):
    """A front-end that acts shows what padding would do to it."""
    singly = [
        changed_asr.transcribe_file(file, front_end=front_end)
        for file in damaged_files
    ]
    signals = [load_audio(file) for file in damaged_files]
    together = changed_asr.transcribe_batch(
        *as_batch(signals), front_end=front_end
    )
    assert together == singly


def test_an_utterance_reaches_whisper_the_same_in_any_batch(
    changed_asr, damaged_files, monkeypatch
):
    """Texts are coarse; features are not."""
    heard = []

    def listen(feats, seconds):
        heard.append((feats, seconds))
        return [""] * len(feats)

    monkeypatch.setattr(changed_asr.mods.back_end, "transcribe", listen)
    signals = [load_audio(file) for file in damaged_files]
    changed_asr.transcribe_batch(*as_batch(signals))
    for file in damaged_files:
        changed_asr.transcribe_file(file)
    (feats, seconds), *singly = heard
    for number, (alone, duration) in enumerate(singly):
        torch.testing.assert_close(
            feats[number : number + 1], alone, rtol=0, atol=2e-5
        )
        assert seconds[number].item() == pytest.approx(duration.item())


def test_forward_is_the_batch_interface(asr, spoken, text):
    assert asr(spoken[0][0][None], torch.ones(1)) == [text]


# --- Longer than a window


@pytest.fixture(scope="module")
def talk(manifests):
    """All utterances of the mini corpus in a row, 50 s or more."""
    rows = [row for path in manifests.values() for row in read_manifest(path)]
    signals = [load_audio(row["wav"]) for row in rows]
    return signals, [row["wrd"] for row in rows]


def join(signals, level, pause_seconds=0.6):
    """Put signals in a row with pauses of noise, peak level / 2^15."""
    n_samples = round(pause_seconds * SAMPLE_RATE)
    pause = torch.randint(-level, level + 1, (n_samples,)) / 32768
    return torch.cat([part for signal in signals for part in (signal, pause)])


@pytest.fixture(scope="module")
def parts(asr, talk):
    """What the recogniser makes of each utterance alone."""
    return asr.transcribe_batch(*as_batch(talk[0]))


@pytest.mark.parametrize("level", [0, 10], ids=["digital silence", "noise"])
def test_long_audio_is_transcribed_whole(asr, talk, parts, tmp_path, level):
    signals, texts = talk
    signal = join(signals, level)
    assert len(signal) > 50 * SAMPLE_RATE
    file = tmp_path / "talk.wav"
    save_audio(file, signal)
    found = asr.transcribe_file(file)
    reference = [" ".join(texts)]
    wrong, missing = word_errors(reference, [found])
    wrong_in_parts, missing_in_parts = word_errors(reference, [" ".join(parts)])
    # A window of many sentences reads one word or another differently; a
    # window that was cut off or skipped would miss a dozen.
    assert wrong <= wrong_in_parts + 4
    assert missing <= missing_in_parts + 2


@pytest.mark.parametrize("level", [0, 10], ids=["digital silence", "noise"])
def test_windows_are_cut_in_pauses(talk, level):
    """Also where every third packet is lost, which is no pause."""
    signal = join(talk[0], level)
    damaged = lose(signal, rate=0.3)[0]
    windows = split_at_pauses(damaged[0], silent_runs(damaged, PACKET)[0])
    assert windows[0][0] == 0 and windows[-1][1] == len(signal)
    cuts = [end for _, end in windows[:-1]]
    assert cuts == [start for start, _ in windows[1:]]
    assert all(end - start <= 30 * SAMPLE_RATE for start, end in windows)
    speech_level = signal.square().mean().sqrt()
    for cut in cuts:
        around = signal[cut - SAMPLE_RATE // 20 : cut + SAMPLE_RATE // 20]
        assert around.square().mean().sqrt() < 0.01 * speech_level


def test_long_audio_in_a_batch(asr, talk, parts):
    """A batch that does not fit a window gives what its rows give."""
    signals, texts = talk
    signal = join(signals, level=10)
    wavs = torch.zeros(2, len(signal))
    wavs[0], wavs[1, : len(signals[0])] = signal, signals[0]
    lengths = torch.tensor([1.0, len(signals[0]) / len(signal)])
    long, short = asr.transcribe_batch(wavs, lengths)
    assert short == parts[0]
    wrong, missing = word_errors([" ".join(texts)], [long])
    wrong_in_parts, missing_in_parts = word_errors(
        [" ".join(texts)], [" ".join(parts)]
    )
    assert wrong <= wrong_in_parts + 4
    assert missing <= missing_in_parts + 2


# --- What is refused


@pytest.fixture
def broken(model_folder, tmp_path):
    """A copy of a model's folder, to be broken."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def refused(source):
    """The one line of what cannot be loaded."""
    with pytest.raises(UserError) as caught:
        PacketLossASR.from_hparams(source=str(source))
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("size", [0, 4, 100, 200_000])
def test_truncated_weights_are_named(broken, size):
    weights = broken / "front_end.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    assert "front_end.safetensors" in refused(broken)


def test_weights_of_another_model_are_named(broken):
    from safetensors.torch import save_file

    weights = broken / "front_end.safetensors"
    save_file({"exit.weight": torch.zeros(2)}, weights)
    line = refused(broken)
    assert "front_end.safetensors" in line and "LightAdapter" in line


def test_missing_weights_are_named(broken):
    (broken / "front_end.safetensors").unlink()
    assert "front_end.safetensors" in refused(broken)


def test_a_folder_without_a_model_is_named(tmp_path):
    assert str(tmp_path) in refused(tmp_path)
    assert "nowhere" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("modules:", "models:"),
        ("modules:", "modules: ["),
        ("modules:", "\0"),
        ("LightAdapter", "NoSuchAdapter"),
    ],
)
def test_broken_hyperparameters_are_named(broken, old, new):
    file = broken / "hyperparams.yaml"
    file.write_text(file.read_text().replace(old, new))
    assert str(broken) in refused(broken)
    assert "hyperparams.yaml" in refused(broken)


@pytest.mark.parametrize("content", [b"", b"- a list", b"\xff\xfe"])
def test_other_files_in_place_of_hyperparameters_are_named(broken, content):
    (broken / "hyperparams.yaml").write_bytes(content)
    assert "hyperparams.yaml" in refused(broken)


def test_a_hub_id_that_cannot_be_had_is_named():
    assert "nobody/nothing" in refused("nobody/nothing")
