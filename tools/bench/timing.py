"""How the benchmarks take their times."""

import resource
import statistics
import sys
import time

import torch


def median_times(functions, rounds):
    """Seconds of each function's median run, by name; they take turns.

    A machine that is busy is busy for all of them. The first round, which warms
    the caches up, does not count.
    """
    times = {name: [] for name in functions}
    for warm in (False, *[True] * rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if warm:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(runs) for name, runs in times.items()}


def peak_megabytes():
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in kilobytes, macOS in bytes.
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def forward_times(whisper, front_ends, frames=3000, rounds=7):
    """Seconds of a forward pass of front-ends and of Whisper's encoder, by name.

    They take turns on one window of noise of which 40 % was lost; Whisper's is
    ``"encoder"``.
    """
    torch.manual_seed(0)
    feats, length = torch.randn(1, frames, 80), torch.ones(1)
    lost = (torch.rand(1, frames) < 0.4).float()

    def forward(front_end):
        """Make a function that runs a front-end."""
        front_end.eval()
        return lambda: front_end(feats, length, lost)

    functions = {"encoder": lambda: whisper.encode(feats)}
    functions |= {name: forward(module) for name, module in front_ends.items()}
    with torch.inference_mode():
        return median_times(functions, rounds)
