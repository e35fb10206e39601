"""Noises of several kinds, computed: what :mod:`mini_noise` writes to files.

Each kind is a function of a random generator, which also draws the clip's own
parameters: two clips of a kind differ as two recordings do.
"""

import functools

import numpy
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq
from scipy.signal import welch

from speechbrain_ext.audio import SAMPLE_RATE


def make_noise(kind, rng, n_samples, speech=()):
    """Make a clip of noise.

    Arguments
    ---------
    kind : str
        One of :data:`KINDS`.
    rng : numpy.random.Generator
        Draws the clip.
    n_samples : int
        How long it shall be, at 16 kHz.
    speech : sequence of numpy.ndarray
        [time] each, at 16 kHz: what people say in babble, and whose spectrum
        speech-shaped noise has. Other kinds need none.

    Returns
    -------
    numpy.ndarray
        [n_samples], float64, at any level.

    Example
    -------
    >>> make_noise("hum", numpy.random.default_rng(0), 16000).shape
    (16000,)
    """
    return KINDS[kind](rng, n_samples, speech)


def _pink(rng, n_samples, speech):
    """Make noise whose power falls with the frequency, 1/f or nearly so."""
    slope = rng.uniform(0.8, 1.2)
    return _noise(rng, n_samples, lambda hertz: _tilt(hertz, slope))


def _fan(rng, n_samples, speech):
    """Make the rush of air: dark, with a few broad resonances, nearly steady."""
    slope = rng.uniform(0.6, 2.0)
    count = rng.integers(2, 6)
    centres = 2 ** rng.uniform(6.3, 12.0, count)
    gains = rng.uniform(5, 16, count)
    octaves = rng.uniform(0.1, 0.4, count)

    def decibels(hertz):
        """Give the filter's gains at these frequencies."""
        distance = numpy.log2(numpy.maximum(hertz, 1)[:, None] / centres)
        bumps = gains * numpy.exp(-0.5 * (distance / octaves) ** 2)
        return _tilt(hertz, slope) + bumps.sum(axis=1)

    breath = _swell(rng, n_samples, rng.uniform(0.3, 3), rng.uniform(0, 2))
    return breath * _noise(rng, n_samples, decibels)


def _modulated(rng, n_samples, speech):
    """Make noise of any colour that swells at any pace up to 10 Hz."""
    rate = 2 ** rng.uniform(-2, 3.3)
    swell = _swell(rng, n_samples, rate, rng.uniform(3, 9))
    slope, colour = rng.uniform(0, 1.5), _any_colour(rng, 9)
    return swell * _noise(
        rng, n_samples, lambda hertz: _tilt(hertz, slope) + colour(hertz)
    )


def _wind(rng, n_samples, speech):
    """Make gusts: rumble whose loudness and brightness rise together."""
    slope = rng.uniform(1.5, 2.5)
    gusts = _swell(rng, n_samples, rng.uniform(0.2, 1.2), rng.uniform(3, 8))
    rumble = _noise(rng, n_samples, lambda hertz: _tilt(hertz, slope))
    hiss = _noise(rng, n_samples, lambda hertz: _tilt(hertz, slope - 1))
    share = 10 ** (rng.uniform(-20, -8) / 20)
    return gusts * _unit(rumble) + gusts**2 * share * _unit(hiss)


def _rustle(rng, n_samples, speech):
    """Make paper and cloth: soft bursts of bright noise over a quiet room."""
    room = _noise(rng, n_samples, lambda hertz: _tilt(hertz, 1))
    clip = 10 ** (rng.uniform(-30, -18) / 20) * _unit(room)
    for start in _events(rng, n_samples, rng.uniform(2, 6)):
        size = round(rng.uniform(0.06, 0.5) * SAMPLE_RATE)
        low = 2 ** rng.uniform(8, 11.5)
        high = low * 2 ** rng.uniform(1, 3)
        band = functools.partial(_band, low=low, high=high)
        # Half a cosine at each end: nothing here begins with a click.
        burst = numpy.hanning(size) * _unit(_noise(rng, size, band))
        loudness = 10 ** (rng.normal(0, 5) / 20)
        _add(clip, start, loudness * burst)
    return clip


def _speech_shaped(rng, n_samples, speech):
    """Make noise with the long-term spectrum of speech, steady to syllabic."""
    some = rng.permutation(len(speech))[:50]
    joined = numpy.concatenate([speech[number] for number in some])
    grid, power = welch(joined, SAMPLE_RATE, nperseg=512)
    spectrum = 10 * numpy.log10(power + 1e-12 * power.max())
    noise = _noise(
        rng, n_samples, lambda hertz: numpy.interp(hertz, grid, spectrum)
    )
    return noise * _swell(rng, n_samples, rng.uniform(2, 6), rng.uniform(0, 7))


