"""Word error rates of recognisers on the same lost packets.

The experiment of Dissen et al. (Interspeech 2024), section 3: each test
utterance at fixed loss rates, for the bare recogniser and for the adapted one.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corruption.loss_models import check_rate
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.report import results_table, write_report
from speechbrain_ext.evaluation.results import BARE, result_row, write_results
from speechbrain_ext.evaluation.transcripts import Transcripts
from speechbrain_ext.inference.packet_loss_asr import PacketLossASR, model_name
from speechbrain_ext.metrics.wer import (
    WordErrorRate,
    bootstrap_interval,
    normalise_text,
    paired_bootstrap,
)

#: Loss rates of the paper's Figures 2 and 3.
LOSS_RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)

#: What ``--debug`` leaves of a test set.
_DEBUG_UTTERANCES = 2


@dataclass(frozen=True)
class System:
    """A recogniser with or without its front-end.

    Arguments
    ---------
    asr : PacketLossASR
        What has ``transcribe_batch`` and ``packet_samples``.
    front_end : bool
        False is the bare recogniser.

    Example
    -------
    >>> System(asr=None, front_end=False).front_end
    False
    """

    asr: object
    front_end: bool = True


def evaluate_packet_loss(
    model,
    manifest,
    damage,
    results_folder,
    rates=LOSS_RATES,
    seeds=(0,),
    batch_size=8,
    system=None,
    test_set=None,
    backend="torch",
    normalise=normalise_text,
    run_opts=None,
    debug=False,
    progressbar=True,
):
    """Evaluate a model's folder with and without its front-end.

    Writes ``results.json``, ``results.md`` and the figure, and prints the
    table. Run again with the same settings, it takes what is finished from
    ``transcripts.jsonl``.

    Arguments
    ---------
    model : str or Path
        The folder or hub id of a :class:`PacketLossASR`.
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
    system : str or None
        The adapted system's name in the results; None is the model's own.
    test_set : str or None
        The test set's name in the results; None is the manifest's.
    backend : str
        The backend's name in the results.
    normalise : callable
        From a text to the words that are scored.
    run_opts : dict or None
        SpeechBrain's run options, for example the device.
    debug : bool
        Evaluate two utterances only, to see that all works.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of dict
        The rows of ``results.json``.

    Raises
    ------
    UserError
        When the model, the manifest, its audio or a rate cannot be used, or
        the results cannot be written.

    Example
    -------
    >>> evaluate_packet_loss(
    ...     "pretrained/plc-whisper-tiny.en",
    ...     "data/test.csv",
    ...     WaveformPacketLoss(GilbertElliottLoss(), seed=0),
    ...     "results",
    ... )  # doctest: +SKIP
    """
    rows = read_manifest(manifest)
    asr = PacketLossASR.from_hparams(model, run_opts=run_opts)
    # The weights are in the transcripts' key already; the rest is here.
    hyperparams = Path(model) / "hyperparams.yaml"
    settings = hyperparams.read_text() if hyperparams.is_file() else str(model)
    results = evaluate_systems(
        {
            BARE: System(asr, front_end=False),
            system or model_name(model): System(asr),
        },
        rows[:_DEBUG_UTTERANCES] if debug else rows,
        damage,
        results_folder,
        test_set=test_set or Path(manifest).stem,
        rates=rates,
        seeds=seeds,
        batch_size=batch_size,
        backend=backend,
        normalise=normalise,
        settings=settings,
        progressbar=progressbar,
    )
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
):
    """Evaluate systems on the same lost packets and write the results.

    A rate's errors are summed over the damage seeds; the intervals are over
    utterances. Without loss there is nothing to draw, so one seed is enough.

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
    if not rows:
        raise UserError("evaluation: no utterances; expected at least one")
    for system in systems.values():
        _check_packets(system.asr, damage)
    folder = Path(results_folder)
    transcripts = Transcripts(folder / "transcripts.jsonl")
    utterances = _Utterances(rows, batch_size)
    conditions = _conditions(rates, seeds)
    fingerprints = {
        name: _fingerprint(system, settings, damage, batch_size)
        for name, system in systems.items()
    }
    errors, lost_shares, words = {}, {}, None
    with tqdm(
        total=len(conditions) * len(systems) * len(rows),
        unit="utt",
        disable=not progressbar,
    ) as bar:
        for rate, seed in conditions:
            lost = damage.with_seed(seed).draw(
                utterances.n_samples, utterances.ids, epoch=0, rate=rate
            )
            share = utterances.share(lost, damage.packet_samples)
            lost_shares.setdefault(rate, []).append(share)
            masks = hashlib.blake2b(lost.numpy().tobytes()).hexdigest()
            for name, system in systems.items():
                bar.set_description(
                    f"{name}, loss {'own' if rate is None else f'{rate:.0%}'}"
                )
                key = _hash(fingerprints[name], utterances.fingerprint, masks)
                texts = transcripts.get(key)
                if texts is None or texts.keys() != set(utterances.ids):
                    texts = utterances.transcribe(system, damage, lost, bar)
                    transcripts.add(
                        key,
                        texts,
                        system=name,
                        corruption=damage.name,
                        level=rate,
                        seed=seed,
                    )
                else:
                    bar.update(len(rows))
                score = utterances.score(texts, normalise)
                errors.setdefault((rate, name), []).append(score.errors)
                words = score.words
    results = []
    for rate, shares in lost_shares.items():
        level = float(np.mean(shares)) if rate is None else rate
        for name in systems:
            results += _rows(
                {
                    other: np.sum(errors[rate, other], axis=0)
                    for other in {name, BARE} & systems.keys()
                },
                np.array(words) * len(shares),
                name,
                backend=backend,
                test_set=test_set,
                corruption=damage.name,
                level=level,
                n=len(words),
                seed=seeds[0],
            )
    write_results(folder / "results.json", results)
    write_report(
        folder,
        results,
        f"Damage seeds: {', '.join(map(str, seeds))}; their errors are summed.",
    )
    return results


