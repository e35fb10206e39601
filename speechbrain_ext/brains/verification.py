"""Training that tells speakers apart, judged by speakers that it never met."""

import speechbrain as sb
import torch

from speechbrain_ext.brains.restoration import RestorationBrain


class VerificationBrain(RestorationBrain):
    """Judge embeddings by trials (section 5.1.3 of paper 3: the ASV task).

    Speakers in validation and test are not those in training, so that criteria
    count in training alone.

    Arguments
    ---------
    *args, **kwargs
        As :class:`RestorationBrain` takes them; the back-end has a layer
        ``"embedding"``, the metric is a
        :class:`~speechbrain_ext.metrics.verification.EqualErrorRate`.

    Example
    -------
    >>> from speechbrain_ext.features.waveform import Waveform
    >>> from speechbrain_ext.frontends.identity import Identity
    >>> brain = VerificationBrain(
    ...     front_end=Identity(),
    ...     features=Waveform(),
    ...     criteria={},
    ...     weights={},
    ...     back_end=torch.nn.Identity(),
    ...     metric=None,
    ...     run_opts={"device": "cpu"},
    ... )
    >>> brain.compute_objectives(None, None, sb.Stage.TEST)
    tensor(0.)
    """

    def compute_objectives(self, predictions, batch, stage):
        """Weigh the criteria in training; collect embeddings otherwise.

        Arguments
        ---------
        predictions : Restoration
            What :meth:`compute_forward` returned.
        batch : PaddedBatch
            The batch.
        stage : sb.Stage
            The stage.

        Returns
        -------
        torch.Tensor
            The weighted sum, averaged over the utterances; 0 where nothing is
            learned.
        """
        if stage == sb.Stage.TRAIN:
            return super().compute_objectives(predictions, batch, stage)
        if self.metric is not None:
            self.judged.update(zip(predictions.ids, self._judge(predictions)))
        return torch.zeros(())

    @torch.no_grad()
    def _judge(self, restoration):
        (embeddings,) = self.modules.back_end.representations(
            restoration.repaired, restoration.frame_lengths, ["embedding"]
        )
        return [(embedding,) for embedding in embeddings.cpu()]
