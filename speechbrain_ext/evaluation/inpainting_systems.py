"""What masked segments become: as they are heard, or repaired.

Everything here takes a cell of the paper's tables, a kind of masks and a size,
and is given the same masks in it: they are a function of the seed, the
segment's ID, the kind and the size alone.
"""

import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from speechbrain_ext.corruption.masks import BlockMasks, FeatureMask
from speechbrain_ext.corruption.randomness import utterance_generators
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.phase import unit_phases
from speechbrain_ext.frontends.concealment import TwoSidedPrediction
from speechbrain_ext.frontends.damage_detection import detect_damage
from speechbrain_ext.frontends.inpainting_concealer import resynthesise_observed
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.inference.model_folder import interface_name

#: The references that repair nothing or need no training, and what clean
#: magnitudes with estimated phases reach.
GAPS, NOISE, LPC, RESYNTHESISED = "gaps", "noise", "lpc", "resynthesised"
REFERENCES = (GAPS, NOISE, LPC, RESYNTHESISED)


@dataclass(frozen=True)
class Masking:
    """A cell of the tables: masks of one kind and size.

    Arguments
    ---------
    kind : str
        Of :data:`speechbrain_ext.corruption.masks.KINDS`.
    size : float
        A share, exactly that of each segment.
    seed : int
        Of the masks, and of what stands under them.

    Example
    -------
    >>> masking = Masking("time", 0.25, seed=0)
    >>> lost = masking.draw(["a"], 128, 128)
    >>> lost.shape, int(lost[0, :, 0].sum())
    (torch.Size([1, 128, 128]), 32)
    """

    kind: str
    size: float
    seed: int = 0

    def draw(self, ids, frames, bins):
        """Draw the masks of segments.

        Arguments
        ---------
        ids : sequence of str
            The segments' ids.
        frames, bins : int
            Of each.

        Returns
        -------
        torch.Tensor
            bool [batch, frames, bins], True where a bin is masked.
        """
        masks = BlockMasks(self.kind)
        return masks([frames] * len(ids), bins, ids, self.seed, 0, self.size)

    def damage(self, feats, ids, filling):
        """Damage features under the same masks.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].
        ids : sequence of str
            The segments' ids.
        filling : str
            Of :data:`speechbrain_ext.corruption.masks.FILLINGS`.

        Returns
        -------
        torch.Tensor
            The damaged features, [batch, frames, bins].
        torch.Tensor
            bool [batch, frames, bins], True where a bin is masked.
        """
        damage = FeatureMask(BlockMasks(self.kind), self.seed, filling)
        lengths = torch.ones(len(feats))
        return damage(feats, lengths, ids, epoch=0, rate=self.size)