def _rows(errors, words, name, **description):
    """Rows of one system at one level, from word errors [utterances]."""
    wer = bootstrap_interval(errors[name], words)
    rows = [result_row(name, metric="wer", estimate=wer, **description)]
    if name != BARE and BARE in errors:
        compared = paired_bootstrap(errors[BARE], errors[name], words)
        rows.append(
            result_row(
                name,
                metric="wer_relative_reduction",
                estimate=compared.relative_reduction,
                **description,
            )
        )
    return rows


def _conditions(rates, seeds):
    """Pairs of a rate and a damage seed."""
    if not seeds:
        raise UserError("seeds: is empty; expected one or more numbers")
    if rates is None:
        return [(None, seed) for seed in seeds]
    if not rates:
        raise UserError("rates: is empty; expected one loss rate or more")
    return [
        (rate, seed)
        for rate in sorted({check_rate(rate) for rate in rates})
        for seed in (seeds if rate else seeds[:1])
    ]


def _check_packets(asr, damage):
    """The recogniser's packets must be able to say what was lost."""
    if damage.packet_samples % asr.packet_samples:
        raise UserError(
            f"{damage.name}: loses units of {damage.packet_samples} samples; "
            f"expected a multiple of the model's {asr.packet_samples}"
        )


def _hash(*parts):
    return hashlib.blake2b(json.dumps(parts).encode()).hexdigest()


def _fingerprint(system, settings, damage, batch_size):
    """What decides a system's texts, but for the speech and the masks."""
    weights = hashlib.blake2b()
    state = getattr(system.asr, "state_dict", dict)()
    for name, value in state.items():
        # A bare recogniser stays what it is when its front-end learns.
        if system.front_end or ".front_end." not in f".{name}":
            raw = value.detach().cpu().contiguous().reshape(-1)
            weights.update(name.encode())
            weights.update(raw.view(torch.uint8).numpy())
    return [
        system.front_end,
        settings,
        type(damage).__name__,
        damage.packet_samples,
        # Batch mates change the last digits of a beam's scores.
        batch_size,
        weights.hexdigest(),
    ]


class _Utterances:
    """A test set, sorted into batches of similar length."""

    def __init__(self, rows, batch_size):
        self.rows = rows
        self.ids = [row["ID"] for row in rows]
        self.n_samples = [_n_samples(row["wav"]) for row in rows]
        self.fingerprint = [
            [row["ID"], n, Path(row["wav"]).stat().st_size]
            for row, n in zip(rows, self.n_samples, strict=True)
        ]
        order = np.argsort(self.n_samples, kind="stable").tolist()
        # The longest first: what does not fit the memory fails at once.
        order.reverse()
        self.batches = [
            order[start : start + batch_size]
            for start in range(0, len(order), batch_size)
        ]

    def share(self, lost, packet_samples):
        """Share of all packets that a mask of all utterances loses."""
        packets = sum(-(-n // packet_samples) for n in self.n_samples)
        return lost.sum().item() / packets

    def transcribe(self, system, damage, lost, bar):
        """Text by utterance id, in the rows' order."""
        texts = {}
        repeats = damage.packet_samples // system.asr.packet_samples
        for batch in self.batches:
            wavs = [load_audio(self.rows[index]["wav"]) for index in batch]
            samples = torch.tensor([len(wav) for wav in wavs])
            wavs = pad_sequence(wavs, batch_first=True)
            received = damage.receive(wavs, lost[batch])
            packets = -(-wavs.shape[1] // system.asr.packet_samples)
            found = system.asr.transcribe_batch(
                received,
                samples / wavs.shape[1],
                lost[batch].repeat_interleave(repeats, dim=1)[:, :packets],
                front_end=system.front_end,
            )
            texts.update(
                (self.ids[index], text)
                for index, text in zip(batch, found, strict=True)
            )
            bar.update(len(batch))
        return {name: texts[name] for name in self.ids}

    def score(self, texts, normalise):
        """Word errors of the texts, an utterance each."""
        score = WordErrorRate(normalise)
        references = [row["wrd"] for row in self.rows]
        score.append(self.ids, [texts[name] for name in self.ids], references)
        score.summarize()
        return score


def _n_samples(path):
    """Samples of a file at the recogniser's rate, without reading them."""
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError):
        # Says in one line what is wrong with the file.
        return len(load_audio(path))
    return math.ceil(info.frames * SAMPLE_RATE / info.samplerate)
