"""The adaptation network of paper 0 (Dissen et al., Interspeech 2024)."""

from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


def _conv(n_in, n_out, kernel):
    return spectral_norm(
        nn.Conv2d(
            n_in, n_out, kernel, padding=kernel // 2, padding_mode="reflect"
        )
    )


def _block(n_in, n_out, kernel):
    return nn.Sequential(
        _conv(n_in, n_out, kernel),
        nn.BatchNorm2d(n_out),
        nn.LeakyReLU(0.2),
    )


class _Bottleneck(nn.Module):
    """A residual block: 1x1 down to a quarter, 3x3, 1x1 up again."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(
            _block(channels, channels // 4, 1),
            _block(channels // 4, channels // 4, 3),
            _conv(channels // 4, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x):
        """Add what the body makes of the input."""
        return F.leaky_relu(x + self.body(x), 0.2)


class AdaptationUNet(nn.Module):
    """A fully convolutional U-Net over the mel spectrogram (section 2, Fig. 1).

    Max-pooling halves time and frequency, nearest-neighbour resizing followed
    by a convolution doubles them again, the skip connections add, and residual
    blocks make up the bottleneck. 7.5 M parameters at the default width.

    Arguments
    ---------
    width : int
        Channels at full resolution; they double with every down block.
    depth : int
        Down blocks, and as many up blocks.
    n_bottleneck : int
        Residual blocks between them.

    Example
    -------
    >>> import torch
    >>> net = AdaptationUNet(width=8, depth=2, n_bottleneck=1)
    >>> net(torch.randn(2, 101, 80), torch.ones(2)).shape
    torch.Size([2, 101, 80])
    """

    def __init__(self, width=80, depth=3, n_bottleneck=6):
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.entry = _block(1, width, 7)
        self.down = nn.ModuleList(
            _block(n_in, n_out, 3)
            for n_in, n_out in zip(widths[:-1], widths[1:])
        )
        self.bottleneck = nn.Sequential(
            *(_Bottleneck(widths[-1]) for _ in range(n_bottleneck))
        )
        self.up = nn.ModuleList(
            _block(n_in, n_out, 3)
            for n_in, n_out in zip(widths[:0:-1], widths[-2::-1])
        )
        self.exit = _conv(width, 1, 7)

    def forward(self, x, lengths, lost=None):
        """Adapt a batch of spectrograms.

        Arguments
        ---------
        x : torch.Tensor
            [batch, frames, mels]: damaged features, any number of frames.
        lengths : torch.Tensor
            [batch], relative; the network does not need them.
        lost : torch.Tensor, optional
            [batch, frames]; not used: the paper's network is blind.

        Returns
        -------
        torch.Tensor
            [batch, frames, mels].
        """
        frames, mels = x.shape[1:]
        x = self._pad(x)
        x = self.entry(x[:, None])
        skips = []
        for block in self.down:
            skips.append(x)
            x = F.max_pool2d(block(x), 2)
        x = self.bottleneck(x)
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(x) + skips.pop()
        return self.exit(x)[:, 0, :frames, :mels]

    def _pad(self, x):
        """Repeat the edge until the pooling divides; reflection needs two."""
        step = 2 ** len(self.down)
        pads = [
            max(2 * step, -(-size // step) * step) - size
            for size in x.shape[1:]
        ]
        return F.pad(x[:, None], (0, pads[1], 0, pads[0]), mode="replicate")[
            :, 0
        ]
