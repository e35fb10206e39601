"""The wide residual BLSTM network of Heymann et al. (CHiME 2016)."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from speechbrain_ext.backends.senone_models import N_SENONES
from speechbrain_ext.features.frames import inside_frames
from speechbrain_ext.layered import Layered


class UtteranceNorm(nn.Module):
    """Normalise each channel over an utterance's own frames.

    What the network's authors have in place of statistics of the batch: the
    same in training and use, and untouched by neighbours and padding.

    Arguments
    ---------
    channels : int
        Filters.

    Example
    -------
    >>> x = torch.tensor([1.0, 3.0, 9.0]).reshape(1, 1, 3, 1)
    >>> inside = torch.tensor([1.0, 1.0, 0.0]).reshape(1, 1, 3, 1)
    >>> UtteranceNorm(1)(x, inside).detach().flatten().round()
    tensor([-1.,  1.,  0.])
    """

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x, inside):
        """Normalise a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, channels, frames, bins].
        inside : torch.Tensor
            [batch, 1, frames, 1], 1 up to each utterance's end.

        Returns
        -------
        torch.Tensor
            The same shape; 0 past an utterance's end.
        """
        count = inside.sum(dim=2, keepdim=True) * x.shape[3]
        mean = (x * inside).sum(dim=(2, 3), keepdim=True) / count
        centred = (x - mean) * inside
        variance = centred.square().sum(dim=(2, 3), keepdim=True) / count
        normal = centred * (variance + 1e-5).rsqrt()
        return (normal * self.weight + self.bias) * inside


class WRBN(Layered):
    """The second perceptual model of paper 1: convolutions, then recurrence.

    It sees all of the utterance. As published: a convolution, three groups of
    wide residual layers (16 filters, five times as wide), a weighted sum over
    the bins, two BLSTM layers (the first one's directions added, the second
    one's side by side) and a fully connected layer. Published for 80 filterbank
    channels with deltas; here it is given what the enhancer gives, with
    gradients. Theirs normalises inside of the LSTM, this one what it is given.
    Outputs, the logits of the senones among them, are 0 past an utterance's end.

    Arguments
    ---------
    n_channels : int
        Channels of the features.
    filters : list of int
        Of each group; every group but the first halves the bins.
    depth : int
        Residual layers of a group.
    cells : int
        Of each direction of the two BLSTM layers.
    dense : int
        Nodes of the fully connected layer.
    n_senones : int
        Classes.
    dropout : float
        Share of what training leaves out.

    Example
    -------
    >>> model = WRBN(filters=[4, 8], depth=1, cells=8, dense=8, n_senones=10)
    >>> model.layers
    ('conv', 'block1', 'block2', 'pool', 'blstm1', 'blstm2', 'dense', 'senones')
    >>> model(torch.rand(2, 20, 257), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 20, 10])
    """

    def __init__(
        self,
        n_channels=257,
        filters=(80, 160, 320),
        depth=3,
        cells=512,
        dense=1024,
        n_senones=N_SENONES,
        dropout=0.5,
    ):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3, stride=(1, 2), padding=1, bias=False)
        self.blocks = nn.ModuleList()
        inputs, bins = 16, -(-n_channels // 2)
        for outputs in filters:
            stride = 2 if len(self.blocks) else 1
            bins = -(-bins // stride)
            self.blocks.append(
                _WideGroup(inputs, outputs, stride, depth, dropout)
            )
            inputs = outputs
        self.block_norm = UtteranceNorm(inputs)
        self.pool = nn.Linear(bins, 1)
        self.blstm1 = _BLSTM(inputs, cells, dropout, add_directions=True)
        self.blstm2 = _BLSTM(cells, cells, dropout)
        self.dense = nn.Linear(2 * cells, dense, bias=False)
        self.dense_norm = UtteranceNorm(dense)
        self.senones = nn.Linear(dense, n_senones)
        blocks = tuple(f"block{i + 1}" for i in range(len(filters)))
        self.layers = ("conv", *blocks, "pool", "blstm1", "blstm2")
        self.layers += ("dense", "senones")

    def _outputs(self, feats, lengths):
        """Give each layer's output in turn, [batch, frames, ...]."""
        inside = inside_frames(lengths, feats.shape[1]).to(feats)
        ends, inside = inside.sum(dim=1), inside[:, None, :, None]
        x = self.conv(feats[:, None] * inside) * inside
        yield x.transpose(1, 2)
        for block in self.blocks:
            x = block(x, inside)
            yield x.transpose(1, 2)
        x = self.pool(F.elu(self.block_norm(x, inside))) * inside
        yield x[..., 0].transpose(1, 2)
        x = F.elu(x)
        for blstm in (self.blstm1, self.blstm2):
            x = blstm(x, inside, ends)
            yield x[..., 0].transpose(1, 2)
        inside = inside[:, 0]
        x = self.dense(x[..., 0].transpose(1, 2)) * inside
        yield x
        x = x.transpose(1, 2)[..., None]
        x = F.elu(self.dense_norm(x, inside[:, None]))
        yield self.senones(x[..., 0].transpose(1, 2)) * inside


