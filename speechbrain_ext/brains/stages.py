"""A stage of a recipe that its YAML file describes from data to results."""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.weight_files import load_weights


def begin_stage(hparams, prepare=(), check=None, pretrained=None):
    """Prepare a stage's data and load what it begins with.

    Arguments
    ---------
    hparams : dict
        The built objects and values.
    prepare : sequence of callable
        What makes the data, in order; called by one process.
    check : callable or None
        Called before anything is loaded.
    pretrained : dict or None
        Files of weights by the name of what takes them.

    Raises
    ------
    UserError
        When the data or a file of weights cannot be used.

    Example
    -------
    >>> begin_stage({}, prepare=[lambda: print("made")])
    made
    """
    for step in prepare:
        run_on_main(step)
    if check is not None:
        check()
    for name, file in (pretrained or {}).items():
        load_weights(file, hparams[name])


def train_stage(brain, data, epochs, train_options, valid_options):
    """Train, unless the brain shall only test, and test.

    Arguments
    ---------
    brain : speechbrain.Brain
        Learns.
    data : dict
        Data set by split: ``train``, ``valid`` and ``test``.
    epochs : iterable
        What counts the epochs.
    train_options, valid_options : dict
        Of the loaders; the test split's are those of the valid split.

    Example
    -------
    >>> train_stage(brain, data, range(1, 3), {}, {})  # doctest: +SKIP
    """
    if not brain.test_only:
        brain.fit(
            epochs,
            data["train"],
            data["valid"],
            train_loader_kwargs=train_options,
            valid_loader_kwargs=valid_options,
        )
    brain.evaluate(data["test"], test_loader_kwargs=valid_options)


def finish_stage(brain, output_folder, export, evaluate=None, system="model"):
    """Export the best checkpoint, and evaluate what a user will load.

    Arguments
    ---------
    brain : speechbrain.Brain
        Has learned.
    output_folder : str or Path
        The experiment's.
    export : callable
        Called with that folder and the modules; writes ``model`` there.
    evaluate : callable or None
        Called with ``NAME=FOLDER`` of the model.
    system : str
        That name.

    Example
    -------
    >>> finish_stage(brain, "results/1", export_enhancer)  # doctest: +SKIP
    """
    folder = Path(output_folder)
    run_on_main(export, args=[folder, brain.modules])
    if evaluate:
        run_on_main(
            evaluate,
            args=[f"{system}={folder / 'model'}"],
            kwargs={"debug": brain.debug},
        )
