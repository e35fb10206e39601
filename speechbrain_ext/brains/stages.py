"""A stage of a recipe that its YAML file describes from data to results."""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.brains.experiment import fit, start_experiment
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.weight_files import load_weights


def begin_stage(script, hparams_file, run_opts, overrides):
    """Prepare a stage's data, load what it begins with, make its brain.

    The YAML file has ``prepare`` and, of features with statistics,
    ``fit_statistics``, called unless ``skip_prep``, and ``statistics``, the
    file that it writes; ``check``, called before anything is loaded, if there
    is one; ``pretrained``, files of weights by the name of what takes them; and
    ``brain``, called with what SpeechBrain wants.

    Arguments
    ---------
    script : str or Path
        The train.py.
    hparams_file : str
        The YAML file.
    run_opts : RunOptions
        SpeechBrain's run options.
    overrides : dict
        Values from the command line, by key.

    Returns
    -------
    hparams : dict
        The built objects and values.
    brain : speechbrain.Brain

    Raises
    ------
    UserError
        When the YAML file, the data or a file of weights cannot be used.

    Example
    -------
    >>> begin_stage("train.py", "hparams/mini.yaml", run_opts, {})
    ... # doctest: +SKIP
    """
    hparams = start_experiment(script, hparams_file, run_opts, overrides)
    if not hparams["skip_prep"]:
        run_on_main(hparams["prepare"])
        if "fit_statistics" in hparams:
            run_on_main(hparams["fit_statistics"])
    if "fit_statistics" in hparams:
        load_weights(hparams["statistics"], hparams["features"])
    if hparams.get("check"):
        hparams["check"]()
    for name, file in (hparams["pretrained"] or {}).items():
        load_weights(file, hparams[name])
    brain = hparams["brain"](
        train_loggers=[hparams["train_logger"]],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    return hparams, brain


def run_stage(script, hparams_file, run_opts, overrides):
    """Prepare the data, train, export, evaluate.

    The YAML file has what :func:`begin_stage` and
    :func:`~speechbrain_ext.brains.experiment.fit` need; ``noisy``, whether a
    split is read with its noise, and ``text_column``; ``export``, called with
    the output folder and the modules; and ``evaluate``, called with
    ``NAME=FOLDER``, or null.

    Arguments
    ---------
    script : str or Path
        The train.py.
    hparams_file : str
        The YAML file.
    run_opts : RunOptions
        SpeechBrain's run options.
    overrides : dict
        Values from the command line, by key.

    Raises
    ------
    UserError
        When the YAML file, the data or a file of weights cannot be used.

    Example
    -------
    >>> run_stage("train.py", "hparams/mini.yaml", run_opts, {})
    ... # doctest: +SKIP
    """
    hparams, brain = begin_stage(script, hparams_file, run_opts, overrides)
    data = {
        split: manifest_dataset(
            hparams[f"{split}_csv"],
            text_column=hparams["text_column"],
            noisy=noisy,
        )
        for split, noisy in hparams["noisy"].items()
    }
    if not brain.test_only:
        fit(brain, hparams, data["train"], data["valid"])
    brain.evaluate(
        data["test"], test_loader_kwargs=hparams["valid_loader_opts"]
    )

    # What is evaluated is what a user will load: the exported folder.
    folder = Path(hparams["output_folder"])
    run_on_main(hparams["export"], args=[folder, brain.modules])
    if hparams["evaluate"]:
        run_on_main(
            hparams["evaluate"],
            args=[f"{hparams['system']}={folder / 'model'}"],
            kwargs={"debug": brain.debug},
        )
