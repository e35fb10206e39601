"""The mini corpus: an hour or less of speech with known text, made on the spot.

SVOX Pico speaks sentences of a grammar (:mod:`mini_sentences`) in many voices.
It stands in for LibriSpeech where nothing can be downloaded.
"""

import itertools
import json
import os
import re
import shutil
import wave
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy
from tqdm import tqdm

from speechbrain_ext.corpora import (
    matrix_sentences,
    mini_languages,
    mini_sentences,
)
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.pico import SAMPLE_RATE, Request, synthesise
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import describe, write_text

#: To be raised when a change below gives other bytes for the same settings; a
#: change of the grammar is seen by itself.
VERSION = 1
#: Seconds; what is shorter or longer is left out.
SHORTEST, LONGEST = 2.0, 6.0
#: Pico's percents that sound like people.
PITCHES = range(78, 134, 2)
SPEEDS = range(80, 117)
VOLUMES = range(20, 71)
#: Noise floors in steps of 16 bits. Pico falls digitally silent between words;
#: a microphone never does, and lost packets are found by that silence.
NOISES = range(3, 31)
#: Voices of each accent in a split, and the split's place in the random
#: streams. Test comes first: it is then the same for any size of train.
SPLITS = {"test": 4, "valid": 4, "train": 20}
ACCENTS = {"us": "en-US", "gb": "en-GB"}
#: Pico's voices by accent, of each language by its code.
LANGUAGES = {
    "en": ACCENTS,
    "de": {"de": "de-DE"},
    "es": {"es": "es-ES"},
    "fr": {"fr": "fr-FR"},
    "it": {"it": "it-IT"},
}
#: What English voices say: everyday sentences and narrative, or words of a
#: small vocabulary in a fixed order.
GRAMMARS = {"sentences": mini_sentences, "matrix": matrix_sentences}

MARKER = "mini.json"
#: What a process speaks at once, and the seconds of a typical sentence.
_AT_ONCE = 16
_TYPICAL = 3.5


class Voice(NamedTuple):
    """Who speaks: an accent at a pitch and a speed."""

    accent: str
    pitch: int
    speed: int

    @property
    def name(self):
        """str : The speaker's ID in the manifests."""
        return f"{self.accent}-p{self.pitch:03d}-s{self.speed:03d}"


def prepare_mini(
    data_folder,
    save_folder=None,
    seed=1234,
    train_minutes=36.0,
    valid_utterances=60,
    test_utterances=80,
    n_workers=None,
    language="en",
    grammar="sentences",
):
    """Make the mini corpus, unless it is there already.

    Sentences and voices of train, valid and test are disjoint. The same
    settings give the same bytes on every machine; valid and test do not depend
    on ``train_minutes``. The corpus appears whole or not at all, and several
    processes may call this at once: one makes it, the others wait.

    Arguments
    ---------
    data_folder : str or Path
        Where ``wav/``, ``train.csv``, ``valid.csv`` and ``test.csv`` shall be.
        A mini corpus of other settings that stands there is replaced.
    save_folder : str or Path, optional
        Where to put copies of the manifests.
    seed : int
        Of sentences, voices and noise floors.
    train_minutes : float
        Minutes of speech to train on; the other two add about nine.
    valid_utterances : int
        How many to validate on.
    test_utterances : int
        How many to test on.
    n_workers : int, optional
        Processes that speak; as many as there are cores when not given.
    language : str
        What is spoken: ``en``, ``de``, ``es``, ``fr`` or ``it``.
    grammar : str
        What is said in English: ``sentences``
        (:mod:`~speechbrain_ext.corpora.mini_sentences`) or ``matrix``
        (:mod:`~speechbrain_ext.corpora.matrix_sentences`).

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``.

    Raises
    ------
    UserError
        When ``py-nanotts`` is missing, when the folder holds something else,
        when it cannot be written, for a size that is not above 0, a language that
        it does not speak or a grammar that the language does not have.

    Example
    -------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> manifests = prepare_mini(
    ...     folder, train_minutes=0.1, valid_utterances=1, test_utterances=1
    ... )
    >>> len(read_manifest(manifests["test"]))
    1
    """
    folder = Path(data_folder).absolute()
    sizes = {
        "train_minutes": train_minutes,
        "valid_utterances": valid_utterances,
        "test_utterances": test_utterances,
    }
    for key, size in sizes.items():
        if not size > 0:
            raise UserError(f"{key}: is {size}; expected a number above 0")
    if language not in LANGUAGES:
        raise UserError(
            f"language {language}: the mini corpus does not speak it; expected "
            f"one of {', '.join(LANGUAGES)}"
        )
    if grammar not in GRAMMARS or (language != "en" and grammar != "sentences"):
        raise UserError(
            f"grammar {grammar}: there is none of this name in {language}; "
            "expected sentences, or in English matrix"
        )
    settings = {
        "version": VERSION,
        "grammar": _grammar_checksum(language, grammar),
        "seed": seed,
        **sizes,
    }
    if language != "en":
        settings["language"] = language
    if grammar != "sentences":
        settings["grammar_name"] = grammar
    if not _is_complete(folder, settings):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(folder / ".mini.lock"):
                if not _is_complete(folder, settings):
                    _make(folder, settings, n_workers or os.cpu_count() or 1)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot be written: {describe(error)}"
            ) from error
    manifests = {split: folder / f"{split}.csv" for split in SPLITS}
    if save_folder is None:
        return manifests
    copies = {split: Path(save_folder) / f"{split}.csv" for split in SPLITS}
    for split, copy in copies.items():
        if copy.absolute() != manifests[split]:
            write_manifest(copy, read_manifest(manifests[split]))
    return copies


