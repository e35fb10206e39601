"""Audio files in and out: any rate and channel count in, mono float32 out."""

import hashlib
import io
from pathlib import Path

import soundfile
import torch
import torchaudio

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write

SAMPLE_RATE = 16000


def read_audio(path, start=0.0, duration=None):
    """Read a file as one channel at its own rate.

    Arguments
    ---------
    path : str or Path
        A file in any format that libsndfile reads (WAV, FLAC, OGG, MP3, ...).
    start : float
        Seconds that are skipped.
    duration : float, optional
        Seconds that are read; to the file's end where none are given.

    Returns
    -------
    signal : torch.Tensor
        [time], float32 in [-1, 1]; the channels' mean.
    sample_rate : int
        In Hz.

    Raises
    ------
    UserError
        When the file is missing, not audio, empty, ends before ``duration``,
        or has NaN or infinite samples.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "stereo.wav"
    >>> soundfile.write(file, torch.zeros(800, 2).numpy(), 8000)
    >>> signal, sample_rate = read_audio(file)
    >>> signal.shape, sample_rate
    (torch.Size([800]), 8000)
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected an audio file")
    try:
        first, wanted = 0, -1
        if start or duration is not None:
            file = soundfile.info(path)
            first = min(round(start * file.samplerate), file.frames)
            if duration is not None:
                wanted = round(duration * file.samplerate)
        samples, sample_rate = soundfile.read(
            path, wanted, first, dtype="float32", always_2d=True
        )
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        # TypeError: headerless formats want to be told the rate.
        raise UserError(
            f"{path}: not a readable audio file "
            f"({str(error).strip()}); expected WAV, FLAC or OGG"
        ) from error
    if len(samples) == 0:
        raise UserError(f"{path}: holds no samples; expected audio")
    if len(samples) < wanted:
        raise UserError(
            f"{path}: ends before {start + duration:g} s; expected the segment "
            f"of {duration:g} s from {start:g} s on"
        )
    signal = torch.from_numpy(samples).mean(dim=1)
    if not torch.isfinite(signal).all():
        raise UserError(
            f"{path}: has NaN or infinite samples; expected finite audio"
        )
    return signal, sample_rate


def load_audio(path, sample_rate=SAMPLE_RATE, start=0.0, duration=None):
    """Read a file as one channel at the wanted rate.

    Arguments
    ---------
    path : str or Path
        See :func:`read_audio`, which also says what is refused.
    sample_rate : int
        The rate to resample to, in Hz.
    start : float
        Seconds that are skipped.
    duration : float, optional
        Seconds that are read; to the file's end where none are given.

    Returns
    -------
    torch.Tensor
        [time], float32.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "telephone.wav"
    >>> soundfile.write(file, torch.zeros(800).numpy(), 8000)
    >>> load_audio(file).shape
    torch.Size([1600])
    """
    signal, rate = read_audio(path, start, duration)
    if rate != sample_rate:
        signal = torchaudio.functional.resample(signal, rate, sample_rate)
    return signal


def save_audio(path, signal, sample_rate=SAMPLE_RATE):
    """Write one channel as 16-bit PCM, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The file to write; its suffix names the format (``.wav``, ``.flac``).
    signal : torch.Tensor
        [time], float in [-1, 1]; what lies outside is clipped.
    sample_rate : int
        In Hz.

    Raises
    ------
    UserError
        When the file cannot be written or its suffix is no audio format.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "silence.wav"
    >>> save_audio(file, torch.zeros(160))
    >>> len(load_audio(file))
    160
    """
    path = Path(path)
    if path.suffix.lower() == ".raw" or not soundfile.check_format(
        path.suffix[1:], "PCM_16"
    ):
        raise UserError(
            f"{path}: no 16-bit audio format ends in '{path.suffix}'; "
            "expected .wav or .flac"
        )
    # In memory first: libsndfile calls a full disk a "system error".
    audio = io.BytesIO()
    soundfile.write(
        audio,
        signal.detach().cpu().clamp(-1, 1).numpy(),
        sample_rate,
        format=path.suffix[1:],
        subtype="PCM_16",
    )
    with atomic_write(path) as temporary:
        temporary.write_bytes(audio.getbuffer())


def digest_signal(signal):
    """Name a signal by its samples.

    Arguments
    ---------
    signal : torch.Tensor
        Of any shape.

    Returns
    -------
    str
        Hexadecimal; the same for the same samples only.

    Example
    -------
    >>> digest_signal(torch.ones(2)) == digest_signal(torch.tensor([1.0, 1.0]))
    True
    >>> digest_signal(torch.ones(2)) == digest_signal(torch.ones(3))
    False
    """
    data = signal.detach().cpu().contiguous().numpy().tobytes()
    return hashlib.blake2b(data, digest_size=16).hexdigest()
