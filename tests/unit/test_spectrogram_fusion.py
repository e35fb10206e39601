"""Mapping, masking and fusion; the speech transformer; what trains them."""

from types import SimpleNamespace

import jiwer
import pytest
import torch
from speechbrain.nnet.schedulers import NoamScheduler
from torch.nn import functional as F

from speechbrain_ext.backends.perceptual import IGNORED
from speechbrain_ext.backends.speech_transformer import (
    FrozenSpeechTransformer,
    SpeechTransformer,
)
from speechbrain_ext.backends.units import CharacterSet, check_characters
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.criteria.features import FeatureDistance
from speechbrain_ext.criteria.fusion import (
    MinimumDifference,
    minimum_difference_labels,
)
from speechbrain_ext.criteria.sequence import HybridCtcAttention
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.filterbank import (
    LogMelOfLogMagnitude,
    LogMelOfMagnitude,
)
from speechbrain_ext.features.log_magnitude import Magnitude
from speechbrain_ext.frontends.spectrogram_fusion import (
    MappingMasking,
    MinimumDifferenceMasks,
    SpectrogramFusion,
)
from speechbrain_ext.metrics.wer import CharacterErrorRate

LENGTHS = torch.tensor([1.0, 0.6])
TINY = {"d_model": 16, "nhead": 2, "d_ffn": 16, "channels": 2}
TINY |= {"encoder_layers": 1, "decoder_layers": 1}


def make_front_end(**settings):
    return SpectrogramFusion(
        MappingMasking(hidden=8, n_layers=2),
        MinimumDifferenceMasks(hidden=8),
        **settings,
    )


@pytest.fixture
def recogniser():
    return SpeechTransformer(CharacterSet("ab "), **TINY).eval()


def batch_of(outputs, clean, lengths, output="fusion"):
    return SimpleNamespace(
        outputs=outputs,
        clean=clean,
        repaired=outputs.get(output),
        frame_lengths=lengths,
        texts=["ab", "b a"],
    )


def test_magnitudes_are_the_spectrums_and_lead_back(wavs):
    features = Magnitude()
    magnitudes = features(wavs, LENGTHS)
    window = torch.hamming_window(512)
    frame = wavs[0, 40 * 256 - 256 : 40 * 256 + 256] * window
    expected = torch.fft.rfft(frame).abs()
    torch.testing.assert_close(
        magnitudes[0, 40], expected, rtol=1e-3, atol=1e-4
    )
    again = features.resynthesise(magnitudes, wavs, LENGTHS)
    torch.testing.assert_close(again, wavs, rtol=1e-3, atol=1e-4)


def test_log_mels_of_magnitudes_are_those_of_log_magnitudes():
    magnitudes = torch.rand(1, 4, 257, requires_grad=True)
    mels = LogMelOfMagnitude(80)(magnitudes)
    same = LogMelOfLogMagnitude(80)(magnitudes.log1p())
    torch.testing.assert_close(mels, same, rtol=1e-4, atol=1e-4)
    mels.sum().backward()
    # All but 0 Hz and half the sample rate, which no filter has.
    assert (magnitudes.grad[..., 1:-1] > 0).all()


def test_eq_1_to_3_by_hand():
    clean = torch.zeros(2, 5, 3)
    outputs = {"mapping": clean + 2.0, "masking": clean - 3.0}
    outputs["mapping"][1, 3:] = 100.0  # past the second one's end
    batch = batch_of(outputs, clean, LENGTHS)
    losses = {
        head: FeatureDistance(power=2, output=head)(batch) for head in outputs
    }
    assert losses["mapping"].tolist() == [4.0, 4.0]
    assert losses["masking"].tolist() == [9.0, 9.0]


