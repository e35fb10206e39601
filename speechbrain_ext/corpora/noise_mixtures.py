"""Mixtures of speech and noise that are mixed when they are read.

A manifest names the recording of each, where the noise starts, and the SNR
(section 5.1.1 of paper 3); no mixture is ever written to the disk, unless
:func:`render_mixtures` is asked to.
"""

import itertools
import re
import zlib
from collections import Counter
from pathlib import Path

import numpy
import soundfile
import torch
from torchaudio.functional import add_noise
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.mixing import mix
from speechbrain_ext.corpora.noise_files import NoiseCuts
from speechbrain_ext.errors import UserError

#: dB, drawn uniformly from between: in training and development, and in all
#: test sets (sections 5.1.1 and 5.1.3).
TRAIN_SNRS = (-3.0, 20.0)
TEST_SNRS = (0.0, 10.0)
SNR_RANGES = {"train": TRAIN_SNRS, "valid": TRAIN_SNRS, "test": TEST_SNRS}
#: What validation and test get of the recordings of noise, each.
HELD_OUT = 0.05

#: Columns of a mixture that a rendered one no longer needs.
_INGREDIENTS = ("noise_wav", "noise_start", "seed", "start")
# The recordings of the DNS Challenge were cut: dog_barking_0, dog_barking_1.
_PART = re.compile(r"_\d+$")


def split_noises(noises):
    """Divide recordings of noise between train, valid and test.

    They are sorted by a checksum (CRC-32) of their names; the first 5 % are for
    the test, the next 5 % for validation, one each at least. Files whose names
    differ in a number after a last underscore are cuts of one recording and
    stay together, unless fewer than three recordings would be left.

    Arguments
    ---------
    noises : list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them.

    Returns
    -------
    dict
        The noises of ``"train"``, ``"valid"`` and ``"test"``, in the order in
        which they were given.

    Raises
    ------
    UserError
        When there are fewer than three.

    Example
    -------
    >>> noises = [{"ID": f"door_{n}_{n % 2}", "wav": ""} for n in range(40)]
    >>> [len(part) for part in split_noises(noises).values()]
    [36, 2, 2]
    """
    names = [_PART.sub("", noise["ID"]) for noise in noises]
    if len(set(names)) < len(SNR_RANGES):
        names = [noise["ID"] for noise in noises]
    ranked = sorted(
        set(names), key=lambda name: (zlib.crc32(name.encode()), name)
    )
    if len(ranked) < len(SNR_RANGES):
        raise UserError(
            f"noise: {len(ranked)} recordings; expected at least "
            f"{len(SNR_RANGES)}, as train, valid and test share none"
        )
    held = max(1, round(HELD_OUT * len(ranked)))
    places = {name: place for place, name in enumerate(ranked)}
    parts = {"train": [], "valid": [], "test": []}
    for noise, name in zip(noises, names):
        place = places[name]
        part = "test" if place < held else "valid"
        parts[part if place < 2 * held else "train"].append(noise)
    return parts


def split_kinds(noises, shares, seed):
    """Divide recordings of noise between splits, whole kinds at a time.

    The kinds are put into a random order. Each split but the first then takes
    those whose number of recordings comes nearest to its share of all, the
    earlier kinds first; the first split gets the rest.

    Arguments
    ---------
    noises : list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them.
    shares : dict
        Each split's share of the recordings; they add up to 1.
    seed : int
        Of the kinds' order.

    Returns
    -------
    dict
        The noises of each split, in the order in which they were given.

    Raises
    ------
    UserError
        When there are fewer kinds than splits.

    Example
    -------
    >>> noises = [
    ...     {"ID": f"{n}", "kind": "abcdefghij"[n % 10]} for n in range(99)
    ... ]
    >>> parts = split_kinds(noises, {"train": 0.7, "dev": 0.2, "test": 0.1}, 1)
    >>> [len(part) for part in parts.values()]
    [69, 20, 10]
    """
    sizes = Counter(noise["kind"] for noise in noises)
    if len(sizes) < len(shares):
        raise UserError(
            f"noise: {len(sizes)} kinds; expected at least {len(shares)}, as "
            f"{', '.join(shares)} share none"
        )
    names = sorted(sizes)
    order = _generator(seed, "kinds").permutation(len(names))
    left = [names[place] for place in order]
    first, *others = shares
    owners = dict.fromkeys(names, first)
    for number, split in enumerate(others):
        # What comes later needs one kind at least.
        spare = len(left) - (len(others) - number)
        taken = _nearest(left, sizes, shares[split] * len(noises), spare)
        owners.update(dict.fromkeys(taken, split))
        left = [name for name in left if name not in taken]
    return {
        split: [noise for noise in noises if owners[noise["kind"]] == split]
        for split in shares
    }


