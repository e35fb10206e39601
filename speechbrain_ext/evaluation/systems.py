"""The systems that one evaluation compares: models' folders and their names."""

import json
from pathlib import Path

import yaml

from speechbrain_ext.corruption.packet_loss import FeaturePacketLoss
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.decoding import System
from speechbrain_ext.evaluation.results import BARE
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.inference.packet_loss_asr import PacketLossASR, model_name

# What a bare recogniser's texts do not depend on.
_OF_THE_FRONT_END = ("front_end", "modules", "pretrainer")


def named_models(models):
    """Take models that a person gave, with or without names of their own.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids, each perhaps as ``NAME=SOURCE``.

    Returns
    -------
    dict
        Source by name; a model without a name has its folder's.

    Raises
    ------
    UserError
        When there is none, two have one name, or one is named ``bare``.

    Example
    -------
    >>> named_models(["runs/plc", "own=runs/1/model"])
    {'plc': 'runs/plc', 'own': 'runs/1/model'}
    """
    if isinstance(models, (str, Path)):
        models = [models]
    found = {}
    for model in map(str, models):
        name, equals, source = model.partition("=")
        # A folder's own name may have a = in it.
        if not equals or "/" in name or Path(model).exists():
            name, source = model_name(model), model
        if not name or not source or name == BARE:
            raise UserError(
                f"model {model}: expected SOURCE or NAME=SOURCE, with a name "
                f"other than {BARE}"
            )
        if name in found:
            raise UserError(
                f"model {model}: {found[name]} is named {name} as well; "
                "expected names that differ, as NAME=SOURCE"
            )
        found[name] = source
    if not found:
        raise UserError("model: none given; expected one or more")
    return found


def load_systems(
    models,
    damage,
    run_opts=None,
    language=None,
    backend="torch",
    compute_type="float32",
    load=load_trusted,
):
    """Load models, and the bare recogniser of the first one.

    Arguments
    ---------
    models : dict
        Source by name, as :func:`named_models` returns it.
    damage : WaveformPacketLoss or FeaturePacketLoss
        What they will be given.
    run_opts : dict or None
        SpeechBrain's run options.
    language : str or None
        The code of what is spoken; None is each model's own language.
    backend : str
        What runs the recognisers: ``"torch"`` or ``"ctranslate2"``.
    compute_type : str
        What CTranslate2 computes in.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    dict
        :class:`System` by name; ``bare``, the first, has the first model's
        recogniser, as it was before any training of its own.

    Raises
    ------
    UserError
        When a model cannot be loaded, or does not zero lost frames as the
        damage wants it.

    Example
    -------
    >>> load_systems({"own": "runs/1/model"}, damage)  # doctest: +SKIP
    """
    systems = {}
    for name, source in models.items():
        asr = load(
            source,
            backend=backend,
            compute_type=compute_type,
            run_opts=run_opts,
        )
        if not isinstance(asr, PacketLossASR):
            raise UserError(
                f"{source}: is a {type(asr).__name__}; expected a PacketLossASR"
            )
        if language is not None:
            asr.language = language
        _check_zeroes(source, asr, damage)
        if not systems:
            systems[BARE] = System(
                _untouched(asr, run_opts),
                front_end=False,
                settings=_settings(source, asr, _OF_THE_FRONT_END),
            )
        systems[name] = System(asr, settings=_settings(source, asr))
    return systems


def _check_zeroes(source, asr, damage):
    if isinstance(damage, FeaturePacketLoss) and (
        not asr.hparams.zero_lost_frames
    ):
        raise UserError(
            f"{source}: zeroes lost samples (zero_lost_frames: False); "
            f"expected a model that zeroes lost frames, for the damage "
            f"{damage.name}"
        )


def _untouched(asr, run_opts):
    """The recogniser with a back-end that nothing was trained into."""
    untouched = getattr(asr.mods.back_end, "untouched", None)
    if untouched is None:
        return asr
    return PacketLossASR(
        modules={**asr.mods, "back_end": untouched()},
        hparams=vars(asr.hparams),
        run_opts=run_opts,
    )


def _settings(source, asr, without=()):
    """What decides a system's texts besides its weights, as one string.

    Of the hyperparameters' keys, so that a comment changes nothing, and one
    system's say nothing of another's.
    """
    file = Path(source) / "hyperparams.yaml"
    if not file.is_file():
        return str(source)
    node = yaml.compose(file.read_text(encoding="utf-8"), yaml.SafeLoader)
    node.value = [pair for pair in node.value if pair[0].value not in without]
    return json.dumps([yaml.serialize(node), getattr(asr, "language", None)])
