#!/usr/bin/env python3
"""Make what the debug flags of tests/recipes/*.csv name, offline.

    eval "$(python tools/debug_data.py FOLDER)"

The flags have environment variables for what this repository cannot hold: CHiME-2's
folder (``CHIME2_TREE``), recordings of noise (``NOISE_FOLDER``), a WavLM
(``WAVLM_FOLDER``) and a SpeechBrain recogniser (``RECOGNISER_FOLDER``). Here all of
them are tiny, and their weights random. What is printed exports the variables; the
other sources are read from the caches and installed packages, never from the hub.
"""

import argparse
import shlex
from pathlib import Path

import numpy
import sentencepiece
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

from speechbrain_ext.audio import SAMPLE_RATE, save_audio
from speechbrain_ext.corpora.chime2 import SNRS

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

#: Each training utterance of CHiME-2 has one SNR, each other one has all.
TRAINING = dict(zip(SNRS, [f"01{i}c020{i}" for i in range(1, 7)]))
OTHERS = {"si_dt_05": "050c0101", "si_et_05": "440c020f"}
#: The senones of its alignments.
N_SENONES = 10


def make_wavlm(folder):
    """Write a tiny WavLM with random weights.

    Arguments
    ---------
    folder : str or Path
        Where it goes.

    Returns
    -------
    Path
        The folder.
    """
    config = WavLMConfig(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        conv_dim=[4] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
    )
    WavLMModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return Path(folder)


def make_recogniser(folder):
    """Write a recogniser as the hub has SpeechBrain's, with random weights.

    Arguments
    ---------
    folder : str or Path
        Where it goes.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
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


def make_noise(folder):
    """Write recordings of noise.

    Arguments
    ---------
    folder : str or Path
        Where they go.

    Returns
    -------
    Path
        The folder.
    """
    generator = torch.Generator().manual_seed(0)
    for name in ("hiss", "hum", "rattle"):
        noise = torch.randn(12 * SAMPLE_RATE, generator=generator)
        save_audio(Path(folder) / f"{name}.wav", 0.1 * noise)
    return Path(folder)


def n_samples(name):
    """Say how long an utterance is: lengths differ, so that batches are padded.

    Arguments
    ---------
    name : str
        The utterance's.

    Returns
    -------
    int
        Samples.
    """
    return 4000 + 333 * (sum(map(ord, name)) % 7)


def make_chime2(root):
    """Write CHiME-2's layout, with transcripts and alignments, of noise alone.

    Arguments
    ---------
    root : str or Path
        Where it goes.

    Returns
    -------
    Path
        The folder, with ``alignments.txt`` in it.
    """
    root = Path(root)
    spoken = [("si_tr_s", snr, name) for snr, name in TRAINING.items()]
    spoken += [
        (split, snr, name) for split, name in OTHERS.items() for snr in SNRS
    ]
    generator = numpy.random.default_rng(0)
    for split, snr, name in spoken:
        for kind in ("isolated", "scaled"):
            wav = root / kind / split / snr / "wsj0" / split / name[:3]
            wav.mkdir(parents=True, exist_ok=True)
            samples = generator.normal(0.0, 0.1, (n_samples(name), 2))
            soundfile.write(wav / f"{name}.wav", samples, SAMPLE_RATE, "PCM_16")
    names = sorted({name for _, _, name in spoken})
    lines = [f"words of {name} ({name})\n" for name in names]
    (root / "all.dot").write_text("".join(lines))
    alignments = []
    for name in names:
        frames = 1 + (n_samples(name) - 400) // 160
        targets = generator.integers(N_SENONES, size=frames)
        alignments.append(f"{name}0 {' '.join(map(str, targets))}\n")
    (root / "alignments.txt").write_text("".join(alignments))
    return root


#: What makes the folder of each variable.
MAKERS = {
    "CHIME2_TREE": make_chime2,
    "NOISE_FOLDER": make_noise,
    "RECOGNISER_FOLDER": make_recogniser,
    "WAVLM_FOLDER": make_wavlm,
}


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where everything goes")
    folder = parser.parse_args().folder.absolute()
    for name, make in MAKERS.items():
        made = make(folder / name.split("_")[0].lower())
        print(f"export {name}={shlex.quote(str(made))}")


if __name__ == "__main__":
    main()
