"""The recording that a published model is tried on."""

import shutil

import torch

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.noise_mixtures import MixtureReader
from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
from speechbrain_ext.errors import UserError

EXAMPLE = "example.wav"
#: Of an example, in seconds.
_LONGEST = 8.0
_SHORTEST = 2.0
#: What is lost of it where a model repairs that, a share.
_LOSS = 0.2
_REPAIR_LOSS = ("PacketLossASR", "Inpainter")


def write_example(file, folders, interface, given=None):
    """Write the damaged speech that a model's card is about.

    Arguments
    ---------
    file : Path
        The WAV file to write.
    folders : sequence of Path
        Where an ``example.wav`` may be, or a recipe's ``test.csv``.
    interface : str
        The model's class: those that repair losses get an utterance with 20 %
        of its packets lost, others the noisy recording.
    given : str or Path, optional
        A recording that a person chose; it is taken as it is.

    Raises
    ------
    UserError
        When there is none, or it is no audio.

    Example
    -------
    >>> from pathlib import Path
    >>> write_example(Path("example.wav"), [Path("nowhere")], "Inpainter")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere: no example.wav and no test.csv \
there; expected --example with a recording
    """
    if given is not None:
        save_audio(file, load_audio(given))
        return
    for folder in folders:
        if (folder / EXAMPLE).is_file():
            shutil.copyfile(folder / EXAMPLE, file)
            return
    for folder in folders:
        if (folder / "test.csv").is_file():
            save_audio(file, _from_manifest(folder / "test.csv", interface))
            return
    raise UserError(
        f"{folders[0]}: no {EXAMPLE} and no test.csv there; expected --example "
        "with a recording"
    )


def _from_manifest(manifest, interface):
    rows = read_manifest(manifest)
    fitting = [row for row in rows if _SHORTEST <= row["duration"] <= _LONGEST]
    row = (fitting or rows)[0]
    if interface not in _REPAIR_LOSS and (
        row.get("noisy_wav") or row.get("noise_wav")
    ):
        _, noisy = MixtureReader().load_pair(row)
        # A sum may pass the full range of a file.
        noisy = noisy / noisy.abs().max().clamp(min=1.0)
        return noisy[: round(_LONGEST * SAMPLE_RATE)]
    signal = load_audio(
        row["wav"],
        start=row.get("start") or 0.0,
        duration=min(row["duration"], _LONGEST),
    )
    if interface not in _REPAIR_LOSS:
        return signal
    damage = WaveformPacketLoss(GilbertElliottLoss(), seed=0)
    damaged, _ = damage(
        signal[None], torch.ones(1), [row["ID"]], epoch=0, rate=_LOSS
    )
    return damaged[0]
