"""Packet loss in a waveform or in its features, ready for a YAML file.

What a recipe needs stands here: the damages below, the loss models
(:mod:`speechbrain_ext.corruption.loss_models`) that they are made from, and what
deals with masks (:mod:`speechbrain_ext.corruption.lost_packets`).
"""

import math

import torch

from speechbrain_ext.corruption.loss_models import (
    FRAME_SECONDS,
    BernoulliLoss,
    GilbertElliottLoss,
    SpanLoss,
    TraceLoss,
)
from speechbrain_ext.corruption.lost_packets import (
    lost_samples,
    read_lost_packets,
    write_lost_packets,
    zero_lost_frames,
    zero_lost_samples,
)
from speechbrain_ext.corruption.randomness import SeededDamage
from speechbrain_ext.errors import UserError

__all__ = [
    "BernoulliLoss",
    "FeaturePacketLoss",
    "GilbertElliottLoss",
    "SpanLoss",
    "TraceLoss",
    "WaveformPacketLoss",
    "lost_samples",
    "read_lost_packets",
    "write_lost_packets",
    "zero_lost_frames",
    "zero_lost_samples",
]


class _Damage(SeededDamage):
    """A loss model with its seed; children say what a loss does."""

    def __init__(self, model, seed, name, packet_samples):
        super().__init__(seed, name)
        self.model = model
        self.packet_samples = packet_samples

    def draw(self, n_samples, utterance_ids, epoch, rate=None):
        """Say which packets of each utterance are lost.

        Arguments
        ---------
        n_samples : sequence of int
            Samples of each utterance, [batch]; a last, partial packet counts.
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            Share of the packets that are lost; None draws one an utterance.

        Returns
        -------
        torch.Tensor
            bool [batch, packets], True where a packet is lost; a packet has
            ``packet_samples`` samples.
        """
        packets = [-(-int(n) // self.packet_samples) for n in n_samples]
        return self.model(packets, utterance_ids, self.seed, epoch, rate)


class WaveformPacketLoss(_Damage):
    """Packet loss as a receiver has it: the lost packets' samples are zero.

    Arguments
    ---------
    model : callable
        A loss model, for example :class:`GilbertElliottLoss`.
    seed : int
        Seed of the damage.
    sample_rate : int
        Of the waveforms, in Hz.

    Example
    -------
    >>> damage = WaveformPacketLoss(BernoulliLoss(), seed=0)
    >>> wavs, lost = damage(
    ...     torch.ones(1, 3200), torch.ones(1), ["a"], epoch=0, rate=0.5
    ... )
    >>> lost.shape, wavs.sum()
    (torch.Size([1, 10]), tensor(1600.))
    """

    def __init__(self, model, seed, sample_rate=16000):
        packet_samples = round(model.unit * sample_rate)
        super().__init__(model, seed, model.name, packet_samples)

    def __call__(self, wavs, lengths, utterance_ids, epoch, rate=None):
        """Damage a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], in samples.
        lengths : torch.Tensor
            [batch], relative to the longest.
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            Share of the packets that are lost; None draws one an utterance.

        Returns
        -------
        torch.Tensor
            The damaged waveforms, [batch, time].
        torch.Tensor
            bool [batch, packets], True where a packet is lost.
        """
        n_samples = _absolute(lengths, wavs.shape[1])
        lost = self.draw(n_samples, utterance_ids, epoch, rate).to(wavs.device)
        return self.receive(wavs, lost), lost

    def receive(self, wavs, lost):
        """Leave what a recogniser is given beside the mask.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], in samples.
        lost : torch.Tensor
            bool [batch, packets], as :meth:`draw` returns it.

        Returns
        -------
        torch.Tensor
            [batch, time], zero where packets are lost.
        """
        return zero_lost_samples(wavs, lost, self.packet_samples)


class FeaturePacketLoss(_Damage):
    """Packet loss as the paper has it: lost mel frames are 0 (section 3.1).

    Arguments
    ---------
    model : callable
        A loss model with units of 10 ms, for example :class:`SpanLoss`.
    seed : int
        Seed of the damage.
    sample_rate : int
        Of the waveforms that the features come from, in Hz.

    Raises
    ------
    UserError
        When the model's unit is not a mel frame.

    Example
    -------
    >>> damage = FeaturePacketLoss(SpanLoss(), seed=0)
    >>> feats, lost = damage(
    ...     torch.ones(1, 10, 80), torch.ones(1), ["a"], epoch=0, rate=0.5
    ... )
    >>> lost.shape, feats.sum()
    (torch.Size([1, 10]), tensor(400.))
    """

    def __init__(self, model, seed, sample_rate=16000):
        if not math.isclose(model.unit, FRAME_SECONDS):
            raise UserError(
                f"unit: the loss model's is {model.unit} s; expected "
                f"{FRAME_SECONDS} s, a mel frame"
            )
        packet_samples = round(FRAME_SECONDS * sample_rate)
        super().__init__(model, seed, f"mel-{model.name}", packet_samples)

    def __call__(self, feats, lengths, utterance_ids, epoch, rate=None):
        """Damage a batch.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, channels], in frames of 10 ms.
        lengths : torch.Tensor
            [batch], relative to the longest.
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            Share of the frames that are lost; None draws one an utterance.

        Returns
        -------
        torch.Tensor
            The damaged features, [batch, time, channels].
        torch.Tensor
            bool [batch, frames], True where a frame is lost.
        """
        n_frames = _absolute(lengths, feats.shape[1])
        lost = self.model(n_frames, utterance_ids, self.seed, epoch, rate)
        lost = lost.to(feats.device)
        return zero_lost_frames(feats, lost), lost

    def receive(self, wavs, lost):
        """Leave what a recogniser is given beside the mask.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], in samples.
        lost : torch.Tensor
            bool [batch, frames], as :meth:`draw` returns it.

        Returns
        -------
        torch.Tensor
            The waveforms as they are: the recogniser zeroes its mel frames.
        """
        return wavs


def _absolute(lengths, longest):
    """Relative lengths [batch] in units of a batch of ``longest`` units."""
    return torch.round(lengths.double() * longest).int().tolist()
