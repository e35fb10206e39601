"""An evaluation that several processes share, on one machine or many.

Batches are fixed before they are dealt out, so that an utterance has the same
batch mates, and so the same numbers, however many processes there are. What they
found is gathered by the utterances' ids; the first process writes it.
"""

import contextlib
import os
from dataclasses import dataclass
from datetime import timedelta

import torch

from speechbrain_ext.brains.experiment import leave_processes

# The first process may be busy with intervals and figures for long.
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Shards:
    """One of the processes that share an evaluation.

    Arguments
    ---------
    rank : int
        Its number.
    count : int
        How many there are.

    Example
    -------
    >>> Shards(rank=1, count=2).own(["a", "b", "c", "d", "e"])
    ['b', 'd']
    """

    rank: int = 0
    count: int = 1

    @property
    def main(self):
        """bool : Whether it is the process that reads and writes results."""
        return self.rank == 0

    def own(self, batches):
        """Take this process's share: every so many-th batch.

        Arguments
        ---------
        batches : sequence
            All of them, in the same order in every process.

        Returns
        -------
        sequence
        """
        return batches[self.rank :: self.count]

    def workers(self, wanted, cores):
        """Say how many further processes this one may start.

        Arguments
        ---------
        wanted : int or None
            What a person asked for.
        cores : int
            The machine's.

        Returns
        -------
        int or None
            Where nothing was asked for, its share of the cores; None where it
            is alone.
        """
        if wanted is not None or self.count == 1:
            return wanted
        beside = int(os.environ.get("LOCAL_WORLD_SIZE", self.count))
        return max(1, cores // beside)

    def agree(self, value):
        """Give every process what the first one has.

        Arguments
        ---------
        value : object
            What can be pickled; the others' is not looked at.

        Returns
        -------
        object
        """
        if self.count == 1:
            return value
        shared = [value]
        torch.distributed.broadcast_object_list(shared, src=0)
        return shared[0]

    def gather(self, found, ids):
        """Put together what the processes found.

        Arguments
        ---------
        found : dict
            This process's, by utterance id.
        ids : sequence of str
            All utterances', in the order that is wanted.

        Returns
        -------
        dict
            Everything by id, in every process.

        Example
        -------
        >>> Shards().gather({"b": 2, "a": 1}, ["a", "b"])
        {'a': 1, 'b': 2}
        """
        parts = [found]
        if self.count > 1:
            parts = [None] * self.count
            torch.distributed.all_gather_object(parts, found)
        everything = {key: one for part in parts for key, one in part.items()}
        return {key: everything[key] for key in ids}

    def once(self, make, *arguments):
        """Let one process of each machine make files, and all go on after it.

        Arguments
        ---------
        make : callable
            What makes them.
        *arguments : tuple
            What it is called with.

        Returns
        -------
        object
            What it returned in the first process.
        """
        made = None
        if int(os.environ.get("LOCAL_RANK", self.rank)) == 0 or self.count == 1:
            made = make(*arguments)
        if self.count > 1:
            torch.distributed.barrier()
        return self.agree(made)


#: The only process.
ALONE = Shards()


@contextlib.contextmanager
def shared_evaluation():
    """Join the processes that ``torchrun`` started, if it did.

    Yields
    ------
    Shards
        ``ALONE`` without ``torchrun``.

    Example
    -------
    >>> with shared_evaluation() as shards:
    ...     shards.count
    1
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield ALONE
        return
    # What is gathered is texts and scores: gloo does it on every machine.
    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    with leave_processes():
        yield Shards(
            torch.distributed.get_rank(), torch.distributed.get_world_size()
        )
        torch.distributed.barrier()