def _babble(rng, n_samples, speech):
    """Let several people talk at once, some of them nearer."""
    clip = numpy.zeros(n_samples)
    for _ in range(rng.integers(4, 11)):
        loudness = 10 ** (rng.normal(0, 3) / 20)
        # They are in the middle of a sentence when the clip begins.
        position = -int(rng.integers(2 * SAMPLE_RATE))
        while position < n_samples:
            sentence = _unit(speech[rng.integers(len(speech))])
            _add(clip, position, loudness * sentence)
            position += len(sentence)
    return clip


def _beeps(rng, n_samples, speech):
    """Let devices beep: one or two pure tones at a time, on and off softly."""
    room = _noise(rng, n_samples, lambda hertz: _tilt(hertz, 1))
    clip = numpy.zeros(n_samples)
    for start in _events(rng, n_samples, rng.uniform(0.7, 2.5)):
        size = round(2 ** rng.uniform(-4, 0.6) * SAMPLE_RATE)
        time = numpy.arange(size) / SAMPLE_RATE
        tones = sum(
            numpy.sin(2 * numpy.pi * 2 ** rng.uniform(8, 12) * time)
            for _ in range(rng.integers(1, 3))
        )
        # Nothing here begins with a click.
        edge = numpy.minimum(numpy.minimum(time, time[::-1]) / 0.01, 1)
        _add(clip, start, 10 ** (rng.normal(0, 4) / 20) * edge * tones)
    return clip + 10 ** (rng.uniform(-30, -18) / 20) * _unit(room)


def _music(rng, n_samples, speech):
    """Play notes and chords that swell and die away, in equal temperament."""
    clip = numpy.zeros(n_samples)
    brightness = rng.uniform(0.8, 2.5)
    for start in _events(rng, n_samples, rng.uniform(1.5, 5)):
        size = round(rng.uniform(0.3, 2) * SAMPLE_RATE)
        time = numpy.arange(size) / SAMPLE_RATE
        attack = rng.uniform(0.02, 0.2)
        shape = (time / attack).clip(max=1) * numpy.exp(
            -time / rng.uniform(0.2, 1.5)
        )
        note = numpy.zeros(size)
        for semitones in rng.integers(-24, 25, rng.integers(1, 4)):
            pitch = 261.6 * 2 ** (semitones / 12)
            vibrato = rng.uniform(0, 6) * numpy.sin(2 * numpy.pi * 5 * time)
            for number in range(1, int(min(15, 7000 / pitch)) + 1):
                turns = number * pitch * time + number * vibrato / 30
                phase = 2 * numpy.pi * (turns + rng.uniform())
                note += number**-brightness * numpy.sin(phase)
        end = numpy.minimum(time[::-1] / 0.02, 1)
        _add(clip, start, 10 ** (rng.normal(0, 3) / 20) * end * shape * note)
    hiss = _noise(rng, n_samples, lambda hertz: _tilt(hertz, 0.5))
    return clip + 10 ** (rng.uniform(-40, -25) / 20) * _unit(hiss)


def _typing(rng, n_samples, speech):
    """Type: dull knocks of a few ms, in runs, over a quiet room."""
    room = _noise(rng, n_samples, lambda hertz: _tilt(hertz, 1))
    clip = 10 ** (rng.uniform(-20, -10) / 20) * _unit(room)
    low = 2 ** rng.uniform(7, 10)
    band = functools.partial(_band, low=low, high=low * 2 ** rng.uniform(1, 4))
    for run in _events(rng, n_samples, rng.uniform(0.3, 1)):
        for number in range(rng.integers(2, 12)):
            start = run + round(
                (number + rng.normal(0, 0.2)) * 0.15 * SAMPLE_RATE
            )
            size = round(rng.uniform(0.01, 0.05) * SAMPLE_RATE)
            time = numpy.arange(size) / SAMPLE_RATE
            # A finger gives way: no attack is as sharp as that of metal.
            shape = (time / 0.004).clip(max=1) * numpy.exp(-time / 0.006)
            knock = shape * _unit(_noise(rng, size, band))
            _add(clip, start, 3 * 10 ** (rng.normal(0, 4) / 20) * knock)
    return clip