def _nearest(names, sizes, wanted, most):
    """Choose kinds whose sizes add up to what is wanted, or nearly so."""
    sums = {0: ()}
    for name in names:
        for total, taken in list(sums.items()):
            if len(taken) < most:
                sums.setdefault(total + sizes[name], (*taken, name))
    del sums[0]
    return sums[min(sums, key=lambda total: (abs(total - wanted), total))]


def list_mixtures(rows, noises, snr_range, seed, count=None, snrs=None):
    """Draw the noise of each mixture.

    A mixture's noise, start and SNR are a function of the seed and its ID.

    Arguments
    ---------
    rows : list of dict
        A manifest's.
    noises : list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them.
    snr_range : tuple of (float, float)
        In dB, drawn uniformly from between.
    seed : int
        Of what is mixed with what.
    count : int, optional
        How many mixtures. Every utterance is in one before any is in another,
        and an ID has the mixture's number at its end. Each utterance is in one
        mixture, of its own ID, where no count is given.
    snrs : sequence of float, optional
        In dB, drawn from with equal chances, in place of ``snr_range``.

    Returns
    -------
    list of dict
        The rows with ``noise_wav``, ``noise_start`` (seconds), ``snr`` (dB),
        ``noise`` (its kind) and ``seed``.

    Example
    -------
    >>> rows = [{"ID": "a", "duration": 2.0}]
    >>> noises = [{"ID": "n", "duration": 9.0, "wav": "n.wav", "kind": "fan"}]
    >>> drawn = list_mixtures(rows, noises, (0, 10), seed=1, count=2)
    >>> [row["ID"] for row in drawn]
    ['a-000000', 'a-000001']
    >>> 0 <= drawn[0]["snr"] <= 10, 0 <= drawn[0]["noise_start"] <= 7
    (True, True)
    """
    if count is not None:
        order = _rounds(len(rows), _generator(seed, "order"))
        rows = [
            {**rows[place], "ID": f"{rows[place]['ID']}-{number:06d}"}
            for number, place in enumerate(itertools.islice(order, count))
        ]
    return [
        {**row, **_draw(row, noises, snr_range, seed, snrs), "seed": seed}
        for row in rows
    ]


def list_at_each_snr(rows, noises, snrs, seed):
    """Draw the noise of each utterance, and mix both at every SNR.

    Arguments
    ---------
    rows : list of dict
        A manifest's.
    noises : list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them.
    snrs : sequence of float
        In dB.
    seed : int
        Of what is mixed with what.

    Returns
    -------
    list of dict
        As :func:`list_mixtures` returns them, one SNR after the other; an ID
        has the SNR at its end.

    Example
    -------
    >>> rows = [{"ID": "a", "duration": 2.0}]
    >>> noises = [{"ID": "n", "duration": 9.0, "wav": "n.wav", "kind": "fan"}]
    >>> [row["ID"] for row in list_at_each_snr(rows, noises, [-5, 2.5], seed=1)]
    ['a--5dB', 'a-2.5dB']
    """
    drawn = list_mixtures(rows, noises, None, seed, snrs=snrs)
    return [
        {**row, "ID": f"{row['ID']}-{snr:g}dB", "snr": float(snr)}
        for snr in snrs
        for row in drawn
    ]


def _generator(seed, name):
    key = int(seed), zlib.crc32(name.encode())
    return numpy.random.Generator(numpy.random.PCG64(key))


def _rounds(n, rng):
    """Yield places for ever, each once before any comes again."""
    while True:
        yield from (int(place) for place in rng.permutation(n))


def _draw(row, noises, snr_range, seed, snrs=None):
    rng = _generator(seed, row["ID"])
    noise = noises[int(rng.integers(len(noises)))]
    have, wanted = (
        round(each["duration"] * SAMPLE_RATE) for each in (noise, row)
    )
    # Where the noise is shorter it goes round, and may start anywhere.
    starts = have - wanted + 1 if have >= wanted else max(1, have)
    start = int(rng.integers(starts)) / SAMPLE_RATE
    if snrs:
        snr = float(snrs[int(rng.integers(len(snrs)))])
    else:
        snr = round(float(rng.uniform(*snr_range)), 3)
    return {
        "noise_wav": noise["wav"],
        "noise_start": start,
        "snr": snr,
        "noise": noise["kind"],
    }


