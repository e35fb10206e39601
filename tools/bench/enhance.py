"""What enhancing a long file costs: time and memory of the shell's command.

Writes made-up noise into a file, enhances it with `speechbrain-ext enhance` in a
process of its own, and reports that process's peak memory and time, the loading
of the program and of the model included."""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from speechbrain_ext.audio import SAMPLE_RATE, save_audio
from speechbrain_ext.errors import UserError, exit_on_user_error

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "pretrained" / "mimic-enhance-mini"

_EPILOG = """\
examples:
  python tools/bench/enhance.py
  python tools/bench/enhance.py --minutes 60 --threads 2

The last line reads: minutes N seconds N real-time N peak-MB N
"""


def main():
    """Read the command line, enhance and report."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model", default=SHIPPED, metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=10, metavar="N", help="(default: 10)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="(default: 1)"
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        measure(arguments.model, arguments.minutes, arguments.threads)


def measure(model, minutes, threads):
    """Enhance so many minutes and print what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        noise = 0.1 * torch.randn(round(minutes * 60 * SAMPLE_RATE))
        file = Path(folder) / "in.wav"
        save_audio(file, noise)
        command = [sys.executable, "-m", "speechbrain_ext.cli", "enhance"]
        command += [str(file), str(file.with_name("out.wav"))]
        command += ["--model", str(model)]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": str(ROOT),
        }
        start = time.perf_counter()
        status = subprocess.run(command, env=environment).returncode
        seconds = time.perf_counter() - start
        if status:
            raise UserError(f"{model}: could not enhance with it (see above)")
    # Linux counts in units of 1024 bytes; one program was run.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6
    print(
        f"minutes {minutes:g} seconds {seconds:.1f} real-time "
        f"{60 * minutes / seconds:.1f} peak-MB {peak:.0f}"
    )


if __name__ == "__main__":
    main()
