"""The classes that a stranger's model may name: these and no others.

A model's files decide which of them are made, with which plain values, and
nothing else. To let models name a new class, add its line here. It must run
nothing, and read and write no file, whatever it is given; one that loads
another model takes its name as ``source``, and loads safetensors only.
"""

import importlib

from speechbrain_ext.errors import UserError

_PACKAGE = "speechbrain_ext."

#: What ``interface`` in a config.json may be, and where that class is.
INTERFACES = {
    f"{_PACKAGE}inference.{name}": f"{_PACKAGE}inference.{module}.{name}"
    for module, name in (
        ("generic_enhancer", "GenericEnhancer"),
        ("inpainter", "Inpainter"),
        ("packet_loss_asr", "PacketLossASR"),
        ("perceptual_enhancer", "PerceptualEnhancer"),
        ("robust_asr", "RobustASR"),
    )
}

#: What ``!new:`` in a hyperparams.yaml may make.
CLASSES = frozenset(
    _PACKAGE + name
    for name in (
        "backends.fine_tuned.FineTunedWhisper",
        "backends.whisper.FrozenWhisper",
        "features.log_magnitude.LogMagnitude",
        "features.segment_log_magnitude.SegmentLogMagnitude",
        "features.waveform.Waveform",
        "features.whisper_log_mel.WhisperLogMel",
        "frontends.adaptation_unet.AdaptationUNet",
        "frontends.concealment.LinearPrediction",
        "frontends.concealment.MelInterpolation",
        "frontends.concealment.RepeatPacket",
        "frontends.concealment.TwoSidedPrediction",
        "frontends.context_mapper.ContextDNN",
        "frontends.context_mapper.ContextWideResNet",
        "frontends.conv_tasnet.ConvTasNetEnhancer",
        "frontends.identity.Identity",
        "frontends.inpainting_unet.InpaintingUNet",
        "frontends.light_adapter.LightAdapter",
        "frontends.recurrent_concealer.RecurrentConcealer",
        "frontends.spectral.SpectralFrontEnd",
        "frontends.wide_resnet.WideResNetEnhancer",
        "inference.model_folder.SafetensorsPretrainer",
    )
)

#: What runs a recogniser of the table in CTranslate2. Not for models to name.
IN_CTRANSLATE2 = {
    f"{_PACKAGE}backends.{of_torch}": f"{_PACKAGE}backends.{fast}"
    for of_torch, fast in (
        ("whisper.FrozenWhisper", "ctranslate2_decoder.CTranslate2Whisper"),
        (
            "fine_tuned.FineTunedWhisper",
            "fine_tuned.FineTunedCTranslate2Whisper",
        ),
    )
}

_KNOWN = {*INTERFACES.values(), *CLASSES, *IN_CTRANSLATE2.values()}


def import_class(name):
    """Import a class of these tables.

    Arguments
    ---------
    name : str
        Its module and its name, ``package.module.Class``.

    Returns
    -------
    type

    Raises
    ------
    UserError
        When it is in no table.

    Example
    -------
    >>> import_class("speechbrain_ext.frontends.identity.Identity").__name__
    'Identity'
    >>> import_class("os.system")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: os.system: not a class that models may \
name
    """
    if name not in _KNOWN:
        raise UserError(f"{name}: not a class that models may name")
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)
