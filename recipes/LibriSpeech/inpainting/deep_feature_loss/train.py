#!/usr/bin/env python3
"""Train one stage of speech inpainting with deep feature losses.

The recipe of "Deep Speech Inpainting of Time-frequency Masks" (Kegler, Beckmann
& Cernak, 2020), a YAML file a stage:

    python train.py hparams/mini_speech_vgg.yaml
    python train.py hparams/mini.yaml
    torchrun --nproc_per_node=2 train.py hparams/mini.yaml

The first trains a classifier of words, the second a network that repairs
spectra, judged by what the classifier makes of them: ``speech_vgg_folder`` in
its YAML file says where the first wrote it. After training, or alone with
``--test_only``, the best checkpoint is exported and evaluated.
"""

from speechbrain_ext.brains.experiment import run, start_experiment
from speechbrain_ext.brains.stages import begin_stage, finish_stage, train_stage
from speechbrain_ext.corpora.dataset import manifest_dataset


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
    prepare = [hparams["prepare"], hparams["fit_statistics"]]
    begin_stage(
        hparams,
        prepare=[] if hparams["skip_prep"] else prepare,
        pretrained={
            "features": hparams["statistics"],
            **(hparams["pretrained"] or {}),
        },
    )
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
    train_stage(
        brain,
        data,
        hparams["epoch_counter"],
        hparams["train_loader_opts"],
        hparams["valid_loader_opts"],
    )
    finish_stage(
        brain,
        hparams["output_folder"],
        hparams["export"],
        hparams["evaluate"],
        hparams.get("system"),
    )


if __name__ == "__main__":
    run(main)
