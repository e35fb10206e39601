"""Fixtures that several test files share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def random_whispers(tmp_path_factory):
    """Folders of tiny Whispers with random weights, by their mel bins.

    Their tokens are tiny.en's.
    """
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    from speechbrain_ext.backends.weights import resolve

    published = resolve("openai/whisper-tiny.en")
    folders = {}
    for n_mels in (80, 128):
        folder = tmp_path_factory.mktemp("whispers") / f"mels-{n_mels}"
        shutil.copytree(
            published, folder, ignore=shutil.ignore_patterns("*.safetensors")
        )
        config = WhisperConfig.from_pretrained(published)
        for side in ("encoder", "decoder"):
            setattr(config, f"{side}_layers", 1)
            setattr(config, f"{side}_attention_heads", 2)
            setattr(config, f"{side}_ffn_dim", 16)
        config.d_model, config.num_mel_bins = 16, n_mels
        torch.manual_seed(n_mels)
        WhisperForConditionalGeneration(config).save_pretrained(folder)
        folders[n_mels] = folder
    return folders


#: Laid out as SpeechBrain's LibriSpeech recognisers are on the hub, but tiny.
_RECOGNISER = """
vocabulary: 40
n_mels: 8
normalizer: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
compute_features: !new:speechbrain.lobes.features.Fbank
    sample_rate: 16000
    n_fft: 400
    n_mels: !ref <n_mels>
enc: !new:speechbrain.lobes.models.CRDNN.CRDNN
    input_shape: [null, null, !ref <n_mels>]
    activation: !name:torch.nn.LeakyReLU
    dropout: 0.15
    cnn_blocks: 1
    cnn_channels: [2]
    inter_layer_pooling_size: [2]
    cnn_kernelsize: [3, 3]
    time_pooling: True
    time_pooling_size: 4
    rnn_class: !name:speechbrain.nnet.RNN.LSTM
    rnn_layers: 2
    rnn_neurons: 4
    rnn_bidirectional: True
    dnn_blocks: 1
    dnn_neurons: 8
emb: !new:speechbrain.nnet.embedding.Embedding
    num_embeddings: !ref <vocabulary>
    embedding_dim: 4
dec: !new:speechbrain.nnet.RNN.AttentionalRNNDecoder
    enc_dim: 8
    input_size: 4
    rnn_type: gru
    attn_type: location
    hidden_size: 8
    attn_dim: 8
    num_layers: 1
    scaling: 1.0
    channels: 2
    kernel_size: 5
    re_init: True
    dropout: 0.15
ctc_lin: !new:speechbrain.nnet.linear.Linear
    input_size: 8
    n_neurons: !ref <vocabulary>
seq_lin: !new:speechbrain.nnet.linear.Linear
    input_size: 8
    n_neurons: !ref <vocabulary>
lm_model: !new:speechbrain.lobes.models.RNNLM.RNNLM
    output_neurons: !ref <vocabulary>
    embedding_dim: 4
    dropout: 0.5
    rnn_layers: 2
    rnn_neurons: 4
    dnn_blocks: 1
    dnn_neurons: 4
    return_hidden: True
tokenizer: !new:sentencepiece.SentencePieceProcessor
asr_model: !new:torch.nn.ModuleList
    - [!ref <enc>, !ref <emb>, !ref <dec>, !ref <ctc_lin>, !ref <seq_lin>]
encoder: !new:speechbrain.nnet.containers.LengthsCapableSequential
    input_shape: [null, null, !ref <n_mels>]
    compute_features: !ref <compute_features>
    normalize: !ref <normalizer>
    model: !ref <enc>
rnnlm_scorer: !new:speechbrain.decoders.scorer.RNNLMScorer
    language_model: !ref <lm_model>
    temperature: 1.25
coverage_scorer: !new:speechbrain.decoders.scorer.CoverageScorer
    vocab_size: !ref <vocabulary>
scorer: !new:speechbrain.decoders.scorer.ScorerBuilder
    full_scorers: [!ref <rnnlm_scorer>, !ref <coverage_scorer>]
    weights:
        rnnlm: 0.5
        coverage: 1.5
decoder: !new:speechbrain.decoders.S2SRNNBeamSearcher
    embedding: !ref <emb>
    decoder: !ref <dec>
    linear: !ref <seq_lin>
    bos_index: 0
    eos_index: 0
    min_decode_ratio: 0.0
    max_decode_ratio: 0.5
    beam_size: 3
    using_max_attn_shift: True
    max_attn_shift: 240
    temperature: 1.25
    scorer: !ref <scorer>
modules:
    encoder: !ref <encoder>
    decoder: !ref <decoder>
    lm_model: !ref <lm_model>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        normalizer: !ref <normalizer>
        asr: !ref <asr_model>
        lm: !ref <lm_model>
        tokenizer: !ref <tokenizer>
"""

_SENTENCES = (
    "THE BROWN FOX JUMPS OVER THE LAZY DOG",
    "PLEASE CALL STELLA AND ASK HER TO BRING THESE THINGS FROM THE STORE",
    "SHE'D HAVE SIX SPOONS OF FRESH SNOW PEAS AND FIVE THICK SLABS",
)


@pytest.fixture(scope="session")
def speechbrain_source(tmp_path_factory):
    """A folder as the hub has SpeechBrain's recognisers; its weights are random.

    Read only.
    """
    import sentencepiece
    import torch
    from hyperpyyaml import load_hyperpyyaml

    folder = tmp_path_factory.mktemp("recognisers") / "asr-crdnn-rnnlm"
    folder.mkdir()
    (folder / "hyperparams.yaml").write_text(_RECOGNISER, encoding="utf-8")
    with open(folder / "tokenizer.ckpt", "wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(_SENTENCES),
            model_writer=file,
            vocab_size=40,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
    torch.manual_seed(13)
    hparams = load_hyperpyyaml(_RECOGNISER)
    with torch.no_grad():
        # Untrained, it would write the same whatever it hears.
        for name, factor in (("enc", 4), ("dec", 2), ("seq_lin", 4)):
            for parameter in hparams[name].parameters():
                parameter.mul_(factor)
        hparams["dec"].proj.weight[:, :8].mul_(3)
        hparams["seq_lin"].w.bias[0] = -2.0
    normaliser = hparams["normalizer"]
    normaliser.glob_mean = torch.linspace(-30, -20, 8)
    normaliser.glob_std = torch.linspace(8, 12, 8)
    normaliser.count = 100
    normaliser._save(folder / "normalizer.ckpt")
    torch.save(hparams["asr_model"].state_dict(), folder / "asr.ckpt")
    torch.save(hparams["lm_model"].state_dict(), folder / "lm.ckpt")
    return folder
