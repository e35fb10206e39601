"""Perceptual models: their losses by hand, their layers, their units."""

import math

import pytest
import torch

from speechbrain_ext.backends.encoders import CRDNNEncoder, WideResNetEncoder
from speechbrain_ext.backends.perceptual import (
    FrozenPerceptualModel,
    PerceptualModel,
)
from speechbrain_ext.backends.units import Characters, Phones, WordPieces
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.criteria.representation import RepresentationDistance
from speechbrain_ext.criteria.restoration import Restoration
from speechbrain_ext.criteria.sequence import (
    Alignment,
    Ctc,
    DecoderNll,
    alignment_losses,
)
from speechbrain_ext.errors import UserError

ENCODERS = {
    "wide": lambda bins=257: WideResNetEncoder([4, 6], dense=16, n_bins=bins),
    "crdnn": lambda bins=257: CRDNNEncoder(bins, [4, 4, 4], 2, 8, 16),
}


def model(encoder="wide", units=None, **settings):
    return PerceptualModel(
        ENCODERS[encoder](), units or Phones(), decoder_neurons=16, **settings
    )


def batch(texts, frames=40, lengths=None):
    feats = torch.rand(len(texts), frames, 257)
    lengths = torch.ones(len(texts)) if lengths is None else lengths
    return Restoration(
        ids=[str(i) for i in range(len(texts))],
        texts=texts,
        wavs=None,
        damaged_wavs=None,
        lengths=lengths,
        clean=feats,
        damaged=feats,
        repaired=feats,
        frame_lengths=lengths,
        lost=None,
    )


# --- Alignment loss, eq. 1 and 2


def test_alignment_by_hand():
    # Blank, two units; energies 0, 4, 2 have the average 2.
    posteriors = torch.tensor(
        [[[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.3, 0.3, 0.4]]]
    )
    energies = torch.tensor([[0.0, 4.0, 2.0]])
    losses = alignment_losses(posteriors.log(), energies, torch.ones(1))
    # Silence wants the blank; speech wants 0.5 + 0.1; the last is neither.
    expected = torch.tensor([[-math.log(0.7), -math.log(0.6), 0.0]])
    torch.testing.assert_close(losses, expected)


def test_the_average_is_of_the_utterances_own_frames():
    posteriors = torch.tensor([[[0.7, 0.3]] * 4])
    energies = torch.tensor([[1.0, 3.0, 100.0, 100.0]])
    losses = alignment_losses(posteriors.log(), energies, torch.tensor([0.5]))
    expected = torch.tensor([-math.log(0.7), -math.log(0.3)])
    torch.testing.assert_close(losses[0, :2], expected)


@pytest.mark.parametrize("pooling", [1, 4])
def test_alignment_teaches_to_write_where_speech_is(pooling):
    recogniser = model(pooling=pooling).train()
    restoration = batch(["AH"])
    restoration.clean = restoration.repaired = torch.cat(
        [torch.zeros(1, 20, 257), torch.full((1, 20, 257), 2.0)], dim=1
    )
    optimizer = torch.optim.Adam(recogniser.parameters(), 1e-2)
    for _ in range(15):
        vars(restoration).pop("represented", None)
        loss = Alignment(recogniser)(restoration).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    vars(restoration).pop("represented")
    assert Alignment(recogniser.eval())(restoration) < 0.3


# --- The sequence losses


def test_ctc_of_a_uniform_posterior_by_hand():
    recogniser = model(units=Characters())
    for parameter in recogniser.ctc.parameters():
        torch.nn.init.zeros_(parameter)
    restoration = batch(["a"], frames=2)
    # Three paths over two frames (aa, a-, -a), each 1/29 squared... of 28 units.
    n = len(Characters())
    expected = -math.log(3 / n**2)
    assert Ctc(recogniser)(restoration).item() == pytest.approx(expected, 1e-4)


def test_nll_counts_the_end_and_not_the_padding():
    recogniser = model()
    for parameter in recogniser.output.parameters():
        torch.nn.init.zeros_(parameter)
    losses = DecoderNll(recogniser)(batch(["AH", "HH AH L OW"]))
    # A uniform distribution over 39 phones and the end, everywhere.
    torch.testing.assert_close(losses, torch.full((2,), math.log(40)))


def test_more_units_than_frames_is_no_infinity():
    losses = Ctc(model())(batch(["HH AH L OW", "AH"], frames=3))
    assert losses[0] == 0 and torch.isfinite(losses[1])


