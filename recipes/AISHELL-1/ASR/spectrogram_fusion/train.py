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

from functools import partial

from speechbrain_ext.brains.experiment import run
from speechbrain_ext.brains.stages import run_stage

main = partial(run_stage, __file__)

if __name__ == "__main__":
    run(main)
