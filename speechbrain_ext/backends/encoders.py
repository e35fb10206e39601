"""Encoders of the perceptual models, with outputs that have names."""

from speechbrain.lobes.models.CRDNN import CRDNN
from speechbrain.nnet.RNN import GRU
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.features.frames import inside_frames
from speechbrain_ext.frontends.wide_resnet import WideResNet
from speechbrain_ext.layered import Layered


class WideResNetEncoder(Layered):
    """The Wide-ResNet-like network, run over whole utterances.

    Section V-A of paper 1. It has no recurrence, so that a deep output still
    sees a limited context.

    Arguments
    ---------
    channels : list of int
        Filters of each block.
    dense : int
        Width of the fully connected layer behind the blocks.
    n_bins : int
        Channels of the features.
    dropout : float
        Share of the filters and nodes that training leaves out.

    Example
    -------
    >>> import torch
    >>> encoder = WideResNetEncoder([8, 16], dense=32)
    >>> encoder.layers
    ('block1', 'block2', 'dense')
    >>> encoder(torch.randn(2, 5, 257), torch.ones(2)).shape
    torch.Size([2, 5, 32])
    """

    def __init__(
        self, channels=[128, 128, 256, 256], dense=512, n_bins=257, dropout=0.1
    ):
        super().__init__()
        self.network = WideResNet(channels, n_bins, dropout)
        self.dense = nn.Sequential(
            nn.Linear(self.network.n_outputs, dense),
            nn.GELU(),
            nn.LayerNorm(dense),
            nn.Dropout(dropout),
        )
        self.layers = (*self.network.layers, "dense")
        self.n_outputs = dense

    def _outputs(self, feats, lengths):
        for output in self.network.run(feats, lengths):
            output = output.transpose(1, 2)
            yield output
        yield self.dense(output.flatten(2))


class CRDNNEncoder(Layered):
    """SpeechBrain's CRDNN: convolutions, a recurrent network, a dense one.

    Table III of paper 1 tries every part of it. A convolutional block sees 2
    frames on each side of those that the block before it gives (5, 9 and 13
    frames); the others see the whole utterance.

    Arguments
    ---------
    n_bins : int
        Channels of the features.
    channels : list of int
        Filters of each convolutional block.
    rnn_layers, rnn_neurons : int
        Of the bidirectional recurrent network.
    dense : int
        Width of the two fully connected layers.
    dropout : float
        Share of what training leaves out.

    Example
    -------
    >>> import torch
    >>> encoder = CRDNNEncoder(257, [8, 8], 2, 16, 32)
    >>> encoder.layers
    ('cnn1', 'cnn2', 'rnn', 'dnn')
    >>> encoder(torch.randn(2, 5, 257), torch.ones(2)).shape
    torch.Size([2, 5, 32])
    """

    def __init__(
        self,
        n_bins=257,
        channels=[64, 64, 128],
        rnn_layers=2,
        rnn_neurons=512,
        dense=512,
        dropout=0.15,
    ):
        super().__init__()
        self.crdnn = CRDNN(
            input_size=n_bins,
            dropout=dropout,
            cnn_blocks=len(channels),
            cnn_channels=channels,
            cnn_kernelsize=(3, 3),
            inter_layer_pooling_size=[2] * len(channels),
            rnn_class=GRU,
            rnn_layers=rnn_layers,
            rnn_neurons=rnn_neurons,
            rnn_bidirectional=True,
            dnn_blocks=2,
            dnn_neurons=dense,
            # Every frame has an output, as the alignment loss wants.
            time_pooling=False,
        )
        convolutions = tuple(f"cnn{i + 1}" for i in range(len(channels)))
        self.layers = (*convolutions, "rnn", "dnn")
        self.n_outputs = dense

    def _outputs(self, feats, lengths):
        inside = inside_frames(lengths.to(feats.device), feats.shape[1])
        inside = inside[..., None].to(feats.dtype)
        x = feats * inside
        for block in self.crdnn.CNN.values():
            x = block(x) * inside[..., None]
            yield x
        x = self.crdnn.RNN(x, lengths=lengths)[0]
        # Packed as far as the longest utterance of the batch reaches.
        x = F.pad(x, (0, 0, 0, feats.shape[1] - x.shape[1]))
        yield x
        yield self.crdnn.DNN(x)
