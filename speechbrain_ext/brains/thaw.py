"""Fine-tuning that begins with the decoder alone."""

import speechbrain as sb

from speechbrain_ext.brains.restoration import RestorationBrain


class SlowThawBrain(RestorationBrain):
    """Keep the encoder frozen for the first epochs (section V-C of paper 1).

    The decoder adapts to the language of the new data before the encoder adapts
    to its sound; without this the paper saw higher and more variable word error
    rates. A front-end that is trained jointly waits as long. What waits is in
    evaluation mode, so that its running averages wait as well.

    Arguments
    ---------
    *args
        As :class:`RestorationBrain` takes them; the back-end's ``encoder`` is
        what waits.
    frozen_epochs : int
        How many epochs it waits; the paper: 3.
    **kwargs
        As :class:`RestorationBrain` takes them.

    Example
    -------
    >>> import torch
    >>> from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
    >>> from speechbrain_ext.frontends.identity import Identity
    >>> back_end = torch.nn.Module()
    >>> back_end.encoder = torch.nn.Linear(2, 2)
    >>> brain = SlowThawBrain(
    ...     front_end=Identity(),
    ...     features=WhisperLogMel(),
    ...     criteria={},
    ...     weights={},
    ...     back_end=back_end,
    ...     frozen_epochs=3,
    ...     run_opts={"device": "cpu"},
    ... )
    >>> brain.on_stage_start(sb.Stage.TRAIN, epoch=3)
    >>> back_end.encoder.weight.requires_grad
    False
    >>> brain.on_stage_start(sb.Stage.TRAIN, epoch=4)
    >>> back_end.encoder.weight.requires_grad
    True
    """

    def __init__(self, *args, frozen_epochs=3, **kwargs):
        super().__init__(*args, **kwargs)
        self.frozen_epochs = frozen_epochs
        # Here, because a distributed wrapper will take the front-end's place.
        self.waiting = [
            self.modules.back_end.encoder,
            self.modules.front_end,
        ]
        self.waiting_parameters = [
            parameter
            for module in self.waiting
            for parameter in module.parameters()
            if parameter.requires_grad
        ]

    def on_stage_start(self, stage, epoch=None):
        """Freeze or thaw, as the epoch wants.

        Arguments
        ---------
        stage : sb.Stage
            The stage.
        epoch : int, optional
            The epoch.
        """
        super().on_stage_start(stage, epoch)
        if stage == sb.Stage.TRAIN:
            for parameter in self.waiting_parameters:
                parameter.requires_grad_(epoch > self.frozen_epochs)
                if epoch <= self.frozen_epochs:
                    # What momentum is left would move it.
                    parameter.grad = None

    def fit_batch(self, batch):
        """Train on a batch; what waits is in evaluation mode.

        Arguments
        ---------
        batch : PaddedBatch
            The batch.

        Returns
        -------
        torch.Tensor
            The loss.
        """
        if self.epoch <= self.frozen_epochs:
            # Not at the stage's start: SpeechBrain trains all modules after it.
            for module in self.waiting:
                module.eval()
        return super().fit_batch(batch)
