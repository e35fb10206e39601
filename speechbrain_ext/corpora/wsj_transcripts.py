"""What is said in the Wall Street Journal corpus, from its ``.dot`` files."""

import re
from pathlib import Path

from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.errors import UserError

#: Speaker, kind of session, and three characters that count.
_ID = r"\w{8}"


def read_wsj_transcripts(path):
    """Read the transcripts of all utterances below a folder.

    In ``.dot`` and ``.trn`` files a line is the text and ``(UTTERANCE)``; a
    line of Kaldi's ``text`` files, the ID and the text, is understood as well,
    with the digit that the CHiME-2 recipe puts behind the ID or without.

    Arguments
    ---------
    path : str or Path
        A folder, in which ``*.dot`` and ``*.trn`` files of all sessions are
        found (WSJ0's disks, LDC93S6A or LDC93S6B); or one file.

    Returns
    -------
    dict
        From utterance IDs, in lower case, to texts as they are there.

    Raises
    ------
    UserError
        When there are no such files, or a line is of another form.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "440c0200.dot").write_text("The rate is (440C020F)\\n")
    >>> read_wsj_transcripts(folder)
    {'440c020f': 'The rate is'}
    """
    path = Path(path)
    files = [path]
    if not path.is_file():
        pattern = "*.[dDtT][oOrR][tTnN]"
        files = sorted(
            file
            for file in path.rglob(pattern)
            if file.suffix.lower() in (".dot", ".trn")
        )
    if not files:
        raise UserError(
            f"{path}: no transcripts (*.dot); expected the folder of the WSJ0 "
            "corpus, which has them"
        )
    texts = {}
    for file in files:
        lines = read_text(file, "the WSJ0 corpus's transcripts").splitlines()
        for number, line in enumerate(lines, start=1):
            if line.strip():
                utterance, text = _read_line(line, f"{file}: line {number}")
                texts.setdefault(utterance, text)
    return texts


def _read_line(line, where):
    forms = (
        rf"(?P<text>.*)\((?P<id>{_ID})\)\s*",
        rf"(?P<id>{_ID})\d?\s+(?P<text>.*)",
    )
    for form in forms:
        found = re.fullmatch(form, line)
        if found:
            return found["id"].lower(), found["text"].strip()
    raise UserError(
        f"{where}: expected a text and (UTTERANCE), with eight characters"
    )


def spoken_words(text):
    """Keep the words of a ``.dot`` file's text, in lower case.

    Noises, pauses and marks of how something was said go; punctuation that
    was read aloud (``,COMMA``, ``"DOUBLE-QUOTE``) becomes the words that it was
    read as. The rules are those of the corpus's ``dot_spec.doc``.

    Arguments
    ---------
    text : str
        As the corpus has it.

    Returns
    -------
    str
        Words with spaces between them.

    Example
    -------
    >>> spoken_words(
    ...     r"[loud_breath] I\\. B\\. M\\. ,COMMA <and> *then* . rose~"
    ... )
    'i. b. m. comma and then rose'
    """
    words = []
    for word in text.split():
        # A mark is one that no backslash quotes.
        if re.search(r"(?<!\\)\[.*\]", word) or word in ("~", "."):
            continue
        punctuation = re.fullmatch(r"\\?[^\w\s\\]+([A-Z]+(?:-[A-Z]+)*)", word)
        if punctuation:
            words += punctuation[1].lower().split("-")
            continue
        word = re.sub(r"(?<!\\)[<>*~!:()]", "", word).replace("\\", "")
        if word:
            words.append(word.lower())
    return " ".join(words)
