"""What a perceptual model minimises while it learns to recognise."""

import torch
from torch.nn import functional as F

from speechbrain_ext.backends.perceptual import IGNORED
from speechbrain_ext.backends.units import BLANK
from speechbrain_ext.criteria.features import mean_until_end
from speechbrain_ext.criteria.representation import represent_repaired
from speechbrain_ext.errors import UserError


class _SequenceCriterion(torch.nn.Module):
    """A criterion on what a recogniser writes.

    Arguments
    ---------
    back_end : PerceptualModel
        The recogniser.
    """

    def __init__(self, back_end):
        super().__init__()
        self.back_end = back_end

    def _states(self, restoration):
        """What the encoder gives, and relative lengths of that."""
        states = represent_repaired(restoration, self.back_end, ["encoder"])[0]
        lengths = restoration.frame_lengths
        if hasattr(self.back_end, "state_lengths"):
            frames = restoration.repaired.shape[1]
            lengths = self.back_end.state_lengths(lengths, frames)
        return states, lengths


class DecoderNll(_SequenceCriterion):
    """Negative log likelihood of the units, one after the other.

    Arguments
    ---------
    back_end : PerceptualModel or SpeechBrainRecogniser
        The recogniser.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.backends.encoders import WideResNetEncoder
    >>> from speechbrain_ext.backends.perceptual import PerceptualModel
    >>> from speechbrain_ext.backends.units import Characters
    >>> encoder = WideResNetEncoder([8], dense=16)
    >>> criterion = DecoderNll(PerceptualModel(encoder, Characters()))
    >>> batch = SimpleNamespace(
    ...     repaired=torch.rand(2, 10, 257),
    ...     frame_lengths=torch.ones(2),
    ...     texts=["oh", "no no"],
    ... )
    >>> criterion(batch).shape
    torch.Size([2])
    """

    def forward(self, restoration):
        """Score the transcripts.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch]: the mean over an utterance's units, in nats.
        """
        states, lengths = self._states(restoration)
        inputs, targets = self.back_end.encode_text(restoration.texts)
        inputs, targets = inputs.to(states.device), targets.to(states.device)
        logits = self.back_end.decoder_logits(states, lengths, inputs)
        losses = F.cross_entropy(
            logits.float().transpose(1, 2),
            targets,
            ignore_index=IGNORED,
            reduction="none",
        )
        return losses.sum(dim=1) / (targets != IGNORED).sum(dim=1)


class Ctc(_SequenceCriterion):
    """Connectionist temporal classification at the encoder (section V-A).

    Arguments
    ---------
    back_end : PerceptualModel or FrozenSpeechBrainRecogniser
        The recogniser.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.backends.encoders import WideResNetEncoder
    >>> from speechbrain_ext.backends.perceptual import PerceptualModel
    >>> from speechbrain_ext.backends.units import Characters
    >>> encoder = WideResNetEncoder([8], dense=16)
    >>> criterion = Ctc(PerceptualModel(encoder, Characters()))
    >>> batch = SimpleNamespace(
    ...     repaired=torch.rand(2, 10, 257),
    ...     frame_lengths=torch.ones(2),
    ...     texts=["oh", "no no"],
    ... )
    >>> criterion(batch).shape
    torch.Size([2])
    """

    def forward(self, restoration):
        """Score the transcripts.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch]: an utterance's loss by its units, in nats; 0 for one that
            has more units than frames.
        """
        states, lengths = self._states(restoration)
        units = self.back_end.units
        rows = [units.encode(text) for text in restoration.texts]
        counts = torch.tensor([len(row) for row in rows])
        frames = lengths.cpu() * states.shape[1]
        losses = F.ctc_loss(
            self.back_end.ctc(states).float().log_softmax(-1).transpose(0, 1),
            torch.tensor([unit for row in rows for unit in row]),
            frames.round().clamp(min=1).int(),
            counts,
            blank=getattr(self.back_end, "blank", BLANK),
            reduction="none",
            zero_infinity=True,
        )
        return losses / counts.clamp(min=1).to(losses.device)


