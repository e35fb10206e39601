"""How processes share an evaluation: the pure parts."""

import pytest

from speechbrain_ext.evaluation.sharding import ALONE, Shards, shared_evaluation


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_batch_has_one_process(count):
    batches = [[n, n + 1] for n in range(0, 10, 2)]
    shares = [Shards(rank, count).own(batches) for rank in range(count)]
    assert sorted(sum(shares, [])) == batches
    # As even as can be.
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_what_is_gathered_is_in_the_order_of_the_ids():
    found = ALONE.gather({"b": 1, "c": 2, "a": 3}, ["a", "b", "c"])
    assert list(found.items()) == [("a", 3), ("b", 1), ("c", 2)]
    with pytest.raises(KeyError, match="d"):
        ALONE.gather({"a": 1}, ["a", "d"])


def test_processes_beside_each_other_share_the_cores(monkeypatch):
    assert ALONE.workers(None, 8) is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert Shards(5, 8).workers(None, 8) == 2
    assert Shards(5, 8).workers(None, 2) == 1
    assert Shards(5, 8).workers(7, 8) == 7


def test_one_process_makes_and_agrees_by_itself():
    made = []
    assert ALONE.once(lambda *a: made.append(a) or "file", 1, 2) == "file"
    assert made == [(1, 2)] and ALONE.agree("value") == "value"


def test_nothing_is_joined_without_torchrun(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with shared_evaluation() as shards:
        assert shards is ALONE and shards.main