def _grammar_checksum(language, grammar):
    if language == "en":
        return GRAMMARS[grammar].grammar_checksum()
    return mini_languages.grammar_checksum(language)


def _random_sentence(rng, language, grammar):
    if language == "en":
        return GRAMMARS[grammar].random_sentence(rng)
    return mini_languages.random_sentence(rng, language)


def _is_complete(folder, settings):
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        for split in SPLITS:
            # A corpus that was moved or lost a file is made anew.
            read_manifest(folder / f"{split}.csv")
    except (OSError, ValueError, UserError):
        return False
    return marker == {**settings, "complete": True}


def _make(folder, settings, n_workers):
    """Speak beside the old corpus, if any, and then take its place."""
    parts = ["wav", *(f"{split}.csv" for split in SPLITS)]
    if not (folder / MARKER).exists():
        for part in parts:
            if (folder / part).exists():
                raise UserError(
                    f"{folder / part}: is not of the mini corpus; expected a "
                    "new or empty folder to make it in"
                )
    partial = folder / "wav.partial"
    shutil.rmtree(partial, ignore_errors=True)
    rows = _speak_splits(partial, settings, n_workers)
    _mark(folder, {**settings, "complete": False})
    shutil.rmtree(folder / "wav", ignore_errors=True)
    partial.rename(folder / "wav")
    for split in SPLITS:
        for row in rows[split]:
            row["wav"] = folder / "wav" / row["wav"]
        write_manifest(folder / f"{split}.csv", rows[split])
    _mark(folder, {**settings, "complete": True})


def _mark(folder, state):
    write_text(folder / MARKER, json.dumps(state, indent=1))


def _speak_splits(folder, settings, n_workers):
    """Speak all splits; return the rows of each, ``wav`` below ``folder``."""
    language = settings.get("language", "en")
    grammar = settings.get("grammar_name", "sentences")
    voices = draw_voices(settings["seed"], language)
    said, rows = set(), {}
    for place, split in enumerate(SPLITS):
        (folder / split).mkdir(parents=True)
        rng = generator(settings["seed"], place)
        candidates = _candidates(rng, voices[split], said, language, grammar)
        rows[split] = _speak_split(
            folder, split, candidates, settings, n_workers
        )
        said.update(_spoken_key(row["wrd"]) for row in rows[split])
    return rows


def generator(*key):
    """Make a random generator that stays the same in any version of NumPy.

    Arguments
    ---------
    *key : int
        What its stream is a function of.

    Returns
    -------
    numpy.random.Generator

    Example
    -------
    >>> [int(generator(1, 2).integers(100)) for _ in range(2)]
    [64, 64]
    """
    # Named, as NumPy may change which one its default is.
    return numpy.random.Generator(numpy.random.PCG64(key))


