"""Distances in what a network makes of clean and of repaired features."""

import torch

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
    kept = vars(restoration).setdefault("represented", {})
    missing = [name for name in names if (id(model), name) not in kept]
    if missing:
        found = model.representations(
            restoration.repaired, restoration.frame_lengths, missing
        )
        kept.update(((id(model), name), x) for name, x in zip(missing, found))
    return [kept[id(model), name] for name in names]


class RepresentationDistance(torch.nn.Module):
    """How far apart a network finds clean and repaired speech.

    Perceptual (mimic) loss (paper 1, Fig. 1) and the distance of a recogniser's
    encoder outputs are settings of it. The clean side has no graph. Positions
    past an utterance's end do not count.

    Arguments
    ---------
    model : torch.nn.Module
        What has ``layers`` and ``representations``.
    layers : list of str, or str
        Whose outputs are compared; their distances are summed.
    layer_weights : list of float, optional
        A weight a layer; 1 where none are given.
    power : int
        1 for absolute, 2 for squared differences (L1, L2).
    weigh_first : bool
        Compare the weighted sum of the layers' outputs, which have one shape,
        instead.

    Raises
    ------
    UserError
        For a layer that the model does not have.

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
        self, model, layers, layer_weights=None, power=1, weigh_first=False
    ):
        super().__init__()
        # On a command line --perceptual_layers block2 is easily written.
        layers = [layers] if isinstance(layers, str) else list(layers)
        unknown = [name for name in layers if name not in model.layers]
        if unknown:
            raise UserError(
                f"layers: no {unknown[0]!r} in a {type(model).__name__}; "
                f"expected some of {', '.join(model.layers)}"
            )
        self.model = model
        self.layers = layers
        self.layer_weights = layer_weights or [1.0] * len(layers)
        self.power = power
        self.weigh_first = weigh_first

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
        lengths = restoration.frame_lengths
        with torch.no_grad():
            clean = self.model.representations(
                restoration.clean, lengths, self.layers
            )
        repaired = represent_repaired(restoration, self.model, self.layers)
        weights = self.layer_weights
        if self.weigh_first:
            clean, repaired = (
                [sum(w * x for w, x in zip(weights, outputs))]
                for outputs in (clean, repaired)
            )
            weights = [1.0]
        return sum(
            weight * self._distance(one, other, lengths)
            for weight, one, other in zip(weights, clean, repaired)
        )

    def _distance(self, clean, repaired, lengths):
        difference = (clean.float() - repaired.float()).abs() ** self.power
        return mean_until_end(difference.flatten(2).mean(dim=2), lengths)
