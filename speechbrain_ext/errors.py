"""The one line that a person sees when they gave the program something wrong."""

import errno
import logging
import os
import sys
from contextlib import contextmanager

#: Exit status of every command for an error that its user can mend.
USER_ERROR_STATUS = 2

# What is in the way of writing a file: full disks, permissions, a file where a
# folder should be.
_MACHINES_ERRORS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


class UserError(Exception):
    """An error that a person caused and can mend.

    The message is one line that names the file or the key and says what was
    expected. Anything else that is raised is a bug and keeps its traceback.

    Example
    -------
    >>> raise UserError("speech.wav: no such file")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: speech.wav: no such file
    """


def brief(said, most=400):
    """Put what another library said on one line, for a message of ours.

    Arguments
    ---------
    said : object
        An exception, or a text.
    most : int
        How many characters are kept; the middle is left out, for a path or a
        name may stand at either end.

    Returns
    -------
    str

    Example
    -------
    >>> brief(ValueError("no such\\n  layer"))
    'no such layer'
    >>> brief("0123456789", most=6)
    '012 ... 789'
    """
    line = " ".join(str(said).split())
    if len(line) <= most:
        return line
    return f"{line[: most // 2]} ... {line[-(most // 2) :]}"


@contextmanager
def optional_package(needed_for, extra, key=None):
    """Say in one line that a package, which is optional, is not installed.

    Arguments
    ---------
    needed_for : str
        What needs it.
    extra : str
        The extras that bring it, as ``pip`` takes them.
    key : str, optional
        What the line begins with; the package's name if not given.

    Raises
    ------
    UserError
        In place of an ``ImportError``.

    Example
    -------
    >>> with optional_package("this example", "examples"):
    ...     import no_such_package
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no_such_package: not installed (No module \
named 'no_such_package'), and this example needs it; run: pip install \
'speechbrain-ext[examples]'
    """
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"{key or error.name}: not installed ({error}), and {needed_for} "
            f"needs it; run: pip install 'speechbrain-ext[{extra}]'"
        ) from error


@contextmanager
def exit_on_user_error():
    """Turn a :class:`UserError` into one line on standard error and exit status 2.

    A full disk, a folder that cannot be written and a closed pipe are the
    machine's, not a bug of ours: they get their one line as well.

    Raises
    ------
    SystemExit
        With status 2, in place of a ``UserError``.

    Example
    -------
    >>> try:
    ...     with exit_on_user_error():
    ...         raise UserError("speech.wav: no such file")
    ... except SystemExit as stop:
    ...     stop.code
    2
    """
    try:
        yield
    except UserError as error:
        message = " ".join(str(error).split())
        print(f"error: {message}", file=sys.stderr)
        # SpeechBrain's log files want to know as well; its console handler
        # must not repeat the line.
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                record = logging.LogRecord(
                    __name__, logging.ERROR, __file__, 0, message, None, None
                )
                handler.handle(record)
        raise SystemExit(USER_ERROR_STATUS) from None
    except BrokenPipeError:
        # The reader (head, less) went away; Python would complain again when
        # it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in _MACHINES_ERRORS:
            raise
        name = error.filename or "output"
        print(f"error: {name}: {error.strerror}", file=sys.stderr)
        raise SystemExit(USER_ERROR_STATUS) from None
