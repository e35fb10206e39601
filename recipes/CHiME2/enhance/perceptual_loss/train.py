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

from speechbrain_ext.brains.experiment import fit, run
from speechbrain_ext.brains.stages import begin_stage
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
    hparams, brain = begin_stage(__file__, hparams_file, run_opts, overrides)
    # No utterance is left out: Kaldi wants the features of all of them.
    data = {
        split: manifest_dataset(
            hparams[f"{split}_csv"],
            max_seconds=float("inf"),
            noisy=hparams["noisy"],
        )
        for split in hparams["splits"]
    }
    if not brain.test_only:
        fit(brain, hparams, data["train"], data["valid"])
    brain.evaluate(
        data[hparams["splits"][-1]],
        test_loader_kwargs=hparams["valid_loader_opts"],
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
