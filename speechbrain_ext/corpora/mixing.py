"""Pairs of clean and noisy recordings, mixed once and written to files."""

import itertools
import zlib
from pathlib import Path

import numpy
import soundfile
import torch
from torchaudio.functional import add_noise
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.noise_files import NoiseCuts, find_noises

#: The loudest sample of a mixture, as a share of the full range.
PEAK = 0.95


def mix(clean, noise, snr):
    """Add noise at an SNR, and lower both signals where the sum would clip.

    Arguments
    ---------
    clean : torch.Tensor
        [time].
    noise : torch.Tensor
        [time], at any level.
    snr : float
        In dB, over the whole signal.

    Returns
    -------
    clean : torch.Tensor
        [time], perhaps lowered.
    noisy : torch.Tensor
        [time], lowered by as much; its peak is :data:`PEAK` at most.

    Example
    -------
    >>> clean, noisy = mix(torch.tensor([1.0, -1.0]), torch.ones(2), 0.0)
    >>> clean, noisy
    (tensor([ 0.4750, -0.4750]), tensor([0.9500, 0.0000]))
    """
    noisy = add_noise(clean, noise, torch.tensor(float(snr)))
    gain = PEAK / torch.maximum(clean.abs().max(), noisy.abs().max())
    gain = gain.clamp(max=1)
    return gain * clean, gain * noisy


def mix_rows(
    folder, split, rows, noises, snrs, seed, repeat=False, snr_range=None
):
    """Mix each utterance of a manifest with one noise at one SNR.

    All pairs of an SNR and a kind are equally frequent, as far as the number of
    utterances allows.

    Arguments
    ---------
    folder : str or Path
        Where ``clean/<split>/`` and ``noisy/<split>/`` shall be.
    split : str
        The manifest's name; it is part of the random key.
    rows : list of dict
        A manifest's rows; ``wav``, ``noisy_wav`` (both below ``folder``),
        ``snr`` (dB) and ``noise`` (the kind) are set.
    noises : list of dict
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` returns
        them.
    snrs : sequence of float
        In dB.
    seed : int
        Of what is mixed with what.
    repeat : bool
        Whether a noise that is shorter than the speech starts again at its end.
    snr_range : tuple of (float, float), optional
        The lowest and the highest SNR in dB, in place of ``snrs``: drawn
        uniformly from between.

    Raises
    ------
    UserError
        When a noise is missing, silent or, without ``repeat``, shorter than the
        speech.

    Example
    -------
    >>> mix_rows("out", "train", [], [], [0.0], seed=1)
    """
    by_kind = {}
    for noise in noises:
        by_kind.setdefault(noise["kind"], []).append(noise)
    cuts = {kind: NoiseCuts(some, repeat) for kind, some in by_kind.items()}
    key = seed, zlib.crc32(split.encode())
    rng = numpy.random.Generator(numpy.random.PCG64(key))
    for side in ("clean", "noisy"):
        Path(folder, side, split).mkdir(parents=True, exist_ok=True)
    if snr_range:
        snrs = [None]
    conditions = _conditions(rng, list(itertools.product(snrs, cuts)))
    for row, (snr, kind) in zip(
        tqdm(rows, f"adding noise: {split}", unit="utterances"), conditions
    ):
        if snr_range:
            snr = round(float(rng.uniform(*snr_range)), 3)
        clean = load_audio(row["wav"])
        noise, _ = cuts[kind].draw(len(clean), rng)
        names = [Path(side, split, row["ID"]) for side in ("clean", "noisy")]
        files = [name.with_name(f"{name.name}.wav") for name in names]
        for file, signal in zip(files, mix(clean, noise, snr), strict=True):
            path = Path(folder) / file
            soundfile.write(path, signal.numpy(), SAMPLE_RATE, "PCM_16")
        row.update(wav=files[0], noisy_wav=files[1], snr=snr, noise=kind)


def mix_test_set(manifest, noises, snrs, folder, seed=0):
    """Mix every utterance of a test set with noise at every SNR.

    Arguments
    ---------
    manifest : str or Path
        A CSV manifest.
    noises : str, Path or list
        As :func:`~speechbrain_ext.corpora.noise_files.find_noises` takes them;
        a recording that is shorter than the speech starts again at its end.
    snrs : sequence of float
        In dB.
    folder : str or Path
        Where ``clean/``, ``noisy/`` and ``noisy.csv`` shall be.
    seed : int
        Of what is mixed with what.

    Returns
    -------
    Path
        ``noisy.csv``, with ``noisy_wav``, ``snr`` and ``noise``; an utterance's
        ID has the SNR at its end.

    Raises
    ------
    UserError
        When the manifest or a noise cannot be used.

    Example
    -------
    >>> mix_test_set("nowhere.csv", "noise", [0, 5, 10], "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.csv: ...
    """
    rows, found = read_manifest(manifest), find_noises(noises)
    folder = Path(folder)
    mixed = []
    for snr in snrs:
        own = [{**row, "ID": f"{row['ID']}-{snr:g}dB"} for row in rows]
        mix_rows(folder, f"{snr:g}dB", own, found, [snr], seed, repeat=True)
        mixed += [
            {
                **row,
                "wav": folder / row["wav"],
                "noisy_wav": folder / row["noisy_wav"],
            }
            for row in own
        ]
    write_manifest(folder / "noisy.csv", mixed)
    return folder / "noisy.csv"


def _conditions(rng, cells):
    """Yield cells for ever, each once before any comes again."""
    while cells:
        # A fixed order would go round with that of the voices.
        yield from (cells[number] for number in rng.permutation(len(cells)))
