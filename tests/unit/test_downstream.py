"""Small models on the layers of a frozen one: what they compute and learn."""

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.nnet.losses import AngularMargin, LogSoftmaxWrapper
from torch import nn

from speechbrain_ext.backends.downstream import (
    DownstreamClassifier,
    DownstreamRecogniser,
    DownstreamSpeakerEncoder,
    LayerSum,
)
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.labels import ManifestLabels, check_labels
from speechbrain_ext.backends.units import Characters
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.brains.verification import VerificationBrain
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.trials import Trial, write_trials
from speechbrain_ext.criteria.labels import (
    AngularMarginSoftmax,
    LabelCrossEntropy,
)
from speechbrain_ext.criteria.restoration import Restoration
from speechbrain_ext.criteria.sequence import Ctc
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.waveform import Waveform
from speechbrain_ext.frontends.identity import Identity
from speechbrain_ext.metrics.accuracy import Accuracy
from speechbrain_ext.metrics.verification import EqualErrorRate
from speechbrain_ext.weight_files import load_weights, save_weights

HOP, CHANNELS = 160, 6


class Upstream(Frozen, nn.Module):
    """Two layers of random projections of 10 ms frames, frozen.

    As models of waveforms do, it leaves out what does not fill a frame.
    """

    layers = ("layer1", "layer2")

    def __init__(self):
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Linear(HOP, CHANNELS) for _ in self.layers
        )
        self.freeze()

    def representations(self, feats, lengths, names):
        frames = feats.squeeze(2).unfold(1, HOP, HOP)
        outputs = dict(zip(self.layers, self.projections))
        return [10 * outputs[name](frames).tanh() for name in names]

    def relative_frames(self, lengths, samples, frames):
        return (lengths * samples).round().div(HOP, rounding_mode="floor") / (
            frames
        )


@pytest.fixture
def labels(tmp_path):
    """Of two slots: two actions and three objects."""
    (tmp_path / "a.wav").touch()
    intents = ["on|lamp", "off|lamp", "on|heat", "off|song", "on|song"]
    rows = [
        {
            "ID": f"u{n}",
            "duration": 1.0,
            "wav": tmp_path / "a.wav",
            "spk_id": f"s{n}",
            "wrd": "hello",
            "intent": intent,
        }
        for n, intent in enumerate(intents)
    ]
    write_manifest(tmp_path / "train.csv", rows)
    return ManifestLabels(tmp_path / "train.csv", "intent", "|")


def recogniser(upstream):
    return DownstreamRecogniser(
        upstream, Characters(), CHANNELS, 16, hidden=16, dropout=0.0
    )


def classifier(upstream, labels=None):
    return DownstreamClassifier(upstream, labels, [2, 3], CHANNELS, 16)


def speaker_encoder(upstream, labels=None, n_speakers=5):
    channels = [8, 8, 8, 8, 12]
    return DownstreamSpeakerEncoder(
        upstream, labels, n_speakers, CHANNELS, 8, channels, embedding=6
    )


MODELS = [recogniser, classifier, speaker_encoder]


def utterances(*seconds):
    return [torch.randn(round(s * 16000)) for s in seconds]


# ---- models ---------------------------------------------------------------


def test_the_sum_s_weights_are_a_softmax():
    layers = [torch.ones(1, 2, 3), 3 * torch.ones(1, 2, 3)]
    layer_sum = LayerSum(2)
    assert torch.allclose(layer_sum(layers), 2 * torch.ones(1, 2, 3))
    with torch.no_grad():
        # Three to one.
        layer_sum.weights[1] = torch.tensor(3.0).log()
    assert torch.allclose(layer_sum(layers), 2.5 * torch.ones(1, 2, 3))
    normal = LayerSum(2, normalise=True)
    small, large = torch.randn(2, 5, 4), 1e4 * torch.randn(2, 5, 4)
    output = normal([small, large])
    assert torch.allclose(output, normal([small, large / 1e4]), atol=1e-3)


@pytest.mark.parametrize("make", MODELS)
def test_an_utterance_does_not_depend_on_its_batch(make):
    model = make(Upstream())
    # Batch normalisation that changes nothing would hide what it does.
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.bias)
    model.eval()
    # The last frames of the shorter ones are not whole.
    signals = utterances(0.6099, 1.0, 0.3501)
    name = model.layers[1]
    feats, lengths = model.batch(signals)
    together = model.representations(feats, lengths, [name])[0]
    for signal, output in zip(signals, together, strict=True):
        feats, lengths = model.batch([signal])
        alone = model.representations(feats, lengths, [name])[0][0]
        if output.dim() == 2:
            output = output[: len(alone)]
        assert torch.allclose(alone, output, atol=1e-5)


