"""Packet-loss masks, what they do to a signal, and lost-packet files."""

import itertools
import math
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from hypothesis import (
    given,
    settings,
    strategies as st,
)
from scipy import stats

from speechbrain_ext.corruption.loss_models import (
    PAPER_RATE_WEIGHTS,
    PAPER_RATES,
    PAPER_SPANS,
)
from speechbrain_ext.corruption.packet_loss import (
    BernoulliLoss,
    FeaturePacketLoss,
    GilbertElliottLoss,
    SpanLoss,
    TraceLoss,
    WaveformPacketLoss,
    lost_samples,
    read_lost_packets,
    write_lost_packets,
    zero_lost_frames,
    zero_lost_samples,
)
from speechbrain_ext.corruption.randomness import utterance_generators
from speechbrain_ext.errors import UserError

MODELS = [SpanLoss(), BernoulliLoss(), GilbertElliottLoss()]
MODEL_NAMES = [type(model).__name__ for model in MODELS]

every_model = pytest.mark.parametrize("model", MODELS, ids=MODEL_NAMES)
seeds = st.integers(0, 2**63)
rates = st.floats(0, 1)
batches = st.lists(
    st.tuples(st.integers(0, 400), st.text(max_size=8)),
    min_size=1,
    max_size=8,
    unique_by=lambda utterance: utterance[1],
)
# The same examples in each run: a failure here is never luck.
same_examples = settings(derandomize=True, deadline=None, max_examples=60)


def ids(count):
    return [f"utterance-{number}" for number in range(count)]


def text(mask):
    return "".join(
        "1" if unit else "0" for unit in torch.as_tensor(mask).tolist()
    )


def runs(mask, value="1"):
    """Lengths of the runs of ``value`` in a mask."""
    other = "0" if value == "1" else "1"
    return [len(run) for run in text(mask).split(other) if run]


# ---- the rate --------------------------------------------------------------


@every_model
@same_examples
@given(batch=batches, seed=seeds, epoch=st.integers(0, 999), rate=rates)
def test_exactly_the_rounded_share_is_lost(model, batch, seed, epoch, rate):
    n_units, names = zip(*batch, strict=True)
    lost = model(n_units, names, seed, epoch, rate)
    assert lost.dtype == torch.bool
    assert lost.shape == (len(batch), max(n_units))
    for mask, n in zip(lost, n_units, strict=True):
        assert mask[:n].sum() == round(rate * n)
        assert not mask[n:].any()


@every_model
@same_examples
@given(
    seconds=st.lists(st.floats(2, 6), min_size=60, max_size=60),
    rate=st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
)
def test_a_set_s_rate_is_within_a_tenth_of_a_point(model, seconds, rate):
    # Sixty different lengths, as a shrunk list of sixty equal ones would have
    # sixty equal rounding errors.
    n_units = [
        math.ceil(s / model.unit) + extra for extra, s in enumerate(seconds)
    ]
    lost = model(n_units, ids(60), 1, 0, rate)
    assert abs(lost.sum().item() / sum(n_units) - rate) < 0.001


@every_model
def test_rate_zero_loses_nothing_and_rate_one_everything(model):
    assert not model([7, 3], ["a", "b"], 0, 0, rate=0).any()
    everything = model([7, 3], ["a", "b"], 0, 0, rate=1)
    assert [text(mask) for mask in everything] == ["1111111", "1110000"]


@every_model
@pytest.mark.parametrize("rate", [-0.1, 1.01, math.nan, "much", [0.5]])
def test_a_rate_outside_0_to_1_is_named(model, rate):
    with pytest.raises(UserError) as caught:
        model([10], ["a"], 0, 0, rate=rate)
    assert str(caught.value) == (
        f"loss rate {rate}: expected a number from 0 to 1"
    )


