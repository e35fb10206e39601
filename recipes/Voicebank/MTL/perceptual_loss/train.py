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

from functools import partial

from speechbrain_ext.brains.experiment import run
from speechbrain_ext.brains.stages import run_stage

main = partial(run_stage, __file__)

if __name__ == "__main__":
    run(main)
