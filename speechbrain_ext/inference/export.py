"""From an experiment folder to a model folder that loads in one line."""

import io
import json
import sys
from pathlib import Path

import torch
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from speechbrain_ext import __version__
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.corruption.lost_packets import PACKET_SECONDS
from speechbrain_ext.corruption.packet_loss import FeaturePacketLoss
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import copy_file, write_text
from speechbrain_ext.inference.model_folder import (
    check_model_folder,
    read_resolved,
)
from speechbrain_ext.weight_files import save_weights

_ASR_PIECES = ("features", "front_end", "back_end")

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

_UNTRAINED = """\
# A recogniser behind a front-end that has nothing to learn.
features: &features !new:speechbrain_ext.features.whisper_log_mel.WhisperLogMel
    context: batch
front_end: &front_end !new:{module}.{name}
back_end: &back_end !new:speechbrain_ext.backends.whisper.FrozenWhisper
    source: {source}
    language: {language}
    beam_size: {beam_size}
"""

_ENHANCER_INTERFACE = """
# What the interface asks for.
modules:
    features: *features
    front_end: *front_end
pretrainer: !new:speechbrain_ext.inference.model_folder.SafetensorsPretrainer
    loadables:
        front_end: *front_end
"""

_WAVEFORM_INTERFACE = """
# What the interface asks for.
modules:
    front_end: *front_end
pretrainer: !new:speechbrain_ext.inference.model_folder.SafetensorsPretrainer
    loadables:
        front_end: *front_end
"""

# Modules of the front-end are files of their own: stages begin with them.
_FUSION_INTERFACE = """
# What the interface asks for.
modules:
    features: *features
    front_end: *front_end
    back_end: *back_end
pretrainer: !new:speechbrain_ext.inference.model_folder.SafetensorsPretrainer
    loadables:
"""

# An inpainter's features carry their statistics.
_STATISTICS = """\
        features: *features
"""

# Where Whisper itself was trained.
_BACK_END = """\
        back_end: *back_end
"""


def export_packet_loss_asr(
    experiment_folder, front_end, damage, folder, back_end=None, half=False
):
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
    back_end : torch.nn.Module, optional
        The recogniser. Where its parameters want gradients it was trained, and
        ``back_end.safetensors`` is written as well.
    half : bool
        Store the weights in float16, to ship them.

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
    text = _pieces(
        "A recogniser that survives packet loss.",
        experiment_folder,
        _ASR_PIECES,
    )
    text += _INTERFACE.format(
        packet_seconds=damage.model.unit,
        zero_lost_frames=isinstance(damage, FeaturePacketLoss),
    )
    trained = {"front_end": front_end}
    if back_end is not None and _is_trained(back_end):
        text += _BACK_END
        trained["back_end"] = back_end
    _write_folder(Path(folder), text, trained, half=half)


def export_enhancer(experiment_folder, modules, folder=None, half=False):
    """Write the folder that ``PerceptualEnhancer.from_hparams`` loads.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; its ``hyperparams.yaml`` says what the pieces
        are.
    modules : dict
        A brain's modules; ``front_end`` among them.
    folder : str or Path, optional
        Where to write ``hyperparams.yaml``, ``front_end.safetensors`` and
        ``config.json``; the experiment folder's ``model`` if not given.
    half : bool
        Store the weights in float16, to ship them.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> export_enhancer("nowhere", {"front_end": torch.nn.Identity()})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(folder or Path(experiment_folder) / "model")
    text = _pieces(
        "Speech enhancement.", experiment_folder, ("features", "front_end")
    )
    trained = {"front_end": modules["front_end"]}
    _write_folder(
        folder, text + _ENHANCER_INTERFACE, trained, "PerceptualEnhancer", half
    )


def export_generic_enhancer(
    experiment_folder, modules, folder=None, half=False
):
    """Write the folder that ``GenericEnhancer.from_hparams`` loads.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; its ``hyperparams.yaml`` says what the
        front-end is.
    modules : dict
        A brain's modules; ``front_end``, which takes waveforms, among them.
    folder : str or Path, optional
        Where to write ``hyperparams.yaml``, ``front_end.safetensors`` and
        ``config.json``; the experiment folder's ``model`` if not given.
    half : bool
        Store the weights in float16, to ship them.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> export_generic_enhancer("nowhere", {"front_end": torch.nn.Identity()})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(folder or Path(experiment_folder) / "model")
    text = _pieces(
        "Generic speech enhancement.", experiment_folder, ("front_end",)
    )
    trained = {"front_end": modules["front_end"]}
    _write_folder(
        folder, text + _WAVEFORM_INTERFACE, trained, "GenericEnhancer", half
    )