class MixtureReader:
    """Mixes what a manifest of mixtures lists.

    Recordings of noise stay in memory once they were read, as far as there is
    room. Nothing is lowered where a sum passes the full range: it is not
    written to a file.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.audio import save_audio
    >>> file = f"{tempfile.mkdtemp()}/hiss.wav"
    >>> save_audio(file, 0.1 * torch.randn(16000))
    >>> noisy = MixtureReader()(torch.ones(8000), file, 0.25, 10.0)
    >>> 10 * torch.log10(1 / (noisy - 1).square().mean())
    tensor(10.0000)
    """

    def __init__(self):
        self._cuts = NoiseCuts([], repeat=True)

    def __call__(self, clean, noise_wav, noise_start, snr):
        """Add a noise.

        Arguments
        ---------
        clean : torch.Tensor
            [time], 16 kHz.
        noise_wav : str or Path
            The recording of noise, of any rate; it starts again at its end
            where it is shorter.
        noise_start : float
            Where in it the noise starts, in seconds.
        snr : float
            In dB, over the whole utterance.

        Returns
        -------
        torch.Tensor
            [time].

        Raises
        ------
        UserError
            When the recording is missing, not audio or silent.
        """
        noise = self._noise(clean, noise_wav, noise_start)
        return add_noise(clean, noise, torch.tensor(float(snr)))

    def _noise(self, clean, noise_wav, noise_start):
        start = round(noise_start * SAMPLE_RATE)
        return self._cuts.cut_at(noise_wav, start, len(clean))

    def load_pair(self, row):
        """Read an utterance and its noisy version.

        Arguments
        ---------
        row : dict
            A manifest's, with ``noisy_wav`` or with ``noise_wav``,
            ``noise_start`` and ``snr``.

        Returns
        -------
        clean, noisy : torch.Tensor
            [time], 16 kHz.

        Raises
        ------
        UserError
            When a recording cannot be used, or the row names no noise.
        """
        clean = _load_clean(row)
        if row.get("noisy_wav"):
            return clean, load_audio(row["noisy_wav"])
        if not row.get("noise_wav"):
            raise UserError(
                f"{row['ID']}: neither noisy_wav nor noise_wav; expected a "
                "manifest of noisy speech or of mixtures"
            )
        ingredients = (row[key] for key in ("noise_wav", "noise_start", "snr"))
        return clean, self(clean, *ingredients)

    def render(self, row, folder):
        """Write a mixture as ``clean/<ID>.wav`` and ``noisy/<ID>.wav``.

        Both are lowered where the mixture would clip.

        Arguments
        ---------
        row : dict
            Of a manifest of mixtures.
        folder : Path
            Where to write.

        Returns
        -------
        dict
            The row with ``noisy_wav``, and without what it was made of.
        """
        clean = _load_clean(row)
        noise = self._noise(clean, row["noise_wav"], row["noise_start"])
        pair = dict(zip(("clean", "noisy"), mix(clean, noise, row["snr"])))
        files = {}
        for side, signal in pair.items():
            files[side] = Path(folder) / side / f"{row['ID']}.wav"
            files[side].parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(files[side], signal.numpy(), SAMPLE_RATE, "PCM_16")
        kept = {k: v for k, v in row.items() if k not in _INGREDIENTS}
        return {**kept, "wav": files["clean"], "noisy_wav": files["noisy"]}


def _load_clean(row):
    if "start" not in row:
        return load_audio(row["wav"])
    return load_audio(row["wav"], start=row["start"], duration=row["duration"])


def render_mixtures(manifest, folder):
    """Write the mixtures of a manifest to files, for what reads pairs of them.

    Arguments
    ---------
    manifest : str or Path
        A manifest of mixtures.
    folder : str or Path
        Where ``clean/``, ``noisy/`` and ``noisy.csv`` shall be.

    Returns
    -------
    Path
        ``noisy.csv``, with ``noisy_wav`` in place of what it was made of.

    Raises
    ------
    UserError
        When the manifest or a recording cannot be used.

    Example
    -------
    >>> render_mixtures("nowhere.csv", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: ...
    """
    rows, reader = read_manifest(manifest), MixtureReader()
    if "noise_wav" not in rows[0]:
        raise UserError(
            f"{manifest}: no column noise_wav; expected a manifest of mixtures"
        )
    bar = tqdm(rows, "writing mixtures", unit="utterances")
    rendered = [reader.render(row, Path(folder).absolute()) for row in bar]
    write_manifest(Path(folder) / "noisy.csv", rendered)
    return Path(folder) / "noisy.csv"
