"""What keeps a frozen model frozen."""


class Frozen:
    """Mixin for a module that judges and never learns.

    It stays in evaluation mode when everything around it is put in training
    mode, its parameters ask for no gradients, and gradients still flow through
    it to its input. Name it before the module class, and call
    :meth:`freeze` when the module is complete.

    Example
    -------
    >>> import torch
    >>> class Judge(Frozen, torch.nn.Linear):
    ...     pass
    >>> judge = Judge(2, 1).freeze()
    >>> judge.train().training
    False
    >>> any(p.requires_grad for p in judge.parameters())
    False
    """

    def freeze(self):
        """Stop all learning.

        Returns
        -------
        torch.nn.Module
            The module itself.
        """
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode=True):
        """Stay in evaluation mode, whatever is asked.

        Arguments
        ---------
        mode : bool
            Ignored.

        Returns
        -------
        torch.nn.Module
            The module itself.
        """
        return super().train(False)
