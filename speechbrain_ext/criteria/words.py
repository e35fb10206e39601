"""What speechVGG minimises while it learns words."""

import torch
from torch.nn import functional as F

from speechbrain_ext.criteria.representation import represent_repaired


class WordCrossEntropy(torch.nn.Module):
    """Cross entropy of the word that a segment has (paper 2, section 2.6).

    Arguments
    ---------
    back_end : SpeechVGG
        The classifier, with its ``words``.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.backends.speech_vgg import SpeechVGG
    >>> words = SimpleNamespace(encode=lambda text: [len(text)])
    >>> vgg = SpeechVGG(9, [[4]] * 5, dense=[8], words=words)
    >>> batch = SimpleNamespace(
    ...     repaired=torch.rand(2, 128, 128),
    ...     frame_lengths=torch.ones(2),
    ...     texts=["morning", "church"],
    ... )
    >>> WordCrossEntropy(vgg)(batch).shape
    torch.Size([2])
    """

    def __init__(self, back_end):
        super().__init__()
        self.back_end = back_end

    def forward(self, restoration):
        """Score the words.

        Arguments
        ---------
        restoration : Restoration
            The batch; each of its texts is a word.

        Returns
        -------
        torch.Tensor
            [batch], in nats.
        """
        (logits,) = represent_repaired(restoration, self.back_end, ["words"])
        targets = [self.back_end.words.encode(t)[0] for t in restoration.texts]
        targets = torch.tensor(targets, device=logits.device)
        return F.cross_entropy(logits.float(), targets, reduction="none")
