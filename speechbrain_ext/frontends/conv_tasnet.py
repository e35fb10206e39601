"""Conv-TasNet (Luo & Mesgarani, 2019) that hears one speaker in noise."""

import torch
from speechbrain.lobes.models.conv_tasnet import EPS, Decoder, Encoder, MaskNet
from speechbrain.nnet.CNN import Conv1d
from torch import nn
from torch.nn import functional as F

from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import mask_padding


class ConvTasNetEnhancer(nn.Module):
    """A mask on a learnt basis, from noisy to enhanced waveforms (eq. 4).

    SpeechBrain's encoder, mask network and decoder, for one source, with the
    paper's sizes as defaults (section 5.1.1; the letters are Luo and
    Mesgarani's). Its modules and weights are theirs; its forward pass is not,
    because theirs lets an utterance depend on its batch: here the global layer
    normalisation is over the utterance's own frames, and its convolutions see
    zeros past either end, not a reflection of what the batch has there. So an
    utterance of any length comes back alike from any batch.

    Arguments
    ---------
    N : int
        Filters of the encoder.
    L : int
        Their length in samples; the hop is half of it.
    B : int
        Channels of the bottleneck.
    H : int
        Channels of the convolutional blocks.
    P : int
        Kernel size of the blocks, odd.
    X : int
        Blocks in each repeat; the last one's dilation is ``2 ** (X - 1)``.
    R : int
        Repeats.

    Raises
    ------
    UserError
        When a size is none that the network can have.

    Example
    -------
    >>> enhancer = ConvTasNetEnhancer(N=8, L=32, B=4, H=8, X=2, R=1)
    >>> wavs = torch.randn(2, 1001)
    >>> enhancer(wavs, torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1001])
    """

    #: The brain and the interfaces ask.
    takes_waveforms = True

    def __init__(self, N=4096, L=320, B=256, H=512, P=3, X=8, R=4):
        super().__init__()
        _check_sizes(N=N, L=L, B=B, H=H, P=P, X=X, R=R)
        self.window, self.hop = L, L // 2
        self.encoder = Encoder(L, N)
        # It would reflect the batch's ends; what is padded here are zeros.
        self.encoder.conv1d_U.padding = "valid"
        self.mask_net = MaskNet(N, B, H, P, X, R, C=1)
        self.decoder = Decoder(L, N)
        for module in self.mask_net.modules():
            if isinstance(module, Conv1d):
                # Zeros, not a reflection, which short utterances are too short
                # for; and channels before time, which is faster.
                module.padding_mode = "constant"
                module.skip_transpose = True

    def forward(self, wavs, lengths, lost=None):
        """Enhance a batch.

        Arguments
        ---------
        wavs : torch.Tensor
            [batch, time], 16 kHz.
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            Not used.

        Returns
        -------
        torch.Tensor
            [batch, time], zero past each utterance's end.
        """
        wavs = mask_padding(wavs, lengths)
        samples = wavs.shape[1]
        before = self.window - self.hop
        frames = self._frames(samples)
        # Every sample is under as many windows as any other.
        padded = F.pad(wavs, (before, frames * self.hop - samples))
        mixture = self.encoder(padded)
        ends = self._frames((lengths * samples).round().long()).tolist()
        mask = self._mask(mixture, None if min(ends) == frames else ends)
        estimate = self.decoder(mixture, mask[:, :, None])[..., 0]
        estimate = estimate[:, before : before + samples]
        return mask_padding(estimate, lengths).to(wavs.dtype)

    def _frames(self, samples):
        """Windows that reach into so many samples."""
        return -(-samples // self.hop) + 1

    def _mask(self, mixture, ends):
        """The mask network: [batch, frames, N], before each utterance's end."""
        net, norm = self.mask_net, self.mask_net.layer_norm
        x = F.layer_norm(
            mixture,
            mixture.shape[2:],
            norm.gamma.flatten(),
            norm.beta.flatten(),
            EPS,
        )
        x = _zero_past(net.bottleneck_conv1x1(x.transpose(1, 2)), ends)
        for block in net.temporal_conv_net.values():
            x = x + _run_block(block, x, ends)
        return F.relu(net.mask_conv1x1(x)).transpose(1, 2)


def _check_sizes(**sizes):
    for name, size in sizes.items():
        least = 2 if name == "L" else 1
        odd = name != "P" or size % 2
        if not (isinstance(size, int) and size >= least and odd):
            raise UserError(
                f"{name}: is {size}; expected a whole number of {least} or "
                f"more{', odd' if name == 'P' else ''}"
            )
    # SpeechBrain tries its blocks on 256 frames, which they must not reflect.
    reach = sizes["P"] // 2 * 2 ** (sizes["X"] - 1)
    if reach >= 256:
        raise UserError(
            f"X: is {sizes['X']}; expected fewer blocks, as the last one's "
            f"kernel reaches {reach} frames to either side, and 255 can be had"
        )


def _run_block(block, x, ends):
    """What SpeechBrain's TemporalBlock adds to its input, [batch, B, frames].

    The input is zero past each utterance's end, and so is the output: neither
    the convolutions of one frame nor the PReLUs have a bias.
    """
    widen, activation, norm, separable = block.layers.values()
    x = _global_norm(norm, _prelu(activation, widen(x)), ends)
    depthwise, activation, norm, narrow = separable.values()
    return narrow(_global_norm(norm, _prelu(activation, depthwise(x)), ends))


def _prelu(activation, x):
    if x.device.type != "cpu":
        return activation(x)
    # The same, without a backward pass that takes a third of a step's time.
    return torch.lerp(F.relu(x), x, activation.weight.to(x.dtype))


def _global_norm(norm, x, ends):
    """Normalise over all channels and the utterance's own frames."""
    scale, shift = norm.gamma.flatten(), norm.beta.flatten()
    if ends is None:
        return F.group_norm(x, 1, scale, shift, EPS)
    # One by one: a mean over masked frames takes several passes over all.
    rows = (
        F.group_norm(row[None, :, :end], 1, scale, shift, EPS)[0]
        for row, end in zip(x, ends)
    )
    return torch.stack(
        [F.pad(row, (0, x.shape[2] - row.shape[1])) for row in rows]
    )


def _zero_past(x, ends):
    if ends is None:
        return x
    places = torch.arange(x.shape[2], device=x.device)
    inside = places < torch.tensor(ends, device=x.device)[:, None]
    return x * inside[:, None]
