"""What a classifier says of utterances: intents, speakers."""

import functools

from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.errors import UserError


class ManifestLabels:
    """The labels that a training set has, read when they are first needed.

    Arguments
    ---------
    manifest : str or Path
        The training set's.
    column : str
        Which column is the label.
    separator : str, optional
        What stands between a label's slots, each of which has classes of its
        own (``activate|lights|kitchen``); a label is one class without it.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from speechbrain_ext.corpora.manifest import write_manifest
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a.wav").touch()
    >>> row = dict(duration=1, wav=folder / "a.wav", spk_id="s", wrd="Hi.")
    >>> intents = ["on|lamp", "off|lamp", "on|music"]
    >>> rows = [dict(row, ID=n, intent=i) for n, i in enumerate(intents)]
    >>> write_manifest(folder / "train.csv", rows)
    >>> labels = ManifestLabels(folder / "train.csv", "intent", "|")
    >>> labels.sizes, labels.encode("on|lamp"), labels.decode([0, 1])
    ([2, 2], [1, 0], 'off|music')
    """

    def __init__(self, manifest, column, separator=None):
        self.manifest = manifest
        self.column = column
        self.separator = separator

    @functools.cached_property
    def slots(self):
        """list of list of str : Each slot's classes, sorted."""
        labels = {
            tuple(self._split(row.get(self.column) or ""))
            for row in read_manifest(self.manifest)
        }
        lengths = sorted({len(label) for label in labels})
        if len(lengths) > 1 or ("",) in labels:
            raise UserError(
                f"{self.manifest}: {self.column} is empty or has now "
                f"{lengths[0]}, now {lengths[-1]} slots; expected a label of "
                "the same slots in each line"
            )
        return [sorted(set(column)) for column in zip(*labels)]

    @property
    def sizes(self):
        """list of int : How many classes each slot has."""
        return [len(classes) for classes in self.slots]

    def _split(self, label):
        return label.split(self.separator) if self.separator else [label]

    def __call__(self, text):
        """Return the label, to count errors.

        Arguments
        ---------
        text : str
            A label.

        Returns
        -------
        str
        """
        return text

    def encode(self, label):
        """Look a label's classes up.

        Arguments
        ---------
        label : str
            Of an utterance.

        Returns
        -------
        list of int
            The index of each slot's class.

        Raises
        ------
        UserError
            For a class that the training set does not have.
        """
        parts = self._split(label)
        known = len(parts) == len(self.slots) and all(
            part in classes for part, classes in zip(parts, self.slots)
        )
        if not known:
            raise UserError(
                f"{self.column}: '{label}' is not in {self.manifest}; expected "
                "one of the training set's"
            )
        return [c.index(part) for part, c in zip(parts, self.slots)]

    def decode(self, indices):
        """Name a label.

        Arguments
        ---------
        indices : sequence of int
            The index of each slot's class.

        Returns
        -------
        str
        """
        names = [c[index] for c, index in zip(self.slots, indices)]
        return (self.separator or "").join(names)


def check_labels(labels, sizes, key="classes", exact=True):
    """Check, before a training starts, that a classifier fits its data.

    Arguments
    ---------
    labels : ManifestLabels
        What the data has.
    sizes : list of int or int
        How many classes the classifier has for each slot.
    key : str
        What the recipe calls them.
    exact : bool
        Whether it may not have more than the data, either.

    Raises
    ------
    UserError
        When it has fewer or, where that matters, more.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> labels = SimpleNamespace(sizes=[10], manifest="train.csv", column="c")
    >>> check_labels(labels, [9])
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: classes: [9], and train.csv has [10] ...
    """
    have = [sizes] if isinstance(sizes, int) else list(sizes)
    wanted = labels.sizes
    enough = len(have) == len(wanted) and all(
        one >= other for one, other in zip(have, wanted)
    )
    if not enough or (exact and have != wanted):
        raise UserError(
            f"{key}: {have}, and {labels.manifest} has {wanted} of column "
            f"{labels.column}; expected {'' if exact else 'at least '}as many"
        )
