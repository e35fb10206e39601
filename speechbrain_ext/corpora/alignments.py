"""Frame-wise targets from Kaldi: what ``ali-to-pdf`` writes as text."""

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import describe


def read_alignments(path, n_targets=1999):
    """Read which senone each frame of each utterance belongs to.

    Kaldi writes such a file with ``ali-to-pdf final.mdl "ark:gunzip -c
    ali.*.gz|" ark,t:alignments.txt``: a line for each utterance, its ID and a
    number for each frame. All of it is checked; only the places of the lines
    stay in memory. A compressed file (``.gz``), in which nobody can jump, stays
    there as it is, two bytes a frame.

    Arguments
    ---------
    path : str or Path
        The file.
    n_targets : int
        How many classes there are; the paper has 1999 senones.

    Returns
    -------
    Alignments
        From IDs to targets.

    Raises
    ------
    UserError
        When the file cannot be read or is empty; and, with the line's number,
        for a line without targets, a target that is not a number from 0 to
        ``n_targets`` - 1, or an ID that was there before.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "alignments.txt"
    >>> _ = file.write_text("011c02010 3 3 5\\n")
    >>> read_alignments(file)["011c02010"]
    tensor([3, 3, 5])
    """
    return Alignments(path, n_targets)


class Alignments(Mapping):
    """Targets by utterance, read from the file when they are asked for.

    Made by :func:`read_alignments`. It can be sent to worker processes.

    Arguments
    ---------
    path : str or Path
        See :func:`read_alignments`, which also says what is refused.
    n_targets : int
        How many classes there are.
    name_of : callable, optional
        From an utterance's ID to the one that the file has for it, where the
        alignment is that of another recording; for :meth:`require` and
        :meth:`targets`.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "alignments.txt"
    >>> _ = file.write_text("a 3 3 5\\nb 1\\n")
    >>> alignments = Alignments(file)
    >>> list(alignments), len(alignments)
    (['a', 'b'], 2)
    >>> alignments.targets("a", 6)
    tensor([3, 3, 3, 5, 5, 5])
    """

    def __init__(self, path, n_targets=1999, name_of=str):
        self.path = Path(path)
        self.n_targets = n_targets
        self.name_of = name_of
        self._compressed = self.path.suffix == ".gz"
        self._entries = {}
        try:
            self._index()
        except (OSError, EOFError) as error:
            reason = describe(error) if isinstance(error, OSError) else error
            raise UserError(
                f"{self.path}: not readable ({reason}); expected the text "
                "that Kaldi's ali-to-pdf writes"
            ) from error
        if not self._entries:
            raise UserError(
                f"{self.path}: no utterances; expected one a line: its ID and "
                "a target for each frame"
            )

    def _index(self):
        """Check every line, and keep its place or, compressed, its targets."""
        place = 0
        with (gzip.open if self._compressed else open)(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    utterance, targets = self._parse(
                        line, f"{self.path}: line {number}"
                    )
                    if utterance in self._entries:
                        raise UserError(
                            f"{self.path}: line {number}: {utterance} is there "
                            "twice; expected one line an utterance"
                        )
                    self._entries[utterance] = (
                        targets if self._compressed else place
                    )
                place += len(line)

    def _parse(self, line, where):
        try:
            utterance, *words = line.decode("utf-8").split()
            targets = np.array(words, dtype=np.int64)
        except (ValueError, OverflowError) as error:
            raise UserError(
                f"{where}: not an ID and whole numbers; expected the text that "
                "Kaldi's ali-to-pdf writes"
            ) from error
        if not len(targets):
            raise UserError(f"{where}: {utterance} has no targets")
        wrong = targets[(targets < 0) | (targets >= self.n_targets)]
        if len(wrong):
            raise UserError(
                f"{where}: {utterance} has the target {wrong[0]}; expected 0 "
                f"to {self.n_targets - 1}"
            )
        smallest = np.min_scalar_type(self.n_targets)
        return utterance, targets.astype(smallest)

    def __getitem__(self, utterance):
        """Look up an utterance's targets.

        Arguments
        ---------
        utterance : str
            Its ID.

        Returns
        -------
        torch.Tensor
            [frames], long.
        """
        targets = self._entries[utterance]
        if not self._compressed:
            with open(self.path, "rb") as file:
                file.seek(targets)
                found, targets = self._parse(file.readline(), self.path)
            if found != utterance:
                raise UserError(
                    f"{self.path}: changed since it was read; {utterance} is "
                    "no longer at its place"
                )
        return torch.from_numpy(targets.astype(np.int64))

    def __iter__(self):
        return iter(self._entries)

    def __len__(self):
        return len(self._entries)

    def require(self, utterances):
        """Check, before a training starts, that all utterances are there.

        Arguments
        ---------
        utterances : iterable of str
            Their IDs.

        Raises
        ------
        UserError
            When one is missing.
        """
        names = map(self.name_of, utterances)
        missing = [name for name in names if name not in self._entries]
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise UserError(
                f"{self.path}: no alignment of {missing[0]}{more}; expected "
                f"one for each utterance (it has, for example, "
                f"{next(iter(self))})"
            )

    def targets(self, utterance, n_frames, first=1, tolerance=5):
        """Look up an utterance's targets, one for each of the features' frames.

        Kaldi has no frames whose window reaches past an end of the signal.
        Spectra whose frames reach past both ends have three or four more, for
        which the first and the last target are repeated.

        Arguments
        ---------
        utterance : str
            Its ID.
        n_frames : int
            Frames of the features.
        first : int
            Frame of the features that the first target belongs to. Kaldi's
            first window has its middle 12.5 ms after the start, and a
            spectrum's frame 1, every 10 ms, is the nearest.
        tolerance : int
            How many frames more or fewer the alignment may have.

        Returns
        -------
        torch.Tensor
            [n_frames], long.

        Raises
        ------
        UserError
            When the utterance is missing, or the numbers of frames differ by
            more than ``tolerance``.
        """
        self.require([utterance])
        targets = self[self.name_of(utterance)]
        if abs(n_frames - len(targets)) > tolerance:
            raise UserError(
                f"{self.path}: {utterance} has {len(targets)} targets for "
                f"{n_frames} frames; expected at most {tolerance} more or "
                "fewer (was it made of the same audio, every 10 ms?)"
            )
        source = torch.arange(n_frames) - first
        return targets[source.clamp(0, len(targets) - 1)]
