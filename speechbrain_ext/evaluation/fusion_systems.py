"""The systems that an evaluation of spectrogram fusion compares."""

import json
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.decoding import System
from speechbrain_ext.evaluation.systems import named_models
from speechbrain_ext.inference.fusion_asr import FusionASR
from speechbrain_ext.inference.loading import load_trusted

#: The recordings, without noise and with it.
CLEAN, NOISY = "clean", "noisy"


@dataclass(frozen=True)
class FusionSystem:
    """A model, and which of its spectrograms its recogniser is given.

    Arguments
    ---------
    model : FusionASR
        What has ``transcribe_batch``, ``enhance_batch`` and ``spectrograms``.
    output : str
        ``"noisy"``, ``"mapping"``, ``"masking"`` or ``"fusion"``.
    clean : bool
        Whether it is given the clean recordings.
    reads : bool
        Whether its recogniser is evaluated.
    scored : bool
        Whether its speech is.

    Example
    -------
    >>> FusionSystem(None).enhance([torch.ones(2)])
    [tensor([1., 1.])]
    """

    model: object
    output: str = NOISY
    clean: bool = False
    reads: bool = True
    scored: bool = True

    def enhance(self, signals):
        """Make speech of the output's magnitudes and the noisy phases.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.

        Returns
        -------
        list of torch.Tensor
            [time] each.
        """
        if self.output == NOISY:
            return signals
        enhanced = self.model.enhance_batch(*_batch(signals), self.output)
        return [
            one[: len(signal)].cpu()
            for one, signal in zip(enhanced, signals, strict=True)
        ]

    def transcribe(self, signals):
        """Recognise what is said.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz, as they were recorded.

        Returns
        -------
        list of str
        """
        return self.model.transcribe_batch(*_batch(signals), self.output)

    def fingerprint(self):
        """Stand for the weights and settings that decide the texts.

        Returns
        -------
        str
            A hash.
        """
        settings = {
            name: value
            for name, value in vars(
                getattr(self.model, "hparams", self)
            ).items()
            if isinstance(value, (bool, int, float, str))
        }
        return System(
            self.model, settings=json.dumps([self.output, settings])
        ).fingerprint()


def _batch(signals):
    lengths = torch.tensor([len(signal) for signal in signals])
    return pad_sequence(signals, batch_first=True), lengths / lengths.max()


def load_fusion_systems(models, run_opts=None, load=load_trusted):
    """Load models' folders, and put the recordings before them.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids of :class:`~speechbrain_ext.inference.FusionASR`,
        each perhaps with a name, ``NAME=SOURCE``.
    run_opts : dict or None
        SpeechBrain's run options.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    dict
        :class:`FusionSystem` by name: ``clean`` and ``noisy`` are read by the
        first model's recogniser without any front-end; then each model with the
        output that it was trained with, and ``NAME-mapping`` and so on with its
        others.

    Raises
    ------
    UserError
        When a model cannot be used, or has the name of one of the others.

    Example
    -------
    >>> load_fusion_systems(["clean=nowhere/at/all"])
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: model clean: expected another name
    """
    sources = named_models(models)
    for name in (CLEAN, NOISY):
        if name in sources:
            raise UserError(f"model {name}: expected another name")
    systems = {}
    for name, source in sources.items():
        model = load_fusion_model(source, run_opts, load)
        if not systems:
            systems[CLEAN] = FusionSystem(model, clean=True, scored=False)
            systems[NOISY] = FusionSystem(model)
        own = model.output
        if own != NOISY or len(systems) > 2:
            systems[name] = FusionSystem(model, own, scored=own != NOISY)
        for output in model.outputs:
            if output not in (own, NOISY):
                systems[f"{name}-{output}"] = FusionSystem(model, output)
    return systems


def load_fusion_model(source, run_opts=None, load=load_trusted):
    """Load a model's folder.

    Arguments
    ---------
    source : str or Path
        A folder or hub id.
    run_opts : dict or None
        SpeechBrain's run options.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    FusionASR

    Raises
    ------
    UserError
        When it is no such model.

    Example
    -------
    >>> load_fusion_model("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    model = load(source, run_opts=run_opts)
    if not isinstance(model, FusionASR):
        raise UserError(
            f"{source}: is a {type(model).__name__}; expected a FusionASR"
        )
    return model
