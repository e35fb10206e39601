"""A score of repaired waveforms, to validate with."""

import logging
import math

logger = logging.getLogger(__name__)


class MeanScore:
    """Average an utterance-wise score of the repaired speech.

    Utterances that have no score (NaN: PESQ finds no speech) do not count; a
    warning names them.

    Arguments
    ---------
    score : callable
        ``(clean, repaired) -> float``, of [time] waveforms; more is better.
    name : str
        What it is called.

    Example
    -------
    >>> import torch
    >>> mean = MeanScore(
    ...     lambda clean, repaired: -(clean - repaired).abs().sum()
    ... )
    >>> wavs = torch.ones(1, 4)
    >>> scores = mean.measure(wavs, torch.zeros(1, 4), torch.tensor([0.5]))
    >>> mean.append(["a"], *zip(*scores))
    >>> mean.summarize()
    -2.0
    """

    #: As :class:`speechbrain_ext.metrics.wer.WordErrorRate` has them.
    of_waveforms = True
    higher_is_better = True
    scale = 1

    def __init__(self, score, name="score"):
        self.score = score
        self.name = name
        self.values = {}

    def measure(self, clean, repaired, lengths):
        """Score a batch.

        Arguments
        ---------
        clean, repaired : torch.Tensor
            [batch, time].
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        list of tuple of float
            What :meth:`append` takes of each utterance.
        """
        ends = (lengths * clean.shape[1]).round().int().tolist()
        return [
            (float(self.score(one[:end].cpu(), other[:end].cpu())),)
            for one, other, end in zip(clean, repaired, ends)
        ]

    def append(self, ids, values):
        """Take a batch's scores.

        Arguments
        ---------
        ids : sequence of str
            The utterances' ids, [batch].
        values : sequence of float
            Their scores, [batch].
        """
        self.values.update(zip(ids, values))

    def summarize(self):
        """Average.

        Returns
        -------
        float
            NaN where no utterance has a score.
        """
        undefined = [name for name, v in self.values.items() if math.isnan(v)]
        if undefined:
            logger.warning(
                "%s: %d of %d utterances have none: %s",
                self.name,
                len(undefined),
                len(self.values),
                ", ".join(undefined),
            )
        values = [v for v in self.values.values() if not math.isnan(v)]
        return sum(values) / len(values) if values else math.nan