def test_labels_of_ties_and_silence_by_hand():
    #       mapping nearer, masking nearer, tie around, the same, silence
    mapping = torch.tensor([[[1.0, 5.0, 2.0, 7.0, 0.0]]])
    masking = torch.tensor([[[3.0, 3.5, 4.0, 7.0, 0.0]]])
    clean = torch.tensor([[[1.5, 3.0, 3.0, 9.0, 0.0]]])
    first, second = minimum_difference_labels(mapping, masking, clean)
    assert first.tolist() == [[[1.0, 0.0, 1.0, 1.0, 1.0]]]
    assert second.tolist() == [[[0.0, 1.0, 0.0, 0.0, 0.0]]]
    fused = first * mapping + second * masking
    assert fused.tolist() == [[[1.0, 3.5, 2.0, 7.0, 0.0]]]


def test_eq_4_by_hand_and_without_padding():
    clean = torch.zeros(2, 5, 2)
    outputs = {"mapping": clean + 1.0, "masking": clean + 2.0}  # mapping: 1
    outputs["mapping mask"] = torch.full((2, 5, 2), 0.5)
    outputs["masking mask"] = torch.full((2, 5, 2), 0.1)
    outputs["masking mask"][1, 3:] = 9.0
    losses = MinimumDifference()(batch_of(outputs, clean, LENGTHS))
    torch.testing.assert_close(losses, torch.full((2,), 0.25 + 0.01))


def test_eq_5_and_masking():
    front_end = make_front_end()
    noisy = torch.rand(1, 6, 257)
    with torch.no_grad():
        outputs = front_end(noisy, torch.ones(1))
    assert outputs["noisy"] is noisy
    torch.testing.assert_close(
        outputs["fusion"],
        outputs["mapping mask"] * outputs["mapping"]
        + outputs["masking mask"] * outputs["masking"],
    )
    for name in ("mapping mask", "masking mask"):
        assert 0 < outputs[name].min() and outputs[name].max() < 1
    # A mask of 0 to 1 leaves at most what was there.
    assert (outputs["masking"] <= noisy).all()
    assert (outputs["mapping"] >= 0).all()


@pytest.mark.parametrize("length", [0.6, 0.7, 0.29])
def test_an_utterance_is_enhanced_alike_alone_and_in_a_batch(length):
    front_end = make_front_end().eval()
    noisy = torch.rand(2, 100, 257)
    n = round(100 * length)
    with torch.no_grad():
        batch = front_end(noisy, torch.tensor([1.0, length]))
        alone = front_end(noisy[1:, :n], torch.ones(1))
    for name in ("mapping", "masking", "fusion"):
        torch.testing.assert_close(batch[name][1, :n], alone[name][0])
        if name != "fusion":
            assert (batch[name][1, n:] == 0).all()


@pytest.mark.parametrize(
    ("strides", "n"), [((2, 2), 59), ((2, 2), 58), ((2, 1), 57), ((3, 1), 60)]
)
def test_an_utterance_is_recognised_alike_alone_and_in_a_batch(strides, n):
    model = SpeechTransformer(CharacterSet("ab "), strides=strides, **TINY)
    model.eval()
    feats = torch.rand(2, 97, 257)
    lengths = torch.tensor([1.0, n / 97])
    inputs = torch.tensor([[0, 1, 2], [0, 2, 3]])
    with torch.no_grad():
        (batch,) = model.representations(feats, lengths, ["encoder"])
        (alone,) = model.representations(
            feats[1:, :n], torch.ones(1), ["encoder"]
        )
        torch.testing.assert_close(
            batch[1, : alone.shape[1]], alone[0], rtol=1e-4, atol=1e-5
        )
        positions = model.state_lengths(lengths, 97) * batch.shape[1]
        assert round(positions[1].item()) == alone.shape[1]
        torch.testing.assert_close(
            model.decoder_logits(
                batch, model.state_lengths(lengths, 97), inputs
            )[1],
            model.decoder_logits(alone, torch.ones(1), inputs[1:])[0],
            rtol=1e-4,
            atol=1e-5,
        )
        both = model.transcribe(feats, lengths=lengths)
        assert both[1:] == model.transcribe(feats[1:, :n])


