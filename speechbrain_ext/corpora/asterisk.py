"""The telephone prompts of Asterisk, the private branch exchange: real speech.

Debian packs them: ``asterisk-core-sounds-en-g722`` (one speaker, wide-band
G.722 at 16 kHz, CC-BY-SA) and, with the transcripts,
``asterisk-core-sounds-en``. ``apt-get download`` and ``dpkg -x`` fetch and
unpack both without root.
"""

import gzip
import logging
import re
from pathlib import Path

import numpy
import torch
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    is_prepared,
    mark_prepared,
    newest,
)
from speechbrain_ext.errors import UserError

#: Seconds; Whisper's window is 30 s.
SHORTEST, LONGEST = 0.5, 28.0
#: Only prompts of so many words show in validation what was understood.
VALID_WORDS = 4
SPEAKER = "allison"

logger = logging.getLogger(__name__)

_BRACKETED = re.compile(r"\[[^]]*\]|\([^)]*\)|<[^>]*>")
_SYMBOLS = {"*": "star", "#": "pound"}
#: Slips of the transcripts' writers, which are not what is said.
_SLIPS = {
    "exclaimation-point": "exclamation point",
    "fourtieth": "fortieth",
    "represenatives": "representatives",
    "thru": "through",
    "umute": "unmute",
    "un-indentified": "unidentified",
    "witheld": "withheld",
    "xray": "x-ray",
}


def prepare_asterisk(
    sounds_folder, transcripts, save_folder, valid_utterances=40, seed=1234
):
    """Decode the prompts to 16 kHz WAV files and write manifests of them.

    Entries that are no speech (in brackets), have no sound file or last less
    than 0.5 s or more than 28 s are left out. Texts get a capital letter and a
    full stop, as Whisper writes them. Prompts of the same words go to the same
    split.

    Arguments
    ---------
    sounds_folder : str or Path
        The folder with ``hello-world.g722``, ``digits/1.g722`` and so on; in
        the package, ``usr/share/asterisk/sounds/en_US_f_Allison``.
    transcripts : str or Path
        ``core-sounds-en.txt.gz``, or the same uncompressed: lines of
        ``name: text``, comments after a semicolon; in the package, in
        ``usr/share/doc/asterisk-core-sounds-en``.
    save_folder : str or Path
        Where to write ``wav/``, ``train.csv`` and ``valid.csv``.
    valid_utterances : int
        How many prompts to hold out, at least; other prompts with the same
        words join them.
    seed : int
        Of the draw of those.

    Returns
    -------
    dict
        The manifest's Path for ``"train"`` and ``"valid"``.

    Raises
    ------
    UserError
        When PyAV is not installed, the folder or the transcripts are missing or
        something else, a prompt cannot be decoded, or too few are there.

    Example
    -------
    >>> prepare_asterisk("no/such/folder", "core-sounds-en.txt.gz", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no such folder; expected \
Asterisk's sounds (*.g722)
    """
    sounds_folder, transcripts = Path(sounds_folder), Path(transcripts)
    save_folder = Path(save_folder).absolute()
    manifests = {
        name: save_folder / f"{name}.csv" for name in ("train", "valid")
    }
    if not sounds_folder.is_dir():
        raise UserError(
            f"{sounds_folder}: no such folder; "
            "expected Asterisk's sounds (*.g722)"
        )
    texts = {
        name: text
        for name, raw in read_prompts(transcripts).items()
        if (text := _clean_text(raw))
    }
    sounds = {name: sounds_folder / f"{name}.g722" for name in texts}
    silent = [name for name, sound in sounds.items() if not sound.is_file()]
    if len(silent) == len(texts):
        raise UserError(
            f"{sounds_folder}: holds none of the prompts of {transcripts}; "
            "expected G.722 files such as hello-world.g722"
        )
    if silent:
        logger.warning("prompts without a sound file: %s", ", ".join(silent))
    for name in silent:
        del texts[name], sounds[name]
    settings = {
        "sounds": str(sounds_folder.resolve()),
        "texts": texts,
        "newest": newest(sounds.values()),
        "valid_utterances": valid_utterances,
        "seed": seed,
    }
    if is_prepared(manifests.values(), settings):
        return manifests
    rows = []
    for name in tqdm(texts, desc="Asterisk's prompts", unit="files"):
        samples = decode_g722(sounds[name])
        rows += prompt_row(name, samples, texts[name], save_folder, SPEAKER)
    valid = _draw_valid(rows, valid_utterances, seed)
    if len(valid) == len(rows):
        raise UserError(
            f"{sounds_folder}: holds {len(rows)} usable prompts; expected more "
            f"than the {valid_utterances} to validate on"
        )
    splits = {
        "train": [row for row in rows if row["ID"] not in valid],
        "valid": [row for row in rows if row["ID"] in valid],
    }
    for name, manifest in manifests.items():
        write_manifest(manifest, splits[name])
    mark_prepared(manifests.values(), settings)
    return manifests


