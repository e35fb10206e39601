"""Word error rates of recognisers on the same lost packets.

The experiment of Dissen et al. (Interspeech 2024), section 3: each test
utterance at fixed loss rates, for the bare recogniser and for the adapted one.
"""

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
from tqdm import tqdm

from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corruption.loss_models import check_rate
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.decoding import TestSet
from speechbrain_ext.evaluation.report import results_table, write_report
from speechbrain_ext.evaluation.results import BARE, write_results
from speechbrain_ext.evaluation.sharding import ALONE
from speechbrain_ext.evaluation.systems import load_systems, named_models
from speechbrain_ext.evaluation.transcripts import Transcripts
from speechbrain_ext.evaluation.word_errors import (
    WordErrors,
    word_error_rows,
    write_word_errors,
)
from speechbrain_ext.inference.loading import load_trusted
from speechbrain_ext.metrics.wer import (
    TextNormaliser,
    WordErrorRate,
    normalise_text,
)

logger = logging.getLogger(__name__)

#: Loss rates of the paper's Figures 2 and 3.
LOSS_RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

#: What ``--debug`` leaves of a test set.
_DEBUG_UTTERANCES = 2


def evaluate_packet_loss(
    models,
    manifest,
    damage,
    results_folder,
    rates=LOSS_RATES,
    seeds=(0,),
    batch_size=8,
    test_set=None,
    backend="torch",
    compute_type="float32",
    language=None,
    normalise=None,
    run_opts=None,
    load=load_trusted,
    debug=False,
    progressbar=True,
    shards=ALONE,
):
    """Evaluate models' folders, and the bare recogniser beside them.

    Writes ``results.json``, ``results.md``, ``errors.json`` and the figure, and
    prints the table. Run again with the same settings, it takes what is
    finished from ``transcripts.jsonl``.

    Arguments
    ---------
    models : str or Path or sequence of these
        Folders or hub ids of :class:`PacketLossASR`, each perhaps with a name
        for the results, ``NAME=SOURCE``. Each is compared with the first one's
        recogniser without its front-end.
    manifest : str or Path
        The test set's CSV manifest.
    damage : WaveformPacketLoss or FeaturePacketLoss
        What happens to the speech; its seed gives way to ``seeds``.
    results_folder : str or Path
        Where the results go.
    rates : sequence of float or None
        Loss rates, fractions; None where the damage has its own (traces).
    seeds : sequence of int
        Seeds of the damage.
    batch_size : int
        Utterances at once.
    test_set : str or None
        The test set's name in the results; None is the manifest's.
    backend : str
        What runs the recognisers: ``"torch"`` or ``"ctranslate2"``.
    compute_type : str
        What CTranslate2 computes in; in the results it stands behind the
        backend's name where it is not float32.
    language : str or None
        The code of what is spoken; None is each model's own language.
    normalise : callable or None
        From a text to the words that are scored; None is Whisper's way for
        the language.
    run_opts : dict or None
        SpeechBrain's run options, for example the device.
    load : callable
        How models are loaded: :func:`speechbrain_ext.inference.loading.load`
        for those of strangers.
    debug : bool
        Evaluate two utterances only, to see that all works.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the test set's batches; the first writes.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When a model, the manifest, its audio or a rate cannot be used, or the
        results cannot be written.

    Example
    -------
    >>> evaluate_packet_loss(
    ...     ["pretrained/plc-whisper-tiny.en", "unet=runs/unet/model"],
    ...     "data/test.csv",
    ...     WaveformPacketLoss(GilbertElliottLoss(), seed=0),
    ...     "results",
    ... )  # doctest: +SKIP
    """
    models = named_models(models)
    rows = read_manifest(manifest)
    systems = load_systems(
        models, damage, run_opts, language, backend, compute_type, load
    )
    if backend == "ctranslate2" and compute_type != "float32":
        backend = f"{backend}-{compute_type}"
    results = evaluate_systems(
        systems,
        rows[:_DEBUG_UTTERANCES] if debug else rows,
        damage,
        results_folder,
        test_set=test_set or Path(manifest).stem,
        rates=rates,
        seeds=seeds,
        batch_size=batch_size,
        backend=backend,
        normalise=normalise or TextNormaliser(systems[BARE].asr.language),
        progressbar=progressbar,
        shards=shards,
    )
    if shards.main:
        print(results_table(results))
    return results


