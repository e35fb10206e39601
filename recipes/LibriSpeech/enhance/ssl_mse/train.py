#!/usr/bin/env python3
"""Train one stage of generic speech enhancement.

The recipe of "Generic speech enhancement with self-supervised representation
space loss" (Sato et al., 2025), a YAML file a stage:

    python train.py hparams/mini_pretrain_snr.yaml
    python train.py hparams/mini_ssl_mse.yaml
    torchrun --nproc_per_node=2 train.py hparams/mini_ssl_mse.yaml

The first trains a front-end with the SNR loss, the others begin with it:
``pretrain_folder`` in their YAML files says where it is. After training, or alone
with ``--test_only``, the best checkpoint is exported and evaluated. The files
``hparams/*downstream*.yaml`` train the models that the tasks are measured by.
"""

from functools import partial

from speechbrain_ext.brains.experiment import run
from speechbrain_ext.brains.stages import run_stage

main = partial(run_stage, __file__)

if __name__ == "__main__":
    run(main)