class HybridCtcAttention(_SequenceCriterion):
    """What a recogniser with two outputs is trained by (paper 3, eq. 13).

    ``weight * L_ctc + (1 - weight) * L_att``, each the mean over an utterance's
    units. The encoder runs once for both.

    Arguments
    ---------
    back_end : PerceptualModel or FrozenSpeechBrainRecogniser
        The recogniser.
    ctc_weight : float
        The equation's lambda, 0 to 1.

    Raises
    ------
    UserError
        When the weight is none, or CTC is wanted of a recogniser without it.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.backends.encoders import WideResNetEncoder
    >>> from speechbrain_ext.backends.perceptual import PerceptualModel
    >>> from speechbrain_ext.backends.units import Characters
    >>> encoder = WideResNetEncoder([8], dense=16)
    >>> criterion = HybridCtcAttention(PerceptualModel(encoder, Characters()))
    >>> batch = SimpleNamespace(
    ...     repaired=torch.rand(2, 10, 257),
    ...     frame_lengths=torch.ones(2),
    ...     texts=["oh", "no no"],
    ... )
    >>> criterion(batch).shape
    torch.Size([2])
    """

    def __init__(self, back_end, ctc_weight=0.3):
        super().__init__(back_end)
        if not 0 <= ctc_weight <= 1:
            raise UserError(f"ctc_weight: is {ctc_weight}; expected 0 to 1")
        if ctc_weight and back_end.ctc is None:
            raise UserError(
                f"ctc_weight: is {ctc_weight}, and {back_end.source} has no "
                "output for CTC; expected 0, or another recogniser"
            )
        self.ctc_weight = ctc_weight
        self.ctc = Ctc(back_end)
        self.attention = DecoderNll(back_end)

    def forward(self, restoration):
        """Score the transcripts.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch], in nats.
        """
        losses = (1 - self.ctc_weight) * self.attention(restoration)
        if self.ctc_weight:
            losses = losses + self.ctc_weight * self.ctc(restoration)
        return losses


class Alignment(_SequenceCriterion):
    """Blanks in silence, units in speech (eq. 1 and 2, after the paper's [39]).

    A frame is silence where its energy is below the utterance's average. The
    energy is the mean of the clean log magnitudes: the average of linear
    energies would lie above all but the vowels. A frame that has just the
    average is neither, as in eq. 1, and has no loss.

    Arguments
    ---------
    back_end : PerceptualModel
        The recogniser.

    Example
    -------
    >>> posteriors = torch.tensor([[[0.9, 0.05, 0.05], [0.2, 0.6, 0.2]]])
    >>> energies = torch.tensor([[0.0, 1.0]])
    >>> losses = alignment_losses(posteriors.log(), energies, torch.ones(1))
    >>> losses.exp().round(decimals=3)
    tensor([[1.1110, 1.2500]])
    """

    def forward(self, restoration):
        """Compare where it writes with where speech is.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance.
        """
        states, lengths = self._states(restoration)
        energies = restoration.clean.float().mean(dim=2)
        if energies.shape[1] != states.shape[1]:
            energies = F.adaptive_avg_pool1d(energies, states.shape[1])
        log_posteriors = self.back_end.ctc(states).float().log_softmax(-1)
        losses = alignment_losses(log_posteriors, energies, lengths)
        return mean_until_end(losses, lengths)


def alignment_losses(log_posteriors, energies, lengths):
    """Compute eq. 2 for every frame.

    Arguments
    ---------
    log_posteriors : torch.Tensor
        [batch, frames, units], the blank first.
    energies : torch.Tensor
        [batch, frames].
    lengths : torch.Tensor
        [batch], relative: the average is of the utterance's own frames.

    Returns
    -------
    torch.Tensor
        [batch, frames], in nats.

    Example
    -------
    >>> even = torch.full((1, 3, 2), 0.5).log()
    >>> energies = torch.tensor([[0.0, 1.0, 2.0]])
    >>> alignment_losses(even, energies, torch.ones(1)).exp()
    tensor([[2., 1., 2.]])
    """
    average = mean_until_end(energies, lengths)[:, None]
    silence, speech = energies < average, energies > average
    blank = log_posteriors[..., BLANK]
    units = log_posteriors[..., BLANK + 1 :].logsumexp(dim=-1)
    return -(blank * silence + units * speech)
