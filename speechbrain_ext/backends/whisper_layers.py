"""Whisper's encoder, piece by piece and for any number of frames."""

import torch
from torch.nn import functional as F

from speechbrain_ext.features.whisper_log_mel import WINDOW_FRAMES


def embed_frames(encoder, feats):
    """Run what stands before an encoder's layers.

    The positions' embeddings are sinusoids, so the first ones serve a shorter
    context.

    Arguments
    ---------
    encoder : transformers' WhisperEncoder
        A Whisper's.
    feats : torch.Tensor
        [batch, frames, mels]; 3000 frames or fewer.

    Returns
    -------
    torch.Tensor
        [batch, frames / 2, channels].

    Example
    -------
    >>> from transformers import WhisperConfig
    >>> from transformers.models.whisper.modeling_whisper import WhisperEncoder
    >>> encoder = WhisperEncoder(WhisperConfig(d_model=12, encoder_layers=2))
    >>> embed_frames(encoder, torch.zeros(1, 100, 80)).shape
    torch.Size([1, 50, 12])
    """
    x = F.gelu(encoder.conv1(feats.transpose(1, 2)))
    x = F.gelu(encoder.conv2(x)).transpose(1, 2)
    return x + encoder.embed_positions.weight[: x.shape[1]]


def run_layers(encoder, x, inside=None):
    """Run an encoder's layers, one after the other.

    Arguments
    ---------
    encoder : transformers' WhisperEncoder
        A Whisper's.
    x : torch.Tensor
        [batch, positions, channels] from :func:`embed_frames`.
    inside : torch.Tensor, optional
        bool [batch, positions]: what may be attended to; all if not given.

    Yields
    ------
    torch.Tensor
        [batch, positions, channels], each layer's output; the last one
        normalised, as decoders read it.

    Example
    -------
    >>> from transformers import WhisperConfig
    >>> from transformers.models.whisper.modeling_whisper import WhisperEncoder
    >>> encoder = WhisperEncoder(WhisperConfig(d_model=12, encoder_layers=2))
    >>> len(list(run_layers(encoder, torch.zeros(1, 10, 12))))
    2
    """
    # On a CPU the fused attention is the slower one for short contexts.
    short = x.shape[1] < WINDOW_FRAMES // 2 and x.device.type == "cpu"
    encoder.config._attn_implementation = "eager" if short else "sdpa"
    mask = None
    if inside is not None:
        mask = inside[:, None, None]
        if short:
            # The plain attention adds it, the fused one reads it.
            mask = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
    for layer in encoder.layers:
        x = layer(x, mask)
        yield encoder.layer_norm(x) if layer is encoder.layers[-1] else x
