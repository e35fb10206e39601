"""How many utterances are classified right."""

from speechbrain_ext.errors import UserError


class Accuracy:
    """Collects what was said of utterances, right (1) or wrong (0).

    Its interval is :mod:`speechbrain_ext.metrics.bootstrap`'s, of ``values``.

    Arguments
    ---------
    name : str
        What it is called.

    Attributes
    ----------
    ids : list of str
        The utterances.
    values : list of float
        1.0 or 0.0 for each.

    Example
    -------
    >>> accuracy = Accuracy()
    >>> accuracy.append(["a", "b"], ["call", "weather"], ["call", "call"])
    >>> accuracy.values, accuracy.summarize()
    ([1.0, 0.0], 0.5)
    """

    #: As :class:`speechbrain_ext.metrics.wer.WordErrorRate` has them.
    of_waveforms = False
    higher_is_better = True
    scale = 100

    def __init__(self, name="accuracy"):
        self.name = name
        self.ids = []
        self.values = []

    def append(self, ids, found, wanted):
        """Compare a batch's labels.

        Arguments
        ---------
        ids : sequence of str
            The utterances' ids, [batch].
        found, wanted : sequence of str
            What was said of each and what is right, [batch].
        """
        for name, one, other in zip(ids, found, wanted, strict=True):
            self.ids.append(name)
            self.values.append(float(one == other))

    def summarize(self):
        """Average.

        Returns
        -------
        float
            A fraction.

        Raises
        ------
        UserError
            When there are no utterances.
        """
        if not self.values:
            raise UserError(
                "accuracy: no utterances; expected some to classify"
            )
        return sum(self.values) / len(self.values)
