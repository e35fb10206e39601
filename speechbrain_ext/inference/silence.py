"""Digital silence and pauses in a waveform, and recognition between pauses."""

import torch
import torchaudio
from torch.nn import functional as F

from speechbrain_ext.audio import SAMPLE_RATE, read_audio
from speechbrain_ext.corruption.lost_packets import PACKET_SECONDS

_WINDOW_SECONDS = 30.0
_HOP = 160
_PAUSE_FRAMES = 21


def silent_runs(wavs, min_samples):
    """Find runs of exact digital silence.

    Arguments
    ---------
    wavs : torch.Tensor
        [batch, time].
    min_samples : int
        Shorter runs do not count.

    Returns
    -------
    torch.Tensor
        bool [batch, time], True inside a run.

    Example
    -------
    >>> wav = torch.tensor([[0.1, 0.0, 0.0, 0.0, 0.2, 0.0, 0.1]])
    >>> silent_runs(wav, 3).int().tolist()
    [[0, 1, 1, 1, 0, 0, 0]]
    """
    if wavs.shape[1] < min_samples:
        return torch.zeros_like(wavs, dtype=torch.bool)
    sound = (wavs != 0).float()[:, None]
    # A window without sound starts a run; every sample that such a window
    # covers is in it.
    starts = 1 - F.max_pool1d(sound, min_samples, stride=1)
    starts = F.pad(starts, (min_samples - 1, min_samples - 1))
    return F.max_pool1d(starts, min_samples, stride=1)[:, 0].bool()


def load_with_silence(path):
    """Read a file, and where it has a packet or more of exact silence.

    Arguments
    ---------
    path : str or Path
        Audio of any rate, channel count and length.

    Returns
    -------
    signal : torch.Tensor
        [time], 16 kHz.
    silent : torch.Tensor
        bool [time], True inside a run of 20 ms or more.

    Raises
    ------
    UserError
        When the file is not audio.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from speechbrain_ext.audio import save_audio
    >>> file = Path(tempfile.mkdtemp()) / "telephone.wav"
    >>> save_audio(file, torch.arange(800).div(160).floor() % 2, 8000)
    >>> signal, silent = load_with_silence(file)
    >>> signal.shape, silent.sum()
    (torch.Size([1600]), tensor(960))
    """
    signal, rate = read_audio(path)
    # At the file's own rate: resampling smears the edges of silence.
    silent = silent_runs(signal[None], round(PACKET_SECONDS * rate))[0]
    if rate == SAMPLE_RATE:
        return signal, silent
    resampled = torchaudio.functional.resample(signal, rate, SAMPLE_RATE)
    nearest = torch.arange(len(resampled)) * rate // SAMPLE_RATE
    return resampled, silent[nearest.clamp(max=len(signal) - 1)]


def split_at_pauses(signal, lost, window_seconds=_WINDOW_SECONDS):
    """Cut a long signal into windows, at its quietest places.

    A window is cut in its last half, in the middle of the 0.2 s that carry the
    least energy. Lost samples are zero without being a pause; they do not
    count.

    Arguments
    ---------
    signal : torch.Tensor
        [time], 16 kHz.
    lost : torch.Tensor
        [time], bool.
    window_seconds : float
        No window is longer.

    Returns
    -------
    list of (int, int)
        The windows' first sample and the one after their last.

    Example
    -------
    >>> signal = torch.ones(48000)
    >>> signal[28000:36000] = 0.001
    >>> lost = torch.zeros(48000, dtype=torch.bool)
    >>> [(start, end)] = split_at_pauses(signal, lost)[:1]
    >>> (start, end)
    (0, 48000)
    >>> windows = split_at_pauses(signal, lost, window_seconds=2.5)
    >>> 28000 < windows[0][1] < 36000
    True
    """
    window = int(window_seconds * SAMPLE_RATE)
    if len(signal) <= window:
        return [(0, len(signal))]
    loudness = _loudness(signal, lost)
    cuts = [0]
    while len(signal) - cuts[-1] > window:
        first = (cuts[-1] + window // 2) // _HOP
        last = (cuts[-1] + window) // _HOP
        quietest = int(loudness[first:last].argmin())
        cuts.append((first + quietest) * _HOP)
    cuts.append(len(signal))
    return list(zip(cuts[:-1], cuts[1:]))


def _loudness(signal, lost):
    """Mean energy of the received samples in the 0.2 s around each 10 ms."""
    width, padding = _PAUSE_FRAMES * _HOP, _PAUSE_FRAMES // 2 * _HOP

    def summed(x):
        """Take the mean over windows."""
        x = F.pad(x[None, None], (padding, padding + width))
        return F.avg_pool1d(x, width, stride=_HOP)[0, 0]

    energy = summed(signal**2 * ~lost)
    received = summed((~lost).float())
    # Where next to nothing arrived nobody knows; elsewhere take the mean.
    return torch.where(
        received > 0.2, energy / received.clamp(min=0.2), torch.inf
    )


def transcribe_windows(transcribe, windows, n_signals, batch_size):
    """Transcribe the windows of several signals, those of one length together.

    Arguments
    ---------
    transcribe : callable
        Given a batch's windows, what else they have in further arguments, each
        a sequence; returns their texts.
    windows : list of tuple
        A signal's index, a window of it, [time], and what else there is.
    n_signals : int
        How many signals there are.
    batch_size : int
        Windows at once.

    Returns
    -------
    list of str
        A text a signal.

    Example
    -------
    >>> windows = [(0, [1, 2]), (1, [3]), (0, [])]
    >>> transcribe_windows(lambda wavs: map(str, wavs), windows, 2, 2)
    ['[1, 2] []', '[3]']
    """
    # Windows of similar length together: padding is work in vain.
    order = sorted(range(len(windows)), key=lambda i: len(windows[i][1]))
    texts = [""] * len(windows)
    for first in range(0, len(order), batch_size):
        members = order[first : first + batch_size]
        _, *batch = zip(*(windows[member] for member in members))
        for member, text in zip(members, transcribe(*batch)):
            texts[member] = text
    found = [[] for _ in range(n_signals)]
    for (index, *_), text in zip(windows, texts):
        found[index].append(text)
    return [" ".join(text for text in own if text) for own in found]
