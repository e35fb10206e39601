"""Which packets of a recording were lost: masks, what they do, their files.

A mask is a boolean tensor, True where a unit (a packet or a mel frame) is lost.
"""

from pathlib import Path

import torch

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write, describe

#: Seconds of a packet in a lost-packet file (Audio Deep PLC Challenge).
PACKET_SECONDS = 0.02


def lost_samples(lost, packet_samples, n_samples):
    """Spread a mask of packets over the samples that they carry.

    Arguments
    ---------
    lost : torch.Tensor
        bool [batch, packets], True where a packet is lost.
    packet_samples : int
        Samples of a packet.
    n_samples : int
        Samples of the waveforms. Samples past the last packet are not lost.

    Returns
    -------
    torch.Tensor
        bool [batch, n_samples], True where a sample is lost.

    Example
    -------
    >>> lost_samples(torch.tensor([[False, True]]), 2, 5).int()
    tensor([[0, 0, 1, 1, 0]], dtype=torch.int32)
    """
    samples = lost.repeat_interleave(packet_samples, dim=1)[:, :n_samples]
    return torch.nn.functional.pad(samples, (0, n_samples - samples.shape[1]))


def zero_lost_samples(wavs, lost, packet_samples):
    """Zero the samples of lost packets: what a receiver is left with.

    Arguments
    ---------
    wavs : torch.Tensor
        [batch, time], in samples.
    lost : torch.Tensor
        bool [batch, packets], True where a packet is lost.
    packet_samples : int
        Samples of a packet.

    Returns
    -------
    torch.Tensor
        [batch, time], a new tensor.

    Example
    -------
    >>> zero_lost_samples(torch.ones(1, 5), torch.tensor([[False, True]]), 2)
    tensor([[1., 1., 0., 0., 1.]])
    """
    return wavs.masked_fill(
        lost_samples(lost, packet_samples, wavs.shape[1]).to(wavs.device), 0
    )


def zero_lost_frames(feats, lost):
    """Zero the frames of a feature that are lost (paper, section 3.1).

    In Whisper's normalised log-mel 0 is a level in the middle of the range,
    not silence: the paper's damage, and not what a receiver hears.

    Arguments
    ---------
    feats : torch.Tensor
        [batch, time, channels], in frames.
    lost : torch.Tensor
        bool [batch, frames], True where a frame is lost. Frames past the mask
        are not lost.

    Returns
    -------
    torch.Tensor
        [batch, time, channels], a new tensor.

    Example
    -------
    >>> zero_lost_frames(torch.ones(1, 3, 1), torch.tensor([[False, True]]))
    tensor([[[1.],
             [0.],
             [1.]]])
    """
    frames = lost_samples(lost, 1, feats.shape[1]).to(feats.device)
    return feats.masked_fill(frames.unsqueeze(-1), 0)


def read_lost_packets(path, n_packets=None):
    """Read a lost-packet file: one 0 or 1 a line (1 = lost), a line a packet.

    This is the format of the Audio Deep PLC Challenge's ``NAME_is_lost.txt``,
    whose packets are 20 ms long.

    Arguments
    ---------
    path : str or Path
        The text file.
    n_packets : int or None
        Packets of the audio. The file may have a line more, which is left
        out: of a last packet that the audio lacks.

    Returns
    -------
    torch.Tensor
        bool [packets], True where a packet is lost.

    Raises
    ------
    UserError
        When the file is missing, has a line that is not 0 or 1 (the line is
        named), holds no packet, or does not have a line for each packet.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "lost.txt"
    >>> _ = file.write_text("0\\n1\\n1\\n")
    >>> read_lost_packets(file, n_packets=2)
    tensor([False,  True])
    """
    try:
        text = Path(path).read_text(encoding="ascii")
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; expected a lost-packet file, "
            "one 0 or 1 a line"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {describe(error)}") from error
    except UnicodeDecodeError:
        raise UserError(
            f"{path}: not a text file; expected one 0 or 1 a line"
        ) from None
    lines = [line.strip() for line in text.rstrip().splitlines()]
    for number, line in enumerate(lines, start=1):
        if line not in ("0", "1"):
            raise UserError(
                f"{path}: line {number} is {line[:20]!r}; expected 0 or 1 "
                "(1 = lost)"
            )
    if not lines:
        raise UserError(f"{path}: is empty; expected one 0 or 1 a line")
    if n_packets is not None:
        check_packet_count(path, len(lines), n_packets)
    return torch.tensor([line == "1" for line in lines[:n_packets]])


def check_packet_count(path, n_lines, n_packets):
    """Refuse a lost-packet file that is not of this audio or these packets.

    Arguments
    ---------
    path : str or Path
        The file, for the message.
    n_lines : int
        Its lines.
    n_packets : int
        Packets of the audio, each 20 ms.

    Raises
    ------
    UserError
        When the lines are fewer, or more by two.

    Example
    -------
    >>> check_packet_count("lost.txt", 1000, 500)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: lost.txt: has 1000 lines, longer than \
the audio; expected 500, one for each 20 ms packet
    """
    if not n_packets <= n_lines <= n_packets + 1:
        relation = "shorter" if n_lines < n_packets else "longer"
        raise UserError(
            f"{path}: has {n_lines} lines, {relation} than the audio; expected "
            f"{n_packets}, one for each 20 ms packet"
        )


def write_lost_packets(path, lost):
    """Write a lost-packet file, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The text file.
    lost : torch.Tensor
        bool [packets], True where a packet is lost.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "lost.txt"
    >>> write_lost_packets(file, torch.tensor([False, True]))
    >>> file.read_text().split()
    ['0', '1']
    """
    with atomic_write(path) as temporary:
        temporary.write_text(
            "".join(f"{int(unit)}\n" for unit in lost.tolist()),
            encoding="ascii",
        )
