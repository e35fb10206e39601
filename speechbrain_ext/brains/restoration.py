"""The training loop that every recipe shares."""

import math
from collections import defaultdict

import speechbrain as sb
import torch
from speechbrain.dataio.sampler import DynamicBatchSampler
from speechbrain.utils.distributed import (
    is_distributed_initialized,
    main_process_only,
)
from torch.nn.functional import pad
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import get_total_norm
from torch.optim.lr_scheduler import ReduceLROnPlateau

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.corruption.lost_packets import lost_samples
from speechbrain_ext.criteria.restoration import Restoration
from speechbrain_ext.errors import UserError


class RestorationBrain(sb.Brain):
    """Damage speech, repair it with a front-end, judge the repair.

    Arguments
    ---------
    front_end : torch.nn.Module
        ``(features, lengths, lost) -> features``; what is trained. With an
        attribute ``takes_waveforms`` that is True, ``(wavs, lengths, lost) ->
        wavs``, where ``lost`` is bool [batch, time]. One with several outputs
        returns them by name; its attribute ``output`` names the one that is
        the repair.
    features : torch.nn.Module
        ``(wavs, lengths) -> [batch, frames, channels]``.
    criteria : dict[str, torch.nn.Module]
        Each takes a :class:`Restoration` and returns one loss an utterance.
    weights : dict[str, float]
        A weight a criterion. With 0 it is not computed.
    back_end : torch.nn.Module, optional
        The recogniser; gives the error rate in validation. Frozen, or trained
        as well as the front-end where its parameters want gradients.
    metric : callable, optional
        Makes what validation is judged by, and the best checkpoint: a
        :class:`speechbrain_ext.metrics.wer.WordErrorRate` of what the back-end
        writes, or a :class:`speechbrain_ext.metrics.validation.MeanScore` of
        the repaired waveforms.
    waveform_damage, feature_damage : callable, optional
        From :mod:`speechbrain_ext.corruption`; damage before and after the
        features are computed. A batch that has ``noisy`` recordings is damaged
        already; what is given here comes on top.
    augmentation : callable, optional
        Damage before the features are computed in training alone.
    valid_rate : float, optional
        Level of the damage in validation (the share of the packets that are
        lost, an SNR), the same for each utterance; drawn for each, once and
        for all, where none is given.
    last_epochs : dict[str, int]
        The last epoch in which a criterion counts; those that are not named
        always do.
    scheduler_class : callable, optional
        ``optimizer -> torch learning rate scheduler``, stepped every epoch;
        ``ReduceLROnPlateau`` is told the validation's loss.
    update_scheduler : callable, optional
        Called with the optimiser after every update, such as SpeechBrain's
        ``NoamScheduler``.
    train_loggers : sequence of speechbrain.utils.train_logger.TrainLogger
        Each is given every epoch's losses and word error rate.
    **kwargs
        What :class:`speechbrain.Brain` takes: ``opt_class``, ``hparams``,
        ``run_opts``, ``checkpointer``.

    Raises
    ------
    UserError
        When a weight is negative, features are to be damaged and the front-end
        takes waveforms, or the back-end takes another number of mel bins than
        the features have.

    Example
    -------
    >>> from speechbrain_ext.criteria.features import FeatureDistance
    >>> from speechbrain_ext.features.whisper_log_mel import WhisperLogMel
    >>> from speechbrain_ext.frontends.light_adapter import LightAdapter
    >>> brain = RestorationBrain(
    ...     front_end=LightAdapter(),
    ...     features=WhisperLogMel(context="batch"),
    ...     criteria={"l1": FeatureDistance()},
    ...     weights={"l1": 1.0},
    ...     back_end=torch.nn.Identity(),
    ...     metric=None,
    ...     run_opts={"device": "cpu"},
    ... )
    >>> brain.weights
    {'l1': 1.0}
    """

    def __init__(
        self,
        front_end,
        features,
        criteria,
        weights,
        back_end=None,
        metric=None,
        waveform_damage=None,
        feature_damage=None,
        augmentation=None,
        valid_rate=None,
        last_epochs={},
        scheduler_class=None,
        update_scheduler=None,
        train_loggers=(),
        **kwargs,
    ):
        self.weights = _check_weights(weights)
        used = {name: criteria[name] for name in self.weights}
        # Here, because a distributed wrapper hides the attribute.
        self.takes_waveforms = getattr(front_end, "takes_waveforms", False)
        self.output = getattr(front_end, "output", None)
        if self.takes_waveforms and feature_damage is not None:
            raise UserError(
                f"feature_damage: {feature_damage.name}, and the front-end "
                f"({type(front_end).__name__}) repairs waveforms; expected "
                "null, and waveform_damage"
            )
        modules = {
            "front_end": front_end,
            "features": features,
            # Networks inside a criterion follow the device only from here.
            "criteria": torch.nn.ModuleDict(used),
        }
        if back_end is not None:
            _check_mel_bins(features, back_end)
            modules["back_end"] = back_end
        super().__init__(modules=modules, **kwargs)
        self.waveform_damage = waveform_damage
        self.feature_damage = feature_damage
        self.augmentation = augmentation
        self.metric = metric
        self.valid_rate = valid_rate
        self.last_epochs = last_epochs
        self.scheduler_class = scheduler_class
        self.update_scheduler = update_scheduler
        self.train_loggers = train_loggers
        self.epoch = 0
        self.resumed_losses = {}

    def compute_forward(self, batch, stage):
        """Damage and repair a batch.

        Arguments
        ---------
        batch : PaddedBatch
            With ``id``, ``sig`` and ``wrd``.
        stage : sb.Stage
            Training draws a rate an utterance, validation uses one rate.

        Returns
        -------
        Restoration
        """
        batch = batch.to(self.device)
        wavs, lengths = batch.sig
        train = stage == sb.Stage.TRAIN
        epoch, rate = (self.epoch, None) if train else (0, self.valid_rate)
        features = self.modules.features
        with torch.no_grad():
            clean = features(wavs, lengths)
            frames = clean.shape[1]
            frame_lengths = features.relative_frames(
                lengths, wavs.shape[1], frames
            )
            damaged_wavs = wavs
            lost = clean.new_zeros(clean.shape[:2])
            samples = torch.zeros_like(wavs, dtype=torch.bool)
            if hasattr(batch, "noisy"):
                damaged_wavs = batch.noisy.data
            if train and self.augmentation is not None:
                damaged_wavs, _ = self.augmentation(
                    damaged_wavs, lengths, batch.id, epoch
                )
            if self.waveform_damage is not None:
                damaged_wavs, packets = self.waveform_damage(
                    damaged_wavs, lengths, batch.id, epoch, rate
                )
                if packets is not None:
                    samples = lost_samples(
                        packets,
                        self.waveform_damage.packet_samples,
                        wavs.shape[1],
                    )
                    lost = features.lost_share(samples, frames)
            damaged = clean
            if damaged_wavs is not wavs:
                damaged = features(damaged_wavs, lengths)
            if self.feature_damage is not None:
                damaged, units = self.feature_damage(
                    damaged, frame_lengths, batch.id, epoch, rate
                )
                # Units end with the longest utterance, frames may go on.
                bins = units.dim() - 2
                after = frames - units.shape[1]
                units = pad(units, (*[0, 0] * bins, 0, after))
                lost = lost.reshape(*lost.shape, *[1] * bins)
                lost = torch.maximum(lost, units.to(lost.dtype))
        front_end = self.modules.front_end
        if not train and isinstance(front_end, DistributedDataParallel):
            # Its forward would wait for processes whose turn it is not.
            front_end = front_end.module
        repaired_wavs = resynthesise = outputs = None
        if self.takes_waveforms:
            repaired_wavs = front_end(damaged_wavs, lengths, samples)
            repaired = features(repaired_wavs, lengths)
        else:
            repaired = front_end(damaged, frame_lengths, lost)
            if isinstance(repaired, dict):
                outputs, repaired = repaired, repaired[self.output]
            resynthesise = getattr(features, "resynthesise", None)
        return Restoration(
            ids=batch.id,
            texts=batch.wrd,
            wavs=wavs,
            damaged_wavs=damaged_wavs,
            lengths=lengths,
            clean=clean,
            damaged=damaged,
            repaired=repaired,
            frame_lengths=frame_lengths,
            lost=lost,
            repaired_wavs=repaired_wavs,
            outputs=outputs,
            resynthesise=resynthesise,
        )

    def compute_objectives(self, predictions, batch, stage):
        """Weigh the criteria and, in validation, read the repaired speech.

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
            The weighted sum, averaged over the utterances.
        """
        total = 0.0
        self.batch_ids = predictions.ids
        for name, criterion in self.modules.criteria.items():
            if self.epoch > self.last_epochs.get(name, self.epoch):
                continue
            losses = criterion(predictions)
            values = losses.detach().tolist()
            if stage == sb.Stage.TRAIN:
                self._check_finite(name, values)
            self.losses[name].update(zip(predictions.ids, values))
            total = total + self.weights[name] * losses.mean()
        if stage != sb.Stage.TRAIN and self.metric is not None:
            self.judged.update(zip(predictions.ids, self._judge(predictions)))
        return total

    def _check_finite(self, name, losses):
        """Stop before a step that would spoil what was learnt."""
        ids = self.batch_ids
        wrong = [i for i, loss in zip(ids, losses) if not math.isfinite(loss)]
        if wrong:
            raise self._spoilt(f"{name} is not finite for {', '.join(wrong)}")

    def _spoilt(self, what):
        kept = "nothing was saved yet"
        if self.checkpointer is not None:
            folder = self.checkpointer.checkpoints_dir
            kept = f"the last checkpoint in {folder} is good"
        return UserError(
            f"epoch {self.epoch}, batch {self.step} ({', '.join(self.batch_ids)}): "
            f"{what}; {kept}; expected a lower learning rate, or other speech"
        )

    def optimizers_step(self):
        """Update the parameters, where their gradients are finite.

        Raises
        ------
        UserError
            When a gradient is not finite; nothing was updated. In half
            precision SpeechBrain's scaler leaves such an update out instead.
        """
        if not self.scaler.is_enabled():
            gradients = (p.grad for p in self.modules.parameters())
            norm = get_total_norm([g for g in gradients if g is not None])
            if not norm.isfinite():
                raise self._spoilt("a gradient is not finite")
        super().optimizers_step()

    @torch.no_grad()
    def _judge(self, restoration):
        """What the metric's ``append`` takes of each utterance."""
        metric = self.metric()
        if metric.of_waveforms:
            return metric.measure(
                restoration.wavs,
                restoration.repaired_waveforms(),
                restoration.lengths,
            )
        seconds = restoration.lengths * restoration.wavs.shape[1] / SAMPLE_RATE
        texts = self.modules.back_end.transcribe(
            restoration.repaired,
            seconds,
            beam_size=1,
            lengths=restoration.frame_lengths,
        )
        return zip(texts, restoration.texts)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Anneal the learning rate after an update, where that is asked for.

        Arguments
        ---------
        batch : PaddedBatch
            The batch.
        outputs : Restoration
            What :meth:`compute_forward` returned.
        loss : torch.Tensor
            What :meth:`compute_objectives` returned.
        should_step : bool
            Whether there was an update.
        """
        if should_step and self.update_scheduler is not None:
            self.update_scheduler(self.optimizer)

    def evaluate_batch(self, batch, stage):
        """Evaluate a batch on one of the processes.

        Every process iterates over the same whole batches and takes its turn,
        so no utterance is scored twice and none is padded differently.

        Arguments
        ---------
        batch : PaddedBatch
            The batch.
        stage : sb.Stage
            The stage.

        Returns
        -------
        torch.Tensor
            The loss; NaN where it is another process's turn.
        """
        if is_distributed_initialized():
            turn = self.step % torch.distributed.get_world_size()
            if turn != torch.distributed.get_rank():
                return torch.tensor(float("nan"))
        return super().evaluate_batch(batch, stage)

    def on_stage_start(self, stage, epoch=None):
        """Begin to collect the utterances' losses, and texts or scores.

        Arguments
        ---------
        stage : sb.Stage
            The stage.
        epoch : int, optional
            The epoch, which the damage depends on.
        """
        self.losses = defaultdict(dict)
        if stage == sb.Stage.TRAIN:
            self.losses.update(self.resumed_losses)
            self.resumed_losses = {}
        elif is_distributed_initialized():
            # The running averages of the process that saves them, for all.
            for name in ("front_end", "back_end"):
                if name in self.modules:
                    for buffer in self.modules[name].buffers():
                        torch.distributed.broadcast(buffer, src=0)
        self.judged = {}
        self.epoch = epoch or 0

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Log, anneal the learning rate and save.

        Arguments
        ---------
        stage : sb.Stage
            The stage.
        stage_loss : float
            SpeechBrain's running average of this process.
        epoch : int, optional
            The epoch.
        """
        stats = self._gather_stats()
        if stage == sb.Stage.TRAIN:
            self.train_stats = stats
            return
        if stage == sb.Stage.TEST:
            for logger in self.train_loggers:
                logger.log_stats({"test": "best"}, test_stats=stats)
            return
        lr = self.optimizer.param_groups[0]["lr"]
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(stats["loss"])
        elif self.scheduler is not None:
            self.scheduler.step()
        for logger in self.train_loggers:
            logger.log_stats(
                {"epoch": epoch, "lr": lr},
                train_stats=self.train_stats,
                valid_stats=stats,
            )
        if self.checkpointer is not None:
            name, best = self._best()
            self.checkpointer.save_and_keep_only(
                meta={name: stats[name], "epoch": epoch},
                importance_keys=[],
                **{f"{key}s": [value] for key, value in best.items()},
            )

    def _best(self):
        """Name of what says which checkpoint is the best; how to ask for it."""
        if self.metric is None:
            return "loss", {"min_key": "loss"}
        metric = self.metric()
        key = "max_key" if metric.higher_is_better else "min_key"
        return metric.name, {key: metric.name}

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Load the best checkpoint.

        Arguments
        ---------
        max_key, min_key : str, optional
            As SpeechBrain's method takes them; what validation was judged by
            where neither is given.

        Raises
        ------
        UserError
            When there is none, and nothing was trained just now: an untrained
            front-end's results would pass for a trained one's.
        """
        saved = None
        keys = {"max_key": max_key, "min_key": min_key}
        if max_key is None and min_key is None:
            keys = self._best()[1]
        if self.checkpointer is not None:
            saved = self.checkpointer.recover_if_possible(**keys)
        if saved is None and self.test_only and not self.debug:
            raise UserError(
                f"{getattr(self.checkpointer, 'checkpoints_dir', 'save_folder')}"
                ": no checkpoint there; expected a trained recipe's"
            )

    def _should_save_intra_epoch_ckpt(self, last_ckpt_time, steps_since_ckpt):
        """As SpeechBrain's, but only where no gradients wait for their step.

        They are not saved.
        """
        due = super()._should_save_intra_epoch_ckpt(
            last_ckpt_time, steps_since_ckpt
        )
        return due and self.step % self.grad_accumulation_factor == 0

    def _save_intra_epoch_ckpt(self):
        """As SpeechBrain's; the losses so far of all processes go with it."""
        self.losses = self._gather_losses()
        super()._save_intra_epoch_ckpt()

    def _gather_losses(self):
        """Losses by criterion and utterance, over all processes."""
        merged = defaultdict(dict)
        for losses in _gather(dict(self.losses)):
            for name, values in losses.items():
                merged[name].update(values)
        return merged

    def _gather_stats(self):
        """Mean losses, and the word error rate, over all processes."""
        merged, stats = self._gather_losses(), {}
        for name in self.weights:
            losses = merged[name]
            # In the utterances' order: a sum's last digits depend on it.
            values = [losses[key] for key in sorted(losses)]
            if values:
                stats[name] = sum(values) / len(values)
        stats["loss"] = sum(
            self.weights[name] * value for name, value in stats.items()
        )
        judged = {
            k: v for part in _gather(self.judged) for k, v in part.items()
        }
        if judged:
            score = self.metric()
            for key in sorted(judged):
                score.append([key], *([part] for part in judged[key]))
            stats[score.name] = score.scale * score.summarize()
        return stats

    def init_optimizers(self):
        """Give the optimiser what is trained, and nothing frozen."""
        trained = [p for p in self.modules.parameters() if p.requires_grad]
        self.optimizer = self.opt_class(trained)
        self.optimizers_dict = {"opt_class": self.optimizer}
        self.scheduler = None
        if self.scheduler_class is not None:
            self.scheduler = self.scheduler_class(self.optimizer)
        if self.update_scheduler is not None:
            # For the first update: it warms up.
            self.update_scheduler(self.optimizer)
        if self.checkpointer is None:
            return
        self.checkpointer.add_recoverable("optimizer", self.optimizer)
        self.checkpointer.add_recoverable(
            "losses",
            self,
            custom_save_hook=_save_losses,
            custom_load_hook=_load_losses,
            optional_load=True,
        )
        if self.update_scheduler is not None:
            self.checkpointer.add_recoverable(
                "update_scheduler", self.update_scheduler
            )
        if self.scheduler is not None:
            self.checkpointer.add_recoverable(
                "scheduler",
                self.scheduler,
                custom_save_hook=_save_scheduler,
                custom_load_hook=_load_scheduler,
            )

    def make_dataloader(self, dataset, stage, **loader_kwargs):
        """Make a data loader; batches of similar length in training.

        Arguments
        ---------
        dataset : DynamicItemDataset
            The utterances.
        stage : sb.Stage
            In training, ``batch_seconds`` and ``num_buckets`` among the
            arguments ask for batches of similar length.
        **loader_kwargs
            As :class:`speechbrain.Brain` takes them.

        Returns
        -------
        torch.utils.data.DataLoader
        """
        seconds = loader_kwargs.pop("batch_seconds", None)
        buckets = loader_kwargs.pop("num_buckets", 10)
        seed = loader_kwargs.pop("seed", 0)
        if seconds is None:
            return super().make_dataloader(dataset, stage, **loader_kwargs)
        sampler = DynamicBatchSampler(
            dataset,
            max_batch_length=seconds,
            num_buckets=buckets,
            seed=seed,
        )
        loader = super().make_dataloader(
            dataset, stage, batch_sampler=sampler, **loader_kwargs
        )
        if self.train_sampler is None:
            # SpeechBrain leaves a single process's batch sampler alone, and
            # every epoch would have the same batches.
            self.train_sampler = sampler
        return loader

    def _wrap_distributed(self):
        """As SpeechBrain's, but BatchNorm is synchronised on GPUs only.

        The synchronised one raises on a CPU. A wrapper has a forward and
        nothing else, so the back-end, which has more, averages its gradients
        by itself where it is trained.
        """
        if not self.distributed_launch:
            super()._wrap_distributed()
            return
        cuda = self.device_type == "cuda"
        module = self.modules.front_end
        if any(p.requires_grad for p in module.parameters()):
            if cuda:
                module = torch.nn.SyncBatchNorm.convert_sync_batchnorm(module)
            self.modules["front_end"] = DistributedDataParallel(
                module,
                device_ids=[self.device] if cuda else None,
                find_unused_parameters=self.find_unused_parameters,
            )
        if is_distributed_initialized() and "back_end" in self.modules:
            for parameter in self.modules.back_end.parameters():
                if parameter.requires_grad:
                    parameter.register_post_accumulate_grad_hook(_average)


