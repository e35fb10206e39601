"""Loading a model of whichever class, by strangers or of one's own."""

import re

import torch
from speechbrain.utils.run_opts import RunOptions

from speechbrain_ext.errors import UserError
from speechbrain_ext.inference.classes import (
    IN_CTRANSLATE2,
    INTERFACES,
    import_class,
)
from speechbrain_ext.inference.model_files import ModelFiles
from speechbrain_ext.inference.model_folder import (
    SafetensorsPretrainer,
    check_backend,
    check_source,
    interface_name,
    one_line_errors,
    read_interface,
)
from speechbrain_ext.inference.safe_yaml import MAX_CHARACTERS, load_yaml
from speechbrain_ext.weight_files import load_weights

_HYPERPARAMETERS = "hyperparams.yaml"
_MODULE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# SpeechBrain's interfaces take these from the hyperparameters as well: what
# runs on this machine, and how, is its user's to say.
_NOT_OF_A_MODEL = {*RunOptions().as_dict(), "audio_normalizer", "savedir"}


def load(
    source,
    savedir=None,
    run_opts=None,
    backend="torch",
    compute_type="float32",
):
    """Load a model that need not be trusted.

    Nothing in its files is run: the YAML file holds plain values and names
    classes of an exact table (:mod:`speechbrain_ext.inference.classes`), the
    weights are safetensors, and a Python file is not looked at. Files outside
    of the folder are not read. ``from_hparams`` and SpeechBrain's
    ``foreign_class`` load the same folders, and run what these say.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id.
    savedir : str or Path, optional
        Where copies of the files go; the hub's cache if not given.
    run_opts : dict, optional
        SpeechBrain's run options, for example ``{"device": "cuda:0"}``.
    backend : str
        What runs a recogniser: ``"torch"`` or ``"ctranslate2"``.
    compute_type : str
        What CTranslate2 computes in.

    Returns
    -------
    speechbrain.inference.interfaces.Pretrained
        Of the class that the model's ``config.json`` names.

    Raises
    ------
    UserError
        When it is no model, or one that does or names what it must not; the
        message names the file, and the tag.

    Example
    -------
    >>> enhancer = load("pretrained/ssl-mse-mini")  # doctest: +SKIP
    >>> load("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    check_backend(backend)
    with one_line_errors(source, check_source):
        files = ModelFiles(source, savedir)
        interface = _interface_class(read_interface(files))
        text = files.read_text(_HYPERPARAMETERS, MAX_CHARACTERS)
        file = f"{source}: {_HYPERPARAMETERS}"
        replaced = _replaced(source, interface, backend, compute_type)
        hparams = load_yaml(text, file, replaced)
        _check_hyperparameters(file, hparams, interface)
        for name, module in hparams["pretrainer"].loadables.items():
            load_weights(files.find(f"{name}.safetensors"), module)
    hparams["savedir"] = savedir
    return interface(
        modules=hparams["modules"], hparams=hparams, run_opts=run_opts
    )


def load_trusted(source, run_opts=None, **kwargs):
    """Load a model of one's own, as SpeechBrain does: its YAML is run.

    Arguments
    ---------
    source : str or Path
        A folder or a hub id.
    run_opts : dict, optional
        SpeechBrain's run options.
    **kwargs
        As the class's ``from_hparams`` takes them.

    Returns
    -------
    speechbrain.inference.interfaces.Pretrained
        Of the class that the model's ``config.json`` names.

    Raises
    ------
    UserError
        When it is no model.

    Example
    -------
    >>> load_trusted("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """
    interface = _interface_class(interface_name(source))
    if "back_end" not in interface.MODULES_NEEDED:
        for key in ("backend", "compute_type"):
            kwargs.pop(key, None)
    return interface.from_hparams(str(source), run_opts=run_opts, **kwargs)


def _interface_class(name):
    return import_class(INTERFACES[f"speechbrain_ext.inference.{name}"])


def _replaced(source, interface, backend, compute_type):
    if backend == "torch":
        return {}
    if "back_end" not in interface.MODULES_NEEDED:
        raise UserError(
            f"{source}: a {interface.__name__} has no recogniser; expected the "
            f"torch backend, not {backend}"
        )
    more = {"compute_type": compute_type}
    return {name: (fast, more) for name, fast in IN_CTRANSLATE2.items()}


def _check_hyperparameters(file, hparams, interface):
    """Refuse what is no model of that class, or more than a model."""
    for key in hparams:
        if key in _NOT_OF_A_MODEL:
            raise UserError(
                f"{file}: {key}: not a model's to say; expected no run options"
            )
    modules = hparams.get("modules")
    pretrainer = hparams.get("pretrainer")
    if not isinstance(pretrainer, SafetensorsPretrainer):
        raise UserError(
            f"{file}: pretrainer: expected !new:{SafetensorsPretrainer.__module__}"
            ".SafetensorsPretrainer"
        )
    for key, group in (
        ("modules", modules),
        ("pretrainer", pretrainer.loadables),
    ):
        if not isinstance(group, dict) or not all(
            isinstance(module, torch.nn.Module) for module in group.values()
        ):
            raise UserError(f"{file}: {key}: expected modules by their names")
        for name in group:
            if not _MODULE_NAME.fullmatch(name):
                raise UserError(
                    f"{file}: {key}: {name}: expected a module's name, which "
                    "is a word"
                )
    for key in (*interface.MODULES_NEEDED, *interface.HPARAMS_NEEDED):
        if key not in modules and key not in hparams:
            raise UserError(
                f"{file}: no {key}; expected that of a {interface.__name__}"
            )
