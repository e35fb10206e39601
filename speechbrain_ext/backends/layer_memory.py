"""What a frozen model says of an utterance, kept in memory."""

from speechbrain_ext.audio import digest_signal

_GB = 1e9


class LayerMemory:
    """Keep what a frozen model makes of utterances, known by their samples.

    Another mixture of an utterance is therefore another one. Nothing is written
    to disk: :class:`~speechbrain_ext.criteria.clean_cache.CleanFeatureCache`
    is for what is worth keeping from one training to the next.

    Arguments
    ---------
    limit_gb : float
        How much memory it may take; what comes when that is full is not kept.

    Example
    -------
    >>> import torch
    >>> memory = LayerMemory(limit_gb=1.0)
    >>> signal = torch.ones(4)
    >>> first = memory.fetch(signal, lambda: [2 * signal], keep=True)
    >>> memory.fetch(signal, None)[0]
    tensor([2., 2., 2., 2.])
    >>> len(memory)
    1
    """

    def __init__(self, limit_gb):
        self._left = limit_gb * _GB
        self._kept = {}

    def __len__(self):
        return len(self._kept)

    def fetch(self, signal, compute, keep=False):
        """Take an utterance's layers, or compute them.

        Arguments
        ---------
        signal : torch.Tensor
            [time], the utterance without padding.
        compute : callable
            Returns a list of tensors; called where they were not kept.
        keep : bool
            Whether to keep what was computed, if there is room.

        Returns
        -------
        list of torch.Tensor
            On the CPU.
        """
        key = digest_signal(signal)
        if key in self._kept:
            return self._kept[key]
        layers = [layer.cpu() for layer in compute()]
        size = sum(layer.nbytes for layer in layers)
        if keep and size <= self._left:
            self._kept[key] = layers
            self._left -= size
        return layers
