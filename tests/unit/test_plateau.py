"""A learning rate that falls where the development loss does not."""

import functools

import pytest
import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.epoch_loop import EpochCounter

from speechbrain_ext.brains.checkpoints import AtomicCheckpointer
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.waveform import Waveform

#: Development losses, an epoch each, and the learning rate of each epoch: after
#: two epochs without a lower loss it is multiplied by 3 / 4.
LOSSES = [-5.0, -6.0, -6.0, -5.9, -6.0, -6.1, -6.1, -6.1]
RATES = [1.0, 1.0, 1.0, 1.0, 0.75, 0.75, 0.75, 0.75]
LAST_RATE = 0.75**2


class Gain(torch.nn.Module):
    """A front-end that has something to learn."""

    takes_waveforms = True

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, wavs, lengths, lost=None):
        return self.gain * wavs


class Scripted(torch.nn.Module):
    """A loss that is what it should be in this epoch."""

    def __init__(self):
        super().__init__()
        self.epoch = 0

    def forward(self, restoration):
        self.epoch += not self.training
        value = LOSSES[self.epoch - 1] if not self.training else 0.0
        return 0 * restoration.repaired.sum(dim=(1, 2)) + value


class Rates(list):
    """A train logger that keeps the learning rates."""

    def log_stats(self, stats_meta, **stats):
        self.append(stats_meta["lr"])


def train(folder, epochs, start=0):
    """Learning rates of the epochs that are left, and the next one's."""
    data = DynamicItemDataset({"a": {"wrd": "yes"}})
    data.add_dynamic_item(
        lambda text: torch.ones(8), takes="wrd", provides="sig"
    )
    data.set_output_keys(["id", "sig", "wrd"])
    front_end, counter = Gain(), EpochCounter(limit=epochs)
    criterion, rates = Scripted(), Rates()
    criterion.epoch = start
    brain = RestorationBrain(
        front_end=front_end,
        features=Waveform(),
        criteria={"scripted": criterion},
        weights={"scripted": 1.0},
        opt_class=functools.partial(torch.optim.SGD, lr=1.0),
        scheduler_class=functools.partial(
            torch.optim.lr_scheduler.ReduceLROnPlateau,
            factor=0.75,
            patience=1,
            threshold=0.0,
        ),
        train_loggers=[rates],
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=AtomicCheckpointer(
            folder, {"front_end": front_end, "counter": counter}
        ),
    )
    brain.fit(counter, data, data)
    return rates, brain.optimizer.param_groups[0]["lr"]


def test_it_falls_after_two_epochs_without_a_lower_loss(tmp_path):
    assert train(tmp_path, len(LOSSES)) == (RATES, LAST_RATE)


@pytest.mark.parametrize("done", [2, 3, 4, 7])
def test_a_resumed_training_counts_on(tmp_path, done):
    """One epoch without a lower loss before, one after: two of them."""
    first, _ = train(tmp_path, done)
    rest, last = train(tmp_path, len(LOSSES), start=done)
    assert first + rest == RATES and last == LAST_RATE


def test_a_negative_weight_is_refused():
    with pytest.raises(UserError) as error:
        RestorationBrain(
            front_end=Gain(),
            features=Waveform(),
            criteria={"snr": Scripted()},
            weights={"snr": -0.1},
        )
    assert str(error.value) == "weights: snr has -0.1; expected 0 or more"
