#!/usr/bin/env python3
"""Search the light adapter's width, depth and context within its budget."""

import re
from pathlib import Path

from bench.timing import forward_times
from steps import Runner, make_parser, shorten, training_step

from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corpora.prepare import prepare_corpus
from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.files import write_text
from speechbrain_ext.frontends.light_adapter import LightAdapter

HELP = """\
Trains each candidate on the mini corpus with L1 alone (eq. 1 with lambda = 0),
the same batches and the same number of updates, and times its forward pass on
30 s beside Whisper tiny.en's encoder. L1 needs no pass through Whisper, so that
many candidates can be tried; which of them the recogniser likes best, the cross
entropy decides afterwards. Writes search.md into the output folder. What is
finished is kept: run it again and it goes on.
"""
EPILOG = """\
examples:
  python tools/search_light_adapter.py
  python tools/search_light_adapter.py --epochs 2 --out /tmp/search
"""
#: Widths at the full, half and quarter frame rate; dilations at the quarter.
CANDIDATES = {
    "shallow": ([128, 256, 384], [1, 2, 4, 8]),
    "deeper": ([128, 256, 384], [1, 2, 4, 8, 1, 2]),
    "wider": ([128, 256, 512], [1, 2, 4, 1]),
    "deeper, narrower": ([160, 320, 320], [1, 2, 4, 8, 1, 2, 4]),
    "deepest": ([160, 320, 320], [1, 2, 4, 8, 1, 2, 4, 8]),
    "short context": ([160, 320, 320], [1] * 8),
    "long context": ([160, 320, 320], [1, 2, 4, 8, 16, 1, 2, 4]),
}
#: Utterances to validate on.
_VALID = 40


def training(name, manifests, out, epochs):
    """Return the step that trains a candidate."""
    widths, dilations = CANDIDATES[name]
    overrides = {
        "widths": widths,
        "dilations": dilations,
        "l1_weight": 1,
        "ce_weight": 0,
        "number_of_epochs": epochs,
    }
    folder = out / re.sub(r"[ ,]+", "-", name)
    estimate = 60.0 + 15.0 * epochs
    return training_step(
        name, "mini.yaml", folder, manifests, overrides, estimate
    )


def candidate(name):
    """Make a candidate, untrained."""
    widths, dilations = CANDIDATES[name]
    return LightAdapter(widths=widths, dilations=dilations)


def valid_l1(folder):
    """Read the last epoch's L1 in validation from a training's log."""
    text = (folder / "train_log.txt").read_text()
    return float(re.findall(r"valid l1: ([0-9.e+-]+)", text)[-1])


def search(out, epochs, workers):
    """Train, time and report."""
    out = Path(out).absolute()
    manifests = prepare_corpus("", out / "data")
    shorten(manifests["valid"], _VALID)
    steps = [training(name, manifests, out, epochs) for name in CANDIDATES]
    Runner(workers).run("Training", steps)
    times = forward_times(
        FrozenWhisper("openai/whisper-tiny.en"),
        {name: candidate(name) for name in CANDIDATES},
    )
    lines = [["candidate", "widths", "dilations", "/ encoder", "valid L1"]]
    for step in steps:
        widths, dilations = CANDIDATES[step.name]
        lines.append(
            [
                step.name,
                " ".join(map(str, widths)),
                " ".join(map(str, dilations)),
                f"{times[step.name] / times['encoder']:.3f}",
                f"{valid_l1(step.folder):.4f}",
            ]
        )
    table = markdown_table(lines)
    write_text(out / "search.md", table)
    print(table)


def main():
    """Read the command line and run."""
    parser = make_parser(HELP, EPILOG, "results/light_adapter_search")
    parser.add_argument(
        "--epochs", type=int, default=12, metavar="N", help="(default: 12)"
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        search(arguments.out, arguments.epochs, arguments.workers)


if __name__ == "__main__":
    main()