def export_inpainter(experiment_folder, modules, folder=None, half=False):
    """Write the folder that ``Inpainter.from_hparams`` loads.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; its ``hyperparams.yaml`` says what the pieces
        are.
    modules : dict
        A brain's modules; ``features``, with the statistics of its training
        speech, and ``front_end`` among them.
    folder : str or Path, optional
        Where to write ``hyperparams.yaml``, ``features.safetensors``,
        ``front_end.safetensors`` and ``config.json``; the experiment folder's
        ``model`` if not given.
    half : bool
        Store the network's weights in float16, to ship them; never the
        statistics, which take no space.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> export_inpainter("nowhere", {"front_end": torch.nn.Identity()})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(folder or Path(experiment_folder) / "model")
    text = _pieces(
        "Speech inpainting.",
        experiment_folder,
        ("features", "front_end"),
        # Evaluations damage speech as a blind network's training did.
        ("filling",),
    )
    _save_modules(folder, {"features": modules["features"]}, half=False)
    text += _ENHANCER_INTERFACE + _STATISTICS
    trained = {"front_end": modules["front_end"]}
    _write_folder(folder, text, trained, "Inpainter", half)


def export_robust_asr(experiment_folder, modules, folder=None, half=False):
    """Write the folder that ``RobustASR.from_hparams`` loads.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; its ``hyperparams.yaml`` says what the pieces
        are.
    modules : dict
        A brain's modules; ``front_end`` and ``back_end`` among them.
    folder : str or Path, optional
        Where to write ``hyperparams.yaml``, the weights and ``config.json``;
        the experiment folder's ``model`` if not given.
    half : bool
        Store the weights in float16, to ship them.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> export_robust_asr("nowhere", {"front_end": torch.nn.Identity()})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(folder or Path(experiment_folder) / "model")
    text = _pieces(
        "A recogniser that was adapted to an enhancer.",
        experiment_folder,
        _ASR_PIECES,
    )
    text += _INTERFACE.format(
        packet_seconds=PACKET_SECONDS, zero_lost_frames=False
    )
    trained = {name: modules[name] for name in ("front_end", "back_end")}
    _write_folder(folder, text + _BACK_END, trained, "RobustASR", half)


def export_fusion_asr(experiment_folder, modules, folder=None, half=False):
    """Write the folder that ``FusionASR.from_hparams`` loads.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; its ``hyperparams.yaml`` says what the pieces
        are.
    modules : dict
        A brain's modules; ``front_end`` and ``back_end`` among them.
    folder : str or Path, optional
        Where to write ``hyperparams.yaml``, ``back_end.safetensors``, those of
        the front-end's modules (``enhancement`` and ``fusion``) and
        ``config.json``; the experiment folder's ``model`` if not given.
    half : bool
        Store the weights in float16, to ship them.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> export_fusion_asr("nowhere", {"front_end": torch.nn.Identity()})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(folder or Path(experiment_folder) / "model")
    resolved = read_resolved(experiment_folder)
    parts = dict(unwrap(modules["front_end"]).named_children())
    names = [*parts, "features", "front_end", "units", "back_end"]
    units = unwrap(modules["back_end"]).units
    # What a manifest said, in its place.
    resolved["units"].pop("manifest", None)
    resolved["units"]["characters"] = DoubleQuotedScalarString(units.characters)
    text = _dump(
        "A recogniser of noisy speech.", resolved, names, ("beam_size",)
    )
    text += _FUSION_INTERFACE
    trained = {**parts, "back_end": modules["back_end"]}
    text += "".join(f"        {name}: *{name}\n" for name in trained)
    _write_folder(folder, text, trained, "FusionASR", half)


def export_modules(experiment_folder, modules, names, half=False):
    """Write the weights of a brain's modules, for a later stage.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder; the weights are in its ``model``.
    modules : dict
        A brain's modules.
    names : dict[str, str]
        A module's name in the brain, or one within it (``front_end.fusion``),
        and that of its ``.safetensors`` file.
    half : bool
        Store the weights in float16, to ship them.

    Raises
    ------
    UserError
        When a file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> modules = {"back_end": torch.nn.Linear(2, 1)}
    >>> export_modules(folder, modules, {"back_end": "recogniser"})
    >>> [file.name for file in (folder / "model").iterdir()]
    ['recogniser.safetensors']
    """
    _save_modules(
        Path(experiment_folder) / "model",
        {file: _submodule(modules, name) for name, file in names.items()},
        half,
    )


def _submodule(modules, name):
    name, _, inner = name.partition(".")
    return unwrap(modules[name]).get_submodule(inner)


def unwrap(module):
    """Take a module out of its distributed wrapper, if it is in one.

    Arguments
    ---------
    module : torch.nn.Module
        A module.

    Returns
    -------
    torch.nn.Module

    Example
    -------
    >>> unwrap(torch.nn.Identity())
    Identity()
    """
    if isinstance(module, torch.nn.parallel.DistributedDataParallel):
        return module.module
    return module


def export_untrained(front_end, whisper_source, language, folder, beam_size=5):
    """Write the folder of a recogniser whose front-end has no weights.

    Classical packet loss concealment
    (:mod:`speechbrain_ext.frontends.concealment`) is compared with what was
    trained as a model's folder of its own. Lost packets have 20 ms, and their
    samples are zero.

    Arguments
    ---------
    front_end : type
        A front-end's class; it is made without arguments.
    whisper_source : str or Path
        What :class:`~speechbrain_ext.backends.whisper.FrozenWhisper` takes.
    language : str or None
        The language's code; None for an English-only model.
    folder : str or Path
        Where to write ``hyperparams.yaml``, ``config.json`` and a
        ``front_end.safetensors`` that holds nothing.
    beam_size : int
        Of the decoder.

    Raises
    ------
    UserError
        When the front-end has parameters, which would be random, or a file
        cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.frontends.concealment import RepeatPacket
    >>> folder = Path(tempfile.mkdtemp()) / "repeat"
    >>> export_untrained(RepeatPacket, "openai/whisper-tiny.en", None, folder)
    >>> sorted(file.name for file in folder.iterdir())
    ['config.json', 'front_end.safetensors', 'hyperparams.yaml']
    """
    module = front_end()
    if _is_trained(module):
        raise UserError(
            f"front_end: {front_end.__name__} has parameters; expected one "
            "that needs no training"
        )
    text = _UNTRAINED.format(
        module=front_end.__module__,
        name=front_end.__qualname__,
        source=json.dumps(str(whisper_source)),
        language=json.dumps(language),
        beam_size=beam_size,
    )
    text += _INTERFACE.format(
        packet_seconds=PACKET_SECONDS, zero_lost_frames=False
    )
    _write_folder(Path(folder), text, {"front_end": module})


def transplant(model_folder, whisper_source, folder, language=None):
    """Plug a model's front-end into another Whisper, without any training.

    What the paper calls BTA: an adaptation network that was trained on Whisper
    base, connected to large-v2 (section 3.3).

    Arguments
    ---------
    model_folder : str or Path
        A model's folder.
    whisper_source : str
        A folder or a hub id of the other Whisper.
    folder : str or Path
        Where to write the new model's folder.
    language : str, optional
        The code of the language, for a multilingual Whisper.

    Raises
    ------
    UserError
        When the model's folder or the Whisper cannot be used, the Whisper
        takes another number of mel bins, or a file cannot be written.

    Example
    -------
    >>> transplant("nowhere", "openai/whisper-base", "model", language="en")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such folder; expected a \
