"""Random numbers that depend on the utterance and on nothing else."""

import copy
import zlib

import numpy as np

_UINT64 = (1 << 64) - 1
_UINT32 = (1 << 32) - 1


def utterance_generators(seed, epoch, utterance_ids):
    """Yield a random generator for each utterance, in order.

    Its stream is a function of (seed, epoch, utterance id) alone: never of the
    batch, the order, the worker, the process or the device.

    Arguments
    ---------
    seed : int
        Seed of the damage.
    epoch : int
        Epoch, or a constant (0) for validation and test.
    utterance_ids : iterable of str
        The utterances' ids; their CRC-32 enters the stream's key.

    Yields
    ------
    numpy.random.Generator
        The utterance's generator, **valid until the next one is asked for**:
        a single object changes its key, which takes a sixth of the time that a
        new generator takes.

    Example
    -------
    >>> def draw(utterance_ids):
    ...     generators = utterance_generators(0, 0, utterance_ids)
    ...     return [int(generator.integers(1000)) for generator in generators]
    >>> draw(["b", "a"]) == draw(["a", "b"])[::-1]
    True
    """
    # Philox streams with different keys are independent by design, so the key
    # can hold the three numbers as they are: no hash can make two collide.
    first = int(seed) & _UINT64
    second = (int(epoch) & _UINT32) << 32
    keys = np.array(
        [
            (first, second | zlib.crc32(utterance_id.encode("utf-8")))
            for utterance_id in utterance_ids
        ],
        np.uint64,
    )
    stream = np.random.Philox(key=0)
    generator = np.random.Generator(stream)
    start = stream.state
    for key in keys:
        start["state"]["key"] = key
        stream.state = start
        yield generator


class SeededDamage:
    """What damages have in common: a seed, and a name in tables of results.

    Arguments
    ---------
    seed : int
        Seed of the damage.
    name : str
        Says which damage it is.

    Example
    -------
    >>> damage = SeededDamage(1, "bernoulli")
    >>> damage.with_seed(2).seed, damage.seed
    (2, 1)
    """

    def __init__(self, seed, name):
        self.seed = seed
        self.name = name

    def with_seed(self, seed):
        """Make the same damage with another seed.

        Arguments
        ---------
        seed : int
            Seed of the damage.

        Returns
        -------
        SeededDamage
            A copy, of the same class.
        """
        other = copy.copy(self)
        other.seed = seed
        return other
