"""What a frozen network says of clean speech, kept on disk."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn.utils.rnn import pad_sequence

from speechbrain_ext.audio import digest_signal
from speechbrain_ext.errors import UserError
from speechbrain_ext.features.frames import own_frames
from speechbrain_ext.files import atomic_write


class CleanFeatureCache:
    """Outputs of a network by utterance, for as long as neither changes.

    A file an utterance, in a folder that is named after the network's weights
    and settings. A file says of which signal it is: where an utterance has
    another one, as random crops would give it, that is refused. An utterance's
    outputs must not depend on its batch.

    Arguments
    ---------
    folder : str or Path
        Where the files go; it is made when it is first needed.
    model : torch.nn.Module
        The network.
    setting : str
        What else the outputs depend on.

    Example
    -------
    >>> import tempfile
    >>> from types import SimpleNamespace
    >>> model = torch.nn.Identity()
    >>> cache = CleanFeatureCache(tempfile.mkdtemp(), model, "all")
    >>> batch = SimpleNamespace(
    ...     ids=["a"], clean=torch.ones(1, 4, 1), frame_lengths=torch.ones(1)
    ... )
    >>> def lengths(restoration, frames):
    ...     return restoration.frame_lengths
    >>> (first,) = cache.fetch(batch, lambda: [2 * batch.clean], lengths)
    >>> (second,) = cache.fetch(batch, None, lengths)
    >>> torch.equal(first, second)
    True
    """

    def __init__(self, folder, model, setting):
        self.folder = Path(folder)
        self.model = model
        self.setting = setting
        self._name = None

    def fetch(self, restoration, compute, frame_lengths):
        """Read a batch's outputs, or compute and keep them.

        Arguments
        ---------
        restoration : Restoration
            The batch.
        compute : callable
            Returns a list of [batch, frames, ...], float32; called where an
            utterance of the batch is not there yet.
        frame_lengths : callable
            ``(restoration, frames) -> [batch]``, relative lengths of outputs.

        Returns
        -------
        list of torch.Tensor
            [batch, frames, ...], zero past the ends where they were read.

        Raises
        ------
        UserError
            When an utterance's clean signal is not the one that was kept, or a
            file cannot be written.
        """
        own = own_frames(restoration.clean, restoration.frame_lengths)
        signals = [digest_signal(row) for row in own]
        kept = [
            self._read(name, signal)
            for name, signal in zip(restoration.ids, signals)
        ]
        if all(kept):
            device = restoration.clean.device
            return [pad_sequence(rows, True).to(device) for rows in zip(*kept)]
        outputs = compute()
        lengths = frame_lengths(restoration, outputs[0].shape[1])
        found = zip(*(own_frames(output, lengths) for output in outputs))
        for name, signal, old, new in zip(
            restoration.ids, signals, kept, found, strict=True
        ):
            if old is None:
                self._write(name, signal, new)
        return outputs

    def _file(self, name):
        if self._name is None:
            self._name = _fingerprint(self.model, self.setting)
        return self.folder / self._name / f"{_digest(name)}.safetensors"

    def _read(self, name, signal):
        """An utterance's outputs; None where they are not there, or damaged."""
        path = self._file(name)
        try:
            with safe_open(path, "pt") as file:
                found = file.metadata()["signal"]
                names = sorted(file.keys())
                outputs = [file.get_tensor(key) for key in names]
        except (SafetensorError, OSError):
            return None
        if found != signal:
            raise UserError(
                f"{self.folder}: the clean signal of {name} is not the one that "
                "is kept there; expected the same in every epoch, or no cache"
            )
        return outputs

    def _write(self, name, signal, outputs):
        tensors = {
            f"{number:03d}": output.detach().cpu().contiguous()
            for number, output in enumerate(outputs)
        }
        with atomic_write(self._file(name)) as temporary:
            save_file(tensors, temporary, {"id": name, "signal": signal})


def _digest(text):
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _fingerprint(model, setting):
    """Name a network by all that its outputs depend on."""
    device = next(model.parameters(), torch.zeros(0)).device.type
    precision = torch.is_autocast_enabled(device)
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{type(model)} {model} {setting} {precision}".encode())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
