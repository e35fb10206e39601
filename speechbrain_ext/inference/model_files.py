"""Finding the files of a model in a folder or on the hub, and none beside it."""

import os
import re
import shutil
from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write, describe

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class ModelFiles:
    """The files of one model, all of one revision.

    A file is one that stands in the folder itself: no path leads to others,
    and no symbolic link out of it, but for those of the hub's cache into that
    model's own blobs.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id.
    savedir : str or Path, optional
        Where copies of the files go that are used.

    Example
    -------
    >>> ModelFiles("pretrained").find("../README.md")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: pretrained: ../README.md: expected the \
name of a file in the model's folder
    """

    def __init__(self, source, savedir=None):
        self.source = str(source)
        self.savedir = savedir
        self._revision = None

    def find(self, name):
        """Find a file, and fetch it if it is the hub's.

        Arguments
        ---------
        name : str
            Of the file.

        Returns
        -------
        Path

        Raises
        ------
        UserError
            When the name is a path, there is no such file, or it leads out of
            the model's folder.
        """
        if not _NAME.fullmatch(name):
            raise UserError(
                f"{self.source}: {name}: expected the name of a file in the "
                "model's folder"
            )
        folder = Path(self.source)
        path = folder / name if folder.is_dir() else self._fetch(name)
        _check_inside(path)
        if self.savedir is None:
            return path
        kept = Path(self.savedir) / name
        if kept.resolve() != path.resolve():
            with atomic_write(kept) as temporary:
                shutil.copyfile(path, temporary)
        return kept

    def read_text(self, name, most):
        """Read a small file.

        Arguments
        ---------
        name : str
            Of the file.
        most : int
            Bytes that it may have.

        Returns
        -------
        str

        Raises
        ------
        UserError
            As :meth:`find` does, and where the file is too large or no text.
        """
        path = self.find(name)
        size = path.stat().st_size
        if size > most:
            raise UserError(
                f"{path}: has {size} bytes; expected {most} at most"
            )
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not text in UTF-8 ({error})") from error
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read: {describe(error)}"
            ) from error

    def _fetch(self, name):
        try:
            path = hf_hub_download(self.source, name, revision=self._revision)
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError as error:
            raise UserError(
                f"{self.source}: no {name} there; expected a model that was "
                "published"
            ) from error
        path = Path(path)
        # The files after it are of the same commit, whatever is pushed.
        self._revision = path.parent.name
        return path


def _check_inside(path):
    if not os.path.lexists(path):
        raise UserError(
            f"{path.parent}: no {path.name} there; expected a model's folder"
        )
    folder, real = path.parent.resolve(), path.resolve()
    inside = real.parent == folder
    if folder.parent.name == "snapshots":
        inside = inside or real.parent == folder.parents[1] / "blobs"
    if not inside:
        raise UserError(
            f"{path}: a symbolic link out of the model's folder; expected a "
            "file"
        )
    if not real.is_file():
        raise UserError(f"{path}: no regular file")
