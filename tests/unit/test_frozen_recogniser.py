"""SpeechBrain's recognisers as judges, and the hybrid loss they give."""

from types import SimpleNamespace

import pytest
import sentencepiece
import torch
from hyperpyyaml import load_hyperpyyaml
from speechbrain.inference.ASR import EncoderDecoderASR
from torch.nn import functional as F

from speechbrain_ext.backends.frozen_recogniser import (
    FrozenSpeechBrainRecogniser,
)
from speechbrain_ext.backends.perceptual import IGNORED
from speechbrain_ext.criteria.sequence import HybridCtcAttention
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.waveform import Waveform

LENGTHS = torch.tensor([1.0, 0.6])
TEXTS = ["The quick brown fox!", "Lazy dog."]
SENTENCES = (
    "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG",
    "PLEASE CALL STELLA AND ASK HER TO BRING THESE THINGS FROM THE STORE",
)

#: Laid out as SpeechBrain's conformer recognisers are on the hub, but tiny.
CONFORMER = """
normalizer: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
compute_features: !new:speechbrain.lobes.features.Fbank
    sample_rate: 16000
    n_fft: 400
    n_mels: 8
CNN: !new:speechbrain.lobes.models.convolution.ConvolutionFrontEnd
    input_shape: (8, 10, 8)
    num_blocks: 2
    num_layers_per_block: 1
    out_channels: (4, 2)
    kernel_sizes: (3, 3)
    strides: (2, 2)
    residuals: (False, False)
Transformer: !new:speechbrain.lobes.models.transformer.TransformerASR.TransformerASR
    input_size: 4
    tgt_vocab: 30
    d_model: 8
    nhead: 2
    num_encoder_layers: 1
    num_decoder_layers: 1
    d_ffn: 16
    dropout: 0.1
    activation: !name:torch.nn.GELU
    encoder_module: conformer
    attention_type: RelPosMHAXL
    normalize_before: True
    causal: False
ctc_lin: !new:speechbrain.nnet.linear.Linear
    input_size: 8
    n_neurons: 30
seq_lin: !new:speechbrain.nnet.linear.Linear
    input_size: 8
    n_neurons: 30
tokenizer: !new:sentencepiece.SentencePieceProcessor
asr_model: !new:torch.nn.ModuleList
    - [!ref <CNN>, !ref <Transformer>, !ref <seq_lin>, !ref <ctc_lin>]
encoder: !new:speechbrain.nnet.containers.LengthsCapableSequential
    compute_features: !ref <compute_features>
    normalize: !ref <normalizer>
    cnn: !ref <CNN>
    transformer_encoder: !new:speechbrain.lobes.models.transformer.TransformerASR.EncoderWrapper
        transformer: !ref <Transformer>
decoder: !new:speechbrain.decoders.S2STransformerBeamSearcher
    modules: [!ref <Transformer>, !ref <seq_lin>]
    bos_index: 1
    eos_index: 2
    min_decode_ratio: 0.0
    max_decode_ratio: 0.5
    beam_size: 2
modules:
    encoder: !ref <encoder>
    decoder: !ref <decoder>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        normalizer: !ref <normalizer>
        asr: !ref <asr_model>
        tokenizer: !ref <tokenizer>
"""


def write_source(folder, text=CONFORMER):
    """A folder as the hub has one; its weights are random."""
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(text)
    with open(folder / "tokenizer.ckpt", "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES),
            model_writer=file,
            vocab_size=30,
            # Found by the words that were seen; 0 is the unknown, and blank.
            model_type="char",
            minloglevel=2,
        )
    torch.manual_seed(7)
    hparams = load_hyperpyyaml(text)
    normaliser = hparams["normalizer"]
    normaliser.glob_mean = torch.linspace(-30, -20, 8)
    normaliser.glob_std = torch.linspace(8, 12, 8)
    normaliser.count = 100
    normaliser._save(folder / "normalizer.ckpt")
    torch.save(hparams["asr_model"].state_dict(), folder / "asr.ckpt")
    return folder


@pytest.fixture(scope="module")
def conformer_source(tmp_path_factory):
    return write_source(tmp_path_factory.mktemp("recognisers") / "conformer")


@pytest.fixture(scope="module", params=["conformer", "crdnn"])
def source(request, conformer_source, speechbrain_source):
    if request.param == "conformer":
        return conformer_source
    return speechbrain_source


@pytest.fixture(scope="module")
def recogniser(source):
    return FrozenSpeechBrainRecogniser(source)


@pytest.fixture(scope="module")
def published(source):
    """The same model as SpeechBrain itself loads it."""
    return EncoderDecoderASR.from_hparams(
        str(source), run_opts={"device": "cpu"}
    )


def batch(wavs):
    return SimpleNamespace(
        repaired=wavs[..., None], frame_lengths=LENGTHS, texts=TEXTS
    )


def attention_logits(hparams, states, inputs):
    """By SpeechBrain's modules, as its own recipes call them."""
    if hasattr(hparams, "dec"):
        outputs, _ = hparams.dec(hparams.emb(inputs), states, LENGTHS)
    else:
        ends = torch.round(LENGTHS * states.shape[1])
        outputs, _ = hparams.Transformer.decode(inputs, states, ends.int())
    return hparams.seq_lin(outputs)


