"""From an experiment folder to a model folder that loads in one line."""

import io
import json
from pathlib import Path

import torch
from ruamel.yaml import YAML

from speechbrain_ext import __version__
from speechbrain_ext.corruption.packet_loss import FeaturePacketLoss
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write
from speechbrain_ext.inference.model_folder import save_weights

_PIECES = ("features", "front_end", "back_end")

_INTERFACE = """
# What the interface asks for.
packet_seconds: {packet_seconds}
zero_lost_frames: {zero_lost_frames}
modules:
    features: *features
    front_end: *front_end
    back_end: *back_end
pretrainer: !new:speechbrain_ext.inference.model_folder.SafetensorsPretrainer
    loadables:
        front_end: *front_end
"""


def export_packet_loss_asr(experiment_folder, front_end, damage, folder):
    """Write the folder that ``PacketLossASR.from_hparams`` loads.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; its ``hyperparams.yaml`` says what the pieces
        are.
    front_end : torch.nn.Module
        The trained front-end, perhaps in a distributed wrapper.
    damage : WaveformPacketLoss or FeaturePacketLoss
        What it was trained on: says the unit of a loss, and whether lost mel
        frames are set to 0, as the paper does.
    folder : str or Path
        Where to write ``hyperparams.yaml``, ``front_end.safetensors`` and
        ``config.json``.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> from speechbrain_ext.corruption.loss_models import BernoulliLoss
    >>> from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
    >>> damage = WaveformPacketLoss(BernoulliLoss(), seed=0)
    >>> export_packet_loss_asr("nowhere", torch.nn.Identity(), damage, "model")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(folder)
    text = _pieces(Path(experiment_folder) / "hyperparams.yaml")
    text += _INTERFACE.format(
        packet_seconds=damage.model.unit,
        zero_lost_frames=isinstance(damage, FeaturePacketLoss),
    )
    if isinstance(front_end, torch.nn.parallel.DistributedDataParallel):
        front_end = front_end.module
    save_weights(folder / "front_end.safetensors", front_end)
    with atomic_write(folder / "hyperparams.yaml") as temporary:
        temporary.write_text(text, encoding="utf-8")
    config = {
        "interface": "speechbrain_ext.inference.PacketLossASR",
        "speechbrain_ext_version": __version__,
    }
    with atomic_write(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n")


def _pieces(file):
    """The resolved definitions of the pieces, as YAML text."""
    yaml = YAML()
    yaml.indent(mapping=4)
    try:
        resolved = yaml.load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read; expected a trained recipe's folder"
        ) from error
    out = io.StringIO()
    for name in _PIECES:
        # An alias is plain YAML; a !ref would need HyperPyYAML to be read.
        resolved[name].yaml_set_anchor(name, always_dump=True)
    yaml.dump({name: resolved[name] for name in _PIECES}, out)
    return "# A recogniser that survives packet loss.\n" + out.getvalue()
