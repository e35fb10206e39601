"""SpeechBrain's own recogniser as a back-end that is trained."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from speechbrain.inference.ASR import EncoderDecoderASR
from torch.nn import functional as F

from speechbrain_ext.backends.perceptual import IGNORED
from speechbrain_ext.backends.speechbrain_recogniser import (
    SpeechBrainRecogniser,
)
from speechbrain_ext.criteria.sequence import DecoderNll
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.log_magnitude import LogMagnitude
from speechbrain_ext.features.waveform import Waveform
from speechbrain_ext.frontends.spectral import SpectralFrontEnd
from speechbrain_ext.frontends.wide_resnet import WideResNetEnhancer
from speechbrain_ext.weight_files import load_weights, save_weights

LENGTHS = torch.tensor([1.0, 0.6])
TEXTS = ["The quick -- brown fox!", "Lazy dog."]


@pytest.fixture
def recogniser(speechbrain_source):
    return SpeechBrainRecogniser(speechbrain_source).eval()


@pytest.fixture(scope="module")
def published(speechbrain_source):
    """The same model as SpeechBrain itself loads it."""
    return EncoderDecoderASR.from_hparams(
        str(speechbrain_source), run_opts={"device": "cpu"}
    )


def batch(repaired, texts=TEXTS):
    return SimpleNamespace(
        repaired=repaired, frame_lengths=LENGTHS, texts=texts
    )


def test_logits_are_those_of_speechbrains_modules(recogniser, published, wavs):
    inputs, _ = recogniser.encode_text(TEXTS)
    with torch.no_grad():
        feats = Waveform()(wavs, LENGTHS)
        (states,) = recogniser.representations(feats, LENGTHS, ["encoder"])
        logits = recogniser.decoder_logits(states, LENGTHS, inputs)

        hparams = published.hparams
        x = hparams.compute_features(wavs)
        x = (x - hparams.normalizer.glob_mean) / hparams.normalizer.glob_std
        x = hparams.enc(x)
        torch.testing.assert_close(states, x)
        torch.testing.assert_close(published.encode_batch(wavs, LENGTHS), x)
        outputs, _ = hparams.dec(hparams.emb(inputs), x, LENGTHS)
        torch.testing.assert_close(logits, hparams.seq_lin(outputs))
    assert logits.shape == (2, inputs.shape[1], 40)


def test_it_writes_what_speechbrain_writes(recogniser, published, wavs):
    expected, _ = published.transcribe_batch(wavs, LENGTHS)
    assert all(expected) and expected[0] != expected[1]
    seconds = LENGTHS * 1.5
    feats = Waveform()(wavs, LENGTHS)
    assert recogniser.transcribe(feats, seconds) == expected
    assert recogniser.transcribe(feats, seconds, lengths=LENGTHS) == expected


def test_greedy_search_takes_the_likeliest_unit(recogniser, wavs):
    feats = Waveform()(wavs[:1], torch.ones(1))
    texts = recogniser.transcribe(feats, torch.tensor([1.5]), beam_size=1)

    with torch.no_grad():
        states = recogniser.encoder(wavs[:1], torch.ones(1))
        units = [0]
        for _ in range(int(0.5 * states.shape[1])):
            inputs = torch.tensor([units])
            logits = recogniser.decoder_logits(states, torch.ones(1), inputs)
            units.append(int(logits[0, -1].argmax()))
            if units[-1] == 0:
                break
    written = [unit for unit in units[1:] if unit]
    assert texts == [recogniser.tokenizer.decode_ids(written)] != [""]


@pytest.mark.parametrize("beam_size", [None, 1])
@pytest.mark.parametrize("samples", [1, 1599, 1600])
def test_what_is_too_short_for_a_word_is_not_heard(
    recogniser, samples, beam_size
):
    feats = 0.1 * torch.randn(2, samples, 1)
    seconds = torch.full((2,), samples / 16000)
    texts = recogniser.transcribe(feats, seconds, beam_size=beam_size)
    assert len(texts) == 2
    assert samples == 1600 or texts == ["", ""]


def test_texts_are_capitals_of_known_units(recogniser):
    # No sentence that the units were made of has a Q.
    inputs, targets = recogniser.encode_text(["The q dog -- 7 é!", "dog"])
    decode = recogniser.tokenizer.decode_ids
    assert decode(inputs[0, 1:].tolist()).split() == ["THE", "DOG"]
    n = int((targets[1] != IGNORED).sum())
    assert decode(targets[1, : n - 1].tolist()) == "DOG"
    # The beginning, the end and what is unknown are one index.
    assert inputs[:, 0].tolist() == [0, 0] and targets[0].tolist().count(0) == 1
    assert targets[0, -1] == 0 and targets[1, n - 1] == 0
    assert inputs[1, n:].tolist() == [0] * (inputs.shape[1] - n)


def test_loss_is_the_mean_over_an_utterances_own_units(recogniser, wavs):
    losses = DecoderNll(recogniser)(batch(wavs[..., None]))
    inputs, targets = recogniser.encode_text(TEXTS)
    states = recogniser.encoder(wavs, LENGTHS)
    logits = recogniser.decoder_logits(states, LENGTHS, inputs)
    for loss, row, wanted in zip(losses, logits, targets):
        n = int((wanted != IGNORED).sum())
        torch.testing.assert_close(loss, F.cross_entropy(row[:n], wanted[:n]))


def test_gradients_reach_all_that_is_trained(recogniser, wavs):
    front_end = SpectralFrontEnd(
        LogMagnitude(), WideResNetEnhancer([2, 2], dense=[4])
    )
    recogniser.train()
    repaired = front_end(wavs, LENGTHS)
    DecoderNll(recogniser)(batch(repaired[..., None])).mean().backward()
    for module in (recogniser, front_end):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    assert recogniser.encoder.model.CNN.block_0.conv_1.conv.weight.grad.any()
    assert recogniser.decoder.attn.mlp_enc.weight.grad.any()
    assert front_end.enhancer.network.blocks[0].first.weight.grad.any()


def test_language_model_and_statistics_never_train(recogniser, wavs):
    language_model = recogniser._asr[0].mods.lm_model
    normalise = recogniser.encoder.normalize
    before = normalise.glob_mean.clone()
    recogniser.train()
    recogniser.encoder(wavs, LENGTHS)
    assert recogniser.encoder.model.training and recogniser.decoder.training
    assert torch.equal(normalise.glob_mean, before)
    assert not any(m.training for m in language_model.modules())
    assert not any(p.requires_grad for p in language_model.parameters())
    trained = {id(p) for p in recogniser.parameters()}
    assert not trained & {id(p) for p in language_model.parameters()}
    assert all(p.requires_grad for p in recogniser.parameters())


def test_training_mode_drops_units_and_evaluation_does_not(recogniser, wavs):
    with torch.no_grad():
        first, second = (
            recogniser.train().encoder(wavs, LENGTHS) for _ in range(2)
        )
        assert not torch.equal(first, second)
        first, second = (
            recogniser.eval().encoder(wavs, LENGTHS) for _ in range(2)
        )
        assert torch.equal(first, second)


def test_all_of_it_moves_together(recogniser):
    # Another type stands for another device, which a test need not have.
    recogniser.to(torch.float64)
    asr = recogniser._asr[0]
    statistics = recogniser.encoder.normalize.glob_mean
    moved = [*recogniser.parameters(), *asr.mods.parameters(), statistics]
    assert {tensor.dtype for tensor in moved} == {torch.float64}
    assert recogniser.searcher.dec is recogniser.decoder


def test_weights_are_saved_and_loaded(
    recogniser, speechbrain_source, wavs, tmp_path
):
    with torch.no_grad():
        for parameter in recogniser.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    file = tmp_path / "back_end.safetensors"
    save_weights(file, recogniser)
    again = SpeechBrainRecogniser(speechbrain_source).eval()
    with torch.no_grad():
        wanted = recogniser.encoder(wavs, LENGTHS)
        assert not torch.allclose(again.encoder(wavs, LENGTHS), wanted)
        load_weights(file, again)
        assert torch.equal(again.encoder(wavs, LENGTHS), wanted)
    parts = {name.partition(".")[0] for name in recogniser.state_dict()}
    assert parts == {"encoder", "embedding", "decoder", "output"}
    # The search asks the modules that the weights were loaded into.
    feats, seconds = wavs[..., None], LENGTHS * 1.5
    assert again.transcribe(feats, seconds) == recogniser.transcribe(
        feats, seconds
    )


def refused(source):
    with pytest.raises(UserError) as error:
        SpeechBrainRecogniser(source)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{source}: ") and "; expected " in line
    return line


def test_what_is_no_recogniser_is_refused(speechbrain_source, tmp_path):
    refused(str(tmp_path / "nowhere"))
    refused("nobody/no-such-model")
    folder = tmp_path / "broken"
    shutil.copytree(speechbrain_source, folder)
    (folder / "asr.ckpt").write_bytes(b"half")
    refused(folder)
    (folder / "asr.ckpt").unlink()
    assert "asr.ckpt" in refused(folder)
    (folder / "hyperparams.yaml").write_text("a: [1", encoding="utf-8")
    refused(folder)


def test_only_recurrent_decoders_are_taken(speechbrain_source, tmp_path):
    folder = tmp_path / "transformer"
    shutil.copytree(speechbrain_source, folder)
    file = folder / "hyperparams.yaml"
    head, found, tail = file.read_text().partition(
        "decoder: !new:speechbrain.decoders.S2SRNNBeamSearcher\n"
    )
    assert found
    file.write_text(
        head
        + "decoder: !new:speechbrain.decoders.S2STransformerBeamSearcher\n"
        + "    modules: [!ref <dec>, !ref <seq_lin>]\n"
        + tail.partition("linear: !ref <seq_lin>\n")[2]
    )
    assert "a S2STransformerBeamSearcher" in refused(folder)


def test_it_speaks_its_own_language_only(recogniser):
    recogniser.set_language(None)
    with pytest.raises(UserError, match="language: 'es', and "):
        recogniser.set_language("es")
