"""speechVGG: a classifier of words whose pools make a deep feature loss.

Section 2.4 of paper 2, and Beckmann et al. (arXiv:1910.09909), its [26].
"""

import torch
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.errors import UserError
from speechbrain_ext.layered import Layered

#: Filters of the convolutions of VGG-16's five blocks.
VGG16 = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)


class SpeechVGG(Layered):
    """VGG-16 over normalised log-magnitudes of 128 x 128 bins.

    Five blocks of 3 x 3 convolutions (ReLU), each ended by max-pooling that
    halves frames and bins, are followed by two dense layers and the words. The
    outputs with names are the five pools, channels behind frames, and the
    words' logits. A segment has 128 frames: what lies past its end is part of
    it, as padding was in training, and the frames' lengths are not used.

    Arguments
    ---------
    n_words : int
        Classes; the paper: the 1000 most frequent words of four letters or
        more.
    channels : list of list of int
        Filters of each convolution, a list a block.
    dense : list of int
        Widths of the dense layers before the words.
    n_frames, n_bins : int
        Of a segment.
    dropout : float
        Share of the dense layers' nodes that training leaves out.
    words : ListedWords, optional
        What the outputs stand for, to train it and to read what it finds.
    batch_norm : bool
        Normalise after each convolution, which VGG-16 does not: a small
        training then gets somewhere.

    Example
    -------
    >>> channels = [[4, 4], [8, 8], [8], [8], [8]]
    >>> model = SpeechVGG(10, channels, dense=[16])
    >>> model.layers
    ('pool1', 'pool2', 'pool3', 'pool4', 'pool5', 'words')
    >>> feats, lengths = torch.randn(2, 128, 128), torch.ones(2)
    >>> model(feats, lengths).shape
    torch.Size([2, 10])
    >>> pools = model.representations(feats, lengths, ["pool1", "pool5"])
    >>> [pool.shape for pool in pools]
    [torch.Size([2, 64, 4, 64]), torch.Size([2, 4, 8, 4])]
    """

    def __init__(
        self,
        n_words=1000,
        channels=VGG16,
        dense=(4096, 4096),
        n_frames=128,
        n_bins=128,
        dropout=0.5,
        words=None,
        batch_norm=False,
    ):
        super().__init__()
        self.n_frames, self.n_bins = n_frames, n_bins
        self.blocks = nn.ModuleList()
        inputs = 1
        for filters in channels:
            self.blocks.append(_block([inputs, *filters], batch_norm))
            inputs = filters[-1]
        shrunk = 2 ** len(channels)
        widths = [inputs * (n_frames // shrunk) * (n_bins // shrunk), *dense]
        layers = []
        for before, after in zip(widths, dense):
            layers += [
                nn.Linear(before, after),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
        self.classifier = nn.Sequential(*layers, nn.Linear(widths[-1], n_words))
        self.words = words
        #: Names of the pools alone: what the deep feature loss compares.
        self.pools = tuple(f"pool{i + 1}" for i in range(len(channels)))
        self.layers = (*self.pools, "words")
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                # Without batch normalisation the default dies out in 13 layers.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        # All words are as likely at first.
        nn.init.normal_(self.classifier[-1].weight, std=0.01)
        # Twice as fast on a CPU.
        self.to(memory_format=torch.channels_last)

    def _outputs(self, feats, lengths):
        if feats.shape[2] != self.n_bins:
            raise UserError(
                f"features: have {feats.shape[2]} bins; expected {self.n_bins}"
            )
        x = feats[:, None].contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2, ceil_mode=True)
            # Frames first, as the criteria have it.
            yield x.transpose(1, 2)
        if feats.shape[1] != self.n_frames:
            raise UserError(
                f"features: have {feats.shape[1]} frames; expected "
                f"{self.n_frames}, a segment"
            )
        yield self.classifier(x.flatten(1))

    @torch.no_grad()
    def transcribe(self, feats, seconds, beam_size=1, lengths=None):
        """Name the words that segments have.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].
        seconds : torch.Tensor
            Not used, nor are ``beam_size`` and ``lengths``: other back-ends
            want them.
        beam_size : int
            Not used.
        lengths : torch.Tensor, optional
            Not used.

        Returns
        -------
        list of str
            [batch].
        """
        best = self(feats, lengths).argmax(dim=1).tolist()
        return [self.words.decode([index]) for index in best]


def _block(channels, batch_norm):
    """Convolutions of the channels in turn."""
    layers = []
    for before, after in zip(channels, channels[1:]):
        layers.append(nn.Conv2d(before, after, 3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(after))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class FrozenSpeechVGG(Frozen, SpeechVGG):
    """A speechVGG that judges and never learns.

    :class:`~speechbrain_ext.criteria.representation.RepresentationDistance` of
    its five pools is the deep feature loss (eq. 1).

    Arguments
    ---------
    *args, **kwargs
        As :class:`SpeechVGG` takes them.

    Example
    -------
    >>> channels = [[4], [4], [4], [4], [4]]
    >>> FrozenSpeechVGG(10, channels, dense=[8]).train().training
    False
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.freeze()