def evaluate_systems(
    systems,
    rows,
    damage,
    results_folder,
    test_set="test",
    rates=LOSS_RATES,
    seeds=(0,),
    batch_size=8,
    backend="torch",
    normalise=normalise_text,
    settings="",
    progressbar=True,
    shards=ALONE,
):
    """Evaluate systems on the same lost packets and write the results.

    A rate's errors are summed over the damage seeds; the intervals are over
    utterances. The same lost packets are decoded once, so that without loss one
    seed does for all.

    Arguments
    ---------
    systems : dict
        :class:`System` by name; ``bare`` is what the others are compared with.
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.manifest.read_manifest` reads them.
    damage : WaveformPacketLoss or FeaturePacketLoss
        What happens to the speech; its seed gives way to ``seeds``.
    results_folder : str or Path
        Where the results go.
    test_set : str
        The test set's name.
    rates : sequence of float or None
        Loss rates, fractions; None where the damage has its own (traces): the
        level is then the share that was lost.
    seeds : sequence of int
        Seeds of the damage.
    batch_size : int
        Utterances at once, of similar length.
    backend : str
        The backend's name.
    normalise : callable
        From a text to the words that are scored.
    settings : str
        What else decides the texts, for example the decoder's settings:
        transcripts of other settings are not used again.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the test set's batches; the first writes.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When audio or a rate cannot be used, packets do not fit the model, no
        reference has a word or the results cannot be written.

    Example
    -------
    >>> evaluate_systems(
    ...     {"bare": System(asr, front_end=False), "adapted": System(asr)},
    ...     read_manifest("data/test.csv"),
    ...     WaveformPacketLoss(GilbertElliottLoss(), seed=0),
    ...     "results",
    ... )  # doctest: +SKIP
    """
    rows = _with_words(rows, normalise)
    for system in systems.values():
        _check_packets(system.asr, damage)
    conditions = loss_conditions(rates, seeds)
    folder = Path(results_folder)
    test = TestSet(rows, batch_size)
    transcripts, decided_by = None, {}
    if shards.main:
        transcripts = Transcripts(folder / "transcripts.jsonl")
        decided_by = {
            name: [settings, backend, system.fingerprint(), test.fingerprint()]
            for name, system in systems.items()
        }
    errors, shares = {}, {}
    with tqdm(
        total=len(conditions)
        * len(systems)
        * sum(map(len, shards.own(test.batches))),
        unit="utt",
        disable=not (progressbar and shards.main),
    ) as bar:
        for rate, seed in conditions:
            lost = damage.with_seed(seed).draw(
                test.n_samples, test.ids, epoch=0, rate=rate
            )
            share = test.lost_share(lost, damage.packet_samples)
            shares.setdefault(rate, []).append(share)
            for name, system in systems.items():
                bar.set_description(f"{name}, {share:.0%} lost")
                key = texts = None
                if shards.main:
                    key = condition_key(decided_by[name], damage, lost)
                    texts = transcripts.get(key)
                texts = shards.agree(texts)
                if texts is None or texts.keys() != set(test.ids):
                    texts = test.transcribe(
                        system, damage, lost, bar.update, shards
                    )
                    description = {
                        "system": name,
                        "corruption": damage.name,
                        "level": share if rate is None else rate,
                        "seed": seed,
                    }
                    if shards.main:
                        transcripts.add(key, texts, **description)
                else:
                    bar.update(sum(map(len, shards.own(test.batches))))
                score = _score(rows, texts, normalise)
                errors.setdefault((rate, name), []).append(score.errors)
    results, counted = [], []
    for rate, each_share in shares.items():
        summed = {name: np.sum(errors[rate, name], axis=0) for name in systems}
        words = np.array(score.words) * len(each_share)
        description = {
            "backend": backend,
            "test_set": test_set,
            "corruption": damage.name,
            "level": np.mean(each_share) if rate is None else rate,
            "seed": seeds[0],
        }
        of_rate = [
            WordErrors(name, score.ids, own, words, **description)
            for name, own in summed.items()
        ]
        results += word_error_rows(of_rate, BARE)
        counted += of_rate
    if not shards.main:
        return results
    write_word_errors(folder / "errors.json", counted)
    write_results(folder / "results.json", results)
    write_report(
        folder,
        results,
        f"Damage seeds: {', '.join(map(str, seeds))}; their errors are summed.",
    )
    return results


def _with_words(rows, normalise):
    """Rows that can be scored: a word of the reference is left."""
    kept = []
    for row in rows:
        if normalise(row["wrd"]):
            kept.append(row)
        else:
            logger.warning(
                "%s: no word is left of %r; it is not evaluated",
                row["ID"],
                row["wrd"],
            )
    if not kept:
        raise UserError(
            "evaluation: no utterance whose reference has a word; "
            "expected at least one"
        )
    return kept


def _score(rows, texts, normalise):
    score = WordErrorRate(normalise)
    for row in rows:
        score.append([row["ID"]], [texts[row["ID"]]], [row["wrd"]])
    return score


def loss_conditions(rates, seeds):
    """List the conditions of an evaluation.

    Arguments
    ---------
    rates : sequence of float or None
        Loss rates, fractions; None where the damage has its own (traces).
    seeds : sequence of int
        Seeds of the damage.

    Returns
    -------
    list of (float or None, int)
        Pairs of a rate, in order, and a seed.

    Raises
    ------
    UserError
        When there is no rate or no seed, or a rate is none.

    Example
    -------
    >>> loss_conditions([0.4, 0], [7])
    [(0.0, 7), (0.4, 7)]
    """
    if not seeds:
        raise UserError("seeds: is empty; expected one or more numbers")
    if rates is None:
        return [(None, seed) for seed in seeds]
    if not rates:
        raise UserError("rates: is empty; expected one loss rate or more")
    rates = sorted({check_rate(rate) for rate in rates})
    return [(rate, seed) for rate in rates for seed in seeds]


def _check_packets(asr, damage):
    """The recogniser's packets must be able to say what was lost."""
    if damage.packet_samples % asr.packet_samples:
        raise UserError(
            f"{damage.name}: loses units of {damage.packet_samples} samples; "
            f"expected a multiple of the model's {asr.packet_samples}"
        )


def condition_key(decided_by, damage, lost):
    """Stand for all that decides what comes out: the packets themselves.

    Arguments
    ---------
    decided_by : list
        What decides it besides the packets, as JSON has names for.
    damage : WaveformPacketLoss or FeaturePacketLoss
        What a lost packet means.
    lost : torch.Tensor
        bool [utterances, packets].

    Returns
    -------
    str
        A hash.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> import torch
    >>> damage = SimpleNamespace(packet_samples=320)
    >>> len(condition_key(["bare"], damage, torch.zeros(1, 3).bool()))
    32
    """
    mask = hashlib.blake2b(lost.numpy().tobytes()).hexdigest()
    parts = [decided_by, type(damage).__name__, damage.packet_samples, mask]
    key = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16)
    return key.hexdigest()
