"""What the front-ends cost beside the recogniser that they serve.

Times a forward pass of Whisper tiny.en's encoder, of the light adapter as it
ships, and of the paper's U-Net, on one window of 30 s."""

import argparse
from pathlib import Path

import torch
import yaml
from timing import forward_times

from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.frontends.adaptation_unet import AdaptationUNet
from speechbrain_ext.frontends.light_adapter import LightAdapter

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "pretrained" / "plc-whisper-tiny.en"
#: In case that no model has been exported yet.
SETTINGS = {"widths": [160, 320, 320], "dilations": [1, 2, 4, 8] * 2}

_EPILOG = """\
The three take turns, so that a busy machine is busy for all of them, and the
median of the rounds counts; a ratio of two such times changes little from
machine to machine, the times themselves do. An informed front-end is told
that 40 % of the frames were lost.

examples:
  python tools/bench/frontend_cost.py
  python tools/bench/frontend_cost.py --threads 1 --rounds 15
  python tools/bench/frontend_cost.py --model results/mini/1/model

The last line reads: light/encoder RATIO unet/encoder RATIO
"""


class _PlainLoader(yaml.SafeLoader):
    """Reads what would be made (``!new:``) as plain mappings."""


_PlainLoader.add_multi_constructor(
    "!new:",
    lambda loader, name, node: {
        "class": name,
        **loader.construct_mapping(node, deep=True),
    },
)


def light_settings(folder):
    """Read the light adapter's arguments from an exported model's folder."""
    file = Path(folder) / "hyperparams.yaml"
    if not file.is_file():
        if Path(folder) != SHIPPED:
            raise UserError(f"{file}: no such file; expected a model's folder")
        return SETTINGS
    settings = yaml.load(file.read_text(encoding="utf-8"), _PlainLoader)
    settings = settings["front_end"]
    name = settings.pop("class").rpartition(".")[2]
    if name != LightAdapter.__name__:
        raise UserError(f"{file}: front_end is {name}; expected LightAdapter")
    return settings


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
        "--rounds",
        type=int,
        default=7,
        metavar="N",
        help="timed passes of each, after one to warm up (default: 7)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="length of the window, at most 30 (default: 30)",
    )
    parser.add_argument(
        "--model",
        default=SHIPPED,
        metavar="FOLDER",
        help="exported model whose light adapter is meant (default: what ships)",
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        measure(arguments)


def measure(arguments):
    """Time the three and print a table and the ratios."""
    torch.set_num_threads(arguments.threads)
    settings = light_settings(arguments.model)
    front_ends = {"light": LightAdapter(**settings), "unet": AdaptationUNet()}
    frames = 2 * round(50 * arguments.seconds)
    whisper = FrozenWhisper("openai/whisper-tiny.en")
    times = forward_times(whisper, front_ends, frames, arguments.rounds)
    print(f"{arguments.seconds:g} s, {arguments.threads} threads, {settings}")
    print(f"{'':8} {'parameters':>11} {'ms':>8} {'/encoder':>9}")
    modules = {"encoder": whisper.whisper.model.encoder, **front_ends}
    ratios = {name: value / times["encoder"] for name, value in times.items()}
    for name, module in modules.items():
        size = sum(parameter.numel() for parameter in module.parameters())
        print(
            f"{name:8} {size / 1e6:9.2f} M {1e3 * times[name]:8.1f} "
            f"{ratios[name]:9.3f}"
        )
    print(
        f"light/encoder {ratios['light']:.3f} unet/encoder {ratios['unet']:.2f}"
    )


if __name__ == "__main__":
    main()
