"""What systems recognised, kept so that a stopped evaluation can go on."""

import contextlib
import json
import os
from pathlib import Path

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import describe


class Transcripts:
    """Texts of finished conditions, in a file of JSON lines.

    A line is ``{"key", "system", "corruption", "level", "seed", "texts"}``; the
    key stands for everything that decides the texts, and the rest is for people.
    The level is None where each utterance has its own.

    Arguments
    ---------
    path : str or Path
        The file; it need not exist. A last line that a killed run left
        unfinished is passed over.

    Raises
    ------
    UserError
        When the file cannot be read or written: better said before the first
        text than after it.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "transcripts.jsonl"
    >>> Transcripts(file).add("key", {"a": "hello"}, system="bare")
    >>> Transcripts(file).get("key")
    {'a': 'hello'}
    """

    def __init__(self, path):
        self.path = Path(path)
        self._texts = {}
        self._whole_lines = True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "a+", encoding="utf-8") as file:
                file.seek(0)
                content = file.read()
        except UnicodeDecodeError:
            raise UserError(
                f"{path}: not a text file; expected JSON lines"
            ) from None
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read and written: {describe(error)}"
            ) from error
        self._whole_lines = content.endswith("\n") or not content
        for line in content.split("\n"):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                condition = json.loads(line)
                self._texts[condition["key"]] = condition["texts"]

    def get(self, key):
        """Look up a condition.

        Arguments
        ---------
        key : str
            The condition's.

        Returns
        -------
        dict or None
            Text by utterance id; None where the condition is not finished.
        """
        return self._texts.get(key)

    def add(self, key, texts, **description):
        """Keep a finished condition.

        Arguments
        ---------
        key : str
            The condition's.
        texts : dict
            Text by utterance id.
        **description : dict
            What else the line shall say.

        Raises
        ------
        UserError
            When the file cannot be written.
        """
        line = json.dumps({"key": key, **description, "texts": texts}) + "\n"
        if not self._whole_lines:
            line = "\n" + line
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                # Were this to fail half-way, so would the next line's start.
                self._whole_lines = False
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written: {describe(error)}"
            ) from error
        self._whole_lines = True
        self._texts[key] = texts