class Reference:
    """A column of the tables that no network fills.

    - ``"gaps"``: masked bins of the complex spectrum are 0.
    - ``"noise"``: they are noise of the segment's own spectrum.
    - ``"lpc"``: linear prediction from both sides. It is given what is left of
      the speech, the gaps above, and fills in the time domain what masks take
      away in all channels. Of masks over time and frequency it so repairs the
      intrusions in time, the missing bands stay missing, and it predicts from
      speech that lacks them. Masks of any shape leave it nothing to fill.
    - ``"resynthesised"``: all clean magnitudes with estimated phases, the
      ceiling of what is repaired from magnitudes alone.

    Arguments
    ---------
    name : str
        Of ``REFERENCES``.
    features : SegmentLogMagnitude
        Has the spectrum and its inverse.

    Example
    -------
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> reference = Reference("gaps", SegmentLogMagnitude("griffin-lim"))
    >>> masking = Masking("time", 1.0)
    >>> reference.process(torch.ones(1, 16384), ["a"], masking).abs().sum()
    tensor(0.)
    """

    def __init__(self, name, features):
        self.name = name
        self.features = features

    def applies(self, kind):
        """Say whether the tables have it for a kind of masks.

        Arguments
        ---------
        kind : str
            Of masks.

        Returns
        -------
        bool
        """
        return not (self.name == LPC and kind == "random")

    def settings(self):
        """Say what decides its speech.

        Returns
        -------
        dict
        """
        found = {"reference": self.name}
        if self.name == RESYNTHESISED:
            found["features"] = _features_settings(self.features)
        return found

    @torch.no_grad()
    def process(self, wavs, ids, masking):
        """Mask segments and fill what is masked.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], clean, all of one length.
        ids : sequence of str
            The segments' ids.
        masking : Masking or None
            Which masks; not used by what is resynthesised.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        features, lengths = self.features, torch.ones(len(wavs))
        wavs, lengths = _to(features, wavs, lengths)
        feats = features(wavs, lengths)
        if self.name == RESYNTHESISED:
            return features.resynthesise(feats, wavs, lengths)
        lost = masking.draw(ids, *feats.shape[1:]).to(wavs.device)
        if self.name == NOISE:
            noise = _white_noise(wavs, ids, masking.seed)
            return features.shaped_noise(wavs, lengths, lost, noise)
        heard = features.silence(wavs, lengths, lost)
        if self.name == GAPS:
            return heard
        touched = features.touched_samples(lost, wavs.shape[1])
        return TwoSidedPrediction()(
            heard.masked_fill(touched, 0), lengths, touched
        )


class InpaintingSystem:
    """A model that repairs masked features.

    Arguments
    ---------
    inpainter : Inpainter
        What has ``mods.features`` and ``inpaint_features``.
    filling : str
        What stands under the masks that it is given: ``"gaps"``, ``"noise"`` or
        ``"additive"``.
    settings : str
        What decides its speech besides its weights.
    keep_observed : bool
        Whether bins that are not masked stay as they were, with their phases;
        where a model is blind, those that it does not take for damaged. As in
        the paper, all phases are estimated where they do not.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.features.segment_log_magnitude import (
    ...     SegmentLogMagnitude,
    ... )
    >>> features = SegmentLogMagnitude("griffin-lim", iterations=1)
    >>> idle = SimpleNamespace(
    ...     mods=SimpleNamespace(features=features),
    ...     inpaint_features=lambda feats, lengths, lost: feats,
    ... )
    >>> system = InpaintingSystem(idle)
    >>> system.process(torch.ones(1, 16384), ["a"], Masking("time", 0.1)).shape
    torch.Size([1, 16384])
    """

    def __init__(
        self, inpainter, filling="gaps", settings="", keep_observed=False
    ):
        self.inpainter = inpainter
        self.filling = filling
        self.keep_observed = keep_observed
        self._settings = settings

    def keeping_observed(self):
        """Make the same system, but for bins that are not masked.

        Returns
        -------
        InpaintingSystem
            It keeps them, phases included.
        """
        return InpaintingSystem(
            self.inpainter, self.filling, self._settings, keep_observed=True
        )

    @property
    def features(self):
        """SegmentLogMagnitude : The model's own."""
        return self.inpainter.mods.features

    @property
    def informed(self):
        """bool : Whether it is told where the masks are."""
        front_end = getattr(self.inpainter.mods, "front_end", None)
        return bool(getattr(front_end, "informed", True))

    def applies(self, kind):
        """Say whether the tables have it for a kind of masks: for all.

        Arguments
        ---------
        kind : str
            Of masks.

        Returns
        -------
        bool
        """
        return True

    def settings(self):
        """Say what decides its speech, its weights included.

        Returns
        -------
        dict
        """
        return {
            "filling": self.filling,
            "settings": self._settings,
            "keep_observed": self.keep_observed,
            "features": _features_settings(self.features),
            "weights": _digest(getattr(self.inpainter, "state_dict", dict)()),
        }

    @torch.no_grad()
    def repair(self, wavs, ids, masking):
        """Mask segments' features and repair them.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], clean, all of one length.
        ids : sequence of str
            The segments' ids.
        masking : Masking
            Which masks.

        Returns
        -------
        tuple of torch.Tensor
            The clean, the damaged and the repaired features, and the mask,
            [batch, frames, bins] each; of a blind model that keeps what it
            observed, the bins that it takes for damaged.
        """
        wavs, lengths = _to(self.features, wavs, torch.ones(len(wavs)))
        feats = self.features(wavs, lengths)
        damaged, lost = masking.damage(feats, ids, self.filling)
        repaired = self.inpainter.inpaint_features(damaged, lengths, lost)
        if self.keep_observed:
            if not self.informed:
                lost = detect_damage(damaged, repaired, self.features.deviation)
            repaired = torch.where(lost, repaired, damaged)
        return feats, damaged, repaired, lost

    @torch.no_grad()
    def process(self, wavs, ids, masking):
        """Mask segments, repair them, and estimate phases.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], clean, all of one length.
        ids : sequence of str
            The segments' ids.
        masking : Masking
            Which masks.

        Returns
        -------
        torch.Tensor
            [batch, time].
        """
        feats, damaged, repaired, lost = self.repair(wavs, ids, masking)
        wavs, lengths = _to(self.features, wavs, torch.ones(len(wavs)))
        if not self.keep_observed:
            return self.features.resynthesise(repaired, wavs, lengths)
        observed = None
        if not self.informed:
            # Damage that went unnoticed is heard.
            noise = _white_noise(wavs, ids, masking.seed)
            observed = self._damaged_spectrum(wavs, feats, damaged, noise)
        return resynthesise_observed(
            self.features, repaired, wavs, lengths, lost, observed
        )

    def _damaged_spectrum(self, wavs, feats, damaged, noise):
        """The clean spectrum, damaged bins with the phases of a noise."""
        lengths = torch.ones(len(wavs), device=wavs.device)
        phases = unit_phases(self.features.spectrum(noise, lengths))
        return torch.where(
            F.pad(damaged != feats, (0, 1)),
            self.features.magnitudes(damaged) * phases,
            self.features.spectrum(wavs, lengths),
        )


