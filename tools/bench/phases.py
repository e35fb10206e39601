"""What phases that are estimated from magnitudes cost, in time and quality.

Turns the log magnitudes of segments of a second back into waveforms by each way
of estimating phases, and scores them against the segments: clean magnitudes all
over; then gaps of 20 % between bins that are kept as they were, with phases that
are fitted to those, and with phases that begin with linear prediction's."""

import argparse
import time

import numpy as np
import torch

from speechbrain_ext.corpora.segments import load_segment, read_segments
from speechbrain_ext.corruption.masks import BlockMasks, FeatureMask
from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.features.phase import has_local_weighted_sums
from speechbrain_ext.features.segment_log_magnitude import SegmentLogMagnitude
from speechbrain_ext.frontends.inpainting_concealer import resynthesise_observed
from speechbrain_ext.inference import Inpainter
from speechbrain_ext.metrics.scoring import score_pairs

GAP_SHARE = 0.2

_EPILOG = """\
example:
  python tools/bench/phases.py --data results/mini_inpainting/1/test.csv

A line a method: NAME pesq N stoi N seconds-a-segment N
"""


def main():
    """Read the command line, estimate and report."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="CSV",
        help="a manifest of segments, as the inpainting recipe writes it",
    )
    parser.add_argument(
        "--segments", type=int, default=100, metavar="N", help="(default: 100)"
    )
    parser.add_argument(
        "--iterations",
        type=int,
        nargs="+",
        default=[32, 64, 200],
        metavar="N",
        help="of Griffin-Lim (default: 32 64 200)",
    )
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help="an informed inpainter whose magnitudes fill the gaps (default: "
        "the clean ones)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="(default: 1)"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with exit_on_user_error():
        rows = read_segments(arguments.data)[: arguments.segments]
        wavs = torch.stack([load_segment(row) for row in rows])
        methods = {
            f"griffin-lim-{n}": SegmentLogMagnitude("griffin-lim", n)
            for n in arguments.iterations
        }
        if has_local_weighted_sums():
            methods = {"lws": SegmentLogMagnitude("lws"), **methods}
        for name, features in methods.items():
            print(f"{name} {measure(wavs, each_way(features, wavs))}")
        for name, repair in fill_gaps(arguments, rows, wavs):
            print(f"{name} {measure(wavs, repair)}", flush=True)


def each_way(features, wavs):
    """What turns clean magnitudes into waveforms."""
    lengths = torch.ones(len(wavs))
    feats = features(wavs, lengths)
    return lambda: features.resynthesise(feats, wavs, lengths)


def fill_gaps(arguments, rows, wavs):
    """Name what turns magnitudes in gaps into waveforms, and give it."""
    lengths, ids = torch.ones(len(wavs)), [row["ID"] for row in rows]
    features = SegmentLogMagnitude("griffin-lim")
    model = None
    if arguments.model:
        model = Inpainter.from_hparams(source=arguments.model)
        features = model.mods.features
    feats = features(wavs, lengths)
    mask = FeatureMask(BlockMasks("time"), seed=0)
    damaged, lost = mask(feats, lengths, ids, epoch=0, rate=GAP_SHARE)
    filled = feats
    if model is not None:
        filled = model.inpaint_features(damaged, lengths, lost)
    case = (filled, wavs, lengths, lost)
    yield "gaps-fitted", lambda: features.resynthesise(*case)
    yield "gaps-predicted", lambda: resynthesise_observed(features, *case)


@torch.no_grad()
def measure(wavs, repair):
    """Score what a way of estimating phases gives; a line of it."""
    start = time.perf_counter()
    estimated = repair()
    seconds = (time.perf_counter() - start) / len(wavs)
    scores = score_pairs(
        list(zip(wavs, estimated)), ("pesq", "stoi"), progressbar=False
    )
    means = [
        f"{metric} {np.nanmean([one[metric] for one in scores]):.3f}"
        for metric in ("pesq", "stoi")
    ]
    return f"{' '.join(means)} seconds-a-segment {seconds:.4f}"


if __name__ == "__main__":
    main()
