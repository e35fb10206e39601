"""The distance of encoder outputs, and the encoder that runs once for all."""

from types import SimpleNamespace

import pytest
import torch

from speechbrain_ext.criteria.representation import (
    RepresentationDistance,
    represent_repaired,
    upper_half,
)
from speechbrain_ext.errors import UserError


class Encoder(torch.nn.Module):
    """Halves the frames by taking every other one, and counts its calls."""

    layers = ("encoder",)

    def __init__(self):
        super().__init__()
        self.calls = 0

    def representations(self, feats, lengths, names):
        self.calls += 1
        return [feats[:, ::2] * 3.0 for _ in names]


def distance(encoder):
    return RepresentationDistance(encoder, ["encoder"])


def encode_repaired(restoration, encoder):
    return represent_repaired(restoration, encoder, ["encoder"])[0]


def batch(clean, repaired, frame_lengths):
    return SimpleNamespace(
        clean=clean,
        repaired=repaired,
        frame_lengths=torch.tensor(frame_lengths),
    )


def test_equals_the_value_by_hand():
    clean = torch.zeros(1, 4, 2)
    repaired = torch.tensor([[[1.0, 3.0], [9.0, 9.0], [0.0, 2.0], [9.0, 9.0]]])
    loss = distance(Encoder())(batch(clean, repaired, [1.0]))
    # Positions 0 and 2 are kept: 3 * mean(1, 3, 0, 2).
    torch.testing.assert_close(loss, torch.tensor([4.5]))


def test_positions_past_the_end_do_not_count():
    clean = torch.zeros(2, 4, 1)
    repaired = torch.ones(2, 4, 1)
    repaired[1, 2:] = 100.0
    loss = distance(Encoder())(batch(clean, repaired, [1.0, 0.5]))
    torch.testing.assert_close(loss, torch.tensor([3.0, 3.0]))


def test_gradients_reach_the_repaired_side_only():
    clean = torch.zeros(1, 4, 1, requires_grad=True)
    repaired = torch.ones(1, 4, 1, requires_grad=True)
    distance(Encoder())(batch(clean, repaired, [1.0])).sum().backward()
    assert clean.grad is None
    assert repaired.grad[0, ::2].abs().min() > 0


def test_the_repaired_side_is_encoded_once():
    encoder = Encoder()
    restoration = batch(torch.zeros(1, 4, 1), torch.ones(1, 4, 1), [1.0])
    first = encode_repaired(restoration, encoder)
    assert encode_repaired(restoration, encoder) is first
    distance(encoder)(restoration)
    # Once more for the clean side.
    assert encoder.calls == 2


@pytest.mark.parametrize("other", [True, False])
def test_each_back_end_has_its_own_encoding(other):
    restoration = batch(torch.zeros(1, 4, 1), torch.ones(1, 4, 1), [1.0])
    first, second = Encoder(), Encoder()
    encode_repaired(restoration, first)
    encode_repaired(restoration, second if other else first)
    assert second.calls == int(other)


class Layers(torch.nn.Module):
    """Multiplies by 1, 2, 3 ...; a frame of its own is ``step`` of what it takes.

    Frames past an utterance's end are garbage: they must not count.
    """

    def __init__(self, n_layers, step=1):
        super().__init__()
        self.layers = tuple(f"layer{i + 1}" for i in range(n_layers))
        self.step = step
        self.asked = []

    def representations(self, feats, lengths, names):
        self.asked.append(names)
        x = feats[:, :: self.step]
        ends = self.relative_frames(lengths, feats.shape[1], x.shape[1])
        ends = (ends * x.shape[1]).round()[:, None, None]
        past = torch.arange(x.shape[1])[:, None] >= ends
        # Other garbage each time.
        x = torch.where(past, 100.0 * torch.rand(x.shape), x)
        return [x * (self.layers.index(name) + 1) for name in names]

    def relative_frames(self, lengths, samples, frames):
        return (lengths * samples / self.step).ceil() / frames


@pytest.mark.parametrize(
    ("n_layers", "weights"),
    [
        (1, [1]),
        (2, [0, 1]),
        (3, [0, 1 / 2, 1 / 2]),
        (12, [0] * 6 + [1 / 6] * 6),
        (24, [0] * 12 + [1 / 12] * 12),
    ],
)
def test_the_upper_half_is_weighed_alike(n_layers, weights):
    assert upper_half(n_layers) == pytest.approx(weights)


def ones(frames=4):
    return batch(torch.zeros(1, frames, 1), torch.ones(1, frames, 1), [1.0])


def test_the_weighted_sum_is_compared():
    criterion = RepresentationDistance(
        Layers(4), layer_weights="upper_half", power=2, weigh_first=True
    )
    # ((3 + 4) / 2)^2; not (9 + 16) / 2, the mean of the layers' distances.
    assert criterion(ones()).item() == pytest.approx(12.25)
    summed = RepresentationDistance(
        Layers(4), layer_weights="upper_half", power=2
    )
    assert summed(ones()).item() == pytest.approx(12.5)


def test_layers_of_weight_0_are_not_asked_for():
    model = Layers(4)
    RepresentationDistance(model, layer_weights=[0, 0.5, 0, 1])(ones())
    assert model.asked == [["layer2", "layer4"]] * 2


def test_no_layers_are_all_of_them():
    criterion = RepresentationDistance(Layers(3))
    assert criterion.layers == ["layer1", "layer2", "layer3"]
    assert criterion(ones()).item() == pytest.approx(6.0)


