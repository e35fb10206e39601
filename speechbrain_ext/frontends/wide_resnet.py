"""The Wide-ResNet-like network of paper 1 (Fig. 2 and section V-B)."""

from torch import nn
from torch.nn import functional as F

from speechbrain_ext.features.frames import inside_frames


class SqueezeExcitation(nn.Module):
    """Weigh each filter by what all of the utterance says of it.

    Hu, Shen & Sun (CVPR 2018), the paper's [40]. The mean is taken over the
    utterance's own frames.

    Arguments
    ---------
    channels : int
        Filters.

    Example
    -------
    >>> import torch
    >>> x, inside = torch.randn(2, 8, 5, 3), torch.ones(2, 1, 5, 1)
    >>> SqueezeExcitation(8)(x, inside).shape
    torch.Size([2, 8, 1, 1])
    """

    def __init__(self, channels):
        super().__init__()
        self.squeeze = nn.Linear(channels, channels)
        self.excite = nn.Linear(channels, channels)

    def forward(self, x, inside):
        """Compute the weights.

        Arguments
        ---------
        x : torch.Tensor
            [batch, channels, frames, bins].
        inside : torch.Tensor
            [batch, 1, frames, 1], 1 up to each utterance's end.

        Returns
        -------
        torch.Tensor
            [batch, channels, 1, 1], in (0, 1).
        """
        n_frames = inside.sum(dim=(1, 2, 3)).clamp(min=1)[:, None]
        mean = (x * inside).mean(dim=3).sum(dim=2) / n_frames
        weights = self.excite(F.relu(self.squeeze(mean))).sigmoid()
        return weights[:, :, None, None]


class WideBlock(nn.Module):
    """Downsample, and add a residual to the result.

    Three convolutions: one that halves the bins, and two whose outcome is added
    to what the first gives (section III). Activations and batch normalisation,
    in this order, stand before the convolutions of the residual (section V-B).

    Arguments
    ---------
    inputs, channels : int
        Filters before and after.
    dropout : float
        Share of the filters that training leaves out.

    Example
    -------
    >>> import torch
    >>> block = WideBlock(1, 8)
    >>> block(torch.randn(2, 1, 5, 257), torch.ones(2, 1, 5, 1)).shape
    torch.Size([2, 8, 5, 129])
    """

    def __init__(self, inputs, channels, dropout=0.1):
        super().__init__()
        self.downsample = nn.Conv2d(
            inputs, channels, 3, stride=(1, 2), padding=1
        )
        self.first_norm = nn.BatchNorm2d(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.excitation = SqueezeExcitation(channels)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x, inside):
        """Run the block.

        Arguments
        ---------
        x : torch.Tensor
            [batch, inputs, frames, bins], zero past each utterance's end.
        inside : torch.Tensor
            [batch, 1, frames, 1], 1 up to each utterance's end.

        Returns
        -------
        torch.Tensor
            [batch, channels, frames, bins / 2 (rounded up)], zero past the end.
        """
        # Zeros past the end before every convolution, as behind the end of the
        # longest utterance: neighbours in a batch change nothing.
        x = self.downsample(x)
        residual = self.dropout(self.first_norm(F.gelu(x)))
        residual = self.first(residual * inside)
        residual = self.dropout(self.second_norm(F.gelu(residual)))
        residual = self.second(residual * inside)
        residual = residual * self.excitation(residual, inside)
        return (x + residual) * inside


