"""Models of packet loss: which units of an utterance are lost.

Dissen, Yonash, Cohen, Keshet: "Enhanced ASR Robustness to Packet Loss with a
Front-End Adaptation Network" (Interspeech 2024), section 3.1, beside the two
usual models of a network and the traces of a real one.

A model returns a mask, bool [batch, units], True where a unit is lost. A
"drop rate" is the share of an utterance's units that are lost, in training as in
testing, which is what the paper says. (In the paper's published training code
it is the chance that a span starts at a frame, so that 0.5 loses more than
half, and spans have 0 to 9 frames there.)
"""

import math
from bisect import bisect
from pathlib import Path

import numpy as np
import torch

from speechbrain_ext.corruption.lost_packets import (
    PACKET_SECONDS,
    read_lost_packets,
)
from speechbrain_ext.corruption.randomness import utterance_generators
from speechbrain_ext.errors import UserError

#: Seconds of a mel frame of Whisper.
FRAME_SECONDS = 0.01

# Paper 0's drop rates in training with their weights, and the lengths of its
# spans: 1 to 10 mel frames.
PAPER_RATES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
PAPER_RATE_WEIGHTS = (60.0, 5.0, 5.0, 15.0, 5.0, 5.0, 5.0)
PAPER_SPANS = (0.4, 0.2, 0.1, 0.1, 0.07, 0.05, 0.03, 0.02, 0.02, 0.01)


def check_rate(rate):
    """Take a loss rate that a person gave.

    Arguments
    ---------
    rate : float
        Share of the units that are lost.

    Returns
    -------
    float
        The same, in [0, 1].

    Raises
    ------
    UserError
        When it is not a number from 0 to 1.

    Example
    -------
    >>> check_rate(0.4)
    0.4
    """
    try:
        number = float(rate)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise UserError(f"loss rate {rate}: expected a number from 0 to 1")
    return number


def _cumulative(name, weights):
    """Cumulative probabilities [n] of the weights that ``name`` holds."""
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 1 or not weights.size:
        raise UserError(f"{name}: expected a list of numbers")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise UserError(f"{name}: expected weights of 0 or more")
    if not weights.any():
        raise UserError(f"{name}: expected a weight above 0")
    cumulative = np.cumsum(weights) / weights.sum()
    # A uniform number is below 1: no rounding error may put it past the end.
    cumulative[np.flatnonzero(weights)[-1] :] = 1.0
    return cumulative


class _RateLoss:
    """What loses a given share of the units; children say which units."""

    def __init__(self, unit, rates, rate_weights):
        if not unit > 0:
            raise UserError(f"unit: is {unit}; expected seconds above 0")
        if len(rates) != len(rate_weights):
            raise UserError(
                f"rate_weights: has {len(rate_weights)} numbers; expected "
                f"{len(rates)}, one for each of rates"
            )
        self.unit = float(unit)
        self.rates = [check_rate(rate) for rate in rates]
        cumulative = _cumulative("rate_weights", rate_weights)
        self._cumulative_rates = cumulative.tolist()

    def __call__(self, n_units, utterance_ids, seed, epoch, rate=None):
        """Say which units of each utterance are lost.

        Exactly ``round(rate * units)`` units of each utterance are lost, in
        training too, where the rate is drawn for each utterance.

        Arguments
        ---------
        n_units : sequence of int
            Units of each utterance, [batch].
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        seed : int
            Seed of the damage.
        epoch : int
            Epoch; a constant 0 for validation and test.
        rate : float or None
            Share of the units that are lost, in [0, 1]; None draws one for
            each utterance from the model's ``rates``.

        Returns
        -------
        torch.Tensor
            bool [batch, max(n_units)], True where a unit is lost; False past
            an utterance's own units.

        Raises
        ------
        UserError
            When the rate is not a number from 0 to 1.
        """
        if rate is not None:
            rate = check_rate(rate)
        n_units = [int(n) for n in n_units]
        width = max(n_units, default=0)
        lost = np.zeros((len(n_units), width), dtype=bool)
        generators = utterance_generators(seed, epoch, utterance_ids)
        for row, n, generator in zip(lost, n_units, generators, strict=True):
            # Drawn even where it is given, so that an utterance's damage at a
            # rate is the same however the rate came about.
            drawn = self._draw_rate(generator)
            n_lost = round((drawn if rate is None else rate) * n)
            if n_lost:
                row[self._lost_units(generator, n, n_lost)] = True
        return torch.from_numpy(lost)

    def _draw_rate(self, generator):
        return self.rates[bisect(self._cumulative_rates, generator.random())]

    def _lost_units(self, generator, n_units, n_lost):
        """Indices of the lost units, [n_lost], for n_lost of 1 or more."""
        raise NotImplementedError