class _WideGroup(nn.Module):
    """Residual layers of one width; the first may halve the bins."""

    def __init__(self, inputs, outputs, stride, depth, dropout):
        super().__init__()
        layers = [_WideLayer(inputs, outputs, stride, dropout)]
        for _ in range(depth - 1):
            layers.append(_WideLayer(outputs, outputs, 1, dropout))
        self.layers = nn.ModuleList(layers)

    def forward(self, x, inside):
        """Run the layers."""
        for layer in self.layers:
            x = layer(x, inside)
        return x


class _WideLayer(nn.Module):
    """Normalisation and activation first (Zagoruyko & Komodakis, 2016)."""

    def __init__(self, inputs, outputs, stride, dropout):
        super().__init__()
        settings = {"padding": 1, "bias": False}
        self.first_norm = UtteranceNorm(inputs)
        self.first = nn.Conv2d(
            inputs, outputs, 3, stride=(1, stride), **settings
        )
        self.second_norm = UtteranceNorm(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, **settings)
        self.dropout = nn.Dropout(dropout)
        self.shortcut = None
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Conv2d(
                inputs, outputs, 1, stride=(1, stride), bias=False
            )

    def forward(self, x, inside):
        """Add what the two convolutions make of the input."""
        # Past the end every convolution sees zeros, as behind the batch's.
        active = F.elu(self.first_norm(x, inside))
        residual = F.elu(self.second_norm(self.first(active), inside))
        residual = self.second(self.dropout(residual))
        if self.shortcut is not None:
            x = self.shortcut(active)
        return (x + residual) * inside


class _BLSTM(nn.Module):
    """A bidirectional LSTM layer on [batch, channels, frames, 1]."""

    def __init__(self, inputs, cells, dropout, add_directions=False):
        super().__init__()
        self.norm = UtteranceNorm(inputs)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(inputs, cells, batch_first=True, bidirectional=True)
        self.add_directions = add_directions

    def forward(self, x, inside, ends):
        """Run the recurrent layer over each utterance."""
        frames = x.shape[2]
        x = self.dropout(self.norm(x, inside))[..., 0].transpose(1, 2)
        packed = pack_padded_sequence(
            x, ends.cpu().long(), batch_first=True, enforce_sorted=False
        )
        # cuDNN has no backward pass in evaluation mode, where a frozen
        # perceptual model is.
        frozen = torch.is_grad_enabled() and not self.training
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=False) if frozen else nullcontext():
            packed, _ = self.lstm(packed)
        x, _ = pad_packed_sequence(
            packed, batch_first=True, total_length=frames
        )
        if self.add_directions:
            x = x[..., : x.shape[2] // 2] + x[..., x.shape[2] // 2 :]
        return x.transpose(1, 2)[..., None]