def test_the_loss_is_cross_entropy_of_each_next_character(recogniser):
    feats = torch.rand(2, 20, 257)
    batch = batch_of({"fusion": feats}, None, LENGTHS)
    with torch.no_grad():
        losses = HybridCtcAttention(recogniser, ctc_weight=0.0)(batch)
        (states,) = recogniser.representations(feats, LENGTHS, ["encoder"])
        inputs = torch.tensor([[0, 1, 2, 0], [0, 2, 3, 1]])
        logits = recogniser.decoder_logits(
            states, recogniser.state_lengths(LENGTHS, 20), inputs
        )
    targets = torch.tensor([[1, 2, 0, IGNORED], [2, 3, 1, 0]])
    expected = [
        F.cross_entropy(own, target, ignore_index=IGNORED)
        for own, target in zip(logits, targets)
    ]
    torch.testing.assert_close(losses, torch.stack(expected))


def test_joint_training_reaches_every_module(recogniser):
    front_end = make_front_end()
    noisy = torch.rand(2, 20, 257)
    outputs = front_end(noisy, LENGTHS)
    batch = batch_of(outputs, noisy / 2, LENGTHS)
    HybridCtcAttention(recogniser, 0.3)(batch).mean().backward()
    for module in (front_end, recogniser):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_a_frozen_recogniser_passes_gradients_on_and_keeps_none():
    model = FrozenSpeechTransformer(CharacterSet("ab "), **TINY)
    feats = torch.rand(2, 20, 257, requires_grad=True)
    batch = batch_of({"fusion": feats}, None, LENGTHS)
    HybridCtcAttention(model, 0.3)(batch).sum().backward()
    assert feats.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in model.parameters())


def test_frozen_enhancement_has_no_gradients():
    front_end = make_front_end(frozen_enhancement=True)
    noisy = torch.rand(1, 5, 257)
    outputs = front_end(noisy, torch.ones(1))
    MinimumDifference()(
        batch_of(outputs, noisy / 2, torch.ones(1))
    ).sum().backward()
    assert all(p.grad is None for p in front_end.enhancement.parameters())
    assert all(p.grad is not None for p in front_end.fusion.parameters())


def test_an_output_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="output: 'fusion'; expected one of"):
        SpectrogramFusion(MappingMasking(hidden=4), output="fusion")


def test_beam_search_is_speechbrains(recogniser):
    feats = torch.rand(2, 20, 257)
    texts = recogniser.transcribe(feats, beam_size=3, lengths=LENGTHS)
    assert len(texts) == 2
    assert all(set(text) <= set("ab ") for text in texts)


def test_it_learns_two_sentences_by_heart():
    model = SpeechTransformer(
        CharacterSet("ab "), **{**TINY, "d_model": 32}, dropout=0.0
    )
    criterion = HybridCtcAttention(model, 0.3)
    batch = batch_of({"fusion": torch.rand(2, 24, 257)}, None, LENGTHS)
    batch.repaired[1] *= torch.linspace(0, 1, 257)
    optimiser = torch.optim.Adam(model.parameters(), 0.005)
    for _ in range(60):
        optimiser.zero_grad()
        vars(batch).pop("represented", None)
        criterion(batch).mean().backward()
        optimiser.step()
    model.eval()
    texts = model.transcribe(batch.repaired, lengths=LENGTHS)
    assert texts == batch.texts


# --- Characters


def manifest_of(folder, texts):
    wav = folder / "a.wav"
    wav.touch()
    rows = [
        {"ID": f"u{i}", "duration": 1, "wav": wav, "spk_id": "s", "wrd": text}
        for i, text in enumerate(texts)
    ]
    write_manifest(folder / "train.csv", rows)
    return folder / "train.csv"


def test_characters_of_a_manifest(tmp_path):
    manifest = manifest_of(tmp_path, ["今天天气", "天上"])
    units = CharacterSet(manifest=manifest, size=10)
    assert len(units) == 10
    assert units.characters == "".join(sorted("今天气上"))
    assert units.decode(units.encode("上天")) == "上天"
    # Outputs that stand for nothing write nothing.
    assert units.decode([9, *units.encode("气")]) == "气"
    with pytest.raises(UserError, match="size: is 4; expected 5"):
        CharacterSet(manifest=manifest, size=4).encode("天")


