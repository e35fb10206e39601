"""How the benchmarks take their times."""

import statistics
import time


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
