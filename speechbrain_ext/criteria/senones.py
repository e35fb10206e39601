"""What trains a classifier of senones."""

import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.criteria.features import mean_until_end
from speechbrain_ext.criteria.representation import represent_repaired


def senone_cross_entropy(logits, targets, lengths):
    """Compare what was classified with an alignment.

    Arguments
    ---------
    logits : torch.Tensor
        [batch, frames, senones].
    targets : torch.Tensor
        [batch, frames], long; anything below the number of senones past an
        utterance's end.
    lengths : torch.Tensor
        [batch], relative.

    Returns
    -------
    torch.Tensor
        [batch]: the mean over each utterance's own frames, in nats.

    Example
    -------
    >>> logits = torch.zeros(2, 4, 8)
    >>> targets = torch.zeros(2, 4, dtype=torch.long)
    >>> senone_cross_entropy(logits, targets, torch.tensor([1.0, 0.5]))
    tensor([2.0794, 2.0794])
    """
    losses = F.cross_entropy(
        logits.float().transpose(1, 2), targets, reduction="none"
    )
    return mean_until_end(losses, lengths)


class SenoneCrossEntropy(torch.nn.Module):
    """Cross entropy of each frame against its aligned senone (section III).

    Arguments
    ---------
    back_end : torch.nn.Module
        Of :mod:`speechbrain_ext.backends.senone_models` or
        :mod:`speechbrain_ext.backends.wrbn`.
    alignments : Alignments
        The senones.

    Example
    -------
    >>> import tempfile
    >>> from types import SimpleNamespace
    >>> from speechbrain_ext.backends.senone_models import SenoneDNN
    >>> from speechbrain_ext.corpora.alignments import read_alignments
    >>> file = tempfile.mkdtemp() + "/alignments.txt"
    >>> with open(file, "w") as opened:
    ...     _ = opened.write("a 0 1 2\\nb 3 3\\n")
    >>> criterion = SenoneCrossEntropy(
    ...     SenoneDNN(hidden=[8], n_senones=10), read_alignments(file, 10)
    ... )
    >>> batch = SimpleNamespace(
    ...     ids=["a", "b"],
    ...     repaired=torch.rand(2, 6, 257),
    ...     frame_lengths=torch.tensor([1.0, 5 / 6]),
    ... )
    >>> criterion(batch).shape
    torch.Size([2])
    """

    def __init__(self, back_end, alignments):
        super().__init__()
        self.back_end = back_end
        self.alignments = alignments

    def forward(self, restoration):
        """Compare a batch with its alignment.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance.
        """
        lengths = restoration.frame_lengths
        (logits,) = represent_repaired(
            restoration, self.back_end, self.back_end.layers[-1:]
        )
        n_frames = (lengths * logits.shape[1]).round().int().tolist()
        targets = pad_sequence(
            [
                self.alignments.targets(utterance, frames)
                for utterance, frames in zip(restoration.ids, n_frames)
            ],
            batch_first=True,
        )
        targets = F.pad(targets, (0, logits.shape[1] - targets.shape[1]))
        return senone_cross_entropy(logits, targets.to(logits.device), lengths)


def check_alignments(manifests, alignments, features):
    """Check, before a training starts, that all utterances are aligned.

    Arguments
    ---------
    manifests : list of str or Path
        The utterances.
    alignments : Alignments
        Their targets.
    features : torch.nn.Module
        Says how many frames they have.

    Raises
    ------
    UserError
        When one is missing or has another length.

    Example
    -------
    >>> check_alignments(["nowhere.csv"], None, None)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: ...
    """
    for manifest in manifests:
        rows = read_manifest(manifest)
        alignments.require(row["ID"] for row in rows)
        for row in rows:
            samples = round(row["duration"] * SAMPLE_RATE)
            frames = features.relative_frames(torch.ones(1), samples, 1)
            alignments.targets(row["ID"], int(frames))
