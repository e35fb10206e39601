"""What a perceptual model is trained to write: phones, letters, word pieces."""

import functools
import io
from pathlib import Path

import sentencepiece

from speechbrain_ext.corpora.lexicon import PHONES
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write

#: Index of CTC's blank, which is the decoder's beginning and end as well.
BLANK = 0

_LETTERS = "abcdefghijklmnopqrstuvwxyz'"
_SPACE = "|"


class _ListedUnits:
    """Units that can be listed; children split texts into them, and join them.

    Arguments
    ---------
    units : sequence of str
        All but the blank.
    kind : str
        What they are called in an error.
    """

    def __init__(self, units, kind):
        self._units = units
        self._kind = kind
        self._index = {unit: i for i, unit in enumerate(units, start=1)}

    def __len__(self):
        """Count the units and the blank."""
        return 1 + len(self._units)

    def __call__(self, text):
        """Spell a text in units with spaces between them, to count errors.

        Arguments
        ---------
        text : str
            A transcript.

        Returns
        -------
        str
        """
        return " ".join(self._split(text))

    def encode(self, text):
        """Turn a text into indices.

        Arguments
        ---------
        text : str
            A transcript.

        Returns
        -------
        list of int
            Without a beginning or an end.

        Raises
        ------
        UserError
            For a unit that is not listed.
        """
        try:
            return [self._index[unit] for unit in self._split(text)]
        except KeyError as error:
            raise UserError(
                f"{self.column}: {error.args[0]!r} in {text[:60]!r}; expected "
                f"{self._kind} of {' '.join(self._units[:60])}"
            ) from None

    def decode(self, indices):
        """Turn indices into a text.

        Arguments
        ---------
        indices : list of int
            Without a beginning or an end.

        Returns
        -------
        str
        """
        return self._join([self._units[index - 1] for index in indices])


class Phones(_ListedUnits):
    """The 39 phones of the CMU dictionary (Table IV of paper 1: the best).

    A text is phones with spaces between them, as a manifest's ``phn`` has it.

    Example
    -------
    >>> phones = Phones()
    >>> phones.decode(phones.encode("HH AH L OW"))
    'HH AH L OW'
    >>> len(phones)
    40
    """

    #: The manifest's column that has the texts.
    column = "phn"
    #: What an error rate of these units is called.
    rate = "PER"

    def __init__(self):
        super().__init__(PHONES, "phones")

    def _split(self, text):
        return text.split()

    def _join(self, units):
        return " ".join(units)


class Characters(_ListedUnits):
    """Letters, the apostrophe and the space (Table IV of paper 1).

    What is none of them is left out of a text.

    Example
    -------
    >>> characters = Characters()
    >>> characters("Oh, no!")
    'o h | n o'
    >>> characters.decode(characters.encode("Oh, no!"))
    'oh no'
    """

    #: The manifest's column that has the texts.
    column = "wrd"
    #: What an error rate of these units is called.
    rate = "CER"

    def __init__(self):
        super().__init__([*_LETTERS, _SPACE], "letters")

    def _split(self, text):
        return _SPACE.join(plain_words(text))

    def _join(self, units):
        return "".join(units).replace(_SPACE, " ")


