"""A front-end that is small in time, not only in parameters."""

import torch
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.features.frames import mask_padding


class _ResidualBlock(nn.Module):
    """Two dilated convolutions over time whose sum starts as the identity."""

    def __init__(self, channels, dilation):
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.first = nn.Conv1d(
            channels, channels, 3, padding=dilation, dilation=dilation
        )
        self.second = nn.Conv1d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x):
        """Add what the block makes of the input."""
        hidden = self.norm(x.transpose(1, 2)).transpose(1, 2)
        return x + self.second(F.gelu(self.first(hidden)))


class LightAdapter(nn.Module):
    """A U-Net over time only, with the mel bins as channels.

    Paper 0's network convolves over time and frequency and costs 13 times
    Whisper tiny's encoder. Treating the mel bins as channels leaves one
    dimension; most of the work is done at a quarter of the frame rate, where
    dilated residual blocks see a second to each side. The network adds a
    correction to its input, and the correction starts at zero: untrained, it
    changes nothing. Told what was lost, it changes nothing either where
    nothing was lost nearby, nor past the utterance's end.

    Arguments
    ---------
    n_mels : int
        Mel bins.
    widths : list of int
        Channels at the full, half and quarter frame rate.
    dilations : list of int
        One residual block each, at the quarter frame rate.
    informed : bool
        Whether the network is told what was lost (one value a mel frame).
    reach : int
        Frames to each side of a loss that an informed network may change.

    Example
    -------
    >>> import torch
    >>> net = LightAdapter()
    >>> x = torch.randn(2, 101, 80)
    >>> bool((net(x, torch.ones(2)) == x).all())
    True
    """

    def __init__(
        self,
        n_mels=80,
        widths=(128, 192, 320),
        dilations=(1, 2, 4, 8, 1),
        informed=True,
        reach=25,
    ):
        super().__init__()
        self.informed = informed
        self.reach = reach
        full, half, quarter = widths
        self.entry = nn.Conv1d(n_mels + informed, full, 5, padding=2)
        self.down_half = nn.Conv1d(full, half, 4, stride=2, padding=1)
        self.down_quarter = nn.Conv1d(half, quarter, 4, stride=2, padding=1)
        self.blocks = nn.Sequential(
            *(_ResidualBlock(quarter, dilation) for dilation in dilations)
        )
        self.up_half = nn.Conv1d(quarter, half, 3, padding=1)
        self.up_full = nn.Conv1d(half, full, 3, padding=1)
        self.exit = nn.Conv1d(full, n_mels, 3, padding=1)
        nn.init.zeros_(self.exit.weight)
        nn.init.zeros_(self.exit.bias)

    def forward(self, x, lengths, lost=None):
        """Repair a batch of features.

        Arguments
        ---------
        x : torch.Tensor
            [batch, frames, mels]: damaged features, any number of frames.
        lengths : torch.Tensor
            [batch], relative: what lies past the end stays as it is.
        lost : torch.Tensor, optional
            [batch, frames], in [0, 1]: the share of each frame that was lost.
            Zeros if not given; a blind network ignores it.

        Returns
        -------
        torch.Tensor
            [batch, frames, mels].
        """
        frames = x.shape[1]
        inputs = x
        if self.informed:
            if lost is None:
                lost = x.new_zeros(x.shape[:2])
            inputs = torch.cat([x, lost.to(x.dtype)[..., None]], dim=2)
        # Whole quarter-rate steps; the correction is cut to length again.
        inputs = F.pad(inputs.transpose(1, 2), (0, -frames % 4))
        full = F.gelu(self.entry(inputs))
        half = F.gelu(self.down_half(full))
        deep = self.blocks(F.gelu(self.down_quarter(half)))
        half = half + self.up_half(_double(deep))
        full = full + self.up_full(_double(F.gelu(half)))
        correction = self.exit(F.gelu(full))[..., :frames].transpose(1, 2)
        if self.informed:
            correction = correction * self._near(lost)
        return x + mask_padding(correction, lengths)

    def _near(self, lost):
        """1 where something was lost at most ``reach`` frames away."""
        near = F.max_pool1d(
            (lost > 0).float(), 2 * self.reach + 1, 1, self.reach
        )
        return near[..., None]


def _double(x):
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
