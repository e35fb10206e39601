"""What a training step of the SSL-MSE paper's full size costs.

A step with the SSL-MSE loss and a tenth of the SNR loss, a Conv-TasNet of the
paper's sizes and a model of WavLM Base+'s, both with random weights, and its
necessary parts measured apart: the front-end forwards and backwards, the model
forwards and backwards once, and forwards once for the clean side."""

import argparse
import tempfile
from functools import partial

import speechbrain as sb
import torch
from timing import median_times, peak_megabytes
from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

from speechbrain_ext.backends.self_supervised import FrozenSelfSupervisedModel
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.criteria.representation import RepresentationDistance
from speechbrain_ext.criteria.waveform import SnrLoss
from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.features.waveform import Waveform
from speechbrain_ext.frontends.conv_tasnet import ConvTasNetEnhancer

_EPILOG = """\
The waveforms are noise. Step and parts take turns, so that a machine that is busy
is busy for all of them.

examples:
  python tools/bench/ssl_step.py
  python tools/bench/ssl_step.py --seconds 2 --batch 1 --rounds 1

The last line reads: step SECONDS s parts SECONDS s ratio RATIO peak MEMORY MB
"""
#: Less of everything, to see that the benchmark runs.
_SMALL = {"N": 16, "B": 8, "H": 8, "X": 2, "R": 1}
_SMALL_WAVLM = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def random_wavlm(sizes):
    """Make a WavLM with random weights; WavLM Base+'s sizes are the defaults."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        WavLMModel(WavLMConfig(**sizes)).save_pretrained(folder)
        Wav2Vec2FeatureExtractor().save_pretrained(folder)
        return FrozenSelfSupervisedModel(folder)


def make_brain(front_end, model):
    """Return the recipe's brain."""
    brain = RestorationBrain(
        front_end=front_end,
        features=Waveform(),
        criteria={
            "ssl": RepresentationDistance(
                model, layer_weights="upper_half", power=2, weigh_first=True
            ),
            "snr": SnrLoss(),
        },
        weights={"ssl": 1.0, "snr": 0.1},
        opt_class=partial(torch.optim.Adam, lr=1e-4),
        run_opts={"device": "cpu"},
    )
    brain.on_fit_start()
    brain.on_stage_start(sb.Stage.TRAIN, epoch=1)
    brain.modules.train()
    return brain


def make_batch(batch_size, seconds):
    """Return a batch of noise, as the loader gives it."""
    generator = torch.Generator().manual_seed(0)
    samples = round(16000 * seconds)
    return sb.dataio.batch.PaddedBatch(
        [
            {
                "id": str(i),
                "wrd": "",
                "sig": torch.randn(samples, generator=generator),
                "noisy": torch.randn(samples, generator=generator),
            }
            for i in range(batch_size)
        ]
    )


def make_parts(front_end, model, batch):
    """Return what a step cannot do without, as functions by name.

    The model is run as far as its last layer, by all that run it.
    """
    lengths, layers = torch.ones(len(batch.id)), list(model.layers)
    noisy = batch.noisy.data

    def enhance():
        """Run the front-end forwards and backwards."""
        front_end(noisy, lengths).square().mean().backward()

    def represent(wavs):
        """Run the frozen model."""
        return model.representations(wavs[..., None], lengths, layers)[-1]

    def differentiate():
        """Run the frozen model forwards and backwards."""
        # What the front-end gives wants gradients.
        wavs = noisy.clone().requires_grad_()
        represent(wavs).square().mean().backward()

    def represent_clean():
        """Represent the clean speech."""
        with torch.no_grad():
            represent(batch.sig.data)

    return {
        "front-end, forwards and backwards": enhance,
        "model, forwards and backwards": differentiate,
        "model, forwards for the clean side": represent_clean,
    }


def measure(arguments):
    """Time a step and its parts in turns, and print them."""
    torch.set_num_threads(arguments.threads)
    model = random_wavlm(_SMALL_WAVLM if arguments.small else {})
    front_end = ConvTasNetEnhancer(**(_SMALL if arguments.small else {}))
    brain = make_brain(front_end, model)
    batch = make_batch(arguments.batch, arguments.seconds)
    weights = sum(p.numel() for p in front_end.parameters()) / 1e6
    print(
        f"{arguments.batch} x {arguments.seconds:g} s of noise, "
        f"{arguments.threads} threads; a Conv-TasNet of {weights:.1f} M "
        f"weights, a model of {len(model.layers)} layers"
    )

    def step():
        """Take a training step."""
        brain.step = brain.step + 1
        brain.fit_batch(batch)

    brain.step = 0
    functions = {"step": step, **make_parts(front_end, model, batch)}
    times = median_times(functions, arguments.rounds)
    for name, seconds in times.items():
        print(f"{name:36} {seconds:8.2f} s")
    whole = times.pop("step")
    parts = sum(times.values())
    print(
        f"step {whole:.2f} s parts {parts:.2f} s ratio {whole / parts:.2f} "
        f"peak {peak_megabytes():.0f} MB"
    )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, kind, default, text in (
        ("threads", int, torch.get_num_threads(), "torch's threads"),
        ("batch", int, 2, "utterances in a batch"),
        ("seconds", float, 4.0, "of each utterance"),
        ("rounds", int, 3, "timed runs of each, after one to warm up"),
    ):
        parser.add_argument(
            f"--{name}",
            type=kind,
            default=default,
            metavar="N",
            help=f"{text} (default: %(default)s)",
        )
    parser.add_argument(
        "--small",
        action="store_true",
        help="tiny networks, to see that it runs",
    )
    with exit_on_user_error():
        measure(parser.parse_args())


if __name__ == "__main__":
    main()
