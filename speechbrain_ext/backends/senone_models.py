"""Classifiers of senones: the perceptual models of paper 1's CHiME-2 study.

Section III: trained on clean speech against senones, clustered states of
triphones; what they make of clean and of denoised features is compared. What
the paper leaves open is as in the authors' code for Plantinga et al. (SLT
2018), the paper's [16]; there, too, a layer's output is what its weights give,
before normalisation and activation.
"""

from torch import nn

from speechbrain_ext.features.context import ContextNetwork
from speechbrain_ext.frontends.context_mapper import (
    NEGATIVE_SLOPE,
    dense_stage,
    wide_resnet_stages,
)

#: In the paper's alignments.
N_SENONES = 1999


class SenoneDNN(ContextNetwork):
    """The first model: fully connected layers over a frame and its context.

    Bagchi et al. (ICASSP 2018), the paper's [15]; Table II compares its layers.

    Arguments
    ---------
    n_channels : int
        Channels of the features.
    hidden : list of int
        Nodes of each hidden layer; the paper: six.
    n_senones : int
        Classes.
    dropout : float
        Share of the nodes that training leaves out.
    past, future : int
        Frames of context.
    chunk_frames : int
        Frames that are computed at once.

    Example
    -------
    >>> import torch
    >>> model = SenoneDNN(hidden=[16, 16], n_senones=10)
    >>> model.layers
    ('layer1', 'layer2', 'senones')
    >>> model(torch.rand(2, 20, 257), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 20, 10])
    """

    def __init__(
        self,
        n_channels=257,
        hidden=(1024,) * 6,
        n_senones=N_SENONES,
        dropout=0.5,
        past=5,
        future=5,
        chunk_frames=4096,
    ):
        width = (past + 1 + future) * n_channels
        stages = {}
        for number, nodes in enumerate(hidden, start=1):
            before = _activation(width, dropout) if stages else [nn.Flatten()]
            stages[f"layer{number}"] = nn.Sequential(
                *before, nn.Linear(width, nodes)
            )
            width = nodes
        stages["senones"] = nn.Sequential(
            *_activation(width, dropout), nn.Linear(width, n_senones)
        )
        # Computed twice, a chunk would count twice in the batch norms.
        super().__init__(stages, past, future, chunk_frames, recompute=False)


def _activation(nodes, dropout):
    return [
        nn.BatchNorm1d(nodes),
        nn.LeakyReLU(NEGATIVE_SLOPE),
        nn.Dropout(dropout),
    ]


class SenoneWideResNet(ContextNetwork):
    """The third model: the enhancer's Wide ResNet, with senones as outputs.

    "Nearly identical to the one we used for enhancement" (Fig. 2).

    Arguments
    ---------
    n_channels : int
        Channels of the features.
    filters : list of int
        Filters of each block.
    dense : list of int
        Nodes of the fully connected layers before the output.
    n_senones : int
        Classes.
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
    >>> model = SenoneWideResNet(filters=[4, 8], dense=[16], n_senones=10)
    >>> model.layers
    ('block1', 'block2', 'dense1', 'senones')
    >>> feats = torch.rand(2, 20, 257)
    >>> blocks = model.representations(feats, torch.ones(2), ["block2"])
    >>> blocks[0].shape
    torch.Size([2, 20, 8, 3, 65])
    """

    def __init__(
        self,
        n_channels=257,
        filters=(128, 128, 256, 256),
        dense=(2048, 2048),
        n_senones=N_SENONES,
        dropout=0.3,
        past=5,
        future=5,
        chunk_frames=128,
    ):
        stages = wide_resnet_stages(
            (past + 1 + future, n_channels), filters, dense, dropout
        )
        stages["senones"] = dense_stage(dense[-1], n_senones, dropout)
        super().__init__(stages, past, future, chunk_frames)
