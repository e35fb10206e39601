"""Spectral mapping of one frame at a time (paper 1, section III).

The enhancers of the CHiME-2 study see five frames of past and of future context
and give one denoised frame. Widths, kernel sizes, dropout and the slope of the
leaky ReLU, where the paper does not give them, are those of the authors' code
for Plantinga et al. (SLT 2018), the paper's [16].
"""

from torch import nn
from torch.nn import functional as F

from speechbrain_ext.features.context import ContextNetwork

#: Of the leaky ReLU.
NEGATIVE_SLOPE = 0.3


class _Mapper(ContextNetwork):
    """What ends in log(1 + magnitude) features, which are never negative."""

    def forward(self, feats, lengths, lost=None):
        """Map features, and clamp them when used."""
        feats = super().forward(feats, lengths)
        # Most bins are close to 0. Clamped in training, those that fell below
        # would not learn.
        return feats if self.training else feats.relu()


class ContextDNN(_Mapper):
    """The first enhancer: fully connected layers with leaky ReLU.

    Arguments
    ---------
    n_channels : int
        Channels of the features.
    hidden : list of int
        Nodes of each hidden layer; the paper: two of 2048.
    dropout : float
        Share of the nodes that training leaves out.
    past, future : int
        Frames of context.
    chunk_frames : int
        Frames that are computed at once.

    Example
    -------
    >>> import torch
    >>> mapper = ContextDNN(hidden=[16, 16])
    >>> mapper(torch.rand(2, 20, 257), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 20, 257])
    """

    def __init__(
        self,
        n_channels=257,
        hidden=(2048, 2048),
        dropout=0.0,
        past=5,
        future=5,
        chunk_frames=4096,
    ):
        width = (past + 1 + future) * n_channels
        stages = {}
        for number, nodes in enumerate(hidden, start=1):
            before = nn.LeakyReLU(NEGATIVE_SLOPE) if stages else nn.Flatten()
            stages[f"layer{number}"] = nn.Sequential(
                before, nn.Dropout(dropout), nn.Linear(width, nodes)
            )
            width = nodes
        stages["output"] = nn.Sequential(
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Dropout(dropout),
            nn.Linear(width, n_channels),
        )
        super().__init__(stages, past, future, chunk_frames)


class ContextWideResNet(_Mapper):
    """The second enhancer: the Wide-ResNet-like network of Fig. 2.

    Without squeeze-and-excitation, which came with the Voicebank experiments,
    and with a stride of 2 in time and frequency.

    Arguments
    ---------
    n_channels : int
        Channels of the features.
    filters : list of int
        Filters of each block; the paper: 128, 128, 256 and 256.
    dense : list of int
        Nodes of the fully connected layers before the output.
    dropout : float
        Share of the filters and nodes that training leaves out.
    past, future : int
        Frames of context.
    chunk_frames : int
        Frames that are computed at once; at the paper's sizes a frame takes
        about 2 MB.

    Example
    -------
    >>> import torch
    >>> mapper = ContextWideResNet(filters=[4, 8], dense=[16])
    >>> mapper(torch.rand(2, 20, 257), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 20, 257])
    """

    def __init__(
        self,
        n_channels=257,
        filters=(128, 128, 256, 256),
        dense=(2048, 2048),
        dropout=0.3,
        past=5,
        future=5,
        chunk_frames=128,
    ):
        stages = wide_resnet_stages(
            (past + 1 + future, n_channels), filters, dense, dropout
        )
        stages["output"] = dense_stage(dense[-1], n_channels, dropout)
        super().__init__(stages, past, future, chunk_frames)


def wide_resnet_stages(size, filters, dense, dropout):
    """Make the blocks and the fully connected layers of the Wide ResNet.

    Arguments
    ---------
    size : tuple of int
        Frames and channels of a window.
    filters : list of int
        Filters of each block.
    dense : list of int
        Nodes of each fully connected layer.
    dropout : float
        Share of the filters and nodes that training leaves out.

    Returns
    -------
    dict
        ``block1``, ``block2``, ..., ``dense1``, ...: from the names to modules
        for :class:`~speechbrain_ext.features.context.ContextNetwork`.

    Example
    -------
    >>> list(wide_resnet_stages((11, 257), [4, 8], [16], 0.0))
    ['block1', 'block2', 'dense1']
    """
    stages = {}
    inputs, (frames, channels) = 1, size
    for number, outputs in enumerate(filters, start=1):
        stages[f"block{number}"] = _Block(inputs, outputs, dropout)
        frames, channels = -(-frames // 2), -(-channels // 2)
        inputs = outputs
    width = inputs * frames * channels
    for number, nodes in enumerate(dense, start=1):
        stages[f"dense{number}"] = dense_stage(
            width, nodes, dropout, flatten=number == 1
        )
        width = nodes
    return stages


def dense_stage(inputs, outputs, dropout, flatten=False):
    """Make a fully connected layer that begins with the last one's activation.

    So a layer's output is what its weights give, as in the authors' code, and
    not yet rectified.

    Arguments
    ---------
    inputs, outputs : int
        Nodes before and after.
    dropout : float
        Share of the inputs that training leaves out.
    flatten : bool
        Take the output of convolutions, which is not rectified either way.

    Returns
    -------
    torch.nn.Sequential
        The layer.

    Example
    -------
    >>> import torch
    >>> dense_stage(4, 2, 0.0)(torch.ones(3, 4)).shape
    torch.Size([3, 2])
    """
    before = nn.Flatten() if flatten else nn.ReLU()
    return nn.Sequential(
        before, nn.Dropout(dropout), nn.Linear(inputs, outputs)
    )


class _Block(nn.Module):
    """A convolution that halves both sizes, and a residual of two more."""

    def __init__(self, inputs, outputs, dropout):
        super().__init__()
        self.downsample = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        self.first = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x):
        """Run a block of convolutions."""
        if x.dim() == 3:
            x = x[:, None]
        x = self.dropout(self.downsample(x))
        residual = F.relu(self.first(F.relu(x)))
        return x + self.second(self.dropout(residual))
