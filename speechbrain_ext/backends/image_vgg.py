"""VGG-16 as it was trained on images, in the shape of speechVGG (imgVGG)."""

import pickle
from pathlib import Path

import torch

from speechbrain_ext.backends.speech_vgg import VGG16, SpeechVGG
from speechbrain_ext.errors import UserError
from speechbrain_ext.weight_files import save_weights

#: What torchvision calls the weights that it downloads.
WEIGHTS = "vgg16-397923af.pth"
#: What :class:`~speechbrain_ext.backends.speech_vgg.SpeechVGG` is made with to
#: take them; its dense layers are not used.
SETTINGS = {
    "n_words": 2,
    "channels": [list(one) for one in VGG16],
    "dense": [1],
    "batch_norm": False,
}

# What torch's reader raises, it leaves to what the file happens to hold.
_UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def convert_image_vgg(file, folder, settings=SETTINGS):
    """Write the image classifier's convolutions as a speechVGG's.

    A spectrum is an image of one colour: the first convolution's weights are
    summed over the colours, as if each of them were the spectrum.

    Arguments
    ---------
    file : str or Path
        torchvision's weights of VGG-16, trained on ImageNet.
    folder : str or Path
        Where ``speech_vgg.safetensors`` goes.
    settings : dict
        Of the speechVGG.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UserError
        When the file is no such weights.

    Example
    -------
    >>> convert_image_vgg("nowhere.pth", "model")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.pth: not readable as ...
    """
    try:
        images = torch.load(file, map_location="cpu", weights_only=True)
        kernels, biases = (
            [
                value.float()
                for name, value in images.items()
                if name.startswith("features.") and name.endswith(part)
            ]
            for part in (".weight", ".bias")
        )
        kernels[0] = kernels[0].sum(dim=1, keepdim=True)
        model = SpeechVGG(**settings)
        layers = [
            layer
            for layer in model.blocks.modules()
            if isinstance(layer, torch.nn.Conv2d)
        ]
        for layer, kernel, bias in zip(layers, kernels, biases, strict=True):
            layer.load_state_dict({"weight": kernel, "bias": bias})
    except _UNREADABLE as error:
        raise UserError(
            f"{file}: not readable as VGG-16's weights; expected torchvision's "
            f"{WEIGHTS}"
        ) from error
    save_weights(Path(folder) / "speech_vgg.safetensors", model)
    return Path(folder)


def find_image_vgg():
    """Look for the weights where torchvision keeps them.

    Returns
    -------
    Path or None

    Example
    -------
    >>> found = find_image_vgg()
    >>> found is None or found.name == WEIGHTS
    True
    """
    file = Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    return file if file.is_file() else None
