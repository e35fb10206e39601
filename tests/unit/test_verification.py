"""Equal error rates and accuracies, and the speaker encoder that judges."""

import sys
import types

import numpy
import pytest
import torch
from speechbrain.utils.metric_stats import EER

from speechbrain_ext.backends.speaker_encoder import REQUIREMENT, SpeakerEncoder
from speechbrain_ext.corpora.pico import Request, synthesise
from speechbrain_ext.corpora.trials import Trial, write_trials
from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics.accuracy import Accuracy
from speechbrain_ext.metrics.bootstrap import bootstrap_interval
from speechbrain_ext.metrics.verification import EqualErrorRate


def embeddings_with_cosines(cosines):
    """An enrolled utterance, and others at those cosines to it."""
    vectors = {"e": torch.tensor([1.0, 0.0])}
    for number, cosine in enumerate(cosines):
        vectors[f"t{number}"] = torch.tensor([cosine, (1 - cosine**2) ** 0.5])
    return vectors


def rate(tmp_path, cosines, labels, also=()):
    file = tmp_path / "trials.csv"
    trials = [Trial(y, "e", f"t{n}") for n, y in enumerate(labels)]
    write_trials(file, [*trials, *also])
    metric = EqualErrorRate([file])
    vectors = embeddings_with_cosines(cosines)
    metric.append(vectors.keys(), vectors.values())
    return metric.summarize()


def test_an_equal_error_rate_by_hand(tmp_path):
    # Sorted: 1 1 0 1 | 0 1 0 0: above the bar one of four is wrong, and one of
    # four below it.
    cosines = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    assert rate(tmp_path, cosines, [1, 1, 0, 1, 0, 1, 0, 0]) == 0.25
    assert rate(tmp_path, cosines, [1, 1, 1, 1, 0, 0, 0, 0]) == 0.0
    assert rate(tmp_path, cosines, [0, 0, 0, 0, 1, 1, 1, 1]) == 1.0


def test_speechbrain_finds_the_same_rate(tmp_path):
    rng = numpy.random.default_rng(3)
    labels = numpy.repeat([1, 0], 150)
    cosines = numpy.tanh(rng.standard_normal(300) * 0.3 + 0.2 * labels)
    expected, _ = EER(
        torch.tensor(cosines[labels == 1]), torch.tensor(cosines[labels == 0])
    )
    found = rate(tmp_path, cosines.tolist(), labels.tolist())
    assert found == pytest.approx(expected, abs=1 / 150)
    assert 0.2 < found < 0.5


def test_trials_of_other_utterances_do_not_count(tmp_path):
    also = [Trial(1, "e", "elsewhere"), Trial(0, "elsewhere", "t0")]
    cosines, labels = [0.9, 0.8, 0.3, 0.2], [1, 0, 1, 0]
    alone = rate(tmp_path, cosines, labels)
    assert alone == rate(tmp_path, cosines, labels, also) == 0.5
    metric = EqualErrorRate(tmp_path / "trials.csv")
    metric.append(["x"], [torch.ones(2)])
    with pytest.raises(UserError, match="trials.csv: no trial of these utter"):
        metric.summarize()


def test_accuracy():
    accuracy = Accuracy()
    accuracy.append("ab", ["call", "weather"], ["call", "call"])
    accuracy.append("cd", ["weather", "call"], ["weather", "call"])
    assert accuracy.summarize() == 0.75
    estimate = bootstrap_interval(accuracy.values, seed=1)
    assert estimate.value == 0.75
    # The binomial's: 4 draws of 3/4.
    assert (estimate.low, estimate.high) == (0.25, 1.0)
    with pytest.raises(UserError, match="accuracy: no utterances"):
        Accuracy().summarize()


# ---- the speaker encoder --------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    return SpeakerEncoder()


@pytest.fixture(scope="module")
def speech():
    """Two sentences of three voices, by voice."""
    texts = {
        "en-US": (
            "The captain steered the ship towards the bay.",
            "What a lovely morning for a walk in the garden!",
        ),
        "de-DE": (
            "Der Zug nach Hamburg hat heute Verspätung.",
            "Guten Abend, Frau Schmidt, wie geht es Ihnen?",
        ),
        "fr-FR": (
            "Le train de Paris est en retard ce matin.",
            "Où est la gare, et quand part le train ?",
        ),
    }
    requests = [Request(t, v) for v, both in texts.items() for t in both]
    wavs = [torch.from_numpy(x / 32768).float() for x in synthesise(requests)]
    return dict(zip(texts, zip(wavs[::2], wavs[1::2])))


def test_it_is_the_package_s_own_encoder(encoder, speech, monkeypatch):
    # Of which nothing else needs this.
    voice_detector = types.ModuleType("webrtcvad")
    monkeypatch.setitem(sys.modules, "webrtcvad", voice_detector)
    with pytest.warns(DeprecationWarning):
        from resemblyzer import VoiceEncoder, normalize_volume
    own = VoiceEncoder("cpu", verbose=False)
    for wav in (*speech["en-US"], 0.01 * speech["de-DE"][0]):
        raised = normalize_volume(wav.numpy(), -30, increase_only=True)
        expected = torch.from_numpy(own.embed_utterance(raised))
        assert torch.allclose(encoder.embed(wav), expected, atol=1e-5)


def test_one_voice_is_closer_to_itself_than_to_others(encoder, speech):
    found = {v: [encoder.embed(x) for x in both] for v, both in speech.items()}
    same = [float(one @ other) for one, other in found.values()]
    others = [
        float(found[a][0] @ found[b][1]) for a in found for b in found if a != b
    ]
    assert min(same) > max(others)


def test_a_batch_is_embedded_one_by_one(encoder, speech):
    wavs = [both[0] for both in speech.values()]
    longest = max(map(len, wavs))
    padded = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    lengths = torch.tensor([len(wav) / longest for wav in wavs])
    batch = encoder(padded, lengths)
    alone = torch.stack([encoder.embed(wav) for wav in wavs])
    assert torch.allclose(batch, alone, atol=1e-6)
    assert torch.allclose(batch.norm(dim=1), torch.ones(3), atol=1e-5)


def test_short_and_silent_speech_have_embeddings(encoder):
    for wav in (torch.zeros(16000), 0.1 * torch.randn(100)):
        embedding = encoder.embed(wav)
        assert embedding.shape == (256,) and embedding.isfinite().all()


def test_the_encoder_is_frozen(encoder):
    assert not encoder.train().training
    assert not any(p.requires_grad for p in encoder.parameters())


def test_weights_that_are_none(tmp_path, monkeypatch):
    def refused(expected, weights=None):
        with pytest.raises(UserError, match=expected) as caught:
            SpeakerEncoder(weights)
        assert "\n" not in str(caught.value)

    file = tmp_path / "pretrained.pt"
    file.write_bytes(b"no weights")
    refused("pretrained.pt: no weights of a speaker encoder", file)
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.ones(2)}}, file)
    refused("pretrained.pt: no weights of a speaker encoder", file)
    torch.save({"model_state": {}}, file)
    refused("no weights of a speaker encoder .KeyError.; expected", file)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(f"resemblyzer: not installed.*--no-deps {REQUIREMENT}")
