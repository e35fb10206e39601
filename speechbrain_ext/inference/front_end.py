"""What interfaces that give speech back have in common."""

from speechbrain.inference.interfaces import Pretrained

from speechbrain_ext.inference.model_folder import one_line_errors


class FrontEndInterface(Pretrained):
    """Features and a trained network that repairs them, without a recogniser.

    Arguments
    ---------
    *args, **kwargs
        As :class:`speechbrain.inference.interfaces.Pretrained` takes them.

    Example
    -------
    >>> FrontEndInterface.from_hparams("nowhere/at/all")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/at/all: no such folder; ...
    """

    MODULES_NEEDED = ["features", "front_end"]

    @classmethod
    def from_hparams(cls, source, *args, **kwargs):
        """Load a model's folder or hub id.

        SpeechBrain's own loading, which runs the YAML file: the source is
        trusted. :func:`speechbrain_ext.inference.load` trusts none.

        Arguments
        ---------
        source : str or Path
            The folder or hub id.
        *args, **kwargs
            As SpeechBrain's method takes them.

        Returns
        -------
        FrontEndInterface
            Of the class that it is called on.

        Raises
        ------
        UserError
            When the source is no model, or its weights are damaged.
        """
        with one_line_errors(source):
            return super().from_hparams(str(source), *args, **kwargs)