def load_inpainting_system(source, run_opts=None, load=load_trusted):
    """Load a model's folder.

    Arguments
    ---------
    source : str or Path
        The folder or hub id of an ``Inpainter``.
    run_opts : dict or None
        SpeechBrain's run options.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.

    Returns
    -------
    InpaintingSystem
        An informed one is given gaps, a blind one what its hyperparameter
        ``filling`` names, or gaps.

    Raises
    ------
    UserError
        When it is no such model.

    Example
    -------
    >>> load_inpainting_system("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    name = interface_name(source)
    if name != "Inpainter":
        raise UserError(f"{source}: is a {name}; expected an Inpainter")
    inpainter = load(source, run_opts=run_opts)
    filling = GAPS
    if not inpainter.mods.front_end.informed:
        filling = getattr(inpainter.hparams, "filling", GAPS)
    file = Path(source) / "hyperparams.yaml"
    settings = file.read_text(encoding="utf-8") if file.is_file() else source
    return InpaintingSystem(inpainter, filling, str(settings))


def fingerprint(system, masking, speech, metrics):
    """Stand for all that decides a system's scores in a cell.

    Arguments
    ---------
    system : Reference or InpaintingSystem
        What repairs.
    masking : Masking or None
        The cell.
    speech : str
        Stands for the segments.
    metrics : sequence of str
        What is measured.

    Returns
    -------
    str
        A hash.

    Example
    -------
    >>> cells = [Masking("time", 0.1, seed) for seed in (0, 0, 1)]
    >>> len({fingerprint(Reference("gaps", None), c, "", ()) for c in cells})
    2
    """
    parts = [
        system.settings(),
        masking and asdict(masking),
        speech,
        sorted(metrics),
    ]
    text = json.dumps(parts, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _to(features, *tensors):
    return [tensor.to(features.mean.device) for tensor in tensors]


def _white_noise(wavs, ids, seed):
    # A stream of its own, beside the masks'.
    seed = int(seed) ^ zlib.crc32(b"speech-shaped") << 32
    generators = utterance_generators(seed, 0, ids)
    noise = [
        generator.standard_normal(wavs.shape[1], np.float32)
        for generator in generators
    ]
    return torch.from_numpy(np.stack(noise)).to(wavs.device)


def _features_settings(features):
    own = {name: getattr(features, name) for name in ("phase", "iterations")}
    return {**own, "statistics": _digest(features.state_dict())}


def _digest(state):
    digest = hashlib.blake2b(digest_size=16)
    for name, value in state.items():
        raw = value.detach().cpu().contiguous().reshape(-1)
        digest.update(name.encode())
        digest.update(raw.view(torch.uint8).numpy())
    return digest.hexdigest()