def test_a_character_outside_the_set_is_named_with_its_utterance(tmp_path):
    manifest = manifest_of(tmp_path, ["ab", "a!"])
    with pytest.raises(UserError) as caught:
        check_characters(CharacterSet("ab"), [manifest])
    message = str(caught.value)
    assert "u1" in message and "'!'" in message and "\n" not in message
    with pytest.raises(UserError, match="'!' in 'a!'"):
        CharacterSet("ab").encode("a!")


def test_character_errors_are_jiwers():
    rate = CharacterErrorRate()
    pairs = [("the cat sat", "the hat sat"), ("on a mat", "in mat")]
    for number, (said, heard) in enumerate(pairs):
        rate.append([str(number)], [heard], [said])
    expected = jiwer.cer([s for s, _ in pairs], [h for _, h in pairs])
    assert rate.summarize() == pytest.approx(expected)


# --- The brain


class _Loss(torch.nn.Module):
    """The squared distance; not a number for one utterance in one epoch."""

    def __init__(self):
        super().__init__()
        self.brain = None

    def forward(self, restoration):
        losses = FeatureDistance(2)(restoration)
        if self.brain[0].epoch == 2:
            bad = torch.tensor([i == "c" for i in restoration.ids])
            losses = losses.masked_fill(bad, float("nan"))
        return losses


class _Gradient(_Loss):
    """The squared distance; its gradient is no number in the second epoch."""

    def forward(self, restoration):
        losses = FeatureDistance(2)(restoration)
        if self.brain[0].epoch == 2 and "b" in restoration.ids:
            losses = losses + (0 * losses).sqrt()
        return losses


def make_brain(criterion, folder=None, **settings):
    from speechbrain.utils.epoch_loop import EpochCounter

    from speechbrain_ext.brains.checkpoints import AtomicCheckpointer
    from speechbrain_ext.brains.restoration import RestorationBrain

    front_end = make_front_end(output="masking")
    counter = EpochCounter(2)
    checkpointer = folder and AtomicCheckpointer(
        folder, {"front_end": front_end, "counter": counter}
    )
    brain = RestorationBrain(
        front_end=front_end,
        features=Magnitude(),
        criteria={"distance": criterion},
        weights={"distance": 1.0},
        opt_class=lambda parameters: torch.optim.Adam(parameters, 0.01),
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=checkpointer,
        **settings,
    )
    criterion.brain = (brain,)
    return brain, counter


def data():
    from speechbrain.dataio.batch import PaddedBatch
    from speechbrain.dataio.dataloader import SaveableDataLoader

    items = [
        {"id": name, "sig": 0.1 * torch.randn(2048), "wrd": "a"}
        for name in "abc"
    ]
    return SaveableDataLoader(items, collate_fn=PaddedBatch)


@pytest.mark.parametrize(
    ("criterion", "batch", "what"),
    [
        (_Loss, "3 (c)", "distance is not finite for c"),
        (_Gradient, "2 (b)", "a gradient is not finite"),
    ],
)
def test_what_is_no_number_stops_and_keeps_the_last_checkpoint(
    tmp_path, criterion, batch, what
):
    brain, counter = make_brain(criterion(), tmp_path / "save")
    with pytest.raises(UserError) as caught:
        brain.fit(counter, data(), data())
    message = str(caught.value)
    assert f"epoch 2, batch {batch}: {what}" in message
    assert str(tmp_path / "save") in message
    (kept,) = (tmp_path / "save").iterdir()
    weights = torch.load(kept / "front_end.ckpt", weights_only=True)
    assert all(weight.isfinite().all() for weight in weights.values())
    assert all(p.isfinite().all() for p in brain.modules.parameters())


def test_a_scheduler_of_updates_is_called_after_each():
    criterion = FeatureDistance(2)
    scheduler = NoamScheduler(0.01, 4)
    brain, _ = make_brain(criterion, update_scheduler=scheduler)
    brain.fit(range(1, 2), data(), data())
    # One before the first update, one after each of three.
    assert scheduler.n_steps == 4
    assert brain.optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