model's folder
    """
    source, folder = Path(model_folder), Path(folder)
    if not source.is_dir():
        raise UserError(
            f"{model_folder}: no such folder; expected a model's folder"
        )
    check_model_folder(source)
    yaml = _yaml()
    resolved = yaml.load((source / "hyperparams.yaml").read_text("utf-8"))
    _check_transplant(source, resolved, whisper_source)
    # Says what is wrong with the Whisper or the language.
    whisper = FrozenWhisper(whisper_source, language)
    resolved["back_end"]["source"] = whisper_source
    resolved["back_end"]["language"] = whisper.language
    weights = "front_end.safetensors"
    copy_file(source / weights, folder / weights)
    out = io.StringIO()
    yaml.dump(resolved, out)
    _write_folder(folder, out.getvalue(), {})


def _check_transplant(source, resolved, whisper_source):
    if "back_end" in resolved["pretrainer"]["loadables"]:
        raise UserError(
            f"{source}: its Whisper is fine-tuned; expected a model whose "
            "front-end alone was trained"
        )
    config = json.loads((resolve(whisper_source) / "config.json").read_text())
    have = resolved["features"].get("n_mels", 80)
    wanted = config.get("num_mel_bins", 80)
    if have != wanted:
        raise UserError(
            f"{whisper_source}: takes {wanted} mel bins; expected a Whisper "
            f"that takes {have}, as the front-end of {source} gives"
        )


def _write_folder(folder, text, modules, interface="PacketLossASR", half=False):
    """Write a model's folder, ``modules`` by the names of their files."""
    _save_modules(folder, modules, half)
    write_text(folder / "hyperparams.yaml", text)
    config = {
        "interface": f"speechbrain_ext.inference.{interface}",
        "speechbrain_ext_version": __version__,
    }
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")


def _save_modules(folder, modules, half):
    for name, module in modules.items():
        save_weights(folder / f"{name}.safetensors", unwrap(module), half)


def _is_trained(module):
    return any(parameter.requires_grad for parameter in module.parameters())


def _yaml():
    yaml = YAML()
    yaml.indent(mapping=4)
    # A long path stays on its key's line, whatever folder it was trained in.
    yaml.width = sys.maxsize
    return yaml


def _pieces(title, experiment_folder, names, settings=()):
    """A title and the resolved definitions of the pieces, as YAML text.

    With the plain values of those settings that the recipe has.
    """
    resolved = read_resolved(experiment_folder)
    return _dump(title, resolved, names, settings)


def _dump(title, resolved, names, settings=()):
    out = io.StringIO()
    for name in names:
        # An alias is plain YAML; a !ref would need HyperPyYAML to be read.
        resolved[name].yaml_set_anchor(name, always_dump=True)
    kept = [*names, *(name for name in settings if name in resolved)]
    _yaml().dump({name: resolved[name] for name in kept}, out)
    return f"# {title}\n{out.getvalue()}"
