"""What a frozen recogniser says of repaired features."""

import torch
from torch.nn import functional as F

from speechbrain_ext.backends.whisper import IGNORED
from speechbrain_ext.criteria.representation import represent_repaired


class WhisperCrossEntropy(torch.nn.Module):
    """Whisper's own training loss on the repaired features (eq. 1, L_CE).

    Gradients flow through the frozen Whisper to the features.

    Arguments
    ---------
    back_end : FrozenWhisper
        The recogniser.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.backends.whisper import FrozenWhisper
    >>> criterion = WhisperCrossEntropy(FrozenWhisper("openai/whisper-tiny.en"))
    >>> batch = SimpleNamespace(
    ...     repaired=torch.zeros(1, 100, 80, requires_grad=True),
    ...     frame_lengths=torch.ones(1),
    ...     texts=["Yes."],
    ... )
    >>> loss = criterion(batch)
    >>> loss.shape
    torch.Size([1])
    """

    def __init__(self, back_end):
        super().__init__()
        self.back_end = back_end

    def forward(self, restoration):
        """Score the transcripts.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch]: the mean over an utterance's tokens, in nats.
        """
        inputs, targets = self.back_end.encode_text(restoration.texts)
        device = restoration.repaired.device
        inputs, targets = inputs.to(device), targets.to(device)
        states = represent_repaired(restoration, self.back_end, ["encoder"])[0]
        wanted = targets != IGNORED
        logits = self.back_end.logits(states, inputs, wanted)
        losses = targets.new_zeros(targets.shape, dtype=torch.float32)
        losses[wanted] = F.cross_entropy(
            logits.float(), targets[wanted], reduction="none"
        )
        return losses.sum(dim=1) / wanted.sum(dim=1)