def test_a_model_says_where_its_utterances_end():
    """10 and 5 of 10 samples are 4 and 2 frames of 3 samples: ceil."""
    clean, repaired = torch.zeros(2, 10, 1), torch.ones(2, 10, 1)
    repaired[1, 3] = 3.0
    repaired[1, 6:] = 9.0
    criterion = RepresentationDistance(Layers(1, step=3), power=2)
    found = criterion(batch(clean, repaired, [1.0, 0.5]))
    assert found.tolist() == [1.0, (1 + 9) / 2]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0] * 11, "expected upper_half or a number for each of 12 layers"),
        ("lower_half", "are lower_half; expected upper_half or a number"),
        ([0.0] * 12, "layer_weights: all are 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, said):
    with pytest.raises(UserError) as error:
        RepresentationDistance(Layers(12), layer_weights=weights)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_another_frame_rate_on_one_side_is_refused():
    model = Layers(1)
    model.representations = lambda feats, lengths, names: [
        feats[:, :: 1 if feats.any() else 2]
    ]
    with pytest.raises(UserError, match="expected one frame rate on both"):
        RepresentationDistance(model)(ones())


# What is kept of clean speech.


@pytest.fixture
def speech():
    clean, repaired = torch.randn(2, 2, 10, 1)
    restoration = batch(clean, repaired, [1.0, 0.5])
    restoration.ids = ["a/1", "b"]
    return restoration


def cached(model, folder, **settings):
    return RepresentationDistance(
        model,
        layer_weights="upper_half",
        power=2,
        cache_folder=folder,
        **settings,
    )


@pytest.mark.parametrize("weigh_first", [True, False])
def test_kept_features_give_the_same_loss(tmp_path, speech, weigh_first):
    model = Layers(4, step=3)
    expected = RepresentationDistance(
        model, layer_weights="upper_half", power=2, weigh_first=weigh_first
    )(speech)
    model.asked.clear()
    for _ in range(3):
        del speech.represented
        criterion = cached(model, tmp_path, weigh_first=weigh_first)
        torch.testing.assert_close(criterion(speech), expected)
    # Three times the repaired side, once the clean one.
    assert len(model.asked) == 4


def test_another_batch_finds_what_was_kept(tmp_path, speech):
    model = Layers(2, step=3)
    expected = cached(model, tmp_path)(speech)
    alone = batch(speech.clean[1:, :5], speech.repaired[1:, :5], [1.0])
    alone.ids = ["b"]
    model.asked.clear()
    found = cached(model, tmp_path)(alone)
    torch.testing.assert_close(found, expected[1:])
    assert len(model.asked) == 1


def test_what_is_missing_is_computed_and_kept(tmp_path, speech):
    model = Layers(2)
    alone = batch(speech.clean[1:, :5], speech.repaired[1:, :5], [1.0])
    alone.ids = ["b"]
    cached(model, tmp_path)(alone)
    kept = list(tmp_path.rglob("*.safetensors"))
    expected = cached(model, tmp_path / "other")(speech)
    del speech.represented
    torch.testing.assert_close(cached(model, tmp_path)(speech), expected)
    assert len(kept) == 1 < len(list(tmp_path.rglob("*.safetensors")))


def test_an_utterance_with_another_clean_signal_is_refused(tmp_path, speech):
    criterion = cached(Layers(2), tmp_path)
    criterion(speech)
    speech.clean[1, 2] += 0.1
    with pytest.raises(UserError) as error:
        criterion(speech)
    assert str(error.value).startswith(
        f"{tmp_path}: the clean signal of b is not the one that is kept there"
    )


def test_what_lies_past_the_end_is_no_other_signal(tmp_path, speech):
    criterion = cached(Layers(2), tmp_path)
    expected = criterion(speech)
    speech.clean[1, 5:] = 7.0
    del speech.represented
    torch.testing.assert_close(criterion(speech), expected)


def test_another_networks_features_are_not_taken(tmp_path, speech):
    class Weighted(Layers):
        def __init__(self, weight):
            super().__init__(2)
            self.weight = torch.nn.Parameter(torch.tensor(weight))

        def representations(self, feats, lengths, names):
            outputs = super().representations(feats, lengths, names)
            return [self.weight * output for output in outputs]

    first = cached(Weighted(1.0), tmp_path)(speech)
    second = cached(Weighted(3.0), tmp_path)(speech)
    torch.testing.assert_close(second, 9 * first)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_later_network_is_not_taken_for_one_that_is_gone(speech):
    """Where memory is used again, so are ids."""
    for scale in range(1, 50):
        found = represent_repaired(
            speech,
            SimpleNamespace(
                representations=lambda feats, lengths, names, scale=scale: [
                    scale * feats
                ]
            ),
            ["all"],
        )
        torch.testing.assert_close(found[0], scale * speech.repaired)


def test_a_damaged_file_is_written_anew(tmp_path, speech):
    model = Layers(2)
    expected = cached(model, tmp_path)(speech)
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:20])
    del speech.represented
    torch.testing.assert_close(cached(model, tmp_path)(speech), expected)


def test_the_clean_side_has_no_graph_and_no_gradient(tmp_path, speech):
    speech.clean.requires_grad_()
    speech.repaired.requires_grad_()
    cached(Layers(2), tmp_path)(speech).sum().backward()
    assert speech.clean.grad is None and speech.repaired.grad.any()
