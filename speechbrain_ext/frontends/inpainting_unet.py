"""The U-Net of paper 2 (section 2.3), informed or blind."""

import torch
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.errors import UserError

#: Kernel size and filters of the encoding blocks 1 to 6 (Table 1).
ENCODING = ((7, 16), (5, 32), (5, 64), (3, 128), (3, 128), (3, 128))
#: The same of the decoding blocks 1 to 6.
DECODING = ((3, 1), (3, 16), (3, 32), (3, 64), (3, 128), (3, 128))


class PartialConv2d(nn.Conv2d):
    """A convolution that sees valid bins only (Liu et al., ECCV 2018, eq. 1).

    What is masked counts as 0, and the sum is divided by the share of the
    window that is valid; an output is valid where a bin of its window is.
    Padding is zero and belongs to no window, so that where all is valid this is
    a full convolution, at the borders too. Channels have masks of their own.

    Arguments
    ---------
    *args, **kwargs
        As :class:`torch.nn.Conv2d` takes them.

    Example
    -------
    >>> convolve = PartialConv2d(1, 1, 3, padding=1)
    >>> x, valid = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    >>> y, valid = convolve(x, valid)
    >>> y.shape, bool(valid.all())
    (torch.Size([1, 1, 4, 4]), True)
    """

    def forward(self, x, valid):
        """Convolve.

        Arguments
        ---------
        x : torch.Tensor
            [batch, channels, frames, bins].
        valid : torch.Tensor
            The same shape, 1 where a bin is valid and 0 where it is masked.

        Returns
        -------
        torch.Tensor
            [batch, filters, frames, bins], 0 where nothing valid was seen.
        torch.Tensor
            The same shape, 1 where something was.
        """
        with torch.no_grad():
            seen = self._count(valid)
            inside = self._count(torch.ones_like(valid[:1]))
            found = (seen > 0).to(x)
            scale = found * inside / seen.clamp(min=1)
        x = F.conv2d(x * valid, self.weight, None, self.stride, self.padding)
        x = x * scale
        if self.bias is not None:
            x = x + self.bias[:, None, None] * found
        return x, found.expand_as(x)

    def _count(self, marks):
        """How many of each window's bins are marked."""
        window = self.weight.new_ones(1, *self.weight.shape[1:])
        # Half precision does not count beyond 256.
        with torch.autocast(marks.device.type, enabled=False):
            return F.conv2d(
                marks.to(window), window, None, self.stride, self.padding
            )


class _FullConv2d(nn.Conv2d):
    """A convolution that hands on the mask of a blind network: none."""

    def forward(self, x, valid):
        """Convolve all bins alike."""
        return super().forward(x), None


class _Block(nn.Module):
    """Convolution, batch normalisation, activation."""

    def __init__(self, convolution, inputs, filters, kernel, stride, slope):
        super().__init__()
        self.convolve = convolution(
            inputs, filters, kernel, stride, padding=kernel // 2
        )
        self.normalise = nn.BatchNorm2d(filters)
        self.slope = slope

    def forward(self, x, valid):
        """Convolve, normalise and rectify."""
        x, valid = self.convolve(x, valid)
        return F.leaky_relu(self.normalise(x), self.slope), valid


class InpaintingUNet(nn.Module):
    """Restore the masked bins of normalised log-magnitudes (Fig. 2, Table 1).

    Six encoding blocks halve frames and bins (ReLU), six decoding blocks double
    them (leaky ReLU), each joined by the *input* of the encoding block of its
    number, and a linear 1x1 convolution ends it. 1.2 M parameters.

    Arguments
    ---------
    informed : bool
        True: the masks are known and all 2D convolutions are partial ones.
        False: the network is blind, and they are full ones.
    keep_observed : bool
        Whether an informed network returns the bins that are not masked as they
        are. The paper's, which its losses see whole, does not.

    Example
    -------
    >>> net = InpaintingUNet()
    >>> feats, lost = torch.randn(2, 128, 128), torch.zeros(2, 128, 128)
    >>> net(feats, torch.ones(2), lost.bool()).shape
    torch.Size([2, 128, 128])
    """

    def __init__(self, informed=True, keep_observed=False):
        super().__init__()
        self.informed = informed
        self.keep_observed = informed and keep_observed
        convolution = PartialConv2d if informed else _FullConv2d
        inputs = [1, *(filters for _, filters in ENCODING)]
        self.encoding = nn.ModuleList(
            _Block(convolution, before, filters, kernel, 2, 0.0)
            for before, (kernel, filters) in zip(inputs, ENCODING)
        )
        from_below = [*(filters for _, filters in DECODING[1:]), inputs[-1]]
        self.decoding = nn.ModuleList(
            _Block(convolution, below + beside, filters, kernel, 1, 0.2)
            for below, beside, (kernel, filters) in zip(
                from_below, inputs, DECODING
            )
        )
        self.exit = nn.Conv2d(DECODING[0][1], 1, 1)

    def forward(self, x, lengths, lost=None):
        """Repair a batch.

        Arguments
        ---------
        x : torch.Tensor
            [batch, frames, bins]: damaged features, 128 bins and any number of
            frames, which padding makes a multiple of 64.
        lengths : torch.Tensor
            [batch], relative; an informed network takes what lies past an
            utterance's end for masked. As it fills what is masked there too,
            an utterance's last frames depend a little on how much that is.
        lost : torch.Tensor, optional
            bool [batch, frames, bins], True where a bin is masked; or
            [batch, frames], for all bins of a frame that lost anything. Not
            used by a blind network; nothing is lost if not given.

        Returns
        -------
        torch.Tensor
            [batch, frames, bins].

        Raises
        ------
        UserError
            For a mask of another shape.
        """
        valid = self._valid_bins(x, lengths, lost) if self.informed else None
        frames, bins = x.shape[1:]
        step = 2 ** len(self.encoding)
        pads = (0, -bins % step, 0, -frames % step)
        y = F.pad(x, pads)[:, None]
        if valid is not None:
            seen = F.pad(valid, pads)[:, None]
        else:
            seen = None
        y = self._run(y, seen)[:, 0, :frames, :bins]
        if self.keep_observed:
            y = torch.where(valid > 0, x, y)
        return y

    def _run(self, x, valid):
        beside = []
        for block in self.encoding:
            beside.append((x, valid))
            x, valid = block(x, valid)
        for block in reversed(self.decoding):
            x, valid = _join((x, valid), beside.pop())
            x, valid = block(x, valid)
        return self.exit(x)

    def _valid_bins(self, x, lengths, lost):
        """What may be seen, [batch, frames, bins], 1 or 0."""
        ends = (lengths.to(x.device) * x.shape[1]).round()[:, None]
        inside = torch.arange(x.shape[1], device=x.device) < ends
        valid = inside[..., None].expand_as(x)
        if lost is not None:
            lost = lost > 0
            if lost.dim() == 2:
                lost = lost[..., None].expand(*lost.shape, x.shape[2])
            if lost.shape != x.shape:
                raise UserError(
                    f"mask: has the shape {tuple(lost.shape)}; expected "
                    f"{tuple(x.shape)}, segments, frames and channels"
                )
            valid = valid & ~lost
        return valid.to(x)


def _join(below, beside):
    """Double what comes from below and put it before the encoder's input."""
    return [
        None
        if one is None
        else torch.cat([F.interpolate(one, scale_factor=2.0), other], dim=1)
        for one, other in zip(below, beside)
    ]
