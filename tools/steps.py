"""Programs that run side by side, each once, and go on where they stopped."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import torch

from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import write_text

ROOT = Path(__file__).resolve().parents[1]
# Seconds from one report of what the programs do to the next.
_HEARTBEAT = 60


def make_parser(description, epilog, out):
    """Return a parser with the options of a tool that runs steps.

    ``description`` and ``epilog`` are printed as they are; ``out`` is the
    default of the output folder.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", default=out, metavar="DIR", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar="N",
        help="programs side by side, one thread each (default: %(default)s)",
    )
    return parser


@dataclass(frozen=True)
class Recipe:
    """A recipe's folder, and what makes its train.py train and no more."""

    folder: Path
    unevaluated: tuple


PACKET_LOSS = Recipe(
    ROOT / "recipes" / "LibriSpeech" / "ASR" / "packet_loss",
    (("test_rates", []),),
)
PERCEPTUAL_LOSS = Recipe(
    ROOT / "recipes" / "Voicebank" / "MTL" / "perceptual_loss",
    (("evaluate", "null"),),
)
INPAINTING = Recipe(
    ROOT / "recipes" / "LibriSpeech" / "inpainting" / "deep_feature_loss",
    (("evaluate", "null"),),
)
SSL_MSE = Recipe(
    ROOT / "recipes" / "LibriSpeech" / "enhance" / "ssl_mse",
    (("evaluate", "null"),),
)
FUSION = Recipe(
    ROOT / "recipes" / "AISHELL-1" / "ASR" / "spectrogram_fusion",
    (("evaluate", "null"),),
)


def add_sizes(parser, quick):
    """Add the options that say how much is done: ``size`` is a name or None.

    ``quick`` is how long that size takes, in words.
    """
    sizes = parser.add_mutually_exclusive_group()
    for name, help in (
        ("quick", quick),
        ("debug", "a few minutes: only to see that all works"),
    ):
        sizes.add_argument(
            f"--{name}",
            action="store_const",
            const=name,
            dest="size",
            help=help,
        )


@dataclass(frozen=True)
class Step:
    """A program to run once: its folder is whole, or it is run again."""

    name: str
    command: tuple
    folder: Path
    estimate: float
    cwd: Path = ROOT
    #: Files and models' folders that its outcome depends on.
    inputs: tuple = ()
    #: Whether what it has begun is of use with other inputs.
    caches: bool = True

    @property
    def marker(self):
        """Path : What says that the step is finished, and which it was."""
        return self.folder / "finished.json"

    @property
    def log(self):
        """Path : What its program says."""
        return self.folder / "log_of_step.txt"

    def _state(self):
        digests = [
            hashlib.blake2b(path.read_bytes()).hexdigest()
            for place in self.inputs
            for path in (
                [place] if place.is_file() else sorted(place.iterdir())
            )
            if path.is_file()
        ]
        return [*self.command, *digests]

    def is_finished(self):
        """Ask whether this very command has run, on the same inputs."""
        try:
            return json.loads(self.marker.read_text()) == self._state()
        except (OSError, ValueError):
            return False

    def begin(self):
        """Go on with what the same command has begun, or start anew."""
        begun = self.folder / "begun.json"
        state = list(self.command) if self.caches else self._state()
        wanted = json.dumps(state)
        if not begun.is_file() or begun.read_text() != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)
            write_text(begun, wanted)

    def finish(self):
        """Remember that it is finished."""
        write_text(self.marker, json.dumps(self._state()))

    @property
    def seconds(self):
        """float : How long its program ran, all of its runs together."""
        return float(self.timer.read_text())

    @property
    def timer(self):
        """Path : Where the seconds are kept."""
        return self.folder / "seconds_of_step.txt"


def shorten(manifest, n, shortened=None):
    """Keep a manifest's first ``n`` utterances, or write them elsewhere."""
    write_manifest(shortened or manifest, read_manifest(manifest)[:n])


def training_step(
    name,
    hparams,
    folder,
    manifests,
    overrides,
    estimate,
    reduced=True,
    recipe=PACKET_LOSS,
    inputs=(),
):
    """Return the step that trains one system of a recipe, and no more.

    ``manifests`` are the CSV files by split, ``overrides`` values by key of the
    YAML file ``hparams``; ``reduced`` allows bfloat16 where the processor has
    it; ``inputs`` are the folders of models that it starts from. The model is
    exported and not evaluated.
    """
    settings = {
        "output_folder": folder,
        "skip_prep": True,
        **{f"{split}_csv": file for split, file in manifests.items()},
        **dict(recipe.unevaluated),
        **overrides,
    }
    if reduced and _has_bfloat16():
        settings["precision"] = "bf16"
    options = [f"--{key}={value}" for key, value in settings.items()]
    command = (sys.executable, "train.py", f"hparams/{hparams}", *options)
    return Step(
        name, command, folder, estimate, recipe.folder, tuple(inputs), False
    )


def _has_bfloat16():
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _last_line(log):
    # Progress bars go back to the line's beginning.
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


class Runner:
    """Runs steps side by side, each on a core of its own."""

    def __init__(self, workers):
        self.workers = workers
        self.running = {}
        self.lock = threading.Lock()

    def announce(self, steps):
        """Print how long all that is not finished will take."""
        left = [step for step in steps if not step.is_finished()]
        minutes = sum(step.estimate for step in left) / 60 / self.workers
        print(f"about {minutes:.0f} minutes to go", flush=True)

    def run(self, title, steps):
        """Run those steps that are not finished."""
        waiting = [step for step in steps if not step.is_finished()]
        minutes = sum(step.estimate for step in waiting) / 60 / self.workers
        print(
            f"{title}: {len(waiting)} of {len(steps)} steps to do, about "
            f"{minutes:.0f} minutes",
            flush=True,
        )
        pool = ThreadPoolExecutor(self.workers)
        try:
            futures = {pool.submit(self._run, step) for step in waiting}
            while futures:
                done, futures = wait(
                    futures, _HEARTBEAT, return_when=FIRST_COMPLETED
                )
                for future in done:
                    future.result()
                if not done:
                    self._show_progress()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            self.stop()
            raise
        pool.shutdown()

    def _show_progress(self):
        """Print what the running programs say last."""
        with self.lock:
            running = list(self.running.values())
        for step in running:
            print(f"    {step.name}: {_last_line(step.log)[:100]}", flush=True)

    def stop(self):
        """End the programs that were started."""
        with self.lock:
            for process in self.running:
                os.killpg(process.pid, signal.SIGTERM)

    def _run(self, step):
        step.begin()
        start = time.monotonic()
        print(f"  {step.name} ... ({step.log})", flush=True)
        with open(step.log, "ab") as output:
            process = subprocess.Popen(
                step.command,
                cwd=step.cwd,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "PYTHONPATH": str(ROOT),
                },
                start_new_session=True,
            )
        with self.lock:
            self.running[process] = step
        status = process.wait()
        with self.lock:
            del self.running[process]
        before = step.seconds if step.timer.is_file() else 0.0
        write_text(step.timer, str(before + time.monotonic() - start))
        if status:
            raise UserError(
                f"{step.name}: ended with status {status}: "
                f"{_last_line(step.log)} (all of it: {step.log})"
            )
        step.finish()
        print(f"  {step.name}: {step.seconds / 60:.1f} minutes", flush=True)
