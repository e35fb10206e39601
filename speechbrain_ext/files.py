"""Files that are either complete or absent."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from speechbrain_ext.errors import UserError


def describe(error):
    """Say an ``OSError`` in the words of the operating system.

    Arguments
    ---------
    error : OSError
        What an operation on a file raised.

    Returns
    -------
    str
        For example ``"No space left on device"``.

    Example
    -------
    >>> import errno, os
    >>> describe(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    'No space left on device'
    """
    return error.strerror or str(error) or type(error).__name__


def cache_folder():
    """Return the folder for converted weights and generated corpora.

    Returns
    -------
    Path
        ``$SPEECHBRAIN_EXT_CACHE``, or ``speechbrain-ext`` in the user's cache
        folder (``$XDG_CACHE_HOME``, else ``~/.cache``).

    Example
    -------
    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get("SPEECHBRAIN_EXT_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "speechbrain-ext"


@contextlib.contextmanager
def atomic_write(path):
    """Give a temporary path beside ``path`` and rename it there on success.

    A reader sees the old file or the whole new one, never half of it; when the
    body fails, the old file stays as it was and the temporary one is removed.

    Arguments
    ---------
    path : str or Path
        Where the file shall be. Its folder is made if it is missing.

    Yields
    ------
    Path
        The temporary file, existing and empty, with the same suffix.

    Raises
    ------
    UserError
        When the folder or the file cannot be written (permissions, full disk),
        or the path is no regular file.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "note.txt") as temporary:
    ...     _ = temporary.write_text("whole")
    >>> (folder / "note.txt").read_text()
    'whole'
    >>> [file.name for file in folder.iterdir()]
    ['note.txt']
    """
    path = Path(path)
    temporary = None
    try:
        if path.exists() and not path.is_file():
            # Renaming would put a file in the place of /dev/null.
            raise UserError(f"{path}: not a regular file; cannot be written")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written: {describe(error)}"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write_text(path, text):
    """Write a text in UTF-8, whole or not at all.

    Arguments
    ---------
    path : str or Path
        Where the file shall be. Its folder is made if it is missing.
    text : str
        All of it.

    Raises
    ------
    UserError
        As :func:`atomic_write` does.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_text(file, "whole")
    >>> file.read_text()
    'whole'
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy_file(source, path):
    """Copy a file, whole or not at all.

    Arguments
    ---------
    source : str or Path
        What is copied.
    path : str or Path
        Where the copy shall be. Its folder is made if it is missing.

    Raises
    ------
    UserError
        As :func:`atomic_write` does.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_text(folder / "note.txt", "whole")
    >>> copy_file(folder / "note.txt", folder / "copies" / "note.txt")
    >>> (folder / "copies" / "note.txt").read_text()
    'whole'
    """
    with atomic_write(path) as temporary:
        shutil.copyfile(source, temporary)


def write_texts(folder, texts):
    """Write text files into a folder, each whole or not at all.

    Arguments
    ---------
    folder : str or Path
        Where they go.
    texts : dict
        Text by the file's name.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UserError
        When one cannot be written.

    Example
    -------
    >>> import tempfile
    >>> files = write_texts(tempfile.mkdtemp(), {"tables.md": "# Tables"})
    >>> [file.name for file in files]
    ['tables.md']
    """
    files = {Path(folder) / name: text for name, text in texts.items()}
    for file, text in files.items():
        write_text(file, text)
    return list(files)


def make_folder_once(folder, make):
    """Make a folder of the cache that is either complete or absent.

    Processes that want it at the same time wait for the one that makes it.

    Arguments
    ---------
    folder : str or Path
        Where it shall be; what is there already stays as it is.
    make : callable
        Called with an empty temporary folder, which it fills.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "model"
    >>> def make(temporary):
    ...     _ = (temporary / "weights.bin").write_text("whole")
    >>> [file.name for file in make_folder_once(folder, make).iterdir()]
    ['weights.bin']
    """
    folder = Path(folder)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not folder.is_dir():
                _make_and_rename(folder, make)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written: {describe(error)}; set "
            "SPEECHBRAIN_EXT_CACHE to a folder that can"
        ) from error
    return folder


def _make_and_rename(folder, make):
    temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        make(temporary)
        for path in (temporary, *temporary.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
