"""A small corpus of noise, made on the spot.

It stands in for DEMAND and its like where nothing can be downloaded.
"""

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import soundfile
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import write_rows
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.corpora.noise_kinds import KINDS, make_noise
from speechbrain_ext.errors import UserError

#: Kinds that are for the test alone: no other drones, and none strikes metal.
TEST_KINDS = ("hum", "clatter")
TRAIN_KINDS = tuple(kind for kind in KINDS if kind not in TEST_KINDS)
#: Seconds of a clip.
SHORTEST, LONGEST = 15.0, 20.0
#: A clip's RMS, unless its peak would pass 0.9 of the full range.
_RMS, _PEAK = 0.05, 0.9


def make_mini_noise(
    folder,
    speech,
    kinds=TRAIN_KINDS + TEST_KINDS,
    minutes=5.0,
    seed=1234,
    n_workers=None,
):
    """Write clips of noise, and ``noise.csv`` with what they are.

    A clip is a function of the seed, the kind and its number, whatever else is
    made.

    Arguments
    ---------
    folder : str or Path
        Where ``noise.csv`` and ``<kind>/`` shall be; what stands there under
        the same names is replaced.
    speech : list of (str or Path)
        Clean recordings of people, for babble and for the spectrum of
        speech-shaped noise.
    kinds : sequence of str
        Of :data:`TRAIN_KINDS` and :data:`TEST_KINDS`.
    minutes : float
        How much of each kind.
    seed : int
        Of everything that is random.
    n_workers : int, optional
        Threads that compute; as many as there are cores when not given.

    Returns
    -------
    Path
        The manifest, columns ``ID,duration,wav,kind``.

    Raises
    ------
    UserError
        For a kind that there is not, no minutes, no speech where some is
        needed, or a folder that cannot be written.

    Example
    -------
    >>> import tempfile
    >>> manifest = make_mini_noise(
    ...     Path(tempfile.mkdtemp()), [], kinds=["pink"], minutes=0.2
    ... )
    >>> manifest.read_text().splitlines()[1].split(",")[::3]
    ['pink-000', 'pink']
    """
    folder = Path(folder).absolute()
    rows = write_clips(folder, speech, kinds, minutes, seed, n_workers)
    for row in rows:
        row["wav"] = folder / row["wav"]
    write_rows(folder / "noise.csv", rows, NOISE_COLUMNS)
    return folder / "noise.csv"


def write_clips(folder, speech, kinds, minutes, seed, n_workers=None):
    """Do as :func:`make_mini_noise`, without the manifest.

    Arguments
    ---------
    folder : Path
        Where ``<kind>/`` shall be.
    speech : list of (str or Path)
        Clean recordings of people.
    kinds : sequence of str
        Which kinds.
    minutes : float
        How much of each kind.
    seed : int
        Of everything that is random.
    n_workers : int, optional
        Threads that compute.

    Returns
    -------
    list of dict
        The manifest's rows, ``wav`` below ``folder``.

    Example
    -------
    >>> import tempfile
    >>> write_clips(Path(tempfile.mkdtemp()), [], ["hiss"], 0.1, 0)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: noise hiss: no such kind; expected ...
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(
                f"noise {kind}: no such kind; expected {', '.join(KINDS)}"
            )
        if kind in ("babble", "speech-shaped") and not speech:
            raise UserError(f"speech: none given; expected some for {kind}")
    if not minutes > 0:
        raise UserError(f"minutes: is {minutes}; expected a number above 0")
    speech = [load_audio(path).double().numpy() for path in speech]
    plan = [clip for kind in kinds for clip in _plan(kind, minutes, seed)]

    def write(clip):
        """Make a clip, write it, and give its row."""
        kind, number, n_samples, rng = clip
        signal = _level(make_noise(kind, rng, n_samples, speech))
        name = f"{kind}-{number:03d}"
        path = Path(folder) / kind / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, signal, SAMPLE_RATE, subtype="PCM_16")
        return {
            "ID": name,
            "duration": n_samples / SAMPLE_RATE,
            "wav": Path(kind) / path.name,
            "kind": kind,
        }

    with ThreadPoolExecutor(n_workers or os.cpu_count()) as pool:
        clips = pool.map(write, plan)
        return list(tqdm(clips, "mini noise", len(plan), unit="clips"))


def _plan(kind, minutes, seed):
    """List the clips of a kind: their numbers, lengths and generators."""
    clips, missing = [], minutes * 60 * SAMPLE_RATE
    while missing > 0:
        key = seed, zlib.crc32(kind.encode()), len(clips)
        rng = numpy.random.Generator(numpy.random.PCG64(key))
        n_samples = round(rng.uniform(SHORTEST, LONGEST) * SAMPLE_RATE)
        clips.append((kind, len(clips), n_samples, rng))
        missing -= n_samples
    return clips


def _level(signal):
    rms = numpy.sqrt(numpy.mean(signal**2))
    return signal * min(_RMS / rms, _PEAK / numpy.abs(signal).max())