@every_model
def test_training_draws_the_paper_s_rates(model):
    n, count = 200, 4000
    lost = model([n] * count, ids(count), 5, 3)
    shares = Counter((lost.sum(dim=1) / n).mul(1e4).round().int().tolist())
    observed = [shares.pop(round(1e4 * rate)) for rate in PAPER_RATES]
    assert not shares
    expected = np.array(PAPER_RATE_WEIGHTS) / 100 * count
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@every_model
def test_rates_and_their_weights_can_be_changed(model):
    changed = type(model)(rates=[0.25, 0.75], rate_weights=[0, 3])
    lost = changed([100] * 50, ids(50), 0, 0)
    assert (lost.sum(dim=1) == 75).all()


# ---- where the losses are --------------------------------------------------


def test_masks_with_one_possible_outcome():
    assert text(GilbertElliottLoss(1)([5], ["a"], 0, 0, 0.6)[0]) == "10101"
    pairs = SpanLoss(span_weights=[0, 1])
    assert text(pairs([5], ["a"], 0, 0, 0.8)[0]) == "11011"
    # A span of 3, then one trimmed to 2: their order alone is open.
    threes = SpanLoss(span_weights=[0, 0, 1])
    masks = {text(mask) for mask in threes([6] * 9, ids(9), 0, 0, 5 / 6)}
    assert masks == {"111011"}


def test_spans_that_find_no_room_are_joined_as_few_as_will_do():
    lost = GilbertElliottLoss(1)([8] * 200, ids(200), 0, 0, 0.75)
    # Six lost one by one, two received: three bursts, none at all missing.
    assert all(len(runs(mask)) == 3 for mask in lost)
    assert {text(mask) for mask in lost} >= {"10101111", "11011011"}


def test_bernoulli_takes_each_choice_equally_often():
    count = 5000
    lost = BernoulliLoss()([5] * count, ids(count), 2, 0, 0.4)
    masks = Counter(text(mask) for mask in lost)
    assert len(masks) == math.comb(5, 2)
    assert stats.chisquare(list(masks.values())).pvalue > 1e-3


def test_gilbert_elliott_follows_its_law():
    n, k, b, count = 7, 3, 2.5, 20000
    lost = GilbertElliottLoss(b)([n] * count, ids(count), 4, 0, k / n)
    observed = Counter(text(mask) for mask in lost)
    masks = [
        mask for mask in itertools.product((0, 1), repeat=n) if sum(mask) == k
    ]
    # Each lost packet but the last ends its burst with 1 / b; then s bursts
    # take s of the n - k + 1 places around the received packets.
    expected = []
    for mask in masks:
        s = len(runs(mask))
        bursts = (1 / b) ** (s - 1) * (1 - 1 / b) ** (k - s)
        expected.append(count * bursts / math.comb(n - k + 1, s))
    assert sum(expected) == pytest.approx(count)
    counts = [observed[text(mask)] for mask in masks]
    assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.6])
def test_spans_are_the_paper_s(rate):
    lost = SpanLoss()([3000] * 40, ids(40), 1, 0, rate)
    lengths = Counter(
        # The last drawn span is trimmed, and any of them may be the last in
        # time, so a few are shorter than drawn.
        itertools.chain.from_iterable(runs(mask) for mask in lost)
    )
    total = sum(lengths.values())
    observed = [lengths[length] / total for length in range(1, 11)]
    assert sum(observed) == pytest.approx(1)
    assert observed == pytest.approx(PAPER_SPANS, abs=0.02)


@same_examples
@given(
    mean_burst=st.floats(1, 8),
    rate=st.floats(0.1, 0.5),
    seed=st.integers(0, 1000),
)
def test_the_mean_burst_is_kept_at_each_rate(mean_burst, rate, seed):
    n, count = 1500, 20
    lost = GilbertElliottLoss(mean_burst)(
        [n] * count, ids(count), seed, 0, rate
    )
    bursts = [length for mask in lost for length in runs(mask)]
    # Mean of geometric lengths, whose deviation is below their mean: five
    # standard errors.
    tolerance = 5 * mean_burst / math.sqrt(len(bursts)) + 0.01
    assert abs(np.mean(bursts) - mean_burst) < tolerance


