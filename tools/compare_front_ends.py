#!/usr/bin/env python3
"""Compare the light adapter with the paper's U-Net at equal numbers of updates."""

from pathlib import Path

from steps import Runner, make_parser, shorten, training_step

from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.files import write_text

HELP = """\
Trains both front-ends on the mini corpus with the same batches, losses and
learning rate, and evaluates them on the same damaged speech: the paper's U-Net
(blind), the light adapter told what was lost, and blind. Then trains the light
adapter once more for the U-Net's time, which is as many more updates. Writes
comparison.md, and results.json and the figure in evaluation/, into the output
folder. What is finished is kept: run it again and it goes on.
"""
EPILOG = """\
examples:
  python tools/compare_front_ends.py
  python tools/compare_front_ends.py --epochs 1 --rates 0.3

About an hour on two cores. The last line reads: light/unet WER at 30 % loss:
RATIO [LOW, HIGH]
"""
_AS_IT_SHIPS = {
    "widths": [160, 320, 320],
    "dilations": [1, 2, 4, 8, 1, 2, 4, 8],
}
UNET = "unet"
LIGHT = "light"
#: By name: the settings' file and what is overridden in it.
SYSTEMS = {
    UNET: ("mini_unet.yaml", {}),
    LIGHT: ("mini.yaml", _AS_IT_SHIPS),
    "light-blind": ("mini.yaml", {**_AS_IT_SHIPS, "informed": False}),
}
EQUAL_TIME = "light-equal-time"
#: Utterances to validate on.
_VALID = 8


def prepare(arguments):
    """Make the speech; return the manifests, validation cut to a few rows."""
    from speechbrain_ext.corpora.prepare import prepare_corpus

    data = Path(arguments.out).absolute() / "data"
    manifests = prepare_corpus("", data, train_minutes=arguments.train_minutes)
    # The U-Net takes seconds for each window of 30 s.
    shorten(manifests["valid"], _VALID)
    return manifests


def training(name, epochs, manifests, arguments):
    """Return the step that trains a system."""
    hparams, overrides = SYSTEMS[name if name in SYSTEMS else LIGHT]
    folder = Path(arguments.out).absolute() / name
    seconds = 60 * epochs * arguments.train_minutes
    cost = 0.3 if name == UNET else 0.03
    overrides = {"number_of_epochs": epochs, "batch_seconds": 24, **overrides}
    return training_step(
        name, hparams, folder, manifests, overrides, cost * seconds
    )


def evaluate(names, manifests, arguments):
    """Evaluate all on the same lost packets; return errors.json's rows."""
    from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
    from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
    from speechbrain_ext.evaluation.packet_loss import evaluate_packet_loss
    from speechbrain_ext.evaluation.word_errors import read_word_errors

    out = Path(arguments.out).absolute()
    evaluate_packet_loss(
        [f"{name}={out / name / 'model'}" for name in names],
        manifests["test"],
        WaveformPacketLoss(GilbertElliottLoss(mean_burst=3.0), seed=0),
        out / "evaluation",
        rates=arguments.rates,
        seeds=arguments.seeds,
        batch_size=2,
        backend=arguments.backend,
        test_set="mini",
    )
    return read_word_errors(out / "evaluation" / "errors.json")


def ratios(rows, name):
    """Yield each level and the WER's ratio to the U-Net's, with interval."""
    by_system = {(row.system, row.level): row for row in rows}
    for row in rows:
        if row.system == name:
            unet = by_system[UNET, row.level]
            reduction = row.compare(unet).relative_reduction
            yield (
                row,
                unet,
                1 - reduction.value,
                1 - reduction.high,
                1 - reduction.low,
            )


def compare(arguments):
    """Train, evaluate and report."""
    out = Path(arguments.out)
    manifests = prepare(arguments)
    runner = Runner(arguments.workers)
    steps = [
        training(name, arguments.epochs, manifests, arguments)
        for name in SYSTEMS
    ]
    runner.run("Training", steps)
    seconds = {step.name: step.seconds for step in steps}
    longer = round(arguments.epochs * seconds[UNET] / seconds[LIGHT])
    last = training(EQUAL_TIME, longer, manifests, arguments)
    runner.run("Training for an equal time", [last])
    seconds[EQUAL_TIME] = last.seconds
    epochs = {**dict.fromkeys(SYSTEMS, arguments.epochs), EQUAL_TIME: longer}
    names = list(epochs)
    rows = evaluate(names, manifests, arguments)
    lines = [["system", "epochs", "minutes", "loss %", "WER %", "/ U-Net"]]
    ends = {}
    for name in names:
        for row, _, ratio, low, high in ratios(rows, name):
            lines.append(
                [
                    name,
                    str(epochs[name]),
                    f"{seconds[name] / 60:.1f}",
                    f"{100 * row.level:.3g}",
                    f"{100 * row.wer:.1f}",
                    f"{ratio:.2f} [{low:.2f}, {high:.2f}]",
                ]
            )
            ends[name, row.level] = ratio, low, high
    table = markdown_table(lines)
    write_text(out / "comparison.md", table)
    print(table)
    for level in sorted({row.level for row in rows}):
        ratio, low, high = ends[LIGHT, level]
        print(
            f"light/unet WER at {100 * level:.3g} % loss: {ratio:.2f} "
            f"[{low:.2f}, {high:.2f}]"
        )


def main():
    """Read the command line and run."""
    parser = make_parser(HELP, EPILOG, "results/front_ends")
    parser.add_argument(
        "--epochs", type=int, default=3, metavar="N", help="(default: 3)"
    )
    parser.add_argument(
        "--train-minutes",
        type=float,
        default=36,
        metavar="M",
        help="of the mini corpus (default: 36)",
    )
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[0.3],
        metavar="RATE",
        help="loss rates, fractions (default: 0.3)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        metavar="N",
        help="damage seeds; errors are summed over them (default: 0 1 2)",
    )
    parser.add_argument(
        "--backend",
        choices=["torch", "ctranslate2"],
        default="torch",
        help="what runs the recogniser in the evaluation (default: torch)",
    )
    with exit_on_user_error():
        compare(parser.parse_args())


if __name__ == "__main__":
    main()
