#!/usr/bin/env python3
"""Compare what conceals lost packets: how it sounds and what is understood."""

import argparse
import sys

from speechbrain_ext.errors import exit_on_user_error

HELP = """\
Loses packets of a test set and repairs them in each way: not at all (bare: zero
fill), by linear prediction of the past, by that of both sides, by networks that
repair waveforms (--concealer), by networks that inpaint spectra (--inpainter), and
by adapters of the features that the recogniser hears (--model). All are given the
same packets, and the first model's recogniser stands behind all that repair
waveforms. Writes results.json and results.md: WER, and PLCMOS of waveforms, in one
table. What is finished is kept: run it again and it goes on.
"""
EPILOG = """\
examples:
  python tools/compare_concealers.py --model light=pretrained/plc-whisper-tiny.en \\
      --inpainter runs/inpainting/model --data LJSpeech-1.1 --out results/concealers
  python tools/compare_concealers.py --model light=pretrained/plc-whisper-tiny.en \\
      --inpainter informed=runs/1/model blind=runs/2/model \\
      --concealer recurrent=runs/3/model \\
      --data test.csv --rates 0 0.1 0.3 --seeds 0 1 2 --out results/concealers
"""


def make_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = {"nargs": "+", "metavar": "[NAME=]SOURCE", "default": []}
    parser.add_argument(
        "--model",
        required=True,
        help="recognisers of lost packets, behind an adapter of features",
        **several,
    )
    parser.add_argument(
        "--inpainter", help="inpainters, informed or blind", **several
    )
    parser.add_argument(
        "--concealer",
        help="recognisers of lost packets whose front-end repairs waveforms",
        **several,
    )
    parser.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="a CSV manifest, or a test set's folder as `speechbrain-ext "
        "evaluate` takes it",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="results")
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        metavar="RATE",
        help="loss rates, fractions (default: 0 0.1 0.2 0.3 0.4, or the test "
        "set's own losses)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0],
        metavar="N",
        help="damage seeds (default: 0)",
    )
    parser.add_argument(
        "--mean-burst",
        type=float,
        default=3.0,
        metavar="B",
        help="mean length of a burst of losses, in packets (default: 3)",
    )
    parser.add_argument(
        "--backend",
        choices=["torch", "ctranslate2"],
        default="torch",
        help="what runs the recogniser (default: torch)",
    )
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="(default: 8)"
    )
    parser.add_argument("--language", metavar="CODE", help="what is spoken")
    parser.add_argument(
        "--device", metavar="DEVICE", help="for example cpu or cuda:0"
    )
    return parser


def compare(arguments):
    """Evaluate, report and print the table."""
    # Here, so that --help answers at once.
    from speechbrain_ext.corpora.prepare import prepare_test_set
    from speechbrain_ext.corruption.loss_models import (
        GilbertElliottLoss,
        TraceLoss,
    )
    from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
    from speechbrain_ext.evaluation.concealers import (
        concealment_table,
        evaluate_concealers,
        waveform_front_ends,
    )

    manifest, name, traces = prepare_test_set(
        arguments.data, arguments.out, arguments.language
    )
    rates = arguments.rates
    if traces is None or rates:
        loss = GilbertElliottLoss(mean_burst=arguments.mean_burst)
        rates = rates or [0.0, 0.1, 0.2, 0.3, 0.4]
    else:
        loss = TraceLoss(traces)
    run_opts = {"device": arguments.device} if arguments.device else None
    rows = evaluate_concealers(
        arguments.model,
        waveform_front_ends(arguments.inpainter, arguments.concealer, run_opts),
        manifest,
        WaveformPacketLoss(loss, seed=0),
        arguments.out,
        rates=rates,
        seeds=arguments.seeds,
        batch_size=arguments.batch_size,
        test_set=name,
        backend=arguments.backend,
        language=arguments.language,
        run_opts=run_opts,
    )
    print(concealment_table(rows))


def main():
    """Read the command line and run."""
    with exit_on_user_error():
        compare(make_parser().parse_args())


if __name__ == "__main__":
    sys.exit(main())
