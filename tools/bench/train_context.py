"""How much faster training is when a batch is as long as its longest utterance.

Whisper was trained on windows of 30 s, and the paper trains on them; the light
and mini recipes use a batch's own length ("context: batch"). Times the same
training step both ways: features, light adapter, frozen Whisper tiny.en, cross
entropy and L1, backward pass, Adam."""

import argparse

import torch
from timing import median_times

from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.criteria.features import FeatureDistance
from speechbrain_ext.criteria.recognition import WhisperCrossEntropy
from speechbrain_ext.criteria.restoration import Restoration
from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.features.whisper_log_mel import HOP_LENGTH, WhisperLogMel
from speechbrain_ext.frontends.light_adapter import LightAdapter

#: About 4 s when it is said.
TEXT = "The train to the city leaves at half past nine in the morning."

_EPILOG = """\
The two take turns, so that a busy machine is busy for both, and the median of
the rounds counts. The signals are noise: a step's time does not depend on what
is said, only on its length.

examples:
  python tools/bench/train_context.py
  python tools/bench/train_context.py --batch 16 --threads 2 --rounds 5

The last line reads: batch/30s RATIO, in steps a second
"""


def restore(wavs, features, front_end):
    """Lose 40 % of the frames of a batch [batch, time] and repair them."""
    lengths = torch.ones(len(wavs))
    with torch.no_grad():
        clean = features(wavs, lengths)
        damaged = features(0.5 * wavs, lengths)
        lost = (torch.rand(clean.shape[:2]) < 0.4).float()
    frame_lengths = lengths * wavs.shape[1] / (HOP_LENGTH * clean.shape[1])
    return Restoration(
        ids=[str(row) for row in range(len(wavs))],
        texts=[TEXT] * len(wavs),
        wavs=wavs,
        damaged_wavs=0.5 * wavs,
        lengths=lengths,
        clean=clean,
        damaged=damaged,
        repaired=front_end(damaged, frame_lengths, lost),
        frame_lengths=frame_lengths,
        lost=lost,
    )


def training_step(context, whisper, wavs):
    """Return a function that takes one step with this context."""
    features = WhisperLogMel(context=context)
    front_end = LightAdapter(widths=[160, 320, 320], dilations=[1, 2, 4, 8] * 2)
    criteria = (FeatureDistance(), WhisperCrossEntropy(whisper))
    optimizer = torch.optim.Adam(front_end.parameters(), lr=1e-3)

    def step():
        """Take a training step."""
        batch = restore(wavs, features, front_end)
        loss = sum(criterion(batch).mean() for criterion in criteria)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


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
        default=8,
        metavar="N",
        help="utterances in a batch (default: 8)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=4.0,
        metavar="S",
        help="length of each utterance (default: 4)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="timed steps of each, after one to warm up (default: 5)",
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        measure(arguments)


def measure(arguments):
    """Time both and print a table and the ratio."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    whisper = FrozenWhisper("openai/whisper-tiny.en")
    wavs = 0.1 * torch.randn(arguments.batch, round(16000 * arguments.seconds))
    steps = {
        context: training_step(context, whisper, wavs)
        for context in ("batch", "30s")
    }
    medians = median_times(steps, arguments.rounds)
    print(
        f"{arguments.batch} utterances of {arguments.seconds:g} s, "
        f"{arguments.threads} threads"
    )
    print(f"{'context':8} {'s/step':>8} {'steps/s':>8}")
    for context, seconds in medians.items():
        print(f"{context:8} {seconds:8.3f} {1 / seconds:8.3f}")
    print(f"batch/30s {medians['30s'] / medians['batch']:.2f}")


if __name__ == "__main__":
    main()
