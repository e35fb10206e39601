"""The files of a model that ships: written whole, read with clear errors."""

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import yaml
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
)
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import YAML
from speechbrain.utils.fetching import FetchConfig, LocalStrategy, fetch

from speechbrain_ext.errors import UserError, brief
from speechbrain_ext.inference.classes import IN_CTRANSLATE2, INTERFACES
from speechbrain_ext.inference.model_files import ModelFiles
from speechbrain_ext.weight_files import load_weights


def read_resolved(experiment_folder):
    """Read what a training's settings were, as it resolved and kept them.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder, with ``hyperparams.yaml``. Nothing is run.

    Returns
    -------
    ruamel.yaml.comments.CommentedMap
        Tags and comments are kept.

    Raises
    ------
    UserError
        When the file cannot be read.

    Example
    -------
    >>> read_resolved("nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    file = Path(experiment_folder) / "hyperparams.yaml"
    try:
        return YAML().load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read; expected a trained recipe's folder"
        ) from error


class SafetensorsPretrainer:
    """What ``Pretrained.from_hparams`` needs of a pretrainer, for safetensors.

    SpeechBrain's own reads ``.ckpt`` files only.

    Arguments
    ---------
    loadables : dict[str, torch.nn.Module]
        Each module's weights are in ``<name>.safetensors``.

    Example
    -------
    >>> import tempfile, torch
    >>> from speechbrain_ext.weight_files import save_weights
    >>> folder = tempfile.mkdtemp()
    >>> module = torch.nn.Linear(2, 1)
    >>> save_weights(Path(folder) / "module.safetensors", module)
    >>> pretrainer = SafetensorsPretrainer({"module": module})
    >>> pretrainer.collect_files(default_source=folder)
    >>> pretrainer.load_collected()
    """

    def __init__(self, loadables):
        self.loadables = loadables
        self.collect_in = None
        self.paths = {}

    def set_collect_in(self, path):
        """Say where files that are fetched shall be kept.

        Arguments
        ---------
        path : str or Path or None
            A folder; None for the hub's cache.
        """
        self.collect_in = path

    def collect_files(
        self,
        default_source=None,
        local_strategy=LocalStrategy.SYMLINK,
        fetch_config=FetchConfig(),
    ):
        """Find or fetch the files.

        Arguments
        ---------
        default_source : str or Path
            A folder or a hub id.
        local_strategy : LocalStrategy
            As SpeechBrain's ``fetch`` takes it.
        fetch_config : FetchConfig
            As SpeechBrain's ``fetch`` takes it.

        Raises
        ------
        UserError
            When the source lacks a file.
        """
        for name in self.loadables:
            try:
                self.paths[name] = fetch(
                    filename=f"{name}.safetensors",
                    source=default_source,
                    savedir=self.collect_in,
                    local_strategy=local_strategy,
                    fetch_config=fetch_config,
                )
            except (ValueError, OSError) as error:
                raise UserError(
                    f"{default_source}: no {name}.safetensors there; "
                    "expected the weights of a model"
                ) from error

    def load_collected(self):
        """Load the weights into the modules."""
        for name, module in self.loadables.items():
            load_weights(self.paths[name], module)


#: What can run a recogniser.
BACKENDS = ("torch", "ctranslate2")

#: Bytes of a config.json.
_MAX_CONFIG = 65536


def check_backend(backend):
    """Take the name of what shall run the recogniser.

    Arguments
    ---------
    backend : str
        One of ``BACKENDS``.

    Returns
    -------
    str
        The same.

    Raises
    ------
    UserError
        When there is no such backend, or its package is not installed.

    Example
    -------
    >>> check_backend("torch")
    'torch'
    """
    if backend not in BACKENDS:
        raise UserError(
            f"backend {backend}: unknown; expected one of {', '.join(BACKENDS)}"
        )
    if backend == "ctranslate2":
        # Not above: with it comes all of Whisper, which an enhancer never needs.
        from speechbrain_ext.backends.ctranslate2_decoder import (
            import_ctranslate2,
        )

        import_ctranslate2()
    return backend


def load_for_ctranslate2(source, compute_type="float32", overrides=None):
    """Load a model's hyperparameters with CTranslate2 in Whisper's place.

    Torch's Whisper is not made at all: it would cost time and memory.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id; its YAML file is run, so it is trusted.
    compute_type : str
        What CTranslate2 computes in.
    overrides : dict or str, optional
        Of hyperparameters, as HyperPyYAML takes them.

    Returns
    -------
    dict
        The hyperparameters, with trained weights in their modules.

    Raises
    ------
    UserError
        When the model's recogniser is no Whisper as it was published, or a
        file is missing or damaged.

    Example
    -------
    >>> hparams = load_for_ctranslate2("pretrained/plc-whisper-tiny.en")
    ... # doctest: +SKIP
    """
    file = fetch("hyperparams.yaml", str(source))
    text = Path(file).read_text(encoding="utf-8")
    text, found = re.subn(
        rf"(?<=!new:)({'|'.join(map(re.escape, IN_CTRANSLATE2))})(?=\s)",
        lambda match: IN_CTRANSLATE2[match[0]],
        text,
    )
    if not found:
        raise UserError(
            f"{source}: its recogniser is no Whisper of ours; CTranslate2 runs "
            "no other: expected --backend torch"
        )
    chosen = {"back_end": {"compute_type": compute_type}}
    hparams = load_hyperpyyaml(resolve_references(text, chosen), overrides)
    pretrainer = hparams["pretrainer"]
    pretrainer.collect_files(default_source=str(source))
    pretrainer.load_collected()
    return hparams


def check_source(source):
    """Refuse what names no model, before anything is read or fetched.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id; a hub id passes.

    Raises
    ------
    UserError
        When a local folder has no ``hyperparams.yaml``, or nothing of this
        name is here and it cannot be a hub id.

    Example
    -------
    >>> check_source("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    folder = Path(source)
    if folder.is_dir():
        if not os.path.lexists(folder / "hyperparams.yaml"):
            raise UserError(
                f"{source}: no hyperparams.yaml in this folder; expected a "
                "model's folder"
            )
    elif folder.exists() or str(source).count("/") != 1:
        raise UserError(
            f"{source}: no such folder; expected a model's folder or a hub id "
            "ORG/NAME"
        )


def check_model_folder(source):
    """Refuse a folder that holds no model, before anything is fetched.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id; a hub id passes.

    Raises
    ------
    UserError
        As :func:`check_source` does, and where a local folder's
        ``hyperparams.yaml`` is broken.

    Example
    -------
    >>> check_model_folder("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    check_source(source)
    if Path(source).is_dir():
        _check_hyperparameters(Path(source) / "hyperparams.yaml")


def interface_name(source):
    """Read from a model's ``config.json`` which class loads it.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id.

    Returns
    -------
    str
        The class's name in :mod:`speechbrain_ext.inference`; ``PacketLossASR``
        where a folder has no ``config.json``.

    Raises
    ------
    UserError
        When there is no such model, or its ``config.json`` is broken or names
        a class that is none of ours.

    Example
    -------
    >>> interface_name("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    with one_line_errors(source, check_source):
        return read_interface(ModelFiles(source))


def read_interface(files):
    """Read from a model's ``config.json`` which class loads it.

    Arguments
    ---------
    files : ModelFiles
        The model's.

    Returns
    -------
    str
        As :func:`interface_name` says.

    Raises
    ------
    UserError
        When its ``config.json`` is broken or names a class that is none of
        ours.

    Example
    -------
    >>> import tempfile
    >>> read_interface(ModelFiles(tempfile.mkdtemp()))
    'PacketLossASR'
    """
    file = Path(files.source) / "config.json"
    if file.parent.is_dir() and not os.path.lexists(file):
        return "PacketLossASR"
    text = files.read_text("config.json", _MAX_CONFIG)
    try:
        named = json.loads(text)["interface"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(
            f"{file}: says of no interface; expected JSON that does"
        ) from error
    if not isinstance(named, str) or named not in INTERFACES:
        raise UserError(
            f"{file}: interface {brief(named)}: not a class that models may "
            f"name; expected one of {', '.join(INTERFACES)}"
        )
    return named.rpartition(".")[2]


@contextmanager
def one_line_errors(source, check=check_model_folder):
    """Say in one line why a model cannot be loaded.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id.
    check : callable
        What refuses a source at first.

    Raises
    ------
    UserError
        When it is no model, or the hub does not give it, or it names what is
        not here.

    Example
    -------
    >>> with one_line_errors("nowhere/at/all"):
    ...     pass
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    check(source)
    try:
        yield
    except (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        ConnectionError,
    ) as error:
        raise UserError(
            f"{source}: no such folder, and not to be had from the hub "
            f"({type(error).__name__})"
        ) from error
    except ImportError as error:
        raise UserError(
            f"{source}: hyperparams.yaml names what is not here ({error}); "
            "is the model of a newer version?"
        ) from error


def _check_hyperparameters(path):
    """Read the top level only: nothing in the file is run."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: not readable as YAML ({' '.join(str(error).split())})"
        ) from error
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    keys = {key.value for key, _ in pairs}
    missing = [key for key in ("modules", "pretrainer") if key not in keys]
    if missing:
        raise UserError(
            f"{path}: no {' and no '.join(missing)}; expected a model's "
            "hyperparameters"
        )
