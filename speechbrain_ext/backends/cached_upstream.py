"""A frozen model that reads each training utterance once."""

import hashlib

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

_GB = 1e9


class CachedUpstream(nn.Module):
    """Keep in memory what a frozen model makes of each training utterance.

    A small model on the layers of a large one (paper 3, section 5.1.3) spends
    nearly all of its training on the large one, which says the same of an
    utterance in every epoch. What is kept is known by the samples it was made
    of, so that another mixture is computed anew. Each utterance is computed
    alone: nothing depends on the batch in which it was met first.

    Only training mode keeps; validation and evaluation compute, and take what
    training kept.

    Arguments
    ---------
    upstream : torch.nn.Module
        Frozen, with ``layers``, ``representations`` of waveforms and, perhaps,
        ``relative_frames``.
    limit_gb : float
        Memory that it may take. Where that is full, the rest is computed every
        time.

    Example
    -------
    >>> from speechbrain_ext.backends.whisper_encoder import (
    ...     FrozenWhisperEncoder,
    ... )
    >>> upstream = CachedUpstream(
    ...     FrozenWhisperEncoder("openai/whisper-tiny.en")
    ... )
    >>> wavs = torch.zeros(1, 16000, 1)
    >>> upstream.representations(wavs, torch.ones(1), ["layer2"])[0].shape
    torch.Size([1, 50, 384])
    >>> len(upstream.kept)
    1
    """

    def __init__(self, upstream, limit_gb=4.0):
        super().__init__()
        self.upstream = upstream
        self.layers = upstream.layers
        if hasattr(upstream, "relative_frames"):
            self.relative_frames = upstream.relative_frames
        self.kept = {}
        self._left = limit_gb * _GB

    def representations(self, feats, lengths, names):
        """Compute named layers' outputs, or take what was kept.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, time, 1], waveforms.
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, positions, channels]; 0 past an utterance's end.
        """
        if feats.requires_grad:
            return self.upstream.representations(feats, lengths, names)
        ends = (lengths * feats.shape[1]).round().clamp(min=1).long().tolist()
        found = [
            self._fetch(wav[None, :end], names) for wav, end in zip(feats, ends)
        ]
        return [
            pad_sequence(layer, batch_first=True).to(feats.device)
            for layer in zip(*found)
        ]

    def _fetch(self, wav, names):
        """Take one utterance's layers: [positions, channels] each."""
        samples = wav.detach().cpu().contiguous().numpy()
        key = (hashlib.sha256(samples.tobytes()).digest(), *names)
        if key in self.kept:
            return self.kept[key]
        whole = torch.ones(1, device=wav.device)
        with torch.no_grad():
            layers = self.upstream.representations(wav, whole, names)
        layers = [layer[0].cpu() for layer in layers]
        size = sum(layer.nbytes for layer in layers)
        if self.training and size <= self._left:
            self.kept[key] = layers
            self._left -= size
        return layers
