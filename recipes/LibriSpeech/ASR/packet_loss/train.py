#!/usr/bin/env python3
"""Train a front-end that makes a frozen Whisper survive packet loss.

The recipe of "Enhanced ASR Robustness to Packet Loss with a Front-End
Adaptation Network" (Dissen et al., Interspeech 2024).

    python train.py hparams/mini.yaml
    python train.py hparams/plc_whisper.yaml --data_folder /data/LibriSpeech
    torchrun --nproc_per_node=2 train.py hparams/mini.yaml

After training, or alone with ``--test_only``, the best checkpoint and the bare
Whisper are evaluated on the same damaged packets; with ``--test_rates '[]'`` the
model's folder is written and that is all.
"""

from pathlib import Path

from speechbrain.utils.distributed import run_on_main

from speechbrain_ext.brains.experiment import run, start_experiment
from speechbrain_ext.brains.restoration import RestorationBrain
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.prepare import prepare_corpus
from speechbrain_ext.corruption.loss_models import check_rate
from speechbrain_ext.evaluation.packet_loss import evaluate_packet_loss
from speechbrain_ext.inference.export import export_packet_loss_asr
from speechbrain_ext.weight_files import load_weights


def main(hparams_file, run_opts, overrides):
    """Prepare the data, train, evaluate.

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
        run_on_main(
            prepare_corpus,
            kwargs={
                "data_folder": hparams["data_folder"],
                "save_folder": hparams["output_folder"],
                "train_splits": hparams["train_splits"],
                "valid_splits": hparams["valid_splits"],
                "test_splits": hparams["test_splits"],
                "train_minutes": hparams["train_minutes"],
            },
        )
    # What would else be found out when the training is over.
    read_manifest(hparams["test_csv"])
    for rate in [hparams["valid_rate"], *hparams["test_rates"]]:
        check_rate(rate)

    if hparams["initial_weights"]:
        load_weights(hparams["initial_weights"], hparams["front_end"])
    loggers = [hparams["train_logger"]]
    if hparams["tensorboard"]:
        loggers.append(hparams["tensorboard_logger"]())
    brain = RestorationBrain(
        front_end=hparams["front_end"],
        features=hparams["features"],
        criteria=hparams["criteria"],
        weights=hparams["weights"],
        back_end=hparams["back_end"],
        metric=hparams["metric"],
        waveform_damage=hparams["waveform_damage"],
        feature_damage=hparams["feature_damage"],
        valid_rate=hparams["valid_rate"],
        scheduler_class=hparams["scheduler_class"],
        train_loggers=loggers,
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    if not brain.test_only:
        brain.fit(
            hparams["epoch_counter"],
            manifest_dataset(hparams["train_csv"]),
            manifest_dataset(hparams["valid_csv"]),
            train_loader_kwargs=hparams["train_loader_opts"],
            valid_loader_kwargs=hparams["valid_loader_opts"],
        )

    # What is evaluated is what a user will load: the exported folder.
    brain.on_evaluate_start()
    model_folder = Path(hparams["output_folder"]) / "model"
    run_on_main(
        export_packet_loss_asr,
        kwargs={
            "experiment_folder": hparams["output_folder"],
            "front_end": brain.modules.front_end,
            "back_end": brain.modules.back_end,
            "damage": hparams["test_damage"],
            "folder": model_folder,
        },
    )
    if not hparams["test_rates"]:
        return
    system = hparams["system"]
    run_on_main(
        evaluate_packet_loss,
        kwargs={
            "models": f"{system}={model_folder}",
            "manifest": hparams["test_csv"],
            "damage": hparams["test_damage"],
            "rates": hparams["test_rates"],
            "seeds": hparams["test_seeds"],
            "results_folder": hparams["output_folder"],
            "batch_size": hparams["test_batch_size"],
            "debug": brain.debug,
        },
    )


if __name__ == "__main__":
    run(main)
