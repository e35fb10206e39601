"""Bounded memory for modules that a stranger's settings describe."""

import contextlib
import math

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Numbers in all tensors of a module: 2 GiB of float32.
MAX_ELEMENTS = 2**29
#: A tensor counts as no fewer numbers, which bounds how many there can be.
_LEAST = 16384
#: Operations that making a module may take; ours take some ten thousand.
_MAX_OPERATIONS = 60_000


class _Limit(TorchDispatchMode):
    """Refuses to make a tensor once all of them would be too many."""

    def __init__(self, elements):
        super().__init__()
        self.left = elements
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.operations += 1
        flat = [
            part
            for arg in args
            for part in (arg if isinstance(arg, (list, tuple)) else [arg])
        ]
        # What is given no tensor makes one of the size that it is given.
        if not any(isinstance(part, torch.Tensor) for part in flat):
            sizes = [part for part in flat if isinstance(part, (int, float))]
            self.left -= max(
                _LEAST, math.prod(max(1, abs(size)) for size in sizes)
            )
        if self.left < 0 or self.operations > _MAX_OPERATIONS:
            raise MemoryError("more weights than a model may have")
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def limited_allocation(elements=MAX_ELEMENTS, enabled=True):
    """Refuse tensors of sizes that no model of ours has, before they are made.

    Arguments
    ---------
    elements : int
        How many numbers all new tensors may have together.
    enabled : bool
        False changes nothing.

    Raises
    ------
    MemoryError
        At a tensor that would be too large.

    Example
    -------
    >>> with limited_allocation():
    ...     torch.nn.Linear(10**6, 10**6)
    Traceback (most recent call last):
    ...
    MemoryError: more weights than a model may have
    """
    if not enabled:
        yield
        return
    with _Limit(elements):
        yield
