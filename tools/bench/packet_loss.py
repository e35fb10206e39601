"""How much faster the packet-loss models are than a loop over frames.

Draws the masks of a batch of 32 utterances of 30 s at a loss rate of 40 %, once
with the library and once with a Python loop that visits each frame, asks the
utterance's NumPy generator, and writes the tensor: the same exact share of lost
frames, the same spans, a received frame or more between them. Prints a line for
each model, then the smallest of the ratios::

    OMP_NUM_THREADS=1 python tools/bench/packet_loss.py
"""

import argparse
import random
import time

import numpy as np
import torch

from speechbrain_ext.corruption.loss_models import (
    PAPER_SPANS,
    GilbertElliottLoss,
    SpanLoss,
)

SECONDS = 30
MEAN_BURST = 3.0


def draw_paper_span(generator):
    """A span of the paper's distribution, by one uniform number."""
    uniform = generator.random()
    for length, weight in enumerate(PAPER_SPANS, start=1):
        uniform -= weight
        if uniform < 0:
            return length
    return len(PAPER_SPANS)


def draw_burst(generator):
    """A geometric burst, packet by packet."""
    length = 1
    while generator.random() >= 1 / MEAN_BURST:
        length += 1
    return length


def draw_spans(draw_span, n_lost, generator):
    """Lengths of spans, drawn one by one up to a sum of n_lost."""
    spans = []
    missing = n_lost
    while missing:
        spans.append(min(draw_span(generator), missing))
        missing -= spans[-1]
    return spans


def loop_mask(lost, draw_span, rate, generator):
    """Fill an utterance's mask [units] frame by frame."""
    n_units = len(lost)
    n_lost = round(rate * n_units)
    spans = draw_spans(draw_span, n_lost, generator)
    places = n_units - n_lost + 1
    in_span = 0
    after_span = False
    for unit in range(n_units):
        if in_span:
            in_span -= 1
            lost[unit] = True
            after_span = not in_span
        elif after_span:
            after_span = False
        else:
            starts = generator.random() * places < len(spans)
            places -= 1
            if starts:
                in_span = spans.pop() - 1
                lost[unit] = True
                after_span = not in_span
    return lost


def loop(draw_span, n_units, seeds, rate):
    """A batch's masks [batch, units] with a NumPy generator and a tensor."""
    lost = torch.zeros(len(seeds), n_units, dtype=torch.bool)
    for row, seed in enumerate(seeds):
        loop_mask(lost[row], draw_span, rate, np.random.default_rng(seed))
    return lost


def lean_loop(draw_span, n_units, seeds, rate):
    """The same with what is fastest in plain Python: lists, ``random``."""
    masks = [
        loop_mask([False] * n_units, draw_span, rate, random.Random(seed))
        for seed in seeds
    ]
    return torch.tensor(masks)


def best_times(functions, rounds=15, fast_runs=10):
    """CPU seconds of each function's fastest run, [functions].

    They take turns, so that a busy machine is busy for all of them; the first
    one runs more often, as a short run is the more easily disturbed.
    """
    times = [[] for _ in functions]
    for _ in range(rounds):
        for index, function in enumerate(functions):
            for _ in range(1 if index else fast_runs):
                start = time.process_time()
                function()
                times[index].append(time.process_time() - start)
    return [min(runs) for runs in times]


def main():
    """Measure, check that both lose the same share, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rate = arguments.rate
    seeds = list(range(arguments.batch))
    names = [f"utterance-{seed}" for seed in seeds]
    speedups = []
    for model, draw_span in (
        (SpanLoss(), draw_paper_span),
        (GilbertElliottLoss(MEAN_BURST), draw_burst),
    ):
        n_units = round(SECONDS / model.unit)

        def batched(model=model, n_units=n_units):
            """Draw for the batch."""
            return model([n_units] * len(names), names, 0, 0, rate)

        def looped(draw_span=draw_span, n_units=n_units):
            """Draw an utterance at a time."""
            return loop(draw_span, n_units, seeds, rate)

        def lean(draw_span=draw_span, n_units=n_units):
            """Draw as a lean loop does."""
            return lean_loop(draw_span, n_units, seeds, rate)

        expected = [round(rate * n_units)] * len(names)
        for masks in (batched(), looped(), lean()):
            assert masks.sum(dim=1).tolist() == expected
        fast, slow, plain = best_times((batched, looped, lean))
        speedups.append(slow / fast)
        print(
            f"{type(model).__name__}: batched {1e3 * fast:.2f} ms, "
            f"loop {1e3 * slow:.0f} ms ({slow / fast:.0f} times), "
            f"loop over lists {1e3 * plain:.0f} ms ({plain / fast:.0f} times)"
        )
    print(f"speedup {min(speedups):.0f}")


if __name__ == "__main__":
    main()
