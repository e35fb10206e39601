"""The classes that a stranger's model may name: these and no others.

A model's files decide which of them are made, with which plain values, and
nothing else. To let models name a new class, add its line here. It must run
nothing, and read and write no file, whatever it is given; one that loads
another model takes its name as ``source``, and loads safetensors only.
"""

import importlib

from speechbrain_ext.errors import UserError

#: What ``interface`` in a config.json may be, and where that class is.
INTERFACES = {
    f"speechbrain_ext.inference.{name}": (
        f"speechbrain_ext.inference.{module}.{name}"
    )
    for module, name in (
        ("fusion_asr", "FusionASR"),
        ("generic_enhancer", "GenericEnhancer"),
        ("inpainter", "Inpainter"),
        ("packet_loss_asr", "PacketLossASR"),
        ("perceptual_enhancer", "PerceptualEnhancer"),
        ("robust_asr", "RobustASR"),
    )
}

#: What ``!new:`` in a hyperparams.yaml may make.
CLASSES = frozenset(
    (
        "speechbrain_ext.backends.fine_tuned.FineTunedWhisper",
        "speechbrain_ext.backends.speech_transformer.FrozenSpeechTransformer",
        "speechbrain_ext.backends.speech_transformer.SpeechTransformer",
        "speechbrain_ext.backends.units.CharacterSet",
        "speechbrain_ext.backends.whisper.FrozenWhisper",
        "speechbrain_ext.features.log_magnitude.LogMagnitude",
        "speechbrain_ext.features.log_magnitude.Magnitude",
        "speechbrain_ext.features.segment_log_magnitude.SegmentLogMagnitude",
        "speechbrain_ext.features.waveform.Waveform",
        "speechbrain_ext.features.whisper_log_mel.WhisperLogMel",
        "speechbrain_ext.frontends.adaptation_unet.AdaptationUNet",
        "speechbrain_ext.frontends.concealment.LinearPrediction",
        "speechbrain_ext.frontends.concealment.MelInterpolation",
        "speechbrain_ext.frontends.concealment.RepeatPacket",
        "speechbrain_ext.frontends.concealment.TwoSidedPrediction",
        "speechbrain_ext.frontends.context_mapper.ContextDNN",
        "speechbrain_ext.frontends.context_mapper.ContextWideResNet",
        "speechbrain_ext.frontends.conv_tasnet.ConvTasNetEnhancer",
        "speechbrain_ext.frontends.identity.Identity",
        "speechbrain_ext.frontends.inpainting_unet.InpaintingUNet",
        "speechbrain_ext.frontends.light_adapter.LightAdapter",
        "speechbrain_ext.frontends.recurrent_concealer.RecurrentConcealer",
        "speechbrain_ext.frontends.spectral.SpectralFrontEnd",
        "speechbrain_ext.frontends.spectrogram_fusion.MappingMasking",
        "speechbrain_ext.frontends.spectrogram_fusion.MinimumDifferenceMasks",
        "speechbrain_ext.frontends.spectrogram_fusion.SpectrogramFusion",
        "speechbrain_ext.frontends.wide_resnet.WideResNetEnhancer",
        "speechbrain_ext.inference.model_folder.SafetensorsPretrainer",
    )
)

#: What runs a recogniser of the table in CTranslate2. Not for models to name.
IN_CTRANSLATE2 = {
    f"speechbrain_ext.backends.{of_torch}": f"speechbrain_ext.backends.{fast}"
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
