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

from functools import partial

from speechbrain_ext.brains.experiment import run
from speechbrain_ext.brains.stages import run_stage

main = partial(run_stage, __file__)

if __name__ == "__main__":
    run(main)
