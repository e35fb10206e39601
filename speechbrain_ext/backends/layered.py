"""Networks whose inner outputs have names."""

from torch import nn


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

    def forward(self, feats, lengths):
        """Compute the last output.

        Arguments
        ---------
        feats : torch.Tensor
            [batch, frames, channels].
        lengths : torch.Tensor
            [batch], relative.

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
        last = max(self.layers.index(name) for name in names)
        outputs = {}
        for name, output in zip(
            self.layers[: last + 1], self._outputs(feats, lengths)
        ):
            if name in names:
                outputs[name] = output
        return [outputs[name] for name in names]