def _random_integers(generator, n):
    """Uniform unsigned 32-bit integers, [n]."""
    # Halves of the generator's own words: several times faster than
    # Generator.random, and most of a mask's time goes here.
    words = generator.bit_generator.random_raw(n // 2 + 1)
    return words.view(np.uint32)[:n]


def _random_subset(generator, n, size):
    """A random subset of range(n), ascending, [size], for size of 1 or more."""
    # Each number gets a random key and the smallest keys win: faster than
    # Generator.choice without replacement.
    keys = _random_integers(generator, n)
    ordered = keys.copy()
    ordered.partition(size - 1)
    # Once in millions of draws two numbers tie for the last place.
    return (keys <= ordered[size - 1]).nonzero()[0][:size]


class BernoulliLoss(_RateLoss):
    """Units are lost independently of each other.

    Given how many are lost, each choice of that many units is equally likely.

    Arguments
    ---------
    unit : float
        Seconds of a unit.
    rates : sequence of float
        Rates that training draws from, an utterance one.
    rate_weights : sequence of float
        Their weights; they need not sum to 1.

    Example
    -------
    >>> loss = BernoulliLoss()
    >>> lost = loss([100, 50], ["a", "b"], seed=0, epoch=0, rate=0.3)
    >>> lost.shape, lost.sum(dim=1)
    (torch.Size([2, 100]), tensor([30, 15]))
    """

    def __init__(
        self,
        unit=PACKET_SECONDS,
        rates=PAPER_RATES,
        rate_weights=PAPER_RATE_WEIGHTS,
    ):
        super().__init__(unit, rates, rate_weights)
        self.name = "bernoulli"

    def _lost_units(self, generator, n_units, n_lost):
        return _random_subset(generator, n_units, n_lost)


class _BurstLoss(_RateLoss):
    """Losses come in spans; children draw the spans' lengths."""

    def _spans(self, generator, n_lost):
        """Lengths of spans that sum to n_lost; only the last is trimmed."""
        raise NotImplementedError

    def _lost_units(self, generator, n_units, n_lost):
        spans = self._spans(generator, n_lost)
        # A span lies before a received unit or after the last one, and no two
        # in one place: they would be one longer span.
        places = n_units - n_lost + 1
        if len(spans) > places:
            spans = _merge(generator, spans, places)
        starts = _random_subset(generator, places, len(spans))
        lost_units = starts.repeat(spans)
        lost_units += np.arange(n_lost)
        return lost_units


def _merge(generator, spans, count):
    """Join neighbours at random until ``count`` spans are left."""
    borders = generator.choice(len(spans) - 1, count - 1, replace=False)
    starts = np.concatenate([[0], np.sort(borders) + 1])
    return np.add.reduceat(spans, starts)


class SpanLoss(_BurstLoss):
    """The paper's loss: spans of mel frames from a distribution (section 3.1).

    Spans are drawn until their sum is the number of frames to lose, the last
    one is trimmed to it, and they lie anywhere with a received frame or more
    between them, so that each keeps its length. Where the rate leaves too few
    received frames for that (above 0.74 for the paper's spans, whose mean is
    2.8), neighbours are joined, as few as will do.

    Arguments
    ---------
    span_weights : sequence of float
        Weights of spans of 1, 2, 3 ... units.
    unit : float
        Seconds of a unit.
    rates : sequence of float
        Rates that training draws from, an utterance one.
    rate_weights : sequence of float
        Their weights; they need not sum to 1.

    Example
    -------
    >>> loss = SpanLoss()
    >>> lost = loss([100, 50], ["a", "b"], seed=0, epoch=0, rate=0.3)
    >>> lost.shape, lost.sum(dim=1)
    (torch.Size([2, 100]), tensor([30, 15]))
    """

    def __init__(
        self,
        span_weights=PAPER_SPANS,
        unit=FRAME_SECONDS,
        rates=PAPER_RATES,
        rate_weights=PAPER_RATE_WEIGHTS,
    ):
        super().__init__(unit, rates, rate_weights)
        self.name = "spans"
        cumulative = _cumulative("span_weights", span_weights)
        # A span for each 16-bit number: probabilities to 0.00002, at a tenth
        # of the time of a search an utterance.
        quantiles = (np.arange(1 << 16) + 0.5) / (1 << 16)
        self._span_of = cumulative.searchsorted(quantiles, "right") + 1
        self._mean_span = self._span_of.mean()

    def _spans(self, generator, n_lost):
        # A few more than the mean asks for; more of them is hardly ever needed.
        count = min(n_lost, int(1.1 * n_lost / self._mean_span) + 16)
        spans = self._draw_spans(generator, count)
        ends = spans.cumsum()
        while ends[-1] < n_lost:
            spans = np.append(spans, self._draw_spans(generator, count))
            ends = spans.cumsum()
        last = int(ends.searchsorted(n_lost))
        spans[last] -= ends[last] - n_lost
        return spans[: last + 1]

    def _draw_spans(self, generator, count):
        return self._span_of[_random_integers(generator, count) >> 16]


class GilbertElliottLoss(_BurstLoss):
    """The two-state model of Gilbert and Elliott, with its bursts.

    Packets arrive in the good state and are lost in the bad one. With a mean
    burst b and a rate r, p(bad -> good) = 1 / b and
    p(good -> bad) = r / (b (1 - r)): bursts and the gaps between them are
    geometric. To lose exactly round(r n) packets, geometric bursts are drawn up
    to that sum (the last is trimmed to it), and they lie anywhere with a
    received packet or more between them, each arrangement equally likely,
    which is how the chain's gaps fall once its bursts are given.

    The mean burst is b at all rates up to b / (b + 1) (0.75 for b = 3), where
    p(good -> bad) reaches 1 and the received packets stand alone. Above that
    no chain has mean burst b; bursts are joined, as few as will do, and their
    mean is r / (1 - r).

    Arguments
    ---------
    mean_burst : float
        Mean length of a burst, in units, 1 or more.
    unit : float
        Seconds of a unit.
    rates : sequence of float
        Rates that training draws from, an utterance one.
    rate_weights : sequence of float
        Their weights; they need not sum to 1.

    Example
    -------
    >>> loss = GilbertElliottLoss(mean_burst=3.0)
    >>> lost = loss([100, 50], ["a", "b"], seed=0, epoch=0, rate=0.3)
    >>> lost.shape, lost.sum(dim=1)
    (torch.Size([2, 100]), tensor([30, 15]))
    """

    def __init__(
        self,
        mean_burst=3.0,
        unit=PACKET_SECONDS,
        rates=PAPER_RATES,
        rate_weights=PAPER_RATE_WEIGHTS,
    ):
        super().__init__(unit, rates, rate_weights)
        if not 1 <= mean_burst < math.inf:
            raise UserError(
                f"mean_burst: is {mean_burst}; expected 1 packet or more"
            )
        self.name = f"gilbert-elliott-{mean_burst:g}"
        # A lost packet is its burst's last with probability 1 / mean_burst.
        self._last_key = np.uint32(max(0, 2**32 / mean_burst - 1))

    def _spans(self, generator, n_lost):
        keys = _random_integers(generator, n_lost)
        keys[-1] = 0
        spans = (keys <= self._last_key).nonzero()[0]
        spans[1:] -= spans[:-1].copy()
        spans[0] += 1
        return spans


class TraceLoss:
    """Losses that a network had: a lost-packet file an utterance.

    An utterance's file is ``<id>_is_lost.txt`` in the folder, 20 ms a line.

    Arguments
    ---------
    folder : str or Path
        Where the files are.

    Raises
    ------
    UserError
        When the folder is missing.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a_is_lost.txt").write_text("0\\n1\\n0\\n")
    >>> TraceLoss(folder)([2], ["a"], seed=0, epoch=0)
    tensor([[False,  True]])
    """

    unit = PACKET_SECONDS
    name = "trace"

    def __init__(self, folder):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(
                f"{folder}: no such folder; expected one with lost-packet "
                "files ID_is_lost.txt"
            )

    def __call__(self, n_units, utterance_ids, seed, epoch, rate=None):
        """Read which packets of each utterance are lost.

        Arguments
        ---------
        n_units : sequence of int
            Packets of each utterance, [batch].
        utterance_ids : sequence of str
            The utterances' ids, [batch].
        seed : int
            Not used: a trace is what it is.
        epoch : int
            Not used.
        rate : None
            A trace has its own.

        Returns
        -------
        torch.Tensor
            bool [batch, max(n_units)], True where a packet is lost.

        Raises
        ------
        UserError
            When a rate is given, or a file is missing, shorter than the
            utterance or not 0/1.
        """
        if rate is not None:
            raise UserError(
                f"loss rate {rate}: expected none, as the traces in "
                f"{self.folder} have their own"
            )
        n_units = [int(n) for n in n_units]
        lost = torch.zeros(
            len(n_units), max(n_units, default=0), dtype=torch.bool
        )
        for row, n, name in zip(lost, n_units, utterance_ids, strict=True):
            file = self.folder / f"{name}_is_lost.txt"
            row[:n] = read_lost_packets(file, n)
        return lost