def by_hand(published, wavs, rows, bos, eos):
    """CTC and attention losses, an utterance after the other."""
    hparams = published.hparams
    with torch.no_grad():
        states = published.encode_batch(wavs, LENGTHS)
        longest = max(map(len, rows))
        inputs = torch.tensor(
            [[bos, *row, *[bos] * (longest - len(row))] for row in rows]
        )
        logits = attention_logits(hparams, states, inputs)
        posteriors = hparams.ctc_lin(states).log_softmax(-1)
    losses = []
    for place, row in enumerate(rows):
        target = torch.tensor([*row, eos])
        attention = F.cross_entropy(logits[place, : len(target)], target)
        frames = round(float(LENGTHS[place]) * states.shape[1])
        ctc = F.ctc_loss(
            posteriors[place, :frames, None],
            target[None, :-1],
            torch.tensor([frames]),
            torch.tensor([len(row)]),
            reduction="sum",
        )
        losses.append((float(ctc) / len(row), float(attention)))
    return losses


@pytest.mark.parametrize("ctc_weight", [0.3, 0.0, 1.0])
def test_hybrid_loss_is_the_equation(recogniser, published, wavs, ctc_weight):
    _, targets = recogniser.encode_text(TEXTS)
    rows = [row[row != IGNORED][:-1].tolist() for row in targets]
    decode = recogniser.tokenizer.decode_ids
    assert decode(rows[1]) == "LAZY DOG"
    searcher = recogniser.searcher
    expected = [
        ctc_weight * ctc + (1 - ctc_weight) * attention
        for ctc, attention in by_hand(
            published, wavs, rows, searcher.bos_index, searcher.eos_index
        )
    ]
    criterion = HybridCtcAttention(recogniser, ctc_weight)
    found = criterion(batch(wavs))
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
    assert min(expected) > 0


def test_the_encoder_runs_once_for_both_losses(recogniser, wavs, monkeypatch):
    calls = []
    representations = recogniser.representations
    monkeypatch.setattr(
        recogniser,
        "representations",
        lambda *given: calls.append(given) or representations(*given),
    )
    HybridCtcAttention(recogniser)(batch(wavs))
    assert len(calls) == 1


def test_it_is_frozen_and_gradients_reach_the_waveform(recogniser, wavs):
    criterion = HybridCtcAttention(recogniser).train()
    assert not any(module.training for module in recogniser.modules())
    assert not any(p.requires_grad for p in criterion.parameters())
    wavs.requires_grad_()
    features = Waveform()(wavs, LENGTHS)
    criterion(
        SimpleNamespace(repaired=features, frame_lengths=LENGTHS, texts=TEXTS)
    ).sum().backward()
    assert wavs.grad.isfinite().all()
    assert wavs.grad[0].any() and wavs.grad[1, :14400].any()
    assert not wavs.grad[1, 14400:].any()


@pytest.mark.parametrize("ctc_weight", [0.0, 1.0])
def test_each_output_alone_has_gradients(recogniser, wavs, ctc_weight):
    """SpeechBrain's Transformer has none where it decodes."""
    wavs.requires_grad_()
    HybridCtcAttention(recogniser, ctc_weight)(batch(wavs)).sum().backward()
    assert wavs.grad.isfinite().all() and wavs.grad.any()


@pytest.mark.parametrize("beam_size", [None, 1])
def test_it_writes(recogniser, published, wavs, beam_size):
    feats, seconds = Waveform()(wavs, LENGTHS), LENGTHS * 1.5
    found = recogniser.transcribe(feats, seconds, beam_size=beam_size)
    assert len(found) == 2
    if beam_size is None:
        assert found == published.transcribe_batch(wavs, LENGTHS)[0]


def test_ctc_of_a_recogniser_without_it_is_refused(tmp_path):
    folder = write_source(
        tmp_path / "attention",
        CONFORMER.replace("ctc_lin", "another_output"),
    )
    recogniser = FrozenSpeechBrainRecogniser(folder)
    with pytest.raises(UserError, match="has no output for CTC; expected 0"):
        HybridCtcAttention(recogniser)
    assert HybridCtcAttention(recogniser, ctc_weight=0.0).ctc_weight == 0


@pytest.mark.parametrize("ctc_weight", [-0.1, 1.1])
def test_a_weight_that_is_none_is_refused(recogniser, ctc_weight):
    with pytest.raises(UserError, match=f"^ctc_weight: is {ctc_weight}; exp"):
        HybridCtcAttention(recogniser, ctc_weight)


def test_another_kind_of_decoder_is_refused(tmp_path):
    start = CONFORMER.index("decoder: !new:")
    end = CONFORMER.index("modules:\n    encoder")
    other = "decoder: !new:torch.nn.Identity\n"
    folder = write_source(
        tmp_path / "other", CONFORMER[:start] + other + CONFORMER[end:]
    )
    with pytest.raises(UserError, match="its decoder is a Identity; expected"):
        FrozenSpeechBrainRecogniser(folder)
