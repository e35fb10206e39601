"""Classifiers of senones, and what trains them."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.audio import save_audio
from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.frozen_senone_model import frozen_senone_model
from speechbrain_ext.backends.senone_models import SenoneDNN, SenoneWideResNet
from speechbrain_ext.backends.wrbn import WRBN, UtteranceNorm
from speechbrain_ext.corpora.alignments import read_alignments
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.criteria.senones import (
    SenoneCrossEntropy,
    check_alignments,
    senone_cross_entropy,
)
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.log_magnitude import LogMagnitude
from speechbrain_ext.frontends.context_mapper import ContextWideResNet

SMALL = {
    "dnn": (SenoneDNN, {"hidden": [8] * 6}),
    "wide_resnet": (
        SenoneWideResNet,
        {"filters": [4, 4, 4], "dense": [8, 8]},
    ),
    "wrbn": (WRBN, {"filters": [3, 4], "depth": 2, "cells": 6, "dense": 8}),
}


def make(name, **settings):
    torch.manual_seed(0)
    cls, small = SMALL[name]
    model = cls(**{"n_channels": 33, "n_senones": 12, **small, **settings})
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2.0)
    return model


def on_meta(model):
    """Make a model at its own size, without its weights."""
    with torch.device("meta"):
        return model()


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(params=list(SMALL))
def name(request):
    return request.param


# All of them


@pytest.mark.parametrize("frames", [1, 2, 17])
def test_padding_and_neighbours_change_nothing(name, frames):
    model = make(name).eval()
    feats = torch.rand(3, 17, 33)
    lengths = torch.tensor([1.0, frames / 17, 0.5])
    spoilt = feats.clone()
    spoilt[1, frames:] = 100.0
    spoilt[2, 9:] = -100.0
    with torch.no_grad():
        together = model.representations(spoilt, lengths, model.layers)
        alone = model.representations(
            feats[1:2, :frames], torch.ones(1), model.layers
        )
    for layer, one, other in zip(model.layers, together, alone, strict=True):
        assert one.shape[:2] == (3, 17), layer
        torch.testing.assert_close(one[1:2, :frames], other, msg=layer)
        assert one[1, frames:].eq(0).all(), layer
        assert one[1, :frames].abs().sum() > 0, layer
    assert together[-1].shape == (3, 17, 12)


def test_forward_is_the_last_layer(name):
    model = make(name).eval()
    feats, lengths = torch.rand(2, 9, 33), torch.tensor([1.0, 0.5])
    logits = model(feats, lengths)
    assert model.layers[-1] == "senones"
    (senones,) = model.representations(feats, lengths, ["senones"])
    assert torch.equal(logits, senones)


def test_named_layers_come_in_the_order_asked(name):
    model = make(name).eval()
    feats, lengths = torch.rand(1, 9, 33), torch.ones(1)
    names = [model.layers[-2], model.layers[0]]
    late, early = model.representations(feats, lengths, names)
    (first,) = model.representations(feats, lengths, [model.layers[0]])
    assert torch.equal(early, first)
    (before_last,) = model.representations(feats, lengths, names[:1])
    assert torch.equal(late, before_last)


def test_an_unknown_layer(name):
    with pytest.raises(ValueError):
        make(name).representations(torch.rand(1, 2, 33), torch.ones(1), ["x"])


def test_gradients_reach_the_input_of_a_frozen_model(name):
    class Judge(Frozen, SMALL[name][0]):
        pass

    judge = Judge(**SMALL[name][1], n_channels=33).freeze().train()
    feats = torch.rand(2, 9, 33, requires_grad=True)
    for layer in judge.layers:
        (found,) = judge.representations(
            feats, torch.tensor([1.0, 0.5]), [layer]
        )
        (gradient,) = torch.autograd.grad(found.square().sum(), feats)
        assert gradient[0].abs().sum() > 0, layer
        assert gradient[1, 5:].eq(0).all(), layer
    assert all(p.grad is None for p in judge.parameters())


def test_models_learn(name):
    """Senones that are told apart by where the energy is."""
    model = make(name, dropout=0.0).train()
    torch.manual_seed(0)
    targets = torch.arange(20).reshape(2, 10) // 3 % 4
    energy = F.one_hot(targets, 4).repeat_interleave(8, dim=2)
    feats = F.pad(energy, (0, 1)) + 0.1 * torch.rand(2, 10, 33)
    lengths = torch.tensor([1.0, 0.6])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = senone_cross_entropy(
            model(feats, lengths), targets, lengths
        ).mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]


# Each


def test_dnn_size():
    expected = 2828 * 1024 + 5 * 1025 * 1024 + 1025 * 1999
    expected += 6 * 2 * 1024
    model = on_meta(SenoneDNN)
    assert n_parameters(model) == expected
    assert model.layers == (*(f"layer{i}" for i in range(1, 7)), "senones")


def test_dnn_by_hand():
    model = make("dnn", hidden=[4, 3], n_channels=2, past=1, future=0).eval()
    feats = torch.randn(1, 2, 2)
    x = feats.reshape(1, 4)
    outputs = []
    for stage in model.stages.values():
        for part in stage:
            if isinstance(part, nn.BatchNorm1d):
                x = (x - part.running_mean) / (part.running_var + 1e-5).sqrt()
                x = torch.where(x > 0, x, 0.3 * x)
            if isinstance(part, nn.Linear):
                x = x @ part.weight.T + part.bias
        outputs.append(x)
    found = model.representations(feats, torch.ones(1), model.layers)
    for one, other in zip(found, outputs, strict=True):
        torch.testing.assert_close(one[:, 1], other)


def test_wide_resnet_is_nearly_the_enhancer():
    enhancer = on_meta(ContextWideResNet).state_dict()
    model = on_meta(SenoneWideResNet).state_dict()
    differing = {
        key.split(".")[1]
        for key in enhancer.keys() | model.keys()
        if key not in enhancer
        or key not in model
        or enhancer[key].shape != model[key].shape
    }
    assert differing == {"output", "senones"}


def test_wrbn_size():
    def layer(inputs, outputs):
        count = 2 * inputs + 2 * outputs
        count += 9 * outputs * (inputs + outputs)
        return count + (inputs * outputs if inputs != outputs else 0)

    def blstm(inputs):
        return 2 * inputs + 2 * 4 * 512 * (inputs + 512 + 2)

    expected = 9 * 16
    for inputs, outputs in [(16, 80), (80, 160), (160, 320)]:
        expected += layer(inputs, outputs) + 2 * layer(outputs, outputs)
    # 257 bins, halved by the first convolution and by two of the groups.
    expected += 2 * 320 + 33 + 1
    expected += blstm(320) + blstm(512)
    expected += 1024 * 1024 + 2 * 1024 + 1025 * 1999
    assert n_parameters(on_meta(WRBN)) == expected


def test_wrbn_shapes():
    model = WRBN(filters=[2, 3, 4], depth=1, cells=5, dense=6, n_senones=7)
    outputs = model.representations(
        torch.rand(2, 9, 257), torch.ones(2), model.layers
    )
    assert [tuple(output.shape[2:]) for output in outputs] == [
        (16, 129),
        (2, 129),
        (3, 65),
        (4, 33),
        (4,),
        (5,),
        (10,),
        (6,),
        (7,),
    ]


def test_wrbn_by_hand():
    """As Heymann et al. have it, up to the recurrent layers."""

    def active(x, norm):
        return F.elu(F.instance_norm(x, None, None, *flat(norm)))

    def flat(norm):
        return [parameter.flatten() for parameter in norm.parameters()]

    model = make("wrbn").eval()
    for module in model.modules():
        if isinstance(module, UtteranceNorm):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    feats = torch.rand(1, 7, 33)
    x = F.conv2d(feats[:, None], model.conv.weight, None, (1, 2), 1)
    expected = [x]
    for stride, block in zip([1, 2], model.blocks, strict=True):
        for layer in block.layers:
            before, step = active(x, layer.first_norm), (1, stride)
            if layer is block.layers[0]:
                x = F.conv2d(before, layer.shortcut.weight, None, step)
            else:
                assert layer.shortcut is None
                step = 1
            residual = F.conv2d(before, layer.first.weight, None, step, 1)
            residual = active(residual, layer.second_norm)
            x = x + F.conv2d(residual, layer.second.weight, None, 1, 1)
        expected.append(x)
    pooled = model.pool(active(x, model.block_norm))
    expected.append(pooled[..., 0])
    found = model.representations(feats, torch.ones(1), model.layers[:4])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other.transpose(1, 2))
    x = F.instance_norm(
        F.elu(pooled[..., 0]), None, None, *flat(model.blstm1.norm)
    )
    both, _ = model.blstm1.lstm(x.transpose(1, 2))
    (blstm,) = model.representations(feats, torch.ones(1), ["blstm1"])
    torch.testing.assert_close(blstm, both[..., :6] + both[..., 6:])


def test_wrbn_sees_all_of_the_utterance():
    model = make("wrbn").eval()
    feats = torch.rand(1, 40, 33, requires_grad=True)
    model(feats, torch.ones(1))[0, 0].sum().backward()
    assert feats.grad[0, -1].abs().sum() > 0


def test_utterance_norm_is_instance_norm():
    torch.manual_seed(0)
    norm = UtteranceNorm(3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(2, 3, 8, 5)
    inside = torch.ones(2, 1, 8, 1)
    inside[1, :, 6:] = 0
    found = norm(x, inside)
    for row, frames in enumerate([8, 6]):
        expected = F.instance_norm(
            x[row : row + 1, :, :frames],
            weight=norm.weight.flatten(),
            bias=norm.bias.flatten(),
        )
        torch.testing.assert_close(found[row : row + 1, :, :frames], expected)
    assert found[1, :, 6:].eq(0).all()


def test_batch_norm_counts_each_frame_once():
    model = make("dnn").train()
    bn = next(m for m in model.modules() if isinstance(m, nn.BatchNorm1d))
    feats = torch.rand(2, 9, 33)
    model(feats, torch.tensor([1.0, 0.5])).sum().backward()
    assert int(bn.num_batches_tracked) == 1


# The criterion


def test_cross_entropy_by_hand():
    logits = torch.tensor(
        [
            [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]],
            [[0.0, 0.0, 3.0], [9.0, 9.0, 9.0]],
        ]
    )
    targets = torch.tensor([[0, 2], [2, 0]])
    losses = senone_cross_entropy(logits, targets, torch.tensor([1.0, 0.5]))
    e = torch.tensor([1.0, 2.0, 3.0]).exp()
    first = (-torch.log(e[0] / (e[0] + 2)) - torch.log(1 / (e[1] + 2))) / 2
    second = -torch.log(e[2] / (e[2] + 2))
    torch.testing.assert_close(losses, torch.stack([first, second]))


def test_cross_entropy_ignores_the_padding():
    logits = torch.randn(2, 6, 5, requires_grad=True)
    targets = torch.zeros(2, 6, dtype=torch.long)
    lengths = torch.tensor([1.0, 0.5])
    losses = senone_cross_entropy(logits, targets, lengths)
    losses.sum().backward()
    assert logits.grad[1, 3:].eq(0).all()
    assert logits.grad[1, :3].abs().sum() > 0
    alone = senone_cross_entropy(logits[1:, :3], targets[1:, :3], torch.ones(1))
    torch.testing.assert_close(losses[1:], alone)


def alignment_file(folder, text):
    file = folder / "alignments.txt"
    file.write_text(text)
    return read_alignments(file, 12)


def test_the_criterion_looks_its_targets_up(tmp_path):
    """Two utterances of 8 and 5 frames; the first target is frame 1's."""
    model = make("dnn").eval()
    alignments = alignment_file(tmp_path, "b 9 8\na 1 2 3 4\n")
    batch = SimpleNamespace(
        ids=["a", "b"],
        repaired=torch.rand(2, 8, 33),
        frame_lengths=torch.tensor([1.0, 5 / 8]),
    )
    targets = torch.tensor([[1, 1, 2, 3, 4, 4, 4, 4], [9, 9, 8, 8, 8, 0, 0, 0]])
    expected = senone_cross_entropy(
        model(batch.repaired, batch.frame_lengths), targets, batch.frame_lengths
    )
    losses = SenoneCrossEntropy(model, alignments)(batch)
    torch.testing.assert_close(losses, expected)


