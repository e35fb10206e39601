"""What classifiers of utterances minimise: intents, speakers."""

import torch
from speechbrain.nnet.losses import AngularMargin
from torch.nn import functional as F

from speechbrain_ext.criteria.representation import represent_repaired


class LabelCrossEntropy(torch.nn.Module):
    """Cross entropy of each slot of a label, summed (SUPERB's intents).

    Arguments
    ---------
    back_end : DownstreamClassifier
        The classifier.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> back_end = torch.nn.Identity()
    >>> back_end.representations = lambda x, lengths, names: [x]
    >>> back_end.sizes = [2, 4]
    >>> back_end.labels = SimpleNamespace(encode=lambda label: [0, 1])
    >>> batch = SimpleNamespace(
    ...     repaired=torch.zeros(1, 6), frame_lengths=None, texts=["on|lamp"]
    ... )
    >>> LabelCrossEntropy(back_end)(batch).exp().round()
    tensor([8.])
    """

    def __init__(self, back_end):
        super().__init__()
        self.back_end = back_end

    def forward(self, restoration):
        """Score the labels.

        Arguments
        ---------
        restoration : Restoration
            The batch; its texts are labels.

        Returns
        -------
        torch.Tensor
            [batch], in nats.
        """
        (logits,) = represent_repaired(restoration, self.back_end, ["logits"])
        targets = _targets(restoration, self.back_end)
        slots = logits.float().split(self.back_end.sizes, dim=1)
        return sum(
            F.cross_entropy(slot, targets[:, place], reduction="none")
            for place, slot in enumerate(slots)
        )


class AngularMarginSoftmax(torch.nn.Module):
    """Cross entropy of scaled cosines, the speaker's own less a margin.

    AM-softmax, which SUPERB's speaker verification is trained with. SpeechBrain
    has the margin.

    Arguments
    ---------
    back_end : DownstreamSpeakerEncoder
        What makes the cosines.
    margin : float
        What is taken off the right speaker's cosine; SUPERB: 0.4.
    scale : float
        What all are multiplied by; SUPERB: 30.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> back_end = torch.nn.Identity()
    >>> back_end.representations = lambda x, lengths, names: [x]
    >>> back_end.labels = SimpleNamespace(encode=lambda speaker: [0])
    >>> batch = SimpleNamespace(
    ...     repaired=torch.tensor([[0.5, 0.0]]), frame_lengths=None, texts="s"
    ... )
    >>> AngularMarginSoftmax(back_end, margin=0.5)(batch).exp().round()
    tensor([2.])
    """

    def __init__(self, back_end, margin=0.4, scale=30.0):
        super().__init__()
        self.back_end = back_end
        self.margin = AngularMargin(margin, scale)

    def forward(self, restoration):
        """Score the speakers.

        Arguments
        ---------
        restoration : Restoration
            The batch; its texts are speakers.

        Returns
        -------
        torch.Tensor
            [batch], in nats.
        """
        (cosines,) = represent_repaired(restoration, self.back_end, ["cosines"])
        targets = _targets(restoration, self.back_end)[:, 0]
        own = F.one_hot(targets, cosines.shape[1])
        logits = self.margin(cosines.float(), own)
        return F.cross_entropy(logits, targets, reduction="none")


def _targets(restoration, back_end):
    """Indices of the classes, [batch, slots]."""
    return torch.tensor(
        [back_end.labels.encode(text) for text in restoration.texts],
        device=restoration.repaired.device,
    )
