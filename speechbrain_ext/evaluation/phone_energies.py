"""Mean energy of each phone in clean speech."""

from collections import Counter, defaultdict

import numpy as np
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.errors import UserError

# Frames of 25 ms every 10 ms, as the paper's features on CHiME-2.
_WINDOW = SAMPLE_RATE * 25 // 1000
_HOP = SAMPLE_RATE * 10 // 1000
# What lies further below an utterance's loudest frame is silence, in dB.
_DYNAMIC_RANGE = 40.0


def frame_energies(wav):
    """Energy of an utterance's frames, relative to the whole utterance's.

    Arguments
    ---------
    wav : torch.Tensor or numpy.ndarray
        [time] at 16 kHz.

    Returns
    -------
    numpy.ndarray
        In dB, [frames] of 25 ms every 10 ms; none where the utterance is
        silent or shorter than a frame.

    Example
    -------
    >>> frame_energies(np.ones(800)).tolist()
    [0.0, 0.0, 0.0]
    """
    wav = np.asarray(wav, dtype=float)
    if len(wav) < _WINDOW or not wav.any():
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(wav, _WINDOW)[::_HOP]
    power = (frames**2).mean(axis=1) / (wav**2).mean()
    return 10 * np.log10(np.maximum(power, 1e-12))


def divide_equally(energies, phones):
    """Give the frames that are not silent to the phones, equally many to each.

    It stands in for an alignment where there is none, and blurs: many frames go
    to a phone's neighbours, so that the mean energies of all phones move
    towards each other.

    Arguments
    ---------
    energies : numpy.ndarray
        In dB, [frames]. What is more than 40 dB below the maximum is silence.
    phones : sequence of str
        In the order in which they are said.

    Returns
    -------
    list of str or None
        Each frame's phone, [frames]; None in silence.

    Example
    -------
    >>> divide_equally(np.array([-60.0, 0, -3, -9, -50, -2]), ["HH", "AY"])
    [None, 'HH', 'HH', 'AY', None, 'AY']
    """
    labels = [None] * len(energies)
    if not len(energies) or not phones:
        return labels
    (active,) = np.nonzero(energies > energies.max() - _DYNAMIC_RANGE)
    parts = np.array_split(active, len(phones))
    for phone, frames in zip(phones, parts, strict=True):
        for frame in frames:
            labels[frame] = phone
    return labels


def label_frames(segments, n_frames):
    """Give each frame the phone that is said in its middle.

    Arguments
    ---------
    segments : sequence of tuple
        (phone, start, end) in seconds.
    n_frames : int
        Frames of 25 ms every 10 ms.

    Returns
    -------
    list of str or None
        [n_frames]; None where nothing is said.

    Example
    -------
    >>> label_frames([("HH", 0.0, 0.02), ("AY", 0.03, 0.05)], 4)
    ['HH', None, 'AY', 'AY']
    """
    labels = [None] * n_frames
    middles = (np.arange(n_frames) * _HOP + _WINDOW / 2) / SAMPLE_RATE
    for phone, start, end in segments:
        first, last = np.searchsorted(middles, [start, end])
        labels[first:last] = [phone] * (last - first)
    return labels


def mean_energies(utterances):
    """Average the frames of each phone.

    Arguments
    ---------
    utterances : iterable of tuple
        (energies, labels): :func:`frame_energies` of an utterance, and each
        frame's phone or None.

    Returns
    -------
    dict of str to float
        In dB.

    Example
    -------
    >>> mean_energies([([-3.0, -1.0, 5.0], ["S", "S", None])])
    {'S': -2.0}
    """
    total, n = Counter(), Counter()
    for energies, labels in utterances:
        for energy, phone in zip(energies, labels, strict=True):
            if phone is not None:
                total[phone] += float(energy)
                n[phone] += 1
    return {phone: total[phone] / n[phone] for phone in sorted(n)}


def read_ctm(path):
    """Read an alignment as Kaldi's ``ali-to-phones --ctm-output`` writes it.

    Arguments
    ---------
    path : str or Path
        Lines of ``UTTERANCE CHANNEL START DURATION PHONE``, seconds. Of a phone
        such as ``AH0_B``, stress and position are dropped.

    Returns
    -------
    dict of str to list of tuple
        (phone, start, end) in seconds, by utterance id.

    Raises
    ------
    UserError
        When the file cannot be read or a line is of another form.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "phones.ctm"
    >>> _ = file.write_text("a 1 0.50 0.25 AH0_B\\n")
    >>> dict(read_ctm(file))
    {'a': [('AH', 0.5, 0.75)]}
    """
    segments = defaultdict(list)
    lines = read_text(path, "a CTM file of phones").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            name, _, start, duration, phone, *_ = line.split()
            start, duration = float(start), float(duration)
        except ValueError:
            raise UserError(
                f"{path}: line {number}: expected UTTERANCE CHANNEL START "
                "DURATION PHONE"
            ) from None
        phone = phone.partition("_")[0].rstrip("012")
        segments[name].append((phone, start, start + duration))
    return segments


def energies_of(rows, phones_of, segments=None, progressbar=True):
    """Measure the mean energy of each phone in clean speech.

    Arguments
    ---------
    rows : sequence of dict
        Of a manifest; ``phn`` is taken where it is there.
    phones_of : callable
        From a word to its phones, or to None where it is not known.
    segments : dict or None
        As :func:`read_ctm` returns them. None divides each utterance equally
        (:func:`divide_equally`).
    progressbar : bool
        Whether to show one.

    Returns
    -------
    energies : dict of str to float
        In dB, relative to the utterance.
    n_used : int
        Utterances whose phones are known; others are passed over.

    Example
    -------
    >>> energies_of([{"ID": "a", "wrd": "xyzzy"}], {}.get, progressbar=False)
    ({}, 0)
    """
    labelled = []
    for row in tqdm(rows, desc="energies", disable=not progressbar):
        if segments is None:
            phones = _phones_of_row(row, phones_of)
        else:
            phones = segments.get(row["ID"])
        if phones:
            energies = frame_energies(load_audio(row["wav"]))
            labels = (
                divide_equally(energies, phones)
                if segments is None
                else label_frames(phones, len(energies))
            )
            labelled.append((energies, labels))
    return mean_energies(labelled), len(labelled)


def _phones_of_row(row, phones_of):
    if row.get("phn"):
        return row["phn"].split()
    words = [phones_of(word) for word in row["wrd"].split()]
    return None if None in words else [each for word in words for each in word]
