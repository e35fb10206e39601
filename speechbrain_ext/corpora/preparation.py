"""What preparers of real corpora share: durations, and what is done already."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import soundfile
from tqdm import tqdm

from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import write_text


def read_text(path, expected):
    """Read a corpus's text file.

    Arguments
    ---------
    path : Path
        The file, in UTF-8.
    expected : str
        What it should be, for the message of an error.

    Returns
    -------
    str
        Its content.

    Raises
    ------
    UserError
        When it cannot be read as text.

    Example
    -------
    >>> read_text("nowhere.txt", "transcripts")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.txt: not readable; ...
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not readable; expected {expected}") from error


def audio_durations(paths, description, named_by="the transcripts name it"):
    """Read how long audio files are, from their headers.

    Arguments
    ---------
    paths : list of Path
        Files in any format that libsndfile reads.
    description : str
        What the progress bar says.
    named_by : str
        Where the files' names come from, for the message of an error.

    Returns
    -------
    list of float
        Seconds.

    Raises
    ------
    UserError
        When one is missing, not audio or empty.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "second.wav"
    >>> soundfile.write(file, [0.0] * 8000, 8000)
    >>> audio_durations([file], "test")
    [1.0]
    """
    infos = _in_threads(
        lambda path: _header(path, named_by), paths, description
    )
    return [info.duration for info in infos]


def check_pairs(pairs, description):
    """Check that clean and noisy recordings fit together, by their headers.

    Arguments
    ---------
    pairs : list of tuple of Path
        A clean file and its noisy version each.
    description : str
        What the progress bar says.

    Returns
    -------
    list of int
        Each pair's sample rate, in Hz.

    Raises
    ------
    UserError
        When a file is missing, not audio or empty, or the two of a pair have
        different rates or lengths; both numbers are named.

    Example
    -------
    >>> import tempfile
    >>> clean, noisy = (Path(tempfile.mkdtemp()) / "a.wav" for _ in range(2))
    >>> soundfile.write(clean, [0.0] * 800, 8000)
    >>> soundfile.write(noisy, [0.0] * 900, 8000)
    >>> check_pairs([(clean, noisy)], "test")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: ...a.wav: 900 samples, and its clean \
recording ...a.wav has 800; expected the same length
    """
    return _in_threads(_pair_rate, pairs, description)


def _in_threads(function, items, description):
    # Opening a file waits for the disk, often a remote one, not for a core.
    with ThreadPoolExecutor(16) as pool:
        bar = tqdm(
            pool.map(function, items),
            total=len(items),
            desc=description,
            unit="files",
        )
        return list(bar)


def _header(path, named_by):
    path = Path(path)
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError) as error:
        state = "not a readable audio file" if path.exists() else "no such file"
        raise UserError(f"{path}: {state}; {named_by}") from error
    if info.frames == 0:
        raise UserError(f"{path}: holds no samples; expected audio")
    return info


def _pair_rate(pair):
    clean, noisy = pair
    infos = [_header(path, "expected a pair of recordings") for path in pair]
    (rate, noisy_rate), (frames, noisy_frames) = zip(
        *((info.samplerate, info.frames) for info in infos), strict=True
    )
    if rate != noisy_rate:
        raise UserError(
            f"{noisy}: {noisy_rate} Hz, and its clean recording {clean} has "
            f"{rate} Hz; expected the same rate"
        )
    if frames != noisy_frames:
        raise UserError(
            f"{noisy}: {noisy_frames} samples, and its clean recording {clean} "
            f"has {frames}; expected the same length"
        )
    return rate


def is_prepared(manifests, settings, read=read_manifest):
    """Ask whether manifests are there, whole and made of the same things.

    Arguments
    ---------
    manifests : iterable of Path
        What a preparer would write, all in one folder.
    settings : dict
        All that its outcome depends on, in JSON's types.
    read : callable
        What raises where a manifest is not whole.

    Returns
    -------
    bool
        Whether there is nothing to do.

    Example
    -------
    >>> is_prepared([Path("nowhere.csv")], {"seed": 1})
    False
    """
    try:
        for manifest in manifests:
            recorded = json.loads(_record(manifest).read_text(encoding="utf-8"))
            if recorded != settings:
                return False
            read(manifest)
    except (OSError, ValueError, UserError):
        return False
    return True


def mark_prepared(manifests, settings):
    """Remember, for :func:`is_prepared`, what manifests were made of.

    Arguments
    ---------
    manifests : iterable of Path
        What a preparer has written.
    settings : dict
        As given to :func:`is_prepared`.

    Example
    -------
    >>> import tempfile
    >>> mark_prepared([Path(tempfile.mkdtemp()) / "train.csv"], {"seed": 1})
    """
    for manifest in manifests:
        write_text(_record(manifest), json.dumps(settings, indent=1))


def _record(manifest):
    return manifest.with_suffix(".prepared.json")


def newest(paths):
    """Find when the latest of some files was changed.

    Arguments
    ---------
    paths : iterable of Path
        The files.

    Returns
    -------
    int
        Nanoseconds since the epoch; 0 for no files.

    Example
    -------
    >>> newest([])
    0
    """
    return max((path.stat().st_mtime_ns for path in paths), default=0)
