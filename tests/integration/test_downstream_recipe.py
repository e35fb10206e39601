"""The downstream tasks' recipes, from the YAML file to the loaded model."""

import pytest
from safetensors.torch import load_file

from speechbrain_ext.audio import load_audio
from speechbrain_ext.brains.experiment import load_hparams, parse_arguments
from speechbrain_ext.corpora.dataset import manifest_dataset
from speechbrain_ext.corpora.manifest import (
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from speechbrain_ext.corpora.mixture_manifests import write_mixture_manifests
from speechbrain_ext.corpora.noise_files import NOISE_COLUMNS
from speechbrain_ext.corpora.trials import all_trials, write_trials
from speechbrain_ext.errors import UserError
from speechbrain_ext.inference.downstream import load_downstream

TINY = {
    "asr": ["--projection=8", "--hidden=8"],
    "asv": [
        "--projection=8",
        "--channels=[8, 8, 8, 8, 8]",
        "--embedding=4",
    ],
    "ic": ["--projection=8", "--classes=[3]"],
}


@pytest.fixture(scope="module")
def speech(manifests, tmp_path_factory):
    """Manifests of the little corpus in noise, with intents."""
    folder = tmp_path_factory.mktemp("tasks")
    made, noises = {}, {}
    for split, manifest in manifests.items():
        rows = [
            {**row, "ID": f"{row['ID']}-{n}", "intent": f"i{place % 3}"}
            for place, row in enumerate(read_manifest(manifest))
            # Of each speaker two, so that there are trials.
            for n in range(1 if split == "train" else 2)
        ]
        made[split] = folder / "speech" / f"{split}.csv"
        write_manifest(made[split], rows)
        # The train split's speech is noise enough.
        noises[split] = folder / f"{split}-noise.csv"
        clips = [
            {**row, "kind": "babble"}
            for row in read_rows(manifests["train"], ("ID", "duration", "wav"))
        ]
        write_rows(
            noises[split],
            [{name: clip[name] for name in NOISE_COLUMNS} for clip in clips],
            NOISE_COLUMNS,
        )
    return write_mixture_manifests(made, noises, folder, seed=1)


@pytest.fixture
def recipe_of_tasks(repository):
    """The recipe's folder."""
    return repository / "recipes" / "LibriSpeech" / "enhance" / "ssl_mse"


@pytest.fixture
def train(
    recipe_of_tasks,
    random_whispers,
    speech,
    tmp_path,
    monkeypatch,
    loaded_train,
):
    """Train a task's mini recipe for two steps: ``train(task, ...)``."""
    monkeypatch.setenv("SB_GLOBAL_SEED", "0")
    folder = tmp_path / "out"
    folder.mkdir()
    for split in ("train", "valid", "test"):
        rows = read_manifest(speech[split])
        write_manifest(folder / f"{split}.csv", rows)
        write_trials(folder / f"{split}-trials.csv", all_trials(rows))

    def run(task, *more):
        arguments = [
            str(recipe_of_tasks / "hparams" / f"mini_downstream_{task}.yaml"),
            f"--output_folder={folder}",
            "--skip_prep=True",
            "--number_of_epochs=2",
            "--batch_size=3",
            f"--upstream_source={random_whispers[80]}",
            "--n_channels=16",
            *TINY[task],
            *more,
        ]
        with loaded_train(recipe_of_tasks) as module:
            module.main(*parse_arguments(arguments))
        return folder

    return run


@pytest.mark.parametrize(
    ("task", "metric"), [("asr", "WER"), ("asv", "EER"), ("ic", "accuracy")]
)
def test_a_task_is_trained_and_loads(train, speech, task, metric):
    folder = train(task)
    *epochs, test = (folder / "train_log.txt").read_text().splitlines()
    assert len(epochs) == 2 and all(f"{metric}: " in line for line in epochs)
    assert f"test {metric}: " in test
    weights = folder / "model" / "back_end.safetensors"
    # Without the upstream's: nothing but what was learned.
    names = load_file(weights)
    assert "layer_sum.weights" in names
    assert not any("upstream" in name for name in names)
    model = load_downstream(folder)
    signals = [load_audio(r["wav"]) for r in read_manifest(speech["test"])]
    if task == "asv":
        assert model.embed(signals[0]).shape == (4,)
    else:
        found = model.transcribe_signals(signals[:2])
        assert len(found) == 2
        assert task == "asr" or set(found) <= {"i0", "i1", "i2"}


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("task", TINY)
def test_noise_robust_training_reads_the_noise(
    recipe_of_tasks, random_whispers, speech, task, robust
):
    hparams = load_hparams(
        recipe_of_tasks / "hparams" / f"mini_downstream_{task}.yaml",
        {
            "noise_robust": robust,
            "upstream_source": str(random_whispers[80]),
            "train_csv": str(speech["train"]),
        },
    )
    noisy = {"train": robust, "valid": robust, "test": True}
    assert hparams["noisy"] == noisy
    data = manifest_dataset(
        hparams["train_csv"],
        text_column=hparams["text_column"],
        noisy=hparams["noisy"]["train"],
    )
    assert ("noisy" in data[0]) == robust


def test_a_classifier_of_other_classes_is_refused(train):
    with pytest.raises(UserError, match=r"classes: \[7\], and .* has \[3\]"):
        train("ic", "--classes=[7]")


def test_no_model_to_load(train, tmp_path):
    (tmp_path / "hyperparams.yaml").write_text("front_end: 1\n")
    with pytest.raises(UserError, match="has no back_end; expected that of"):
        load_downstream(tmp_path)
