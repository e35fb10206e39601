"""The systems that an evaluation of enhancement compares."""

import json
from dataclasses import dataclass

import torch

from speechbrain_ext.backends.ctranslate2_decoder import CTranslate2Whisper
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.decoding import System
from speechbrain_ext.evaluation.systems import named_models
from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
from speechbrain_ext.frontends.identity import Identity
from speechbrain_ext.inference import (
    GenericEnhancer,
    PerceptualEnhancer,
    RobustASR,
)
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.inference.model_folder import check_backend, interface_name
from speechbrain_ext.inference.observation import add_observation

#: The systems that change nothing: the recordings, with noise and without.
NOISY = "noisy"
CLEAN = "clean"

_ENHANCERS = {
    one.__name__: one for one in (GenericEnhancer, PerceptualEnhancer)
}


@dataclass(frozen=True)
class EnhancementSystem:
    """An enhancer, a recogniser of what it gives, or both.

    Arguments
    ---------
    enhancer : SpeechEnhancer, optional
        What has ``enhance_signals``; the recordings stay as they are without.
    recogniser : RobustASR, optional
        What has ``transcribe_batch``; its own front-end is not used.
    clean : bool
        Whether it is given the clean recordings.
    observation : float
        The share of what the enhancer is given in what it gives, 0 to 1.

    Example
    -------
    >>> import torch
    >>> EnhancementSystem().enhance([torch.ones(2)])
    [tensor([1., 1.])]
    """

    enhancer: object = None
    recogniser: object = None
    clean: bool = False
    observation: float = 0.0

    def enhance(self, signals):
        """Enhance a batch.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        list of torch.Tensor
            [time] each.
        """
        if self.enhancer is None:
            return signals
        return [
            add_observation(enhanced, signal, self.observation)
            for enhanced, signal in zip(
                self.enhancer.enhance_signals(signals), signals, strict=True
            )
        ]

    def transcribe(self, signals):
        """Recognise what is said.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz, as :meth:`enhance` gives them.

        Returns
        -------
        list of str
        """
        return self.recogniser.transcribe_signals(
            signals,
            [torch.zeros_like(x, dtype=torch.bool) for x in signals],
            front_end=False,
            batch_size=len(signals),
        )

    def fingerprint(self):
        """Stand for what decides the texts besides what is heard.

        Returns
        -------
        str
            A hash.
        """
        asr = self.recogniser
        back_end = asr.mods.back_end
        settings = [
            type(back_end).__name__,
            asr.language,
            getattr(back_end, "beam_size", None),
        ]
        return System(
            asr, front_end=False, settings=json.dumps(settings)
        ).fingerprint()


def unadapted_recogniser(
    source, language=None, backend="torch", beam_size=5, run_opts=None
):
    """Load a Whisper that has never heard an enhancer.

    Arguments
    ---------
    source : str
        A folder or hub id of a Whisper.
    language : str or None
        The code of what is spoken, for a multilingual one.
    backend : str
        ``"torch"`` or ``"ctranslate2"``.
    beam_size : int
        Of the decoder.
    run_opts : dict or None
        SpeechBrain's run options.

    Returns
    -------
    RobustASR

    Example
    -------
    >>> import torch
    >>> asr = unadapted_recogniser("openai/whisper-tiny.en")
    >>> asr.transcribe_batch(torch.zeros(1, 16000), torch.ones(1))
    ['']
    """
    whisper = {"torch": FrozenWhisper, "ctranslate2": CTranslate2Whisper}
    back_end = whisper[check_backend(backend)](
        source, language, beam_size=beam_size
    )
    return RobustASR(
        modules={
            "features": WhisperLogMel(),
            "front_end": Identity(),
            "back_end": back_end,
        },
        hparams={"packet_seconds": 0.02, "zero_lost_frames": False},
        run_opts=run_opts,
    )


def load_enhancement_system(
    source, unadapted, backend="torch", run_opts=None, load=load_trusted
):
    """Load a model's folder: an enhancer, or a recogniser behind one.

    Arguments
    ---------
    source : str or Path
        The folder or hub id of a :class:`GenericEnhancer`, a
        :class:`PerceptualEnhancer` or a :class:`RobustASR`.
    unadapted : RobustASR or None
        What reads the speech of a model that has no recogniser.
    backend : str
        What runs the recogniser: ``"torch"`` or ``"ctranslate2"``.
    run_opts : dict or None
        SpeechBrain's run options.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    EnhancementSystem

    Raises
    ------
    UserError
        When it is no such model.

    Example
    -------
    >>> load_enhancement_system("nowhere/at/all", None)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    name = interface_name(source)
    if name in _ENHANCERS:
        enhancer = load(source, run_opts=run_opts)
        return EnhancementSystem(enhancer, unadapted)
    if name == "RobustASR":
        asr = load(source, backend=backend, run_opts=run_opts)
        return EnhancementSystem(asr.enhancer(), asr)
    expected = ", a ".join(_ENHANCERS)
    raise UserError(
        f"{source}: is a {name}; expected a {expected} or a RobustASR"
    )


def load_enhancement_systems(
    models,
    unadapted=None,
    backend="torch",
    run_opts=None,
    load=load_trusted,
):
    """Load models' folders, and put the recordings before them.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids, each perhaps with a name, ``NAME=SOURCE``.
    unadapted : RobustASR or None
        What reads the recordings, and the speech of models that have no
        recogniser.
    backend : str
        What runs the models' own recognisers.
    run_opts : dict or None
        SpeechBrain's run options.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    dict
        :class:`EnhancementSystem` by name: ``clean``, ``noisy``, the models.

    Raises
    ------
    UserError
        When a model cannot be used, or has the name of one of the others.

    Example
    -------
    >>> load_enhancement_systems(["clean=nowhere/at/all"])
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: model clean: expected another name
    """
    systems = {
        CLEAN: EnhancementSystem(recogniser=unadapted, clean=True),
        NOISY: EnhancementSystem(recogniser=unadapted),
    }
    for name, source in named_models(models).items():
        if name in systems:
            raise UserError(f"model {name}: expected another name")
        systems[name] = load_enhancement_system(
            source, unadapted, backend, run_opts, load
        )
    return systems