class CharacterSet(_ListedUnits):
    """The characters that a recogniser writes, each one a unit.

    Given, or those of a training set, read when they are first needed: a
    recipe's YAML file is read before its corpus is prepared.

    Arguments
    ---------
    characters : str, optional
        All of them, the space too where there are words.
    manifest : str or Path, optional
        The training set's, in their place.
    size : int, optional
        Units at most, the blank among them; a recogniser has so many outputs.
        Without it, as many as there are characters.

    Raises
    ------
    UserError
        When there is neither; when first used, where there are more than
        ``size``.

    Example
    -------
    >>> units = CharacterSet("abc ")
    >>> units.encode("a cab"), units.decode([3, 1, 2])
    ([1, 4, 3, 1, 2], 'cab')
    >>> units.encode("bad")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: wrd: 'd' in 'bad'; expected characters ...
    """

    #: The manifest's column that has the texts.
    column = "wrd"
    #: What an error rate of these units is called.
    rate = "CER"

    def __init__(self, characters=None, manifest=None, size=None):
        if characters is None and (manifest is None or size is None):
            raise UserError(
                "characters: none; expected them, or a manifest that has them "
                "and size"
            )
        self._given = characters
        self._manifest = manifest
        self._size = size
        self._kind = "characters"

    @functools.cached_property
    def characters(self):
        """str : All of them, in their units' order."""
        found = self._given
        if found is None:
            rows = read_manifest(self._manifest)
            found = "".join(sorted({c for row in rows for c in row["wrd"]}))
        if len(set(found)) < len(found):
            raise UserError("characters: expected each of them once")
        if self._size is not None and 1 + len(found) > self._size:
            raise UserError(
                f"size: is {self._size}; expected {1 + len(found)}, a unit for "
                "each character and one for the blank, or more"
            )
        return found

    @property
    def _units(self):
        return self.characters

    @functools.cached_property
    def _index(self):
        return {c: index for index, c in enumerate(self.characters, start=1)}

    def __len__(self):
        """Count the units and the blank."""
        return self._size or 1 + len(self.characters)

    def _split(self, text):
        return list(text)

    def _join(self, units):
        return "".join(units)

    def decode(self, indices):
        """Turn indices into a text.

        Arguments
        ---------
        indices : list of int
            Without a beginning or an end; what stands for no character is left
            out.

        Returns
        -------
        str
        """
        return super().decode(
            [index for index in indices if index <= len(self.characters)]
        )


def check_characters(units, manifests):
    """Check, before a training starts, that a recogniser can write all of it.

    Arguments
    ---------
    units : CharacterSet
        What it writes.
    manifests : sequence of (str or Path)
        The training set's and others.

    Raises
    ------
    UserError
        For a character that is none of them: with its utterance.

    Example
    -------
    >>> check_characters(CharacterSet("ab"), ["nowhere.csv"])
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: ...
    """
    for manifest in manifests:
        for row in read_manifest(manifest):
            for character in row["wrd"]:
                if character not in units.characters:
                    raise UserError(
                        f"{manifest}: utterance {row['ID']} has "
                        f"{character!r}; expected characters of "
                        f"{_shorten(units.characters)}"
                    )


def _shorten(text):
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


class WordPieces:
    """Word pieces of a sentencepiece model (Table IV of paper 1).

    Arguments
    ---------
    model_file : str or Path
        The sentencepiece model; trained on ``manifest``, when it is first
        needed, where it is missing.
    manifest : str or Path, optional
        The manifest of the training set.
    n_pieces : int
        How many, the blank not counted.

    Raises
    ------
    UserError
        When there is neither a model nor a manifest; when first used, where
        there is too little text for so many pieces.

    Example
    -------
    >>> WordPieces("nowhere.model")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.model: no such file; expected ...
    """

    #: The manifest's column that has the texts.
    column = "wrd"
    #: What an error rate of these units is called.
    rate = "WER"

    def __init__(self, model_file, manifest=None, n_pieces=500):
        self.n_pieces = n_pieces
        self._path = Path(model_file)
        self._manifest = manifest
        if not self._path.is_file() and manifest is None:
            raise UserError(
                f"{model_file}: no such file; expected a sentencepiece model, "
                "or a manifest to train one on"
            )

    @functools.cached_property
    def _pieces(self):
        # When they are first needed: a recipe's YAML file is read before its
        # corpus is made.
        if not self._path.is_file():
            self._train(self._path, self._manifest)
        return sentencepiece.SentencePieceProcessor(str(self._path))

    def _train(self, path, manifest):
        texts = [
            " ".join(plain_words(row["wrd"])) for row in read_manifest(manifest)
        ]
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=model,
                vocab_size=self.n_pieces + 1,
                # The unknown's index, 0, is the blank's.
                bos_id=-1,
                eos_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            # What is before the last bracket is a line of its source.
            reason = " ".join(str(error).split()).rpartition("] ")[2]
            raise UserError(
                f"n_pieces: {self.n_pieces} do not fit {manifest} ({reason})"
            ) from error
        with atomic_write(path) as temporary:
            temporary.write_bytes(model.getvalue())

    def __len__(self):
        """Count the units and the blank."""
        if self._path.is_file():
            return self._pieces.get_piece_size()
        return self.n_pieces + 1

    def __call__(self, text):
        """Write a text as its words, to count errors.

        Arguments
        ---------
        text : str
            A transcript.

        Returns
        -------
        str
        """
        return " ".join(plain_words(text))

    def encode(self, text):
        """Turn a text into indices.

        Arguments
        ---------
        text : str
            A transcript; what no piece has is left out.

        Returns
        -------
        list of int
            Without a beginning or an end.
        """
        indices = self._pieces.encode(" ".join(plain_words(text)))
        return [index for index in indices if index != BLANK]

    def decode(self, indices):
        """Turn indices into a text.

        Arguments
        ---------
        indices : list of int
            Without a beginning or an end.

        Returns
        -------
        str
        """
        return self._pieces.decode(list(indices))


