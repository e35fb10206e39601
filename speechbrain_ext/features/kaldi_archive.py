"""Features as Kaldi archives, for a recogniser that Kaldi trains (paper 1)."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from speechbrain_ext.errors import UserError, optional_package
from speechbrain_ext.files import atomic_write


def import_kaldiio():
    """Import kaldiio, which is optional.

    Returns
    -------
    module

    Raises
    ------
    UserError
        When it is not installed.

    Example
    -------
    >>> import_kaldiio().__name__
    'kaldiio'
    """
    with optional_package("what reads or writes Kaldi's archives", "kaldi"):
        import kaldiio
    return kaldiio


def kaldi_frames(feats, n_samples, window_length=400, hop_length=160):
    """Keep the frames that Kaldi has, of a spectrum with a frame at every hop.

    Kaldi's frames (``snip-edges``) lie inside of the signal: the first one's
    middle is half a window after its start, where ours is at the start. With
    the default sizes the nearest frames remain, a quarter of a hop away, and
    Kaldi's own alignments of the same audio fit.

    Arguments
    ---------
    feats : torch.Tensor
        [frames, channels]; a frame's middle is at its number times the hop.
    n_samples : int
        Of the signal.
    window_length, hop_length : int
        In samples.

    Returns
    -------
    torch.Tensor
        [frames of Kaldi, channels]; of
        :class:`~speechbrain_ext.features.log_magnitude.LogMagnitude`'s frames
        the first one goes, and two or three at the end.

    Example
    -------
    >>> kaldi_frames(torch.arange(101.0)[:, None], 16000)[[0, -1], 0]
    tensor([ 1., 98.])
    """
    n_frames = max(0, 1 + (n_samples - window_length) // hop_length)
    first = round(window_length / 2 / hop_length)
    return feats[first : first + n_frames]


def write_archive(path, utterances):
    """Write features as a Kaldi archive and its index: both or neither.

    Arguments
    ---------
    path : str or Path
        Where to write them: ``feats`` gives ``feats.ark`` and ``feats.scp``.
    utterances : iterable of tuple
        An ID, its speaker's ID and the features ([frames, channels]) of each;
        written as they come, so that one at a time is in memory.

    Returns
    -------
    ark, scp : Path
        The archive, and the index that names it by its absolute path, sorted
        as Kaldi wants it.

    Raises
    ------
    UserError
        When there are no utterances, an ID is empty, has a space in it, is
        there twice or does not begin with its speaker's (Kaldi sorts by both
        and wants one order), or features are empty, not finite, or not of one
        width; and when the files cannot be written. What was there stays.

    Example
    -------
    >>> import tempfile
    >>> stem = Path(tempfile.mkdtemp()) / "feats"
    >>> feats = torch.arange(6.0).reshape(2, 3)
    >>> ark, scp = write_archive(stem, [("011c02010", "011", feats)])
    >>> scp.read_text() == f"011c02010 {ark}:10\\n"
    True
    >>> read_archive(scp)["011c02010"]
    tensor([[0., 1., 2.],
            [3., 4., 5.]])
    """
    stem = Path(path).absolute()
    ark, scp = stem.with_name(f"{stem.name}.ark"), Path(f"{stem}.scp")
    if any(character.isspace() for character in str(ark)):
        raise UserError(
            f"{ark}: has a space in its path, where Kaldi's scripts split; "
            "expected one without"
        )
    with atomic_write(scp) as new_scp:
        with atomic_write(ark) as new_ark:
            places = _write_matrices(ark, new_ark, utterances)
            lines = sorted(
                f"{utterance} {ark}:{place}\n".encode()
                for utterance, place in places.items()
            )
            new_scp.write_bytes(b"".join(lines))
            # Between the two renamings there must be no index that points
            # into another archive.
            scp.unlink(missing_ok=True)
    return ark, scp


def _write_matrices(ark, new_ark, utterances):
    """Write the archive; return where each utterance's matrix begins."""
    kaldiio = import_kaldiio()
    places, width = {}, None
    with open(new_ark, "wb") as file:
        for utterance, speaker, feats in utterances:
            _check_id(ark, utterance, speaker, places)
            matrix = torch.as_tensor(feats).detach().float().cpu().numpy()
            if width is None:
                width = matrix.shape[-1]
            _check_matrix(ark, utterance, matrix, width)
            places[utterance] = file.tell() + len(f"{utterance} ".encode())
            kaldiio.save_ark(file, {utterance: matrix})
        file.flush()
        os.fsync(file.fileno())
    if not places:
        raise UserError(f"{ark}: no utterances to write")
    return places


def _check_id(ark, utterance, speaker, written):
    if not utterance or any(character.isspace() for character in utterance):
        raise UserError(
            f"{ark}: the ID {utterance!r}; expected one without spaces"
        )
    if utterance in written:
        raise UserError(f"{ark}: {utterance} comes twice; expected unique IDs")
    if not speaker or not utterance.startswith(speaker):
        raise UserError(
            f"{ark}: {utterance} is of the speaker {speaker!r}; expected IDs "
            "that begin with their speaker's"
        )


def _check_matrix(ark, utterance, matrix, width):
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.shape[1] != width:
        raise UserError(
            f"{ark}: {utterance} has features of the shape {matrix.shape}; "
            f"expected frames of {width} channels"
        )
    if not np.isfinite(matrix).all():
        raise UserError(f"{ark}: {utterance} has NaN or infinite features")


def read_archive(scp):
    """Open an archive by its index.

    Arguments
    ---------
    scp : str or Path
        As :func:`write_archive` or Kaldi writes it.

    Returns
    -------
    KaldiArchive
        From IDs to features, [frames, channels]; read when they are asked for.

    Raises
    ------
    UserError
        When it cannot be read.

    Example
    -------
    >>> read_archive("nowhere.scp")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.scp: not readable; ...
    """
    try:
        with open(scp, encoding="utf-8") as file:
            places = dict(line.strip().split(maxsplit=1) for line in file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{scp}: not readable; expected an index of a Kaldi archive, an ID "
            "and a place in each line"
        ) from error
    return KaldiArchive(scp, places)


class KaldiArchive(Mapping):
    """Features by utterance, read from the archive when they are asked for.

    Arguments
    ---------
    scp : str or Path
        The index, for messages.
    places : dict
        From IDs to ``ARCHIVE:OFFSET``.

    Example
    -------
    >>> list(KaldiArchive("feats.scp", {"a": "feats.ark:2"}))
    ['a']
    """

    def __init__(self, scp, places):
        self.scp = scp
        self.places = places

    def __getitem__(self, utterance):
        """Read an utterance's features.

        Arguments
        ---------
        utterance : str
            Its ID.

        Returns
        -------
        torch.Tensor
            [frames, channels].
        """
        place = self.places[utterance]
        # Kaldi's indices may hold shell commands, which would be run.
        if "|" in place:
            raise UserError(
                f"{self.scp}: {utterance}: a command; expected ARCHIVE:OFFSET"
            )
        kaldiio = import_kaldiio()
        try:
            return torch.from_numpy(np.array(kaldiio.load_mat(place)))
        except Exception as error:
            raise UserError(
                f"{self.scp}: {utterance}: nothing to read at {place}"
            ) from error

    def __iter__(self):
        return iter(self.places)

    def __len__(self):
        return len(self.places)
