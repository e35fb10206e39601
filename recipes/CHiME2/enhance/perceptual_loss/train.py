#!/usr/bin/env python3
"""Train one stage of enhancement with perceptual loss on CHiME-2.

The CHiME-2 study of "Perceptual Loss with Recognition Model for Single-Channel
Enhancement and Robust ASR" (Plantinga, Bagchi & Fosler-Lussier, 2021, sections
III and IV), a YAML file a stage:

    python train.py hparams/perceptual_wide_resnet.yaml \\
        --data_folder /data/chime2-wsj0 --transcripts /data/wsj0 \\
        --alignment_file alignments.txt
    python train.py hparams/enhance_wide_resnet.yaml \\
        --data_folder /data/chime2-wsj0 --transcripts /data/wsj0

The second stage reads what the first one wrote. After training, or alone with
``--test_only``, the best checkpoint is exported, and the second stage writes the
enhanced features as Kaldi archives.
"""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.brains.experiment import run, start_experiment
from speechbrain_ext.brains.stages import begin_stage, train_stage
from speechbrain_ext.corpora.dataset import manifest_dataset


def main(hparams_file, run_opts, overrides):
    """Prepare the data, train, export, write features.

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
        check=hparams["check"],
        pretrained=hparams["pretrained"],
    )
    brain = hparams["brain"](
        train_loggers=[hparams["train_logger"]],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    # No utterance is left out: Kaldi wants the features of all of them.
    data = {
        split: manifest_dataset(
            hparams[f"{split}_csv"],
            max_seconds=float("inf"),
            noisy=hparams["noisy"],
        )
        for split in hparams["splits"]
    }
    train_stage(
        brain,
        {**data, "test": data[hparams["splits"][-1]]},
        hparams["epoch_counter"],
        hparams["train_loader_opts"],
        hparams["valid_loader_opts"],
    )

    folder = Path(hparams["output_folder"])
    run_on_main(hparams["export"], args=[folder, brain.modules])
    if hparams["write_features"]:
        run_on_main(
            hparams["write_features"],
            args=[folder / "kaldi", data, brain.modules],
            kwargs={"debug": brain.debug},
        )


if __name__ == "__main__":
    run(main)
