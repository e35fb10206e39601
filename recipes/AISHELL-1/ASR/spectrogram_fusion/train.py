#!/usr/bin/env python3
"""Train one stage of spectrogram fusion.

The recipe of "Spectrograms Fusion-based End-to-end Robust Automatic Speech
Recognition" (Shi et al., 2021), a YAML file a stage:

    python train.py hparams/mini_pretrain_asr.yaml
    python train.py hparams/mini_pretrain_enhance.yaml
    python train.py hparams/mini_pretrain_fusion.yaml
    python train.py hparams/mini_joint_fusion.yaml
    torchrun --nproc_per_node=2 train.py hparams/mini_joint_fusion.yaml

The first three train one module each, the joint ones begin with them:
``asr_folder``, ``enhance_folder`` and ``fusion_folder`` in their YAML files say
where they are. After training, or alone with ``--test_only``, the best
checkpoint is exported and evaluated.
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
    begin_stage(
        hparams,
        prepare=[] if hparams["skip_prep"] else [hparams["prepare"]],
        check=hparams.get("check"),
        pretrained=hparams["pretrained"],
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