def read_prompts(path):
    """Read the transcripts of the prompts.

    Arguments
    ---------
    path : Path
        ``core-sounds-en.txt.gz``, or the same uncompressed.

    Returns
    -------
    dict
        A prompt's text, as it is there, by the prompt's name.

    Raises
    ------
    UserError
        When the file cannot be read, or a line is something else.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "core-sounds-en.txt"
    >>> _ = file.write_text("; Prompts\\nvm-goodbye: Goodbye.\\n")
    >>> read_prompts(file)
    {'vm-goodbye': 'Goodbye.'}
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: not readable; expected Asterisk's core-sounds-en.txt.gz"
        ) from error
    texts = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(";"):
            continue
        name, colon, text = line.partition(":")
        if not colon:
            raise UserError(f"{path}: line {number}: expected name: text")
        texts[name.strip()] = text.strip()
    return texts


def _clean_text(text):
    """Turn a transcript into a sentence; empty when it tells of no speech."""
    text = _BRACKETED.sub(" ", text).replace("...", " ")
    for symbol, word in _SYMBOLS.items():
        text = text.replace(symbol, word)
    for slip, word in _SLIPS.items():
        text = re.sub(rf"\b{slip}\b", word, text, flags=re.IGNORECASE)
    text = re.sub(r"\bi\b", "I", " ".join(text.split()))
    # A letter of the alphabet on its own could be any word that sounds so.
    if not re.search(r"\w\w", text):
        return ""
    text = text[0].upper() + text[1:].rstrip(":;,")
    return text if text[-1] in ".!?" else f"{text}."


def prompt_row(name, samples, text, save_folder, speaker):
    """Write one prompt's speech.

    Arguments
    ---------
    name : str
        The prompt's, ``digits/1``.
    samples : torch.Tensor
        [time], 16 kHz.
    text : str
        What is said.
    save_folder : Path
        Where ``wav/`` is.
    speaker : str
        Who says it.

    Returns
    -------
    list of dict
        Its row of a manifest; none when its length is unfit.

    Example
    -------
    >>> prompt_row("beep", torch.zeros(80), "Beep.", Path("out"), "allison")
    []
    """
    duration = len(samples) / SAMPLE_RATE
    if not SHORTEST <= duration <= LONGEST:
        return []
    wav = save_folder / "wav" / f"{name}.wav"
    save_audio(wav, samples)
    return [
        {
            "ID": "asterisk-" + name.replace("/", "-"),
            "duration": duration,
            "wav": wav,
            "spk_id": speaker,
            "wrd": text,
        }
    ]


def decode_g722(sound):
    """Decode a bare G.722 stream.

    Arguments
    ---------
    sound : Path
        The file.

    Returns
    -------
    torch.Tensor
        [time], float32 at 16 kHz.

    Raises
    ------
    UserError
        When PyAV is not installed, or the file is something else.

    Example
    -------
    >>> decode_g722(Path("nowhere.g722"))
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.g722: not a readable G.722 file
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            "av: not installed, and Asterisk's G.722 files are decoded by it; "
            "run: pip install av"
        ) from error
    try:
        with av.open(str(sound), format="g722") as container:
            frames = [
                frame.to_ndarray()[0] for frame in container.decode(audio=0)
            ]
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{sound}: not a readable G.722 file") from error
    if not frames:
        raise UserError(f"{sound}: holds no samples; expected G.722 audio")
    samples = numpy.concatenate(frames)
    return torch.from_numpy(samples.astype(numpy.float32) / 32768)


def _draw_valid(rows, count, seed):
    """Draw the IDs to validate on; who shares their words is among them."""
    said = {}
    for row in rows:
        key = re.sub(r"[^a-z0-9 ]", "", row["wrd"].lower())
        said.setdefault(key, []).append(row["ID"])
    long = sorted(key for key in said if len(key.split()) >= VALID_WORDS)
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    valid = set()
    for index in rng.permutation(len(long)):
        if len(valid) >= count:
            break
        valid.update(said[long[index]])
    return valid