def test_the_mean_burst_at_rates_that_no_chain_has():
    lost = GilbertElliottLoss(3)([1500] * 4, ids(4), 0, 0, 0.9)
    bursts = [length for mask in lost for length in runs(mask)]
    assert np.mean(bursts) == pytest.approx(9, rel=0.02)
    assert max(length for mask in lost for length in runs(mask, "0")) == 1


# ---- what a mask depends on ------------------------------------------------


@every_model
@same_examples
@given(batch=batches, seed=seeds, epoch=st.integers(0, 999), data=st.data())
def test_batch_and_order_do_not_matter(model, batch, seed, epoch, data):
    rate = data.draw(st.none() | rates)
    n_units, names = zip(*batch, strict=True)
    whole = model(n_units, names, seed, epoch, rate)
    assert torch.equal(whole, model(n_units, names, seed, epoch, rate))
    for row in data.draw(st.permutations(range(len(batch)))):
        alone = model(n_units[row : row + 1], [names[row]], seed, epoch, rate)
        assert torch.equal(alone[0], whole[row, : n_units[row]])
        assert not whole[row, n_units[row] :].any()


@every_model
def test_seed_epoch_and_id_each_matter(model):
    def mask(name, seed, epoch):
        return text(model([300], [name], seed, epoch, 0.4)[0])

    assert mask("a", 1, 2) == mask("a", 1, 2)
    others = {mask("b", 1, 2), mask("a", 2, 2), mask("a", 1, 3)}
    assert len(others | {mask("a", 1, 2)}) == 4


@every_model
def test_the_global_generators_are_left_alone(model):
    np.random.seed(0)
    torch.manual_seed(0)
    model([300], ["a"], 1, 0)
    numbers = np.random.random(), torch.rand(1).item()
    np.random.seed(0)
    torch.manual_seed(0)
    assert numbers == (np.random.random(), torch.rand(1).item())


def test_streams_are_numpy_s_own():
    names = ["a", "b"]
    streams = utterance_generators(7, 9, names)
    for crc32, generator in zip((0xE8B7BE43, 0x71BEEFF9), streams, strict=True):
        # An odd 32-bit draw leaves half a word behind, which the next
        # utterance must not see.
        draws = [generator.integers(2**31, dtype=np.int32) for _ in range(3)]
        fresh = np.random.Generator(np.random.Philox(key=[7, 9 << 32 | crc32]))
        assert draws == [
            fresh.integers(2**31, dtype=np.int32) for _ in range(3)
        ]


@every_model
def test_a_model_survives_pickling(model):
    again = pickle.loads(pickle.dumps(model))
    assert again.unit == model.unit
    arguments = [300], ["a"], 1, 0
    assert torch.equal(again(*arguments, 0.4), model(*arguments, 0.4))
    assert torch.equal(again(*arguments), model(*arguments))


def test_models_come_from_yaml():
    module = "speechbrain_ext.corruption.packet_loss"
    loaded = load_hyperpyyaml(
        f"model: !new:{module}.GilbertElliottLoss\n"
        "    mean_burst: 4\n"
        "    rates: [0.1, 0.2]\n"
        "    rate_weights: [1, 1]\n"
        f"damage: !new:{module}.WaveformPacketLoss\n"
        "    model: !ref <model>\n"
        "    seed: 1\n"
    )
    wavs, lost = loaded["damage"](torch.ones(1, 3200), torch.ones(1), ["a"], 0)
    assert wavs.sum() == 3200 - 320 * lost.sum()
    assert lost.sum() in (1, 2)


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda: SpanLoss(rates=[0.1, 2], rate_weights=[1, 1]), "rate 2"),
        (lambda: SpanLoss(rates=[0.1]), "rate_weights"),
        (lambda: SpanLoss(rates=[0.1], rate_weights=[0]), "rate_weights"),
        (lambda: SpanLoss(span_weights=[]), "span_weights"),
        (lambda: SpanLoss(span_weights=[0.5, -0.1]), "span_weights"),
        (lambda: GilbertElliottLoss(mean_burst=0.5), "mean_burst"),
        (lambda: GilbertElliottLoss(mean_burst=math.nan), "mean_burst"),
        (lambda: BernoulliLoss(unit=0), "unit"),
        (lambda: FeaturePacketLoss(BernoulliLoss(), seed=0), "unit"),
        (lambda: TraceLoss("/no/such/folder"), "/no/such/folder"),
    ],
)
def test_a_model_refuses_arguments_that_make_no_sense(make, named):
    with pytest.raises(UserError, match=named):
        make()