class WideResNet(nn.Module):
    """Blocks of growing width, run over whole utterances.

    A block sees 3 frames more on each side than the one before it: 7 frames the
    first, 13 the second (Table III).

    Arguments
    ---------
    channels : list of int
        Filters of each block; the paper's enhancer: 128, 128, 256, 256, 512,
        512.
    n_bins : int
        Channels of the features.
    dropout : float
        Share of the filters that training leaves out.

    Example
    -------
    >>> import torch
    >>> network = WideResNet([8, 16])
    >>> network.layers, network.n_outputs
    (('block1', 'block2'), 1040)
    >>> outputs = network(torch.randn(2, 5, 257), torch.ones(2))
    >>> [output.shape for output in outputs]
    [torch.Size([2, 8, 5, 129]), torch.Size([2, 16, 5, 65])]
    """

    def __init__(self, channels=[128, 128, 256, 256], n_bins=257, dropout=0.1):
        super().__init__()
        self.blocks = nn.ModuleList(
            WideBlock(before, after, dropout)
            for before, after in zip([1, *channels], channels)
        )
        for _ in channels:
            n_bins = -(-n_bins // 2)
        self.layers = tuple(f"block{i + 1}" for i in range(len(channels)))
        self.n_outputs = channels[-1] * n_bins

    def forward(self, feats, lengths):
        """Run the blocks.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].
        lengths : torch.Tensor
            [batch], relative.

        Returns
        -------
        list of torch.Tensor
            Each block's output, [batch, channels, frames, bins], zero past an
            utterance's end.
        """
        return list(self.run(feats, lengths))

    def run(self, feats, lengths):
        """Run one block after the other, as long as one is asked for.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins].
        lengths : torch.Tensor
            [batch], relative.

        Yields
        ------
        torch.Tensor
            A block's output, as :meth:`forward` has it.
        """
        inside = inside_frames(lengths.to(feats.device), feats.shape[1])
        inside = inside[:, None, :, None].to(feats.dtype)
        x = feats[:, None] * inside
        for block in self.blocks:
            x = block(x, inside)
            yield x


class WideResNetEnhancer(nn.Module):
    """Masking or mapping of log(1 + magnitude) features (section V-B).

    The mask is real, between 0 and 1, and multiplies the noisy magnitudes: the
    features of what the masked spectrum would be are returned, so that the loss
    sees them ("spectral approximation"). A mapping returns the features
    themselves.

    Arguments
    ---------
    channels : list of int
        Filters of each block.
    dense : list of int
        Widths of the fully connected layers before the output.
    n_bins : int
        Channels of the features.
    masking : bool
        False: map the features directly.
    dropout : float
        Share of the filters and nodes that training leaves out.

    Example
    -------
    >>> import torch
    >>> enhancer = WideResNetEnhancer([8, 8], dense=[16]).eval()
    >>> feats = torch.rand(2, 5, 257)
    >>> repaired = enhancer(feats, torch.ones(2))
    >>> repaired.shape, bool((repaired <= feats + 1e-6).all())
    (torch.Size([2, 5, 257]), True)
    """

    def __init__(
        self,
        channels=[128, 128, 256, 256, 512, 512],
        dense=[1024, 1024],
        n_bins=257,
        masking=True,
        dropout=0.1,
    ):
        super().__init__()
        self.masking = masking
        self.network = WideResNet(channels, n_bins, dropout)
        widths = [self.network.n_outputs, *dense]
        layers = []
        for before, after in zip(widths, dense):
            layers += [
                nn.Linear(before, after),
                nn.GELU(),
                nn.LayerNorm(after),
                nn.Dropout(dropout),
            ]
        self.dense = nn.Sequential(*layers)
        self.output = nn.Linear(widths[-1], n_bins)
        # Well inside the clamped range, outside of which nothing learns.
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.constant_(self.output.bias, 0.5)

    def forward(self, feats, lengths, lost=None):
        """Repair a batch.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, bins], log(1 + magnitude).
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            Not used: noise is not announced.

        Returns
        -------
        torch.Tensor
            [batch, frames, bins]; 0 past an utterance's end.
        """
        x = self.network(feats, lengths)[-1]
        x = self.dense(x.transpose(1, 2).flatten(2))
        x = self.output(x).float()
        if self.masking:
            mask = x.clamp(0.0, 1.0)
            x = (mask * feats.float().expm1()).log1p()
        else:
            x = x.relu()
        inside = inside_frames(lengths.to(x.device), x.shape[1])
        return x * inside[..., None]
