"""Loading a model of a downstream task where a recipe has trained it."""

import io
from pathlib import Path

from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML

from speechbrain_ext.errors import UserError
from speechbrain_ext.inference.model_folder import read_resolved
from speechbrain_ext.weight_files import load_weights


def load_downstream(experiment_folder, device="cpu"):
    """Load a trained model of a downstream task.

    Arguments
    ---------
    experiment_folder : str or Path
        A recipe's output folder, with ``hyperparams.yaml``, ``train.csv`` and
        ``model/back_end.safetensors``. Its YAML file is run: one's own.
    device : str or torch.device
        Where the model shall be.

    Returns
    -------
    torch.nn.Module
        Of :mod:`speechbrain_ext.backends.downstream`, to be used: a recogniser
        or classifier has ``transcribe_signals``, a speaker encoder ``embed``.

    Raises
    ------
    UserError
        When the folder has no such model.

    Example
    -------
    >>> load_downstream("nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(experiment_folder)
    file = folder / "hyperparams.yaml"
    resolved = read_resolved(folder)
    if "back_end" not in resolved:
        raise UserError(
            f"{file}: has no back_end; expected that of a downstream task"
        )
    # Without the rest, which would set seeds and load what is not needed.
    text = io.StringIO()
    YAML().dump({"back_end": resolved["back_end"]}, text)
    model = load_hyperpyyaml(text.getvalue())["back_end"]
    if hasattr(model, "labels"):
        # Where it was trained its path was relative, perhaps.
        model.labels.manifest = folder / Path(model.labels.manifest).name
    load_weights(folder / "model" / "back_end.safetensors", model)
    return model.to(device).eval()