class ListedWords:
    """The words that a classifier knows, read from a file when first needed.

    Arguments
    ---------
    path : str or Path
        Text, a word a line.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "words.txt"
    >>> _ = file.write_text("morning\\nchurch\\n")
    >>> words = ListedWords(file)
    >>> words.encode("church"), words.decode([0])
    ([1], 'morning')
    """

    def __init__(self, path):
        self._path = Path(path)

    @functools.cached_property
    def _words(self):
        # A recipe's YAML file is read before its corpus is made.
        return read_text(self._path, "a word a line").split()

    @functools.cached_property
    def _index(self):
        return {word: index for index, word in enumerate(self._words)}

    def __call__(self, text):
        """Return the text, to count errors.

        Arguments
        ---------
        text : str
            A word.

        Returns
        -------
        str
        """
        return text

    def encode(self, text):
        """Look a word up.

        Arguments
        ---------
        text : str
            A word.

        Returns
        -------
        list of int
            Its index.

        Raises
        ------
        UserError
            When it is not listed.
        """
        if text not in self._index:
            raise UserError(f"{self._path}: no {text!r} in it; expected it")
        return [self._index[text]]

    def decode(self, indices):
        """Turn indices into words.

        Arguments
        ---------
        indices : list of int
            Of the words.

        Returns
        -------
        str
        """
        return " ".join(self._words[index] for index in indices)


#: Names of the targets of Table IV.
TARGETS = ("phones", "characters", "word-pieces")


def make_units(targets, model_file=None, manifest=None, n_pieces=500):
    """Make what a perceptual model writes, by the targets' name.

    Arguments
    ---------
    targets : str
        One of ``TARGETS``.
    model_file : str or Path, optional
        Of word pieces; see :class:`WordPieces`.
    manifest : str or Path, optional
        The training set's, to make word pieces of.
    n_pieces : int
        How many word pieces.

    Returns
    -------
    Phones, Characters or WordPieces

    Raises
    ------
    UserError
        When there are no such targets, or word pieces cannot be had.

    Example
    -------
    >>> len(make_units("phones"))
    40
    """
    if targets == "word-pieces":
        return WordPieces(model_file, manifest, n_pieces)
    if targets not in TARGETS:
        raise UserError(
            f"targets: {targets!r}; expected one of {', '.join(TARGETS)}"
        )
    return Phones() if targets == "phones" else Characters()


def plain_words(text):
    """Reduce a text to lower-case words of letters and apostrophes.

    Arguments
    ---------
    text : str
        A transcript.

    Returns
    -------
    list of str

    Example
    -------
    >>> plain_words("It's TWO o'clock -- isn't it?")
    ["it's", 'two', "o'clock", "isn't", 'it']
    """
    kept = (c if c in _LETTERS else " " for c in text.lower())
    return [word for word in "".join(kept).split() if word.strip("'")]
