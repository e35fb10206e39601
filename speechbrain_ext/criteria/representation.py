"""Distances in what a network makes of clean and of repaired features."""

import torch

from speechbrain_ext.criteria.clean_cache import CleanFeatureCache
from speechbrain_ext.criteria.features import mean_until_end
from speechbrain_ext.errors import UserError


def represent_repaired(restoration, model, names):
    """Run a model over the repaired features, once for all criteria that ask.

    Arguments
    ---------
    restoration : Restoration
        The batch; it keeps what was computed.
    model : torch.nn.Module
        What has ``representations``.
    names : list of str
        Of the model's ``layers``.

    Returns
    -------
    list of torch.Tensor
        What ``model.representations`` returns, with a graph.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(representations=lambda x, lengths, names: [-x])
    >>> batch = SimpleNamespace(repaired=torch.ones(1), frame_lengths=None)
    >>> represent_repaired(batch, model, ["all"])
    [tensor([-1.])]
    """
    represented = vars(restoration).setdefault("represented", {})
    # With the model itself: once it is gone another one may get its id.
    _, kept = represented.setdefault(id(model), (model, {}))
    missing = [name for name in names if name not in kept]
    if missing:
        found = model.representations(
            restoration.repaired, restoration.frame_lengths, missing
        )
        kept.update(zip(missing, found))
    return [kept[name] for name in names]


def upper_half(n_layers):
    """Weigh the upper half of a network's layers alike (paper 3, eq. 19, 20).

    The paper prints floor(2 / N) layers of weight 0, which is none of 12; by
    its text ("the latter half of the layers") they are floor(N / 2).

    Arguments
    ---------
    n_layers : int
        The equations' N.

    Returns
    -------
    list of float
        A weight a layer, from the lowest; their sum is 1.

    Example
    -------
    >>> upper_half(4)
    [0.0, 0.0, 0.5, 0.5]
    """
    lower = n_layers // 2
    upper = n_layers - lower
    return [0.0] * lower + [1 / upper] * upper


class RepresentationDistance(torch.nn.Module):
    """How far apart a network finds clean and repaired speech.

    Perceptual (mimic) loss (paper 1, Fig. 1), the distance of a recogniser's
    encoder outputs, and paper 3's SSL-MSE (eq. 14 to 20) and LMFB loss (eq. 10)
    are settings of it. The clean side has no graph. Positions past an
    utterance's end do not count.

    Arguments
    ---------
    model : torch.nn.Module
        What has ``layers`` and ``representations``; and ``relative_frames``, as
        features have it, where what it gives has another frame rate than what
        it takes.
    layers : list of str, or str, optional
        Whose outputs are compared; all where none are named.
    layer_weights : list of float, or str, optional
        A weight a layer; 1 where none are given; ``"upper_half"`` is
        :func:`upper_half`'s. A layer of weight 0 is not looked at.
    power : int
        1 for absolute, 2 for squared differences (L1, L2).
    weigh_first : bool
        Compare the weighted sum of the layers' outputs, which have one shape,
        instead of summing the layers' weighted distances.
    cache_folder : str or Path, optional
        Where to keep what the network says of clean speech, by utterance, from
        one epoch to the next: where an utterance's clean signal is the same in
        all. None keeps nothing.

    Raises
    ------
    UserError
        For a layer that the model does not have, or another number of weights
        than layers; when called, where the two sides differ in frames.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> model = torch.nn.Identity()
    >>> model.layers = ("double", "triple")
    >>> model.representations = lambda x, lengths, names: [2 * x, 3 * x]
    >>> batch = SimpleNamespace(
    ...     clean=torch.zeros(2, 4, 3),
    ...     repaired=torch.ones(2, 4, 3),
    ...     frame_lengths=torch.tensor([1.0, 0.5]),
    ... )
    >>> RepresentationDistance(model, ["double", "triple"])(batch)
    tensor([5., 5.])
    >>> RepresentationDistance(model, ["double", "triple"], power=2)(batch)
    tensor([13., 13.])
    """

    def __init__(
        self,
        model,
        layers=None,
        layer_weights=None,
        power=1,
        weigh_first=False,
        cache_folder=None,
    ):
        super().__init__()
        # On a command line --perceptual_layers block2 is easily written.
        layers = [layers] if isinstance(layers, str) else layers
        layers = list(layers or model.layers)
        unknown = [name for name in layers if name not in model.layers]
        if unknown:
            raise UserError(
                f"layers: no {unknown[0]!r} in a {type(model).__name__}; "
                f"expected some of {', '.join(model.layers)}"
            )
        weights = _check_weights(layer_weights, layers)
        self.model = model
        self.layers = [name for name, w in zip(layers, weights) if w]
        self.layer_weights = [w for w in weights if w]
        self.power = power
        self.weigh_first = weigh_first
        self.cache = None
        if cache_folder:
            setting = f"{self.layers} {self.layer_weights} {weigh_first}"
            self.cache = CleanFeatureCache(cache_folder, model, setting)

    def forward(self, restoration):
        """Compare what was repaired with what was clean.

        Arguments
        ---------
        restoration : Restoration
            The batch.

        Returns
        -------
        torch.Tensor
            [batch], one loss an utterance.
        """
        with torch.no_grad():
            clean = self._clean(restoration)
        repaired = self._weigh(
            represent_repaired(restoration, self.model, self.layers)
        )
        weights = [1.0] if self.weigh_first else self.layer_weights
        return sum(
            weight * self._distance(one, other, restoration)
            for weight, one, other in zip(weights, clean, repaired)
        )

    def _clean(self, restoration):
        def compute():
            """Represent the clean speech."""
            return self._weigh(
                self.model.representations(
                    restoration.clean, restoration.frame_lengths, self.layers
                )
            )

        if self.cache is None:
            return compute()
        return self.cache.fetch(restoration, compute, self._frame_lengths)

    def _weigh(self, outputs):
        """The layers' outputs, or their weighted sum alone."""
        outputs = [output.float() for output in outputs]
        if not self.weigh_first:
            return outputs
        return [sum(w * x for w, x in zip(self.layer_weights, outputs))]

    def _frame_lengths(self, restoration, frames):
        """Relative lengths [batch] in what the model gives."""
        lengths = restoration.frame_lengths
        relative = getattr(self.model, "relative_frames", None)
        if relative is None:
            return lengths
        return relative(lengths, restoration.clean.shape[1], frames)

    def _distance(self, clean, repaired, restoration):
        if clean.shape != repaired.shape:
            raise UserError(
                f"{type(self.model).__name__}: gives {list(clean.shape)} "
                f"[batch, frames, channels] of clean speech and "
                f"{list(repaired.shape)} of the repaired; expected one frame "
                "rate on both sides"
            )
        difference = (clean - repaired).abs() ** self.power
        lengths = self._frame_lengths(restoration, clean.shape[1])
        return mean_until_end(difference.flatten(2).mean(dim=2), lengths)


def _check_weights(layer_weights, layers):
    if layer_weights is None:
        return [1.0] * len(layers)
    if layer_weights == "upper_half":
        return upper_half(len(layers))
    if isinstance(layer_weights, str) or len(layer_weights) != len(layers):
        raise UserError(
            f"layer_weights: are {layer_weights}; expected upper_half or a "
            f"number for each of {len(layers)} layers"
        )
    if not any(layer_weights):
        raise UserError("layer_weights: all are 0; expected one that is not")
    return list(layer_weights)
