"""Files of weights: safetensors, written whole, read with clear errors."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import atomic_write


def load_weights(path, module):
    """Load a module's weights.

    Arguments
    ---------
    path : str or Path
        A safetensors file.
    module : torch.nn.Module
        What to load them into; names and shapes must match, unless it
        ``converts_weights`` of another class.

    Raises
    ------
    UserError
        When the file is missing, truncated or of another module.

    Example
    -------
    >>> import torch
    >>> load_weights("nowhere.safetensors", torch.nn.Linear(1, 1))
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.safetensors: ...
    """
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: not readable as safetensors weights ({error}); "
            "is the file whole?"
        ) from error
    converts = getattr(module, "converts_weights", False)
    problem = _first_difference(state, module.state_dict())
    if problem and not converts:
        raise UserError(
            f"{path}: does not fit a {type(module).__name__}: {problem}"
        )
    module.load_state_dict(state)


def _first_difference(found, expected):
    """Say in which tensor a file differs from a module, if in any."""
    for name, tensor in expected.items():
        if name not in found:
            return f"no {name} there; expected {list(tensor.shape)}"
        if found[name].shape != tensor.shape:
            return (
                f"{name} is {list(found[name].shape)}; expected "
                f"{list(tensor.shape)}"
            )
    extra = next((name for name in found if name not in expected), None)
    return extra and f"it has {extra}; expected no such tensor"


def save_weights(path, module, half=False):
    """Write a module's weights, whole or not at all.

    Arguments
    ---------
    path : str or Path
        A ``.safetensors`` file.
    module : torch.nn.Module
        Whose weights.
    half : bool
        Store float16, in half the space; they are loaded as float32 again.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "front_end.safetensors"
    >>> save_weights(file, torch.nn.Linear(2, 1))
    >>> load_weights(file, torch.nn.Linear(2, 1))
    """
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in module.state_dict().items()
    }
    if half:
        state = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in state.items()
        }
    with atomic_write(path) as temporary:
        try:
            save_file(state, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(str(error)) from error


def weights_in(folder, names):
    """Name the files of weights that a training begins with.

    Arguments
    ---------
    folder : str or Path
        Where they are; empty for a training that begins with nothing.
    names : list of str
        What they are of.

    Returns
    -------
    dict[str, Path]

    Example
    -------
    >>> weights_in("model", ["back_end"])
    {'back_end': PosixPath('model/back_end.safetensors')}
    >>> weights_in("", ["back_end"])
    {}
    """
    if not folder:
        return {}
    return {name: Path(folder) / f"{name}.safetensors" for name in names}
