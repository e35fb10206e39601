#!/usr/bin/env python3
"""Train one stage of enhancement and robust recognition with perceptual loss.

The recipe of "Perceptual Loss with Recognition Model for Single-Channel
Enhancement and Robust ASR" (Plantinga, Bagchi & Fosler-Lussier, 2021), a YAML
file a stage:

    python train.py hparams/mini_perceptual.yaml
    python train.py hparams/mini_enhance.yaml
    python train.py hparams/mini_robust_asr.yaml
    torchrun --nproc_per_node=2 train.py hparams/mini_enhance.yaml

A stage reads what the one before it wrote: ``pretrained`` in its YAML file says
where. After training, or alone with ``--test_only``, the best checkpoint is
exported and evaluated.
"""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.brains.experiment import fit, run, start_experiment
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.weights import load_weights


def main(hparams_file, run_opts, overrides):
    """Prepare the data, train, export, evaluate.

    Arguments
    ---------
    hparams_file : str
        The YAML file.
    run_opts : RunOptions
        SpeechBrain's run options.
    overrides : dict
        Values from the command line, by key.
    """
    hparams = start_experiment(__file__, hparams_file, run_opts, overrides)
    if not hparams["skip_prep"]:
        run_on_main(hparams["prepare"])
    for name, file in (hparams["pretrained"] or {}).items():
        load_weights(file, hparams[name])

    brain = hparams["brain"](
        train_loggers=[hparams["train_logger"]],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
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


if __name__ == "__main__":
    run(main)
