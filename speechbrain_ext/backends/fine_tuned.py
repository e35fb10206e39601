"""A Whisper whose own weights learn, to compare a front-end with."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from safetensors.torch import save_file

from speechbrain_ext.backends.ctranslate2_decoder import (
    CTranslate2Whisper,
    convert_folder,
)
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.backends.whisper import FrozenWhisper
from speechbrain_ext.files import cache_folder, make_folder_once


class FineTunedWhisper(FrozenWhisper):
    """A pretrained Whisper that is trained further (Dissen et al., Table 3).

    All weights learn but the encoder's positions, which are sinusoids. It is
    otherwise what :class:`FrozenWhisper` is; a trained one's weights are loaded
    into it after it is made.

    Arguments
    ---------
    *args, **kwargs
        As :class:`FrozenWhisper` takes them.

    Example
    -------
    >>> whisper = FineTunedWhisper("openai/whisper-tiny.en")
    >>> whisper.train().training
    True
    >>> sum(p.numel() for p in whisper.parameters() if p.requires_grad)
    37184256
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._arguments = args, kwargs
        self.requires_grad_(True)
        self.whisper.model.encoder.embed_positions.requires_grad_(False)

    @property
    def encoder(self):
        """torch.nn.Module : The part that hears, for what thaws it slowly."""
        return self.whisper.model.encoder

    def train(self, mode=True):
        """Follow what is asked, unlike a frozen one.

        Arguments
        ---------
        mode : bool
            Whether to train.

        Returns
        -------
        torch.nn.Module
            The module itself.
        """
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def untouched(self):
        """Load the same Whisper as it was before it was fine-tuned.

        Returns
        -------
        FrozenWhisper
        """
        args, kwargs = self._arguments
        whisper = FrozenWhisper(*args, **kwargs)
        whisper.set_language(self.language)
        return whisper


class FineTunedCTranslate2Whisper(CTranslate2Whisper):
    """A fine-tuned Whisper that CTranslate2 runs.

    It is the published one until :meth:`load_state_dict` gives it the weights
    of a :class:`FineTunedWhisper`, which are converted once, into the cache
    folder.

    Arguments
    ---------
    *args, **kwargs
        As :class:`CTranslate2Whisper` takes them.

    Example
    -------
    >>> whisper = FineTunedCTranslate2Whisper("openai/whisper-tiny.en")
    >>> whisper.load_state_dict(trained.state_dict())  # doctest: +SKIP
    """

    #: What loads weights asks: these are not named as its own are.
    converts_weights = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._arguments = args, kwargs

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Take a fine-tuned Whisper's weights.

        Arguments
        ---------
        state_dict : dict[str, torch.Tensor]
            A :class:`FineTunedWhisper`'s.
        strict : bool
            As torch's method takes it; not used.
        assign : bool
            As torch's method takes it; not used.
        """
        prefix = "whisper.model."
        weights = {
            f"model.{name.removeprefix(prefix)}": value.contiguous()
            for name, value in state_dict.items()
            if name.startswith(prefix)
        }
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(weights):
            digest.update(name.encode())
            digest.update(weights[name].numpy().tobytes())
        name = f"fine-tuned--ctranslate2-{digest.hexdigest()}"
        self.use_folder(
            make_folder_once(
                cache_folder() / "models" / name,
                lambda temporary: self._convert(weights, temporary),
            )
        )

    def _convert(self, weights, target):
        published = resolve(self.source)
        with tempfile.TemporaryDirectory() as folder:
            for path in [*published.glob("*.json"), *published.glob("*.txt")]:
                shutil.copy(path, folder)
            file = Path(folder) / "model.safetensors"
            save_file(weights, file, {"format": "pt"})
            convert_folder(Path(folder), target)

    def untouched(self):
        """Load the same Whisper as it was before it was fine-tuned.

        Returns
        -------
        CTranslate2Whisper
        """
        args, kwargs = self._arguments
        whisper = CTranslate2Whisper(*args, **kwargs)
        whisper.set_language(self.language)
        return whisper