@pytest.mark.parametrize("make", MODELS)
def test_an_utterance_of_a_few_frames(make):
    model = make(Upstream()).eval()
    feats, lengths = model.batch(utterances(0.011, 0.03))
    assert model(feats, lengths).isfinite().all()


def test_embeddings_are_the_same_every_time():
    model = speaker_encoder(Upstream()).eval()
    (wav,) = utterances(0.5)
    assert torch.equal(model.embed(wav), model.embed(wav))
    assert model.embed(wav).shape == (6,)


@pytest.mark.parametrize("make", MODELS)
def test_the_upstream_learns_nothing_and_is_not_saved(make, tmp_path):
    model = make(Upstream())
    model.train()
    assert not model.upstream.training
    learned = [name for name, p in model.named_parameters() if p.requires_grad]
    assert learned and not any("upstream" in name for name in learned)
    assert set(learned) <= set(model.state_dict())
    assert not any("upstream" in name for name in model.state_dict())
    save_weights(tmp_path / "weights.safetensors", model)
    other = make(Upstream())
    load_weights(tmp_path / "weights.safetensors", other)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    # What another model lacks is still missed.
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({"layer_sum.weights": torch.zeros(2)})


def test_ctc_s_best_path():
    model = recogniser(Upstream())
    model.eval()
    feats, lengths = model.batch(utterances(0.1, 0.05))
    letters = Characters()
    path = letters.encode("aab") + [0] * 7
    path[1], path[2], path[3] = 0, path[0], letters.encode("b")[0]
    wanted = torch.full((2, 10, len(letters)), -9.0)
    for row in range(2):
        wanted[row, range(10), path] = 9.0
    model.ctc = nn.Identity()
    model.forward = lambda feats, lengths: wanted
    # a, blank, a, b, blanks; the second utterance ends after five frames.
    assert model.transcribe(feats, lengths=lengths) == ["aab", "aab"]
    wanted[1, 2:] = wanted[1, 0]
    assert model.transcribe(feats, lengths=lengths)[1] == "aa"


def test_a_classifier_names_labels(labels):
    model = classifier(Upstream(), labels).eval()
    model.forward = lambda feats, lengths: torch.tensor(
        [[0.0, 1.0, 5.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 5.0]]
    )
    found = model.transcribe_signals(utterances(0.1, 0.2))
    assert found == ["on|heat", "off|song"]


# ---- labels ---------------------------------------------------------------


def test_labels_have_slots(labels):
    assert labels.sizes == [2, 3]
    assert labels.encode("on|song") == [1, 2]
    assert labels.decode([1, 2]) == "on|song"
    whole = ManifestLabels(labels.manifest, "intent")
    assert whole.sizes == [5] and whole.decode([0]) == "off|lamp"


def test_labels_that_do_not_fit(labels):
    for label in ("on|moon", "on", "on|lamp|now"):
        with pytest.raises(UserError, match="intent: .* is not in .*train.csv"):
            labels.encode(label)
    check_labels(labels, [2, 3])
    with pytest.raises(UserError, match=r"classes: \[2, 4\], and .* \[2, 3\]"):
        check_labels(labels, [2, 4])
    check_labels(labels, [2, 4], exact=False)
    with pytest.raises(UserError, match=r"n: \[2\].*expected at least as many"):
        check_labels(labels, 2, "n", exact=False)


def test_a_manifest_without_labels(labels):
    missing = ManifestLabels(labels.manifest, "emotion")
    with pytest.raises(UserError, match="emotion is empty or has"):
        missing.encode("glad")


# ---- criteria -------------------------------------------------------------


def restoration(model, texts, signals):
    feats, lengths = model.batch(signals)
    wavs = feats[..., 0]
    return Restoration(
        ids=[str(n) for n in range(len(signals))],
        texts=texts,
        wavs=wavs,
        damaged_wavs=wavs,
        lengths=lengths,
        clean=feats,
        damaged=feats,
        repaired=feats,
        frame_lengths=lengths,
        lost=torch.zeros(feats.shape[:2]),
    )


def test_slots_cross_entropies_are_added(labels):
    model = classifier(Upstream(), labels).eval()
    batch = restoration(model, ["on|song", "off|lamp"], utterances(0.4, 0.2))
    losses = LabelCrossEntropy(model)(batch)
    logits = model(batch.repaired, batch.lengths)
    for loss, row, (first, second) in zip(losses, logits, [(1, 2), (0, 1)]):
        expected = row[:2].logsumexp(0) - row[first]
        expected = expected + row[2:].logsumexp(0) - row[2 + second]
        assert torch.allclose(loss, expected)