def _check_weights(weights):
    """The criteria that count, by name."""
    for name, weight in weights.items():
        if float(weight) < 0:
            raise UserError(f"weights: {name} has {weight}; expected 0 or more")
    return {name: float(weight) for name, weight in weights.items() if weight}


def _check_mel_bins(features, back_end):
    have = getattr(features, "n_mels", None)
    wanted = getattr(back_end, "n_mels", have)
    if have != wanted:
        raise UserError(
            f"{back_end.source}: takes {wanted} mel bins; expected a Whisper "
            f"that takes {have}, as features (n_mels) gives"
        )


def _average(parameter):
    """Replace a parameter's gradient by the processes' mean."""
    # What was accumulated and averaged before is the same everywhere, and the
    # mean leaves it alone.
    torch.distributed.all_reduce(parameter.grad)
    parameter.grad /= torch.distributed.get_world_size()


@main_process_only
def _save_scheduler(scheduler, path):
    torch.save(scheduler.state_dict(), path)


def _load_scheduler(scheduler, path, end_of_epoch):
    scheduler.load_state_dict(torch.load(path, weights_only=True))


@main_process_only
def _save_losses(brain, path):
    torch.save(dict(brain.losses), path)


def _load_losses(brain, path, end_of_epoch):
    if not end_of_epoch:
        brain.resumed_losses = torch.load(path, weights_only=True)


def _gather(part):
    """What each process has, in a list that all of them get."""
    if not is_distributed_initialized():
        return [part]
    parts = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, part)
    return parts
