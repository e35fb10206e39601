#!/usr/bin/env python3
"""Make recordings of speech and noise more varied: what an enhancer learns from."""

import argparse
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from scipy.fft import irfft, rfft, rfftfreq
from scipy.signal import fftconvolve
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.mixing import PEAK
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS, find_noises
from speechbrain_ext.errors import UserError, exit_on_user_error

HELP = """\
An enhancer that has heard only dry voices takes a room's reverberation for noise.
This writes two manifests to train it with:

  OUT/speech.csv   the speech, most of it as another room and microphone have it:
                   reverberated, coloured, at another level, with a little noise
                   of its own, all of which belongs to the speech
  OUT/noise.csv    every second clip of the noise as it is, and scenes: one to three
                   clips at once, mostly reverberated, all coloured

Which room an utterance or a scene gets depends on its name and the seed alone.
"""
EXAMPLES = """\
example:
  python tools/vary_recordings.py varied --speech train.csv --noise noise.csv
  python train.py hparams/mini_enhance.yaml --skip_prep True \\
      --train_csv varied/speech.csv --noise_csv varied/noise.csv ...
"""

#: Share of the speech that stays as it is.
UNVARIED = 0.35
#: Share of the other speech, and of the scenes' clips, that is reverberated.
REVERBERATED = 0.7
#: Share of the varied speech that has noise of its own.
NOISY = 0.5


def room(rng, decay, ratio):
    """Draw a room impulse response: a direct path and noise that decays.

    ``decay`` is the range of the reverberation time in s, ``ratio`` that of
    direct to reverberant energy in dB.
    """
    t60 = rng.uniform(*decay)
    time = np.arange(int(t60 * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / t60)
    response[: int(rng.uniform(0.002, 0.02) * SAMPLE_RATE)] = 0
    response /= np.sqrt((response**2).sum())
    response *= 10 ** (-rng.uniform(*ratio) / 20)
    response[0] = 1
    return response


def colour(rng, signal, spread):
    """Filter by a smooth random response, ``spread`` dB in standard deviation."""
    knots = np.log2(np.geomspace(60, SAMPLE_RATE / 2, 7))
    gains = rng.normal(0, spread, len(knots))
    hertz = np.maximum(rfftfreq(len(signal), 1 / SAMPLE_RATE), 40)
    decibels = np.interp(np.log2(hertz), knots, gains)
    return irfft(rfft(signal) * 10 ** (decibels / 20), len(signal))


def reverberate(signal, response):
    """Convolve, and cut what sounds on after the end."""
    return fftconvolve(signal, response)[: len(signal)]


def level(signal, decibels):
    """Scale to an RMS in dB of the full range."""
    rms = np.sqrt(np.mean(signal**2)) + 1e-9
    return signal / rms * 10 ** (decibels / 20)


def vary_speech(rng, signal):
    """Record an utterance elsewhere."""
    if rng.random() < REVERBERATED:
        signal = reverberate(signal, room(rng, (0.1, 0.6), (-2, 14)))
    decibels = rng.uniform(-32, -16)
    signal = level(colour(rng, signal, 2.5), decibels)
    if rng.random() < NOISY:
        floor = colour(rng, rng.standard_normal(len(signal)), 4)
        signal = signal + level(floor, decibels - rng.uniform(30, 50))
    return signal


def make_scene(rng, clips):
    """Sound one to three clips at once; ``clips`` loads one by its number."""
    n_samples = int(rng.uniform(12, 18) * SAMPLE_RATE)
    scene = np.zeros(n_samples)
    for _ in range(rng.integers(1, 4)):
        clip = np.resize(clips(rng), n_samples)
        clip = np.roll(clip, rng.integers(n_samples))
        if rng.random() < REVERBERATED:
            clip = reverberate(clip, room(rng, (0.2, 1.2), (-10, 6)))
        scene += level(colour(rng, clip, 5), -rng.uniform(0, 10))
    return level(scene, -26)


def save(path, signal):
    """Write a recording; what would clip is lowered."""
    signal = signal / max(1, np.abs(signal).max() / PEAK)
    save_audio(path, torch.from_numpy(signal))


def generator(seed, name):
    """Return an utterance's own generator."""
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


def vary(out, speech, noise, scenes, seed, workers):
    """Write both manifests and what they list."""
    rows, recordings = read_manifest(speech), find_noises(noise)

    def vary_row(row):
        """Vary a recording."""
        rng = generator(seed, row["ID"])
        if rng.random() < UNVARIED:
            return row
        path = out / "speech" / f"{row['ID']}.wav"
        save(path, vary_speech(rng, load_audio(row["wav"]).double().numpy()))
        return {**row, "wav": path}

    def clips(rng):
        """Draw a recording."""
        chosen = recordings[rng.integers(len(recordings))]
        return load_audio(chosen["wav"]).double().numpy()

    def scene_row(number):
        """Make a scene of several voices."""
        name = f"scene-{number:04d}"
        signal = make_scene(generator(seed, name), clips)
        path = out / "scenes" / f"{name}.wav"
        save(path, signal)
        seconds = len(signal) / SAMPLE_RATE
        return {"ID": name, "duration": seconds, "wav": path, "kind": "scene"}

    with ThreadPoolExecutor(workers) as pool:
        varied = pool.map(vary_row, rows)
        varied = list(tqdm(varied, "speech", len(rows), unit="utterances"))
        made = pool.map(scene_row, range(scenes))
        made = list(tqdm(made, "scenes", scenes, unit="scenes"))
    write_manifest(out / "speech.csv", varied)
    # Half: the scenes are made of the same clips.
    write_rows(out / "noise.csv", recordings[::2] + made, NOISE_COLUMNS)


def main(argv=None):
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(
        description=HELP,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--speech",
        required=True,
        metavar="CSV",
        help="manifest of clean speech",
    )
    parser.add_argument(
        "--noise",
        required=True,
        metavar="CSV",
        help="manifest of noise, or a folder of audio files",
    )
    parser.add_argument(
        "--scenes",
        type=int,
        default=800,
        metavar="N",
        help="scenes of 12 to 18 s (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="(default: %(default)s)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="threads (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    for name, least in (("scenes", 0), ("seed", 0), ("workers", 1)):
        value = getattr(arguments, name)
        if value < least:
            raise UserError(
                f"--{name}: is {value}; expected a whole number of at least "
                f"{least}"
            )
    vary(
        arguments.out.absolute(),
        arguments.speech,
        arguments.noise,
        arguments.scenes,
        arguments.seed,
        arguments.workers,
    )


if __name__ == "__main__":
    with exit_on_user_error():
        main()