def draw_voices(seed, language="en"):
    """Give each split voices of its own; no two of an accent share a pitch.

    Arguments
    ---------
    seed : int
        Of the voices.
    language : str
        What they speak.

    Returns
    -------
    dict
        A list of :class:`Voice` by split, one accent after the other.

    Example
    -------
    >>> len(draw_voices(1)["test"])
    8
    """
    rng = generator(seed, len(SPLITS))
    voices = {split: [] for split in SPLITS}
    for accent in LANGUAGES[language]:
        pitches = iter(rng.permutation(PITCHES))
        for split, count in SPLITS.items():
            voices[split] += [
                Voice(accent, int(pitch), int(rng.choice(SPEEDS)))
                for pitch in itertools.islice(pitches, count)
            ]
    return voices


def _candidates(rng, voices, said, language, grammar):
    """Yield what could be said, for ever: voice, request and noise."""
    said = set(said)
    # Accents alternate, so that a short split has both.
    half = len(voices) // 2
    turns = [
        voice for pair in zip(voices[:half], voices[half:]) for voice in pair
    ]
    for voice in itertools.cycle(turns):
        sentence = _random_sentence(rng, language, grammar)
        while _spoken_key(sentence) in said:
            sentence = _random_sentence(rng, language, grammar)
        said.add(_spoken_key(sentence))
        yield voice, *draw_rendition(rng, sentence, voice, language)


def draw_rendition(rng, text, voice, language="en"):
    """Draw how loud something is said, and the noise floor under it.

    Arguments
    ---------
    rng : numpy.random.Generator
        Of the split.
    text : str
        What is said.
    voice : Voice
        Who speaks.
    language : str
        In which language.

    Returns
    -------
    request : Request
        For :func:`~speechbrain_ext.corpora.pico.synthesise`.
    noise : int
        Level of the noise floor, in steps of 16 bits.
    noise_seed : int
        Its seed.

    Example
    -------
    >>> draw_rendition(generator(1), "Good.", Voice("gb", 100, 90))[0].pitch
    100
    """
    request = Request(
        text,
        LANGUAGES[language][voice.accent],
        voice.pitch,
        voice.speed,
        int(rng.choice(VOLUMES)),
    )
    return request, int(rng.choice(NOISES)), int(rng.integers(2**32))


def save_rendition(path, samples, noise, noise_seed):
    """Write what was said, over its noise floor.

    Arguments
    ---------
    path : Path
        The .wav file.
    samples : numpy.ndarray
        [time], int16.
    noise, noise_seed : int
        As :func:`draw_rendition` drew them.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.wav"
    >>> save_rendition(file, numpy.zeros(160, numpy.int16), 3, 1)
    >>> file.stat().st_size
    364
    """
    _write_wav(path, _add_noise_floor(samples, noise, noise_seed))


def _spoken_key(sentence):
    """Reduce a sentence to what is heard of it, to compare by."""
    return re.sub(r"[^a-z]", "", sentence.lower())


def _speak_split(folder, split, candidates, settings, n_workers):
    """Take candidates in turn until the split is as large as wanted."""
    in_seconds = split == "train"
    wanted = (
        settings["train_minutes"] * 60
        if in_seconds
        else settings[f"{split}_utterances"]
    )
    rows, have = [], 0
    unit = "s" if in_seconds else "utterances"
    with tqdm(
        total=round(wanted), desc=f"mini corpus: {split}", unit=unit
    ) as bar:
        while have < wanted:
            missing = (wanted - have) / (_TYPICAL if in_seconds else 1)
            share = min(_AT_ONCE, 1 + int(missing / n_workers))
            drawn = list(itertools.islice(candidates, share * n_workers))
            speech = synthesise([item[1] for item in drawn], n_workers)
            for (voice, request, noise, noise_seed), samples in zip(
                drawn, speech, strict=True
            ):
                duration = len(samples) / SAMPLE_RATE
                if have >= wanted or not SHORTEST <= duration <= LONGEST:
                    continue
                name = f"mini-{split}-{len(rows):05d}"
                file = Path(split) / f"{name}.wav"
                save_rendition(folder / file, samples, noise, noise_seed)
                rows.append(
                    {
                        "ID": name,
                        "duration": duration,
                        "wav": file,
                        "spk_id": voice.name,
                        "wrd": request.text,
                    }
                )
                have += duration if in_seconds else 1
            bar.update(round(min(have, wanted)) - bar.n)
    return rows


def _add_noise_floor(samples, noise, seed):
    floor = generator(seed).integers(-noise, noise, len(samples), endpoint=True)
    return numpy.clip(samples + floor, -32768, 32767).astype("<i2")


def _write_wav(path, samples):
    # The wave module writes the plain 44-byte header, whatever its version.
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
