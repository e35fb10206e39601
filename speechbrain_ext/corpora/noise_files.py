"""Recordings of noise: finding them, and cutting pieces out of them."""

from collections import OrderedDict
from pathlib import Path

import torch

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import read_rows
from speechbrain_ext.corpora.preparation import audio_durations
from speechbrain_ext.errors import UserError

#: Of a manifest of noises: like an utterance's, but a kind is all there is to
#: say.
NOISE_COLUMNS = ("ID", "duration", "wav", "kind")
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
#: What stays in memory, so that training does not wait for the disk: four and
#: a half hours.
CACHE_BYTES = 512 * 2**20
#: A recording is silent below one step of 16 bits (RMS), a cut of one when its
#: mean power is 40 dB below the recording's: dither and pauses, which would be
#: amplified until they are as loud as the speech.
SILENT_RMS = 2.0**-15
_SILENT_CUT = 1e-4
_ATTEMPTS = 10


def find_noises(source):
    """List recordings of noise.

    Arguments
    ---------
    source : str, Path or list
        A manifest (``.csv``, :data:`NOISE_COLUMNS`), an audio file, a folder
        that has audio files anywhere below it, or a list of audio files.

    Returns
    -------
    list of dict
        One for each recording, with ``ID``, ``duration`` (seconds), ``wav`` and
        ``kind``: the manifest's; else the subfolder's name, or the file's stem.

    Raises
    ------
    UserError
        When there is nothing there, or a file is missing, not audio or empty.

    Example
    -------
    >>> find_noises("nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no such file or folder; ...
    """
    if not isinstance(source, (str, Path)):
        return _noise_rows([Path(path) for path in source], None)
    path = Path(source)
    if path.suffix.lower() == ".csv":
        return read_rows(path, NOISE_COLUMNS)
    if path.is_dir():
        paths = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in SUFFIXES and file.is_file()
        )
        return _noise_rows(paths, path)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file or folder; expected recordings of noise "
            "(a CSV manifest, or a folder of audio files)"
        )
    return _noise_rows([path], None)


def _noise_rows(paths, folder):
    if not paths:
        raise UserError(
            f"{folder or 'noises'}: no audio files; expected recordings of "
            f"noise ({', '.join(sorted(SUFFIXES))})"
        )
    durations = audio_durations(paths, "noise", "expected a noise recording")
    rows = []
    for path, duration in zip(paths, durations, strict=True):
        below = path.relative_to(folder) if folder else Path(path.name)
        rows.append(
            {
                "ID": below.with_suffix("").as_posix().replace("/", "-"),
                "duration": duration,
                "wav": str(path),
                "kind": below.parts[0] if len(below.parts) > 1 else path.stem,
            }
        )
    return rows


class NoiseCuts:
    """Random cuts of recordings, which stay in memory once they were read.

    Arguments
    ---------
    noises : list of dict
        As :func:`find_noises` returns them; what :meth:`draw` draws from.
    repeat : bool
        Whether a recording that is shorter than a cut starts again at its end.

    Example
    -------
    >>> import tempfile, numpy
    >>> from speechbrain_ext.audio import save_audio
    >>> file = Path(tempfile.mkdtemp()) / "hiss.wav"
    >>> save_audio(file, 0.1 * torch.randn(16000))
    >>> cuts = NoiseCuts(find_noises(file))
    >>> noise, recording = cuts.draw(8000, numpy.random.default_rng(0))
    >>> noise.shape, recording["kind"]
    (torch.Size([8000]), 'hiss')
    """

    def __init__(self, noises, repeat=False):
        self.noises = list(noises)
        self.repeat = repeat
        self._shortest = min(
            self.noises, key=lambda row: row["duration"], default=None
        )
        self._read = OrderedDict()

    def draw(self, n_samples, generator):
        """Cut a random piece out of a random recording.

        Arguments
        ---------
        n_samples : int
            How long it shall be, at 16 kHz.
        generator : numpy.random.Generator
            Decides which recording and where.

        Returns
        -------
        noise : torch.Tensor
            [n_samples], float32; its level has no meaning, but it is not
            silent.
        recording : dict
            What it was cut from.

        Raises
        ------
        UserError
            When any recording is shorter than this and ``repeat`` is False, or
            the drawn one is silent as a whole.
        """
        # Any of them: whether a run fails must not be a matter of luck.
        self._check_length(self._shortest, n_samples)
        recording = self.noises[int(generator.integers(len(self.noises)))]
        signal, power = self._load(recording["wav"])
        self._check_length(recording, n_samples, len(signal))
        for _ in range(_ATTEMPTS):
            start = generator.integers(self._n_starts(signal, n_samples))
            noise = self._cut(signal, int(start), n_samples)
            if noise.square().mean() > _SILENT_CUT * power:
                return noise, recording
        return self._loudest(signal, n_samples), recording

    def cut_at(self, wav, start, n_samples):
        """Cut a piece that was drawn before out of a recording.

        Arguments
        ---------
        wav : str or Path
            The recording; it starts again at its end where it is shorter.
        start : int
            The piece's first sample, at 16 kHz.
        n_samples : int
            How long it shall be.

        Returns
        -------
        torch.Tensor
            [n_samples], float32; from around the recording's loudest sample
            where the piece would be silent.

        Raises
        ------
        UserError
            When the recording is missing, not audio or silent as a whole.
        """
        signal, power = self._load(wav)
        noise = self._cut(signal, start % len(signal), n_samples)
        if noise.square().mean() > _SILENT_CUT * power:
            return noise
        return self._loudest(signal, n_samples)

    def _loudest(self, signal, n_samples):
        start = int(signal.abs().argmax()) - n_samples // 2
        start = max(0, min(start, self._n_starts(signal, n_samples) - 1))
        return self._cut(signal, start, n_samples)

    def _check_length(self, recording, n_samples, have=None):
        if have is None:
            have = round(recording["duration"] * SAMPLE_RATE)
        if have < n_samples and not self.repeat:
            raise UserError(
                f"{recording['wav']}: {have / SAMPLE_RATE:.2f} s of noise are "
                f"shorter than speech of {n_samples / SAMPLE_RATE:.2f} s; "
                "expected longer recordings, or repeat: True"
            )

    def _n_starts(self, signal, n_samples):
        spare = len(signal) - n_samples
        return spare + 1 if spare >= 0 else len(signal)

    def _cut(self, signal, start, n_samples):
        if start + n_samples <= len(signal):
            return signal[start : start + n_samples].float()
        places = torch.arange(start, start + n_samples) % len(signal)
        return signal[places].float()

    def _load(self, wav):
        """Read a recording as int16, scaled to the full range, and its power.

        It drops what was not used for longest when there is too much of it.
        """
        if wav not in self._read:
            signal = load_audio(wav)
            if signal.square().mean().sqrt() < SILENT_RMS:
                raise UserError(f"{wav}: is silent; expected noise")
            signal = (signal / signal.abs().max() * 32767).short()
            power = signal.float().square().mean()
            self._read[wav] = signal, power
            while len(self._read) > 1 and self._bytes() > CACHE_BYTES:
                self._read.popitem(last=False)
        self._read.move_to_end(wav)
        return self._read[wav]

    def _bytes(self):
        return sum(signal.nbytes for signal, _ in self._read.values())
