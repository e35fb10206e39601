"""Downstream models that were trained without an enhancer, fed enhanced speech.

Tables 1 to 3 of paper 3 (Sato et al., 2025): ASR, speaker verification and
intent classification on the layers of a frozen self-supervised model.
"""

import dataclasses
from pathlib import Path

from speechbrain_ext.backends.downstream import (
    DownstreamClassifier,
    DownstreamRecogniser,
)
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.evaluation.enhancement import evaluate_enhancement_systems
from speechbrain_ext.evaluation.enhancement_systems import NOISY
from speechbrain_ext.evaluation.speech_tasks import (
    DownstreamReader,
    IntentAccuracy,
    SpeakerVerification,
)
from speechbrain_ext.inference.downstream import load_downstream


def evaluate_downstream(
    systems,
    downstream_folder,
    results_folder,
    manifest=None,
    batch_size=16,
    bins=None,
    test_set=None,
    note="",
    baseline=NOISY,
    device="cpu",
    progressbar=True,
):
    """Evaluate systems by a downstream model, and write the results.

    Arguments
    ---------
    systems : dict
        :class:`~speechbrain_ext.evaluation.enhancement_systems.EnhancementSystem`
        by name; recognisers of their own are not used.
    downstream_folder : str or Path
        The output folder of a training of ``downstream_asr.yaml``,
        ``downstream_asv.yaml`` or ``downstream_ic.yaml``: the model, and the
        noisy test set that was prepared there.
    results_folder : str or Path
        Where the results go.
    manifest : str or Path or None
        Another test set; the folder's ``test.csv``, and of speaker verification
        ``test-trials.csv`` beside it, where none is given.
    batch_size : int
        Utterances at once.
    bins : sequence of tuple of float or None
        SNRs that are put together, in dB.
    test_set : str or None
        The test set's name in the results; None is the folder's.
    note : str
        A paragraph for results.md.
    baseline : str
        The system that the others are compared with.
    device : str or torch.device
        Where the downstream model computes.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of dict
        The rows of ``results.json``: ``wer``, ``eer`` or ``accuracy``.

    Raises
    ------
    UserError
        When the folder has no such model, or the test set cannot be used.

    Example
    -------
    >>> evaluate_downstream({}, "nowhere", "results")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/hyperparams.yaml: cannot be ...
    """
    folder = Path(downstream_folder)
    model = load_downstream(folder, device)
    manifest = Path(manifest or folder / "test.csv")
    reader = intents = verification = None
    if isinstance(model, DownstreamRecogniser):
        reader = DownstreamReader(model)
    elif isinstance(model, DownstreamClassifier):
        intents = IntentAccuracy(model.transcribe_signals, batch_size)
    else:
        trials = manifest.with_name(f"{manifest.stem}-trials.csv")
        verification = SpeakerVerification(model.embed, trials)
    return evaluate_enhancement_systems(
        {
            name: dataclasses.replace(system, recogniser=reader)
            for name, system in systems.items()
        },
        read_manifest(manifest),
        results_folder,
        metrics=(),
        bins=bins,
        batch_size=batch_size,
        test_set=test_set or folder.name,
        note=note,
        baseline=baseline,
        intents=intents,
        verification=verification,
        progressbar=progressbar,
    )