def test_the_margin_is_speechbrain_s(labels):
    speakers = ManifestLabels(labels.manifest, "spk_id")
    model = speaker_encoder(Upstream(), speakers).eval()
    batch = restoration(model, ["s3", "s0"], utterances(0.4, 0.2))
    losses = AngularMarginSoftmax(model, margin=0.3, scale=20.0)(batch)
    cosines = model(batch.repaired, batch.lengths)
    expected = LogSoftmaxWrapper(AngularMargin(0.3, 20.0))(
        cosines[:, None], torch.tensor([[3], [0]])
    )
    assert torch.allclose(losses.mean(), expected)
    assert (cosines.abs() <= 1 + 1e-6).all()
    with pytest.raises(UserError, match="spk_id: 's9' is not in"):
        batch.texts = ["s9", "s0"]
        AngularMarginSoftmax(model)(batch)


# ---- training -------------------------------------------------------------


def tone(label, seconds=0.3):
    """What the label's number sounds like, and hardly anything else."""
    time = torch.arange(round(seconds * 16000)) / 16000
    hertz = 300.0 * (1 + label)
    return torch.sin(6.283 * hertz * time) + 0.05 * torch.randn(len(time))


def batches(texts, n=4):
    """A batch a repetition, of one utterance each text."""
    return [
        PaddedBatch(
            [
                {
                    "id": f"{text}-{number}",
                    "sig": tone(label, 0.3 + 0.1 * number),
                    "wrd": text,
                }
                for label, text in enumerate(texts)
            ]
        )
        for number in range(n)
    ]


def train(brain, data, epochs=12):
    brain.init_optimizers()
    for epoch in range(1, epochs + 1):
        brain.on_stage_start(sb.Stage.TRAIN, epoch)
        brain.modules.train()
        for batch in data:
            brain.fit_batch(batch)
        brain.on_stage_end(sb.Stage.TRAIN, 0.0, epoch)
    return brain.train_stats


def validate(brain, data, stage=sb.Stage.VALID):
    brain.on_stage_start(stage, 1)
    brain.modules.eval()
    with torch.no_grad():
        for batch in data:
            brain.evaluate_batch(batch, stage)
    return brain._gather_stats()


def make_brain(kind, model, criterion, metric):
    return kind(
        front_end=Identity(),
        features=Waveform(),
        criteria={"loss": criterion},
        weights={"loss": 1.0},
        back_end=model,
        metric=metric,
        opt_class=lambda parameters: torch.optim.Adam(parameters, 0.02),
        run_opts={"device": "cpu"},
    )


def test_intents_are_learned(labels):
    model = classifier(Upstream(), labels)
    before = [p.clone() for p in model.upstream.parameters()]
    brain = make_brain(
        RestorationBrain, model, LabelCrossEntropy(model), Accuracy
    )
    data = batches(["on|lamp", "off|lamp", "on|heat", "off|song"], n=2)
    first = validate(brain, data)
    train(brain, data)
    last = validate(brain, data)
    assert last["loss"] < 0.5 * first["loss"] and last["accuracy"] > 80
    after = list(model.upstream.parameters())
    assert all(map(torch.equal, before, after))
    assert model.layer_sum.weights.abs().max() > 0


def test_letters_are_learned():
    model = recogniser(Upstream())
    brain = make_brain(RestorationBrain, model, Ctc(model), None)
    data = batches(["a b", "c", "dad"], n=2)
    first = validate(brain, data)
    train(brain, data, epochs=30)
    assert validate(brain, data)["loss"] < 0.2 * first["loss"]


def test_speakers_are_learned_and_others_judged(labels, tmp_path):
    speakers = ManifestLabels(labels.manifest, "spk_id")
    model = speaker_encoder(Upstream(), speakers)
    others = ["x", "y"]
    names = [f"{name}-{n}" for name in others for n in range(4)]
    write_trials(
        tmp_path / "trials.csv",
        [Trial(int(a[0] == b[0]), a, b) for a in names for b in names if a < b],
    )
    brain = make_brain(
        VerificationBrain,
        model,
        AngularMarginSoftmax(model, 0.2, 10.0),
        lambda: EqualErrorRate(tmp_path / "trials.csv"),
    )
    data = batches(["s0", "s1", "s2", "s3", "s4"])
    stats = [train(brain, data, epochs)["loss"] for epochs in (1, 12)]
    assert stats[1] < 0.5 * stats[0]
    # Their names are no labels: nothing asks for them.
    for stage in (sb.Stage.VALID, sb.Stage.TEST):
        found = validate(brain, batches(others), stage)
        assert found["EER"] <= 25
    assert brain._best() == ("EER", {"min_key": "EER"})
