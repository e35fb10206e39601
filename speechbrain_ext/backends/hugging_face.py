"""What loading through SpeechBrain's Hugging Face lobes needs besides them."""

import contextlib
import logging
from pathlib import Path

from safetensors import safe_open
from transformers.utils import logging as transformers_logging

_LOBES = "speechbrain.integrations.huggingface"


@contextlib.contextmanager
def quiet():
    """Hide what transformers and SpeechBrain say at every load.

    Yields
    ------
    None

    Example
    -------
    >>> with quiet():
    ...     logging.getLogger(f"{_LOBES}.huggingface").warning("is frozen")
    """
    loggers = [
        logging.getLogger(f"{_LOBES}.{name}")
        for name in ("huggingface", "whisper")
    ]
    levels = [logger.level for logger in loggers]
    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def stored_names(folder):
    """List the weights that a model's folder holds, without reading them.

    Arguments
    ---------
    folder : str or Path
        With safetensors files; other formats are not looked into.

    Returns
    -------
    set of str

    Example
    -------
    >>> import tempfile, torch
    >>> from safetensors.torch import save_file
    >>> folder = tempfile.mkdtemp()
    >>> save_file({"w": torch.zeros(1)}, f"{folder}/model.safetensors")
    >>> stored_names(folder)
    {'w'}
    """
    names = set()
    for path in Path(folder).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            names |= set(file.keys())
    return names