# --- Layers


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_layer_has_a_representation_of_every_frame(encoder):
    recogniser = model(encoder).eval()
    feats, lengths = torch.rand(2, 12, 257), torch.tensor([1.0, 0.5])
    outputs = recogniser.representations(feats, lengths, recogniser.layers)
    assert len(outputs) == len(recogniser.layers)
    assert all(output.shape[:2] == (2, 12) for output in outputs)
    for name, output in zip(recogniser.layers, outputs):
        (alone,) = recogniser.representations(feats, lengths, [name])
        torch.testing.assert_close(alone, output)


def test_a_shallow_layer_runs_no_later_block(monkeypatch):
    recogniser = model()
    late = recogniser.encoder.network.blocks[1]
    monkeypatch.setattr(late, "forward", lambda *_: pytest.fail("was run"))
    feats = torch.rand(1, 8, 257)
    recogniser.representations(feats, torch.ones(1), ["block1"])


def test_neighbours_in_a_batch_change_no_wide_resnet_layer():
    recogniser = model().eval()
    feats = torch.rand(2, 12, 257)
    names = recogniser.layers
    together = recogniser.representations(
        feats, torch.tensor([1.0, 0.5]), names
    )
    alone = recogniser.representations(feats[1:, :6], torch.ones(1), names)
    for one, other in zip(together, alone):
        torch.testing.assert_close(one[1:, :6], other)


def test_filterbanks_are_computed_from_the_magnitudes():
    recogniser = PerceptualModel(ENCODERS["wide"](40), Phones(), n_channels=40)
    (encoded,) = recogniser.representations(
        torch.rand(1, 8, 257), torch.ones(1), ["encoder"]
    )
    assert encoded.shape == (1, 8, 16)


def test_a_frozen_model_gives_gradients_to_its_input_alone():
    judge = FrozenPerceptualModel(
        ENCODERS["wide"](), Phones(), decoder_neurons=16
    )
    restoration = batch(["AH"])
    restoration.repaired = torch.rand(1, 40, 257, requires_grad=True)
    loss = RepresentationDistance(judge.train(), ["block2"])(restoration)
    loss.sum().backward()
    assert restoration.repaired.grad.abs().max() > 0
    assert all(p.grad is None for p in judge.parameters())
    assert not judge.training


def test_an_unknown_layer_is_named():
    with pytest.raises(UserError, match="'block9'.*block1, block2"):
        RepresentationDistance(model(), ["block9"])
    with pytest.raises(UserError, match="'block9'.*block1, block2"):
        RepresentationDistance(model(), "block9")
    assert RepresentationDistance(model(), "block2").layers == ["block2"]


# --- Recognition


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_memorised_utterance_is_written(beam_size):
    recogniser = model(units=Characters())
    restoration = batch(["no"], frames=20)
    criteria = DecoderNll(recogniser), Ctc(recogniser)
    optimizer = torch.optim.Adam(recogniser.parameters(), 1e-2)
    for _ in range(40):
        vars(restoration).pop("represented", None)
        loss = sum(criterion(restoration).sum() for criterion in criteria)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    recogniser.eval()
    assert recogniser.transcribe(restoration.clean, [1.0], beam_size) == ["no"]


# --- Units


def test_a_phone_outside_of_the_set_is_named():
    with pytest.raises(UserError, match="'XX'"):
        Phones().encode("HH XX")


def test_word_pieces_are_trained_once_and_come_back(tmp_path):
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"")
    rows = [
        {"ID": str(i), "duration": 1, "wav": wav, "spk_id": "s", "wrd": text}
        for i, text in enumerate(["The cat sat.", "A hat!", "The mat sat."] * 4)
    ]
    write_manifest(tmp_path / "train.csv", rows)
    file = tmp_path / "pieces.model"
    pieces = WordPieces(file, tmp_path / "train.csv", n_pieces=10)
    indices = pieces.encode("The cat sat!")
    assert pieces.decode(indices) == "the cat sat"
    assert 0 not in indices and max(indices) < len(pieces) == 11
    assert WordPieces(file).encode("The cat sat!") == indices


def test_too_many_word_pieces_are_refused(tmp_path):
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"")
    row = {"ID": "a", "duration": 1, "wav": wav, "spk_id": "s", "wrd": "A hat."}
    write_manifest(tmp_path / "train.csv", [row])
    file = tmp_path / "pieces.model"
    with pytest.raises(UserError, match="n_pieces: 500"):
        WordPieces(file, tmp_path / "train.csv").encode("a hat")
    assert not file.exists()
