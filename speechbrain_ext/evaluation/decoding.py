"""A recogniser's texts of a test set with lost packets."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.sharding import ALONE


@dataclass(frozen=True)
class System:
    """A recogniser with or without its front-end.

    Arguments
    ---------
    asr : PacketLossASR
        What has ``transcribe_batch`` and ``packet_samples``.
    front_end : bool
        False is the bare recogniser.
    settings : str
        What else decides the system's texts, for example the decoder's
        settings.

    Example
    -------
    >>> System(asr=None, front_end=False).front_end
    False
    """

    asr: object
    front_end: bool = True
    settings: str = ""

    def fingerprint(self):
        """Stand for the weights and settings that decide the system's texts.

        Returns
        -------
        str
            A hash.
        """
        weights = hashlib.blake2b(f"{self.front_end}{self.settings}".encode())
        state = getattr(self.asr, "state_dict", dict)()
        for name, value in state.items():
            # A bare recogniser stays what it is when its front-end learns.
            if self.front_end or ".front_end." not in f".{name}":
                raw = value.detach().cpu().contiguous().reshape(-1)
                weights.update(name.encode())
                weights.update(raw.view(torch.uint8).numpy())
        return weights.hexdigest()


class TestSet:
    """A test set's utterances in batches of similar length.

    Arguments
    ---------
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.manifest.read_manifest` reads them.
    batch_size : int
        Utterances at once.

    Attributes
    ----------
    ids : list of str
        The utterances' ids.
    n_samples : list of int
        Samples of each at the recogniser's rate.

    Raises
    ------
    UserError
        When an audio file cannot be used, or no utterance is in a batch.

    Example
    -------
    >>> import tempfile
    >>> from speechbrain_ext.audio import save_audio
    >>> wav = Path(tempfile.mkdtemp()) / "a.wav"
    >>> save_audio(wav, torch.zeros(800))
    >>> TestSet([{"ID": "a", "wav": wav, "wrd": "Hi."}], batch_size=8).n_samples
    [800]
    """

    # pytest takes what is called Test... for tests.
    __test__ = False

    def __init__(self, rows, batch_size):
        if batch_size < 1:
            raise UserError(f"batch_size: is {batch_size}; expected 1 or more")
        self.rows = rows
        self.ids = [row["ID"] for row in rows]
        self.n_samples = [_n_samples(row["wav"]) for row in rows]
        # The longest first: what does not fit the memory fails at once.
        order = np.argsort(self.n_samples, kind="stable")[::-1].tolist()
        self.batches = [
            order[start : start + batch_size]
            for start in range(0, len(order), batch_size)
        ]

    def __len__(self):
        return len(self.rows)

    def fingerprint(self):
        """Stand for the speech and its batches, wherever the files are.

        Returns
        -------
        str
            A hash.
        """
        speech = hashlib.blake2b(json.dumps([self.ids, self.batches]).encode())
        for row in self.rows:
            speech.update(Path(row["wav"]).read_bytes())
        return speech.hexdigest()

    def lost_share(self, lost, packet_samples):
        """Measure how much a mask of all utterances loses.

        Arguments
        ---------
        lost : torch.Tensor
            bool [utterances, packets].
        packet_samples : int
            Samples of a packet.

        Returns
        -------
        float
            Lost packets as a share of all.
        """
        packets = sum(-(-n // packet_samples) for n in self.n_samples)
        return lost.sum().item() / packets

    def transcribe(self, system, damage, lost, on_batch=None, shards=ALONE):
        """Recognise all utterances without their lost packets.

        Arguments
        ---------
        system : System
            The recogniser.
        damage : WaveformPacketLoss or FeaturePacketLoss
            What a lost packet means.
        lost : torch.Tensor
            bool [utterances, packets], as the damage draws it.
        on_batch : callable or None
            Called with the number of utterances after each batch.
        shards : Shards
            The processes that share the batches.

        Returns
        -------
        dict
            Text by utterance id.
        """
        texts = {}
        repeats = damage.packet_samples // system.asr.packet_samples
        for batch in shards.own(self.batches):
            wavs = [load_audio(self.rows[index]["wav"]) for index in batch]
            samples = torch.tensor([len(wav) for wav in wavs])
            wavs = pad_sequence(wavs, batch_first=True)
            packets = -(-wavs.shape[1] // system.asr.packet_samples)
            found = system.asr.transcribe_batch(
                damage.receive(wavs, lost[batch]),
                samples / wavs.shape[1],
                lost[batch].repeat_interleave(repeats, dim=1)[:, :packets],
                front_end=system.front_end,
            )
            names = [self.ids[index] for index in batch]
            texts.update(zip(names, found, strict=True))
            if on_batch is not None:
                on_batch(len(batch))
        return shards.gather(texts, self.ids)


def _n_samples(path):
    """Samples of a file at the recogniser's rate, without reading them."""
    try:
        info = soundfile.info(path)
        frames = math.ceil(info.frames * SAMPLE_RATE / info.samplerate)
    except (soundfile.LibsndfileError, OSError):
        frames = 0
    # Reading says in one line what is wrong with the file.
    return frames or len(load_audio(path))
