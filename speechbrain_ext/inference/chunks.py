"""Long audio in chunks that overlap, so that memory is bounded."""

import torch


def process_in_chunks(process, samples, length, overlap, turn=False):
    """Repair a signal chunk by chunk, fading each into the next one.

    Arguments
    ---------
    process : callable
        From a chunk's first sample and the one after its last to what the chunk
        becomes, [time], on the CPU.
    samples : int
        Of the signal.
    length : int
        Samples of a chunk.
    overlap : int
        Samples that a chunk shares with the next one.
    turn : bool
        Whether a chunk is turned upside down where it would cancel the one
        before it: phases that are estimated from magnitudes leave that open.

    Returns
    -------
    torch.Tensor
        [time].

    Example
    -------
    >>> signal = torch.randn(100)
    >>> again = process_in_chunks(
    ...     lambda start, end: signal[start:end].clone(), 100, 40, 10
    ... )
    >>> torch.allclose(again, signal)
    True
    """
    whole = torch.zeros(samples)
    fade = torch.linspace(0, 1, overlap)
    tail = None
    start = 0
    while True:
        end = min(start + length, samples)
        part = process(start, end)
        if turn and tail is not None and part[:overlap] @ tail < 0:
            part = -part
        tail = part[-overlap:].clone()
        if start:
            part[:overlap] *= fade
        if end < samples:
            part[-overlap:] *= 1 - fade
        whole[start:end] += part
        if end == samples:
            return whole
        start += length - overlap
