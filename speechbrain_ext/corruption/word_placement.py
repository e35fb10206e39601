"""A word somewhere in a segment, with SpecAugment (paper 2, section 2.4)."""

from speechbrain_ext.corruption.randomness import (
    SeededDamage,
    utterance_generators,
)


class WordPlacement(SeededDamage):
    """Pad a word's features to a segment, at a random place.

    What is before and after it is 0, a channel's mean over normal speech. In
    training some of the word's frames and some channels are set to 0 as well:
    SpecAugment (Park et al., Interspeech 2019) without its time warping.

    Arguments
    ---------
    seed : int
        Of the places and masks.
    n_frames : int
        Of a segment; what is longer is cut off.
    time_masks, frequency_masks : int
        How many masks of each kind.
    longest : int
        Frames or channels of the widest mask; a mask of frames is no longer
        than a fifth of the word.

    Example
    -------
    >>> import torch
    >>> place = WordPlacement(seed=1)
    >>> feats = torch.ones(2, 50, 128)
    >>> padded, _ = place(feats, torch.ones(2), ["a", "b"], epoch=0)
    >>> padded.shape, padded[0].sum(), 50 * 128
    (torch.Size([2, 128, 128]), tensor(6400.), 6400)
    """

    def __init__(
        self, seed, n_frames=128, time_masks=2, frequency_masks=2, longest=20
    ):
        super().__init__(seed, "word-placement")
        self.n_frames = n_frames
        self.time_masks = time_masks
        self.frequency_masks = frequency_masks
        self.longest = longest

    def __call__(self, feats, lengths, utterance_ids, epoch, rate=None):
        """Place a batch of words.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], normalised log-magnitudes.
        lengths : torch.Tensor
            [batch], relative.
        utterance_ids : sequence of str
            The words' ids, [batch].
        epoch : int
            Epoch; in 0, validation and test, nothing is masked.
        rate : float, optional
            Not used.

        Returns
        -------
        torch.Tensor
            [batch, ``n_frames``, bins].
        torch.Tensor
            Zeros, [batch, frames]: nothing of a word counts as lost.
        """
        frames, bins = feats.shape[1:]
        ends = (lengths.double() * frames).round().int().tolist()
        placed = feats.new_zeros(len(feats), self.n_frames, bins)
        generators = utterance_generators(self.seed, epoch, utterance_ids)
        for row, (end, generator) in enumerate(zip(ends, generators)):
            word = feats[row, : min(end, self.n_frames)].clone()
            start = int(generator.integers(self.n_frames - len(word) + 1))
            if epoch:
                self._mask(word, generator)
            placed[row, start : start + len(word)] = word
        return placed, feats.new_zeros(feats.shape[:2])

    def _mask(self, word, generator):
        longest = min(self.longest, len(word) // 5)
        for _ in range(self.time_masks):
            first, last = _draw_span(len(word), longest, generator)
            word[first:last] = 0
        for _ in range(self.frequency_masks):
            first, last = _draw_span(word.shape[1], self.longest, generator)
            word[:, first:last] = 0


def _draw_span(size, longest, generator):
    width = int(generator.integers(longest + 1))
    first = int(generator.integers(size - width + 1))
    return first, first + width
