"""Which bins a blind inpainter took for damaged (past paper 2)."""

from torch.nn import functional as F

#: Natural log-magnitude, 8.7 dB: by how much a bin is changed on average, with
#: its eight neighbours, where it was damaged.
THRESHOLD = 1.0
#: A frame with more of its bins damaged than this was damaged whole.
_WHOLE_FRAME = 0.8


def detect_damage(feats, repaired, deviation, threshold=THRESHOLD):
    """Say where a blind network found damage: where it changed what it heard.

    A network that was trained to return what is intact as it is changes it a
    little nevertheless; what was damaged it changes by more, and blocks have
    three bins or more to a side.

    Arguments
    ---------
    feats : torch.Tensor
        [batch, frames, bins], damaged and normalised.
    repaired : torch.Tensor
        The same shape: the network's answer.
    deviation : torch.Tensor
        [bins]: what the features were divided by, in natural log-magnitude.
    threshold : float
        In natural log-magnitude.

    Returns
    -------
    torch.Tensor
        bool [batch, frames, bins], True where a bin is taken for damaged.

    Example
    -------
    >>> import torch
    >>> feats = torch.zeros(1, 9, 9)
    >>> repaired = feats.clone()
    >>> repaired[:, 2:5, 2:5] = -2.0
    >>> detect_damage(feats, repaired, torch.ones(9))[0].int().sum(dim=1)
    tensor([0, 0, 1, 3, 1, 0, 0, 0, 0])
    """
    change = ((repaired - feats).abs() * deviation)[:, None]
    change = F.avg_pool2d(change, 3, 1, 1, count_include_pad=False)
    damaged = change[:, 0] > threshold
    whole = damaged.float().mean(dim=2, keepdim=True) > _WHOLE_FRAME
    return damaged | whole
