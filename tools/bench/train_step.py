"""What a training step costs, and what of it is not learning.

Steps a second and peak memory of the paper's U-Net and of the light adapter in
front of a frozen Whisper tiny.en, in float32 and under bfloat16 autocast, with
30 s and with batch-length context; and the share of the time that a training
process waits for its data."""

import argparse
import itertools
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import speechbrain as sb
import torch
from timing import peak_megabytes

from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
from speechbrain_ext.criteria.features import FeatureDistance
from speechbrain_ext.criteria.recognition import WhisperCrossEntropy
from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.files import cache_folder
from speechbrain_ext.frontends.adaptation_unet import AdaptationUNet
from speechbrain_ext.frontends.light_adapter import LightAdapter

FRONT_ENDS = {
    "unet": AdaptationUNet,
    "light": partial(
        LightAdapter, widths=[160, 320, 320], dilations=[1, 2, 4, 8] * 2
    ),
}
PRECISIONS = ("fp32", "bf16")
CONTEXTS = ("30s", "batch")

_EPILOG = """\
Each line is measured in a process of its own, so that its peak memory is its
own; the Whisper and Python in it take about half a gigabyte. A step is what the
recipe does: read and decode the audio, lose packets, features of the clean and
of the damaged speech, front-end, cross entropy + L1, backward pass, Adam. The
speech is the mini corpus (made on first use).

examples:
  python tools/bench/train_step.py
  python tools/bench/train_step.py --front-ends light --steps 10 --threads 1

The last line reads: light: bf16/fp32 RATIO batch/30s RATIO loading PERCENT %
(steps a second, batch-length context and bfloat16 where nothing else is said;
the loading is the light adapter's fastest setting's)
"""


def speech():
    """Return the manifest of a few minutes of mini corpus."""
    folder = cache_folder() / "mini-bench"
    return prepare_mini(
        folder, train_minutes=2, valid_utterances=1, test_utterances=1
    )["train"]


def make_brain(front_end, context, precision):
    """Return the recipe's brain, and a loader's settings."""
    whisper = FrozenWhisper("openai/whisper-tiny.en")
    return RestorationBrain(
        front_end=FRONT_ENDS[front_end](),
        features=WhisperLogMel(context=context),
        criteria={"l1": FeatureDistance(), "ce": WhisperCrossEntropy(whisper)},
        weights={"l1": 0.9, "ce": 0.1},
        back_end=whisper,
        metric=None,
        waveform_damage=WaveformPacketLoss(
            GilbertElliottLoss(mean_burst=3.0), seed=1
        ),
        opt_class=partial(torch.optim.Adam, lr=1e-3),
        run_opts={"device": "cpu", "precision": precision},
    )


def time_steps(front_end, precision, context, manifest, batch_size, settings):
    """Train some steps; return seconds a step, MB and the share of loading."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    brain = make_brain(front_end, context, precision)
    brain.on_fit_start()
    brain.on_stage_start(sb.Stage.TRAIN, epoch=1)
    brain.modules.train()
    loader = brain.make_dataloader(
        manifest_dataset(manifest), sb.Stage.TRAIN, batch_size=batch_size
    )
    batches, waits, steps = itertools.cycle(loader), [], []
    for step in range(settings.steps + 1):
        brain.step = step + 1
        start = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        brain.fit_batch(batch)
        if step > 0:  # The first one warms up.
            waits.append(loaded - start)
            steps.append(time.perf_counter() - start)
    return statistics.median(steps), peak_megabytes(), sum(waits) / sum(steps)


def measure(arguments):
    """Time all settings and print a table and the ratios."""
    manifest = speech()
    print(
        f"{arguments.batch} utterances of 2 to 6 s, {arguments.threads} threads"
    )
    print(
        f"{'front-end':10} {'precision':10} {'context':8} {'steps/s':>8} "
        f"{'MB':>6} {'loading':>8}"
    )
    times, loading = {}, 0.0
    for key in itertools.product(arguments.front_ends, PRECISIONS, CONTEXTS):
        with ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn")
        ) as pool:
            times[key], megabytes, loading = pool.submit(
                time_steps, *key, manifest, arguments.batch, arguments
            ).result()
        print(
            f"{key[0]:10} {key[1]:10} {key[2]:8} {1 / times[key]:8.3f} "
            f"{megabytes:6.0f} {100 * loading:6.1f} %",
            flush=True,
        )
    name = arguments.front_ends[-1]
    fastest = times[name, "bf16", "batch"]
    print(
        f"{name}: bf16/fp32 {times[name, 'fp32', 'batch'] / fastest:.2f} "
        f"batch/30s {times[name, 'bf16', '30s'] / fastest:.2f} "
        f"loading {100 * loading:.1f} %"
    )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=torch.get_num_threads(),
        metavar="N",
        help="torch's threads (default: %(default)s)",
    )
    parser.add_argument(
        "--batch",
        type=int,
        default=4,
        metavar="N",
        help="utterances in a batch (default: 4)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=3,
        metavar="N",
        help="timed steps of each, after one to warm up (default: 3)",
    )
    parser.add_argument(
        "--front-ends",
        nargs="+",
        choices=list(FRONT_ENDS),
        default=list(FRONT_ENDS),
        metavar="NAME",
        help="unet, light (default: both)",
    )
    with exit_on_user_error():
        measure(parser.parse_args())


if __name__ == "__main__":
    main()
