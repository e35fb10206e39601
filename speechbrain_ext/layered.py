"""Networks whose inner outputs have names."""

from torch import nn


def named_outputs(layers, outputs, names):
    """Compute named outputs of a network, and no later part of it.

    Arguments
    ---------
    layers : sequence of str
        The names of all outputs, in the order in which they are computed.
    outputs : iterable
        Gives one output after the other, computing it when it is asked for.
    names : list of str
        Those of ``layers`` that are wanted.

    Returns
    -------
    list
        The outputs, in the order of ``names``.

    Example
    -------
    >>> squares = (number**2 for number in (1, 2, 3))
    >>> named_outputs(["one", "two", "three"], squares, ["two", "one"])
    [4, 1]
    >>> next(squares)
    9
    """
    last = max(layers.index(name) for name in names)
    wanted = {}
    for name, output in zip(layers[: last + 1], outputs):
        if name in names:
            wanted[name] = output
    return [wanted[name] for name in names]


class Layered(nn.Module):
    """A network that computes no more than the outputs that are wanted.

    A child sets ``layers``, the outputs' names in the order in which they are
    computed, and has a generator ``_outputs(feats, lengths)`` that gives one
    after the other, [batch, frames, ...].

    Example
    -------
    >>> class Powers(Layered):
    ...     layers = ("square", "cube")
    ...
    ...     def _outputs(self, feats, lengths):
    ...         yield feats**2
    ...         yield feats**3
    >>> powers = Powers()
    >>> powers(2, None), powers.representations(3, None, ["square"])
    (8, [9])
    """

    def forward(self, feats, lengths, lost=None):
        """Compute the last output.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, channels].
        lengths : torch.Tensor
            [batch], relative.
        lost : torch.Tensor, optional
            Ignored; front-ends are told what was lost.

        Returns
        -------
        torch.Tensor
            [batch, frames, outputs].
        """
        return self.representations(feats, lengths, self.layers[-1:])[0]

    def representations(self, feats, lengths, names):
        """Compute named outputs; no later part is run.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, channels].
        lengths : torch.Tensor
            [batch], relative.
        names : list of str
            Of ``layers``.

        Returns
        -------
        list of torch.Tensor
            [batch, frames, ...], in the order of ``names``.
        """
        return named_outputs(self.layers, self._outputs(feats, lengths), names)