def test_alignments_are_checked_against_manifests(tmp_path):
    save_audio(tmp_path / "a.wav", torch.zeros(800))
    row = {"duration": 0.05, "wav": tmp_path / "a.wav", "wrd": "y"}
    rows = [{"ID": name, "spk_id": name, **row} for name in ("a", "b")]
    manifest = tmp_path / "train.csv"
    write_manifest(manifest, rows)
    features = LogMagnitude(window_ms=25, hop_ms=10)
    # 50 ms: 7 frames of ours, 3 of Kaldi's.
    whole = alignment_file(tmp_path, "a 1 2 3\nb 1 2 3\n")
    check_alignments([manifest], whole, features)
    short = alignment_file(tmp_path, "a 1 2 3\nb 1\n")
    with pytest.raises(UserError, match="b has 1 targets for 7 frames"):
        check_alignments([manifest], short, features)
    other = alignment_file(tmp_path, "a 1 2 3\n")
    with pytest.raises(UserError, match="no alignment of b;"):
        check_alignments([manifest], other, features)


# By name


def test_models_by_name_are_frozen():
    model = frozen_senone_model("wide_resnet", 7, SMALL["wide_resnet"][1])
    model.train()
    assert not any(module.training for module in model.modules())
    assert not any(p.requires_grad for p in model.parameters())
    assert model(torch.rand(1, 3, 257), torch.ones(1)).shape == (1, 3, 7)


def test_weights_of_a_trained_model_fit_a_frozen_one():
    trained = SenoneDNN(hidden=[4], n_senones=7)
    frozen = frozen_senone_model("dnn", 7, {"hidden": [4]})
    frozen.load_state_dict(trained.state_dict())


@pytest.mark.parametrize(
    ("name", "settings", "found"),
    [
        ("crdnn", {}, "'crdnn'; expected one of dnn, wrbn, wide_resnet"),
        ("dnn", {"filters": [4]}, "'filters'; expected a setting of SenoneDNN"),
    ],
)
def test_unknown_models_and_settings(name, settings, found):
    with pytest.raises(UserError, match=found):
        frozen_senone_model(name, 7, settings)