# ---- what a loss does ------------------------------------------------------


def test_samples_of_lost_packets_are_zeroed():
    wavs = torch.arange(1.0, 15.0).reshape(2, 7)
    lost = torch.tensor([[True, False, True], [False, True, False]])
    damaged = zero_lost_samples(wavs, lost, packet_samples=3)
    assert damaged.tolist() == [
        [0, 0, 0, 4, 5, 6, 0],
        [8, 9, 10, 0, 0, 0, 14],
    ]
    assert wavs[0, 0] == 1
    assert text(lost_samples(lost, 3, 7)[0]) == "1110001"
    assert text(lost_samples(lost, 3, 11)[0]) == "11100011100"


def test_zeroing_removes_what_a_multiplication_would_keep():
    wavs = torch.tensor([[math.nan, 1.0]])
    damaged = zero_lost_samples(wavs, torch.tensor([[True, False]]), 1)
    assert damaged.tolist() == [[0, 1]]


def test_lost_frames_are_zeroed():
    feats = torch.arange(1.0, 9.0).reshape(1, 4, 2)
    damaged = zero_lost_frames(feats, torch.tensor([[False, True, True]]))
    assert damaged.tolist() == [[[1, 2], [0, 0], [0, 0], [7, 8]]]
    assert feats.min() == 1


@same_examples
@given(
    n_samples=st.lists(st.integers(1, 5000), min_size=1, max_size=5),
    seed=st.integers(0, 100),
)
def test_waveforms_lose_their_own_packets_only(n_samples, seed):
    damage = WaveformPacketLoss(GilbertElliottLoss(), seed)
    longest = max(n_samples)
    lengths = torch.tensor(n_samples) / longest
    wavs = torch.ones(len(n_samples), longest)
    names = ids(len(n_samples))
    damaged, lost = damage(wavs, lengths, names, epoch=0, rate=0.5)
    assert lost.shape[1] == math.ceil(longest / 320)
    for wav, mask, n in zip(damaged, lost, n_samples, strict=True):
        packets = math.ceil(n / 320)
        assert mask.sum() == round(0.5 * packets)
        assert not mask[packets:].any()
        for number, unit in enumerate(mask[:packets]):
            packet = wav[number * 320 : (number + 1) * 320]
            assert (packet == (0 if unit else 1)).all()
    assert torch.equal(damage.draw(n_samples, names, 0, 0.5), lost)


def test_features_lose_their_own_frames_only():
    damage = FeaturePacketLoss(SpanLoss(), seed=3)
    feats = torch.ones(2, 100, 80)
    lengths = torch.tensor([1.0, 0.33])
    damaged, lost = damage(feats, lengths, ["a", "b"], epoch=0, rate=0.4)
    assert lost.sum(dim=1).tolist() == [40, round(0.4 * 33)]
    assert not lost[1, 33:].any()
    assert torch.equal(damaged == 0, lost[:, :, None].expand(2, 100, 80))
    again = damage.draw([16000, 5280], ["a", "b"], epoch=0, rate=0.4)
    assert torch.equal(again, lost)
    wavs = torch.ones(2, 16000)
    assert torch.equal(damage.receive(wavs, lost), wavs)


def test_a_damage_with_another_seed_is_a_copy():
    damage = WaveformPacketLoss(GilbertElliottLoss(2.5), seed=1)
    other = damage.with_seed(2)
    assert (damage.seed, damage.name) == (1, "gilbert-elliott-2.5")
    fresh = WaveformPacketLoss(GilbertElliottLoss(2.5), seed=2)
    arguments = [9600], ["a"], 0, 0.5
    assert torch.equal(other.draw(*arguments), fresh.draw(*arguments))
    assert not torch.equal(other.draw(*arguments), damage.draw(*arguments))


