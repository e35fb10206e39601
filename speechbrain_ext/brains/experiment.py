"""What every train.py does before and after it builds its Brain."""

import argparse
import atexit
import contextlib
import dataclasses
import difflib
import os
import re
import shutil
import sys
from pathlib import Path

import ruamel.yaml
import speechbrain as sb
import torch
import yaml
from hyperpyyaml import load_hyperpyyaml
from speechbrain.utils.distributed import (
    ddp_barrier,
    ddp_init_group,
    if_main_process,
)
from speechbrain.utils.run_opts import RunOptions

from speechbrain_ext.errors import UserError, brief, exit_on_user_error


def parse_arguments(argv=None):
    """Split a command line into the YAML file, run options and overrides.

    SpeechBrain's own parser takes ``--dev`` for ``--device``, passes a
    misspelt key on silently, breaks a value at its ``=``, and leaves
    ``--optimizer_step_limit`` a string. This one refuses what it does not
    know, and chooses gloo for processes without GPUs.

    Arguments
    ---------
    argv : list of str, optional
        The arguments; ``sys.argv[1:]`` if not given.

    Returns
    -------
    hparams_file : str
        The YAML file.
    run_opts : RunOptions
        SpeechBrain's run options.
    overrides : dict
        Value by top-level key of the YAML file.

    Raises
    ------
    UserError
        For a missing file, an unknown key, or a key without a value.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "train.yaml"
    >>> _ = file.write_text("lr: 0.1\\nseed: 1\\n")
    >>> name, options, overrides = parse_arguments([str(file), "--lr", "0.2"])
    >>> overrides
    {'lr': 0.2}
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = RunOptions._create_parser()
    parser.allow_abbrev = False
    parser.description = (
        "Train a recipe. Any top-level key of the YAML file can be set as "
        "--key value; what follows are SpeechBrain's run options."
    )
    parser.exit_on_error = False
    try:
        with _one_line_errors(parser):
            known, rest = parser.parse_known_args(argv)
    except argparse.ArgumentError as error:
        raise UserError(f"command line: {error}") from error
    options = _without(argv, rest)
    if "RANK" in os.environ and not torch.cuda.is_available():
        # The default, nccl, is for GPUs only.
        options += ["--distributed_backend", "gloo"]
    hparams_file, run_opts, _ = RunOptions.from_command_line_args(options)
    if known.optimizer_step_limit is not None:
        run_opts = dataclasses.replace(
            run_opts, optimizer_step_limit=_step_limit(known)
        )
    overrides = _overrides(hparams_file, rest, parser)
    return hparams_file, run_opts, overrides


def _step_limit(known):
    try:
        return int(known.optimizer_step_limit)
    except ValueError:
        raise UserError(
            f"--optimizer_step_limit: {known.optimizer_step_limit!r}; "
            "expected a whole number"
        ) from None


@contextlib.contextmanager
def _one_line_errors(parser):
    def fail(message):
        """Say in one line what is wrong."""
        raise UserError(f"command line: {message}")

    parser.error = fail
    yield


def _without(argv, rest):
    """``argv`` less the arguments that the parser passed on."""
    kept, left = [], list(rest)
    for argument in argv:
        if left and argument == left[0]:
            left.pop(0)
        else:
            kept.append(argument)
    return kept


def _top_level_keys(hparams_file):
    try:
        text = Path(hparams_file).read_text(encoding="utf-8")
    except OSError:
        raise UserError(
            f"{hparams_file}: no such file; expected a YAML file of "
            "hyperparameters"
        ) from None
    return re.findall(r"^([A-Za-z_]\w*):", text, flags=re.MULTILINE)


def _overrides(hparams_file, rest, parser):
    keys = _top_level_keys(hparams_file)
    overrides, position = {}, 0
    while position < len(rest):
        argument = rest[position]
        position += 1
        if not argument.startswith("--"):
            raise UserError(
                f"command line: '{argument}' follows no --key; "
                "expected --key value"
            )
        key, equals, value = argument[2:].partition("=")
        if key not in keys:
            options = [name[2:] for name in parser._option_string_actions]
            close = difflib.get_close_matches(key, keys + options, n=1)
            hint = f"; did you mean --{close[0]}?" if close else ""
            raise UserError(
                f"--{key}: neither a key of {hparams_file} nor a run "
                f"option{hint}"
            )
        if not equals:
            if position == len(rest):
                raise UserError(f"--{key}: no value; expected --{key} value")
            value = rest[position]
            position += 1
        overrides[key] = _parse_value(key, value)
    return overrides


def _parse_value(key, value):
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    # YAML 1.1 reads 1e-3 as a string.
    if isinstance(parsed, str):
        with contextlib.suppress(ValueError):
            return float(parsed)
    return parsed


def load_hparams(hparams_file, overrides):
    """Load a recipe's YAML file.

    Arguments
    ---------
    hparams_file : str
        The file.
    overrides : dict
        Value by top-level key.

    Returns
    -------
    dict
        The built objects and values.

    Raises
    ------
    UserError
        When the file is no YAML, or a value is still to be filled in.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "train.yaml"
    >>> _ = file.write_text("lr: 0.1\\nseed: 1\\n")
    >>> load_hparams(file, {"lr": 0.2})["lr"]
    0.2
    """
    with open(hparams_file, encoding="utf-8") as file:
        try:
            return load_hyperpyyaml(file, overrides)
        except (yaml.YAMLError, ruamel.yaml.YAMLError) as error:
            raise UserError(
                f"{hparams_file}: not valid YAML ({brief(error)})"
            ) from error
        except ValueError as error:
            missing = re.match(r"'(\w+)' is a !PLACEHOLDER", str(error))
            if missing is None:
                raise
            raise UserError(
                f"{missing[1]}: {hparams_file} leaves it open; "
                f"expected --{missing[1]} VALUE"
            ) from error


def start_experiment(script, hparams_file, run_opts, overrides):
    """Join the other processes, load the YAML file, make the output folder.

    Arguments
    ---------
    script : str or Path
        The train.py, of which the output folder gets a copy.
    hparams_file : str
        The YAML file.
    run_opts : RunOptions
        SpeechBrain's run options.
    overrides : dict
        Value by top-level key.

    Returns
    -------
    dict
        The built objects and values.

    Raises
    ------
    UserError
        When the file is no YAML, or a value is still to be filled in.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "train.yaml"
    >>> _ = file.write_text("output_folder: !PLACEHOLDER\\n")
    >>> start_experiment("train.py", file, RunOptions(), {})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: output_folder: ...
    """
    ddp_init_group(run_opts)
    hparams = load_hparams(hparams_file, overrides)
    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )
    if if_main_process():
        # SpeechBrain takes whichever file calls it for the experiment's script.
        folder = Path(hparams["output_folder"])
        (folder / Path(__file__).name).unlink(missing_ok=True)
        shutil.copy(script, folder)
    return hparams


def run(main):
    """Run a train.py's main function as a command.

    Arguments
    ---------
    main : callable
        ``(hparams_file, run_opts, overrides) -> None``.

    Example
    -------
    >>> run(main)  # doctest: +SKIP
    """
    # oneDNN keeps code and buffers for each of 1024 shapes, and in training each
    # batch has another one: gigabytes.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    with exit_on_user_error(), leave_processes():
        main(*parse_arguments())
        ddp_barrier()


@contextlib.contextmanager
def leave_processes():
    """Leave the group of processes at the end, and end this one then.

    A process that exits inside its group may be aborted by the group's threads,
    and torchrun takes that for a failure.

    Example
    -------
    >>> with leave_processes():
    ...     "alone"
    'alone'
    """
    try:
        yield
    finally:
        grouped = torch.distributed.is_initialized()
        if grouped:
            torch.distributed.destroy_process_group()
    if grouped:
        # Some of the threads outlive it: what exits by itself still does, but
        # they are not destructed.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