def _hum(rng, n_samples, speech):
    """Make a transformer or a motor: a drifting tone and its harmonics."""
    pitch = rng.choice([50.0, 60.0, 100.0, 120.0, rng.uniform(70, 200)])
    drift = _swell(rng, n_samples, rng.uniform(0.1, 0.5), 0.03)
    phase = 2 * numpy.pi * numpy.cumsum(pitch * drift) / SAMPLE_RATE
    fall = rng.uniform(0.6, 1.4)
    clip = numpy.zeros(n_samples)
    for number in range(1, int(min(40, 4000 / pitch)) + 1):
        level = number**-fall * 10 ** (rng.normal(0, 4) / 20)
        clip += level * numpy.sin(number * phase + rng.uniform(0, 6.3))
    floor = _noise(rng, n_samples, lambda hertz: _tilt(hertz, 1))
    share = 10 ** (rng.uniform(-30, -20) / 20)
    swell = _swell(rng, n_samples, rng.uniform(0.2, 2), rng.uniform(0, 1.5))
    return swell * _unit(clip) + share * _unit(floor)


def _clatter(rng, n_samples, speech):
    """Drop dishes and tools: sharp attacks that ring for a moment."""
    room = _noise(rng, n_samples, lambda hertz: _tilt(hertz, 1))
    clip = numpy.zeros(n_samples)
    for start in _events(rng, n_samples, rng.uniform(3, 8)):
        size = round(0.4 * SAMPLE_RATE)
        time = numpy.arange(size) / SAMPLE_RATE
        struck = numpy.exp(-time / 0.002) * rng.standard_normal(size)
        for _ in range(rng.integers(3, 8)):
            decay = numpy.exp(-time / rng.uniform(0.01, 0.09))
            frequency = 2 ** rng.uniform(8.8, 12.7)
            tone = numpy.sin(2 * numpy.pi * frequency * time)
            struck += rng.uniform(0.1, 1) * decay * tone
        _add(clip, start, 10 ** (rng.normal(0, 6) / 20) * struck)
    return clip + 10 ** (rng.uniform(-40, -30) / 20) * _unit(room)


KINDS = {
    "babble": _babble,
    "pink": _pink,
    "speech-shaped": _speech_shaped,
    "fan": _fan,
    "modulated": _modulated,
    "wind": _wind,
    "rustle": _rustle,
    "beeps": _beeps,
    "music": _music,
    "typing": _typing,
    "hum": _hum,
    "clatter": _clatter,
}


def _noise(rng, n_samples, decibels):
    """Gaussian noise, its spectrum shaped by a function of the frequencies."""
    size = next_fast_len(n_samples, real=True)
    hertz = rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum = rfft(rng.standard_normal(size))
    return irfft(spectrum * 10 ** (decibels(hertz) / 20), size)[:n_samples]


def _tilt(hertz, slope):
    """Power that falls as 1 / f ** slope, in dB; level below 60 Hz."""
    # As steep below, most of the power would be where nobody hears it.
    return -10 * slope * numpy.log10(numpy.maximum(hertz, 60))


def _band(hertz, low, high):
    """A band with soft edges, 24 dB an octave, in dB."""
    octaves = numpy.log2(numpy.maximum(hertz, 1) / low)
    above = numpy.log2(numpy.maximum(hertz, 1) / high)
    return -24 * (numpy.maximum(-octaves, 0) + numpy.maximum(above, 0))


def _any_colour(rng, depth):
    """Random levels, ``depth`` dB up and down, an octave apart."""
    grid = 62.5 * 2.0 ** numpy.arange(8)
    levels = rng.uniform(-depth, depth, len(grid))
    return lambda hertz: numpy.interp(
        numpy.log2(numpy.maximum(hertz, 1)), numpy.log2(grid), levels
    )


def _swell(rng, n_samples, rate, depth):
    """A random gain that turns about ``rate`` times a second; dB, RMS."""
    steps = numpy.arange(n_samples) / SAMPLE_RATE * 2 * rate
    # A rare outlier would leave all else silent.
    levels = rng.standard_normal(int(steps[-1]) + 2).clip(-2, 2)
    return 10 ** (depth * numpy.interp(steps, range(len(levels)), levels) / 20)


def _events(rng, n_samples, rate):
    """Where things happen, at random and ``rate`` times a second."""
    count = rng.poisson(rate * n_samples / SAMPLE_RATE)
    return rng.integers(n_samples, size=max(1, count))


def _unit(signal):
    """Scale to an RMS of 1."""
    return signal / numpy.sqrt(numpy.mean(signal**2))


def _add(clip, start, sound):
    """Add a sound that may begin before or end after the clip, in place."""
    first, last = max(start, 0), min(start + len(sound), len(clip))
    if first < last:
        clip[first:last] += sound[first - start : last - start]