def test_relative_lengths_give_back_each_number_of_units():
    n_frames = list(range(1, 3000, 7)) + [2999]
    lengths = torch.tensor(n_frames) / 2999
    damage = FeaturePacketLoss(SpanLoss(), seed=0)
    feats = torch.ones(len(n_frames), 2999, 1)
    _, lost = damage(feats, lengths, ids(len(n_frames)), epoch=0, rate=1)
    assert lost.sum(dim=1).tolist() == n_frames


# ---- files -----------------------------------------------------------------


@same_examples
@given(lost=st.lists(st.booleans(), min_size=1))
def test_a_file_gives_back_what_was_written(tmp_path_factory, lost):
    file = tmp_path_factory.mktemp("lost") / "lost.txt"
    write_lost_packets(file, torch.tensor(lost))
    assert read_lost_packets(file).tolist() == lost
    assert file.read_text() == "".join(f"{int(unit)}\n" for unit in lost)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"0\n1\n2\n", ["line 3", "'2'", "0 or 1"]),
        (b"0\n\n1\n", ["line 2", "''"]),
        (b"0 1\n", ["line 1", "'0 1'"]),
        (b"lost\n", ["line 1", "'lost'"]),
        (b"", ["empty"]),
        (b"0\n1\n", ["2 lines", "shorter than the audio", "3"]),
        (b"0\n1\n" * 3, ["6 lines", "longer than the audio", "3", "20 ms"]),
        (b"RIFF\xff\xfe\x00", ["not a text file"]),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path, content, words):
    file = tmp_path / "lost.txt"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_lost_packets(file, n_packets=3)
    message = str(caught.value)
    assert message.startswith(f"{file}: ") and "\n" not in message
    assert all(word in message for word in words)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="missing.txt: no such file"):
        read_lost_packets(tmp_path / "missing.txt")
    with pytest.raises(UserError, match="cannot be read"):
        read_lost_packets(tmp_path)


def test_windows_line_ends_and_a_missing_last_one_are_read(tmp_path):
    file = tmp_path / "lost.txt"
    file.write_bytes(b"0\r\n1\r\n1")
    assert read_lost_packets(file).tolist() == [False, True, True]
    assert read_lost_packets(file, 2).tolist() == [False, True]


def test_a_failed_write_keeps_the_old_file(tmp_path):
    file = tmp_path / "lost.txt"
    write_lost_packets(file, torch.tensor([True]))
    with pytest.raises(AttributeError):
        write_lost_packets(file, "not a mask")
    assert file.read_text() == "1\n"
    assert list(tmp_path.iterdir()) == [file]


def test_traces_are_read_by_id(tmp_path):
    (tmp_path / "a_is_lost.txt").write_text("1\n0\n1\n1\n")
    (tmp_path / "b_is_lost.txt").write_text("0\n1\n")
    damage = WaveformPacketLoss(TraceLoss(tmp_path), seed=0)
    wavs, lost = damage(
        torch.ones(2, 960), torch.tensor([1.0, 0.5]), ["a", "b"], epoch=0
    )
    assert [text(mask) for mask in lost] == ["101", "010"]
    assert wavs.sum(dim=1).tolist() == [320, 640]


def test_traces_have_their_own_rate(tmp_path):
    (tmp_path / "a_is_lost.txt").write_text("1\n0\n")
    model = TraceLoss(tmp_path)
    with pytest.raises(UserError, match="loss rate 0.4: expected none"):
        model([2], ["a"], 0, 0, rate=0.4)
    with pytest.raises(UserError, match="b_is_lost.txt: no such file"):
        model([2, 2], ["a", "b"], 0, 0)
    with pytest.raises(UserError, match="a_is_lost.txt.*shorter"):
        model([3], ["a"], 0, 0)
