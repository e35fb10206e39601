"""The perceptual models of paper 1's CHiME-2 study, by name, to judge with."""

from speechbrain_ext.backends.frozen import Frozen
from speechbrain_ext.backends.senone_models import (
    N_SENONES,
    SenoneDNN,
    SenoneWideResNet,
)
from speechbrain_ext.backends.wrbn import WRBN
from speechbrain_ext.errors import UserError

#: Table I's.
SENONE_MODELS = {
    "dnn": SenoneDNN,
    "wrbn": WRBN,
    "wide_resnet": SenoneWideResNet,
}


def frozen_senone_model(name, n_senones=N_SENONES, settings={}):
    """Make a classifier of senones that never learns.

    Arguments
    ---------
    name : str
        Of :data:`SENONE_MODELS`.
    n_senones : int
        Classes.
    settings : dict
        Sizes that are not the paper's, as the class takes them.

    Returns
    -------
    torch.nn.Module
        The model; its weights are still to be loaded.

    Raises
    ------
    UserError
        When there is no such model or setting.

    Example
    -------
    >>> model = frozen_senone_model("dnn", 10, {"hidden": [8, 8]})
    >>> model.layers, model.train().training
    (('layer1', 'layer2', 'senones'), False)
    """
    if name not in SENONE_MODELS:
        raise UserError(
            f"perceptual model: {name!r}; expected one of "
            f"{', '.join(SENONE_MODELS)}"
        )
    model = SENONE_MODELS[name]
    frozen = type(f"Frozen{model.__name__}", (Frozen, model), {})
    try:
        return frozen(n_senones=n_senones, **settings).freeze()
    except TypeError as error:
        raise UserError(
            f"perceptual model: {error}; expected a setting of {model.__name__}"
        ) from error
