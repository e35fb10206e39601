"""Concealers of lost packets in one table: how they sound, what is understood."""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from speechbrain_ext.audio import load_audio
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corruption.lost_packets import lost_samples
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.decoding import System, TestSet
from speechbrain_ext.evaluation.packet_loss import (
    condition_key,
    evaluate_systems,
    loss_conditions,
)
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.results import BARE, result_row, write_results
from speechbrain_ext.evaluation.systems import load_systems, named_models
from speechbrain_ext.evaluation.transcripts import Transcripts
from speechbrain_ext.files import write_text
from speechbrain_ext.frontends.concealment import (
    LinearPrediction,
    TwoSidedPrediction,
)
from speechbrain_ext.frontends.inpainting_concealer import InpaintingConcealer
from speechbrain_ext.inference.inpainter import Inpainter
from speechbrain_ext.inference.packet_loss_asr import PacketLossASR
from speechbrain_ext.metrics.bootstrap import paired_bootstrap
from speechbrain_ext.metrics.quality import plcmos
from speechbrain_ext.metrics.wer import TextNormaliser

#: Concealment that needs no training, by its name in the results.
CLASSICAL = {"LPC": LinearPrediction, "two-sided LPC": TwoSidedPrediction}

_NOTES = f"""\
WER in % of the recogniser behind each system, and PLCMOS v2 (1 to 5) of what it
hears, each with its 95 % interval (bootstrap over utterances; where there are
several damage seeds, errors are summed and scores averaged over them). All
systems are given the same lost packets. `{BARE}` is zero fill: the lost samples
are 0. Two-sided LPC and inpainting hear what follows a gap. A system without
PLCMOS repairs features and has no waveform.
"""


def waveform_front_ends(inpainters=(), concealers=(), run_opts=None):
    """Load what repairs waveforms.

    Arguments
    ---------
    inpainters : sequence of str
        ``[NAME=]SOURCE`` of :class:`Inpainter` models.
    concealers : sequence of str
        ``[NAME=]SOURCE`` of :class:`PacketLossASR` models whose front-end takes
        waveforms; their recogniser is not used.
    run_opts : dict or None
        SpeechBrain's run options.

    Returns
    -------
    dict of str to torch.nn.Module
        :data:`CLASSICAL`, the concealers, the inpainters; on their device, in
        evaluation mode.

    Raises
    ------
    UserError
        When a model cannot be loaded or repairs no waveforms, or two have one
        name.

    Example
    -------
    >>> list(waveform_front_ends())
    ['LPC', 'two-sided LPC']
    """
    found = {name: make() for name, make in CLASSICAL.items()}
    loaders = ((concealers, _load_concealer), (inpainters, _load_inpainter))
    for models, load in loaders:
        for name, source in (named_models(models) if models else {}).items():
            if name in found:
                raise UserError(
                    f"model {source}: another one is named {name} as well; "
                    "expected names that differ, as NAME=SOURCE"
                )
            found[name] = load(source, run_opts)
    return found


def _load_concealer(source, run_opts):
    asr = PacketLossASR.from_hparams(source, run_opts=run_opts)
    if not asr.takes_waveforms:
        name = type(asr.mods.front_end).__name__
        raise UserError(
            f"{source}: its front-end ({name}) repairs features; expected one "
            "that repairs waveforms"
        )
    return asr.mods.front_end


def _load_inpainter(source, run_opts):
    mods = Inpainter.from_hparams(source, run_opts=run_opts).mods
    return InpaintingConcealer(mods.features, mods.front_end).eval()


def evaluate_concealers(
    models,
    front_ends,
    manifest,
    damage,
    results_folder,
    rates,
    seeds=(0,),
    batch_size=8,
    test_set=None,
    backend="torch",
    language=None,
    run_opts=None,
    progressbar=True,
):
    """Measure WER and PLCMOS of the same lost packets.

    Writes ``results.json`` and ``results.md``; the recognition's own files, its
    figure among them, are in ``recognition``. Run again with the same settings,
    it takes what is finished from there and from ``plcmos.jsonl``.

    Arguments
    ---------
    models : str or Path or sequence of these
        ``[NAME=]SOURCE`` of :class:`PacketLossASR` models; the first one's
        recogniser is the bare one, and stands behind all waveform front-ends.
    front_ends : dict of str to torch.nn.Module
        As :func:`waveform_front_ends` returns them.
    manifest : str or Path
        The test set's CSV manifest.
    damage : WaveformPacketLoss
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
    language : str or None
        The code of what is spoken; None is each model's own language.
    run_opts : dict or None
        SpeechBrain's run options.
    progressbar : bool
        Whether to show one.

    Returns
    -------
    list of dict
        The rows of ``results.json``: ``wer`` and ``wer_relative_reduction``,
        and of waveforms ``plcmos`` and ``plcmos_gain`` over the bare system's.

    Raises
    ------
    UserError
        When a model, the manifest, its audio or a rate cannot be used, or the
        results cannot be written.

    Example
    -------
    >>> evaluate_concealers(
    ...     "pretrained/plc-whisper-tiny.en",
    ...     waveform_front_ends(["inpainter=runs/inpainting/model"]),
    ...     "data/test.csv",
    ...     WaveformPacketLoss(GilbertElliottLoss(), seed=0),
    ...     "results",
    ...     rates=[0.1, 0.3],
    ... )  # doctest: +SKIP
    """
    folder = Path(results_folder)
    systems = load_systems(
        named_models(models), damage, run_opts, language, backend
    )
    for name in systems.keys() & front_ends.keys():
        raise UserError(
            f"model: two systems are named {name}; expected names that differ, "
            "as NAME=SOURCE"
        )
    normalise = TextNormaliser(systems[BARE].asr.language)
    rows = read_manifest(manifest)
    for name, front_end in front_ends.items():
        systems[name] = _behind(front_end, systems[BARE], run_opts)
    described = {
        "test_set": test_set or Path(manifest).stem,
        "backend": backend,
    }
    results = evaluate_systems(
        systems,
        rows,
        damage,
        folder / "recognition",
        rates=rates,
        seeds=seeds,
        batch_size=batch_size,
        normalise=normalise,
        progressbar=progressbar,
        **described,
    )
    # The utterances whose words are counted.
    test = TestSet([row for row in rows if normalise(row["wrd"])], batch_size)
    scores = _score(
        {BARE: None, **front_ends},
        test,
        damage,
        loss_conditions(rates, seeds),
        Transcripts(folder / "plcmos.jsonl"),
        progressbar,
    )
    results += _quality_rows(scores, damage, seeds, described)
    write_results(folder / "results.json", results)
    table = concealment_table(results)
    note = f"Damage {damage.name}, seeds {', '.join(map(str, seeds))}.\n"
    write_text(
        folder / "results.md",
        "\n".join(["# Concealers of lost packets\n", table, _NOTES, note]),
    )
    return results


def _behind(front_end, bare, run_opts):
    """The bare recogniser behind a front-end that repairs waveforms."""
    asr = bare.asr
    asr = PacketLossASR(
        modules={**asr.mods, "front_end": front_end},
        hparams=vars(asr.hparams),
        run_opts=run_opts,
    )
    return System(asr, settings=bare.settings + _settings(front_end))


def _settings(front_end):
    """What decides a front-end's waveforms besides its weights."""
    plain = (int, float, str)
    described = [
        [type(module).__name__]
        + sorted(
            (key, value)
            for key, value in vars(module).items()
            if isinstance(value, plain) and key != "training"
        )
        for module in front_end.modules()
    ]
    return json.dumps(described)


def _score(front_ends, test, damage, conditions, finished, progressbar):
    """By (rate, name) a list over seeds: lost share, PLCMOS [utterances]."""
    scores, speech = {}, test.fingerprint()
    prints = {
        name: System(front_end, settings=_settings(front_end)).fingerprint()
        for name, front_end in front_ends.items()
        if front_end is not None
    }
    total = len(conditions) * len(front_ends) * len(test)
    with tqdm(total=total, unit="utt", disable=not progressbar) as bar:
        for rate, seed in conditions:
            lost = damage.with_seed(seed).draw(
                test.n_samples, test.ids, epoch=0, rate=rate
            )
            share = test.lost_share(lost, damage.packet_samples)
            for name, front_end in front_ends.items():
                bar.set_description(f"PLCMOS of {name}, {share:.0%} lost")
                # Where nothing is lost, nothing is repaired.
                acts = front_end is not None and bool(lost.any())
                decided_by = ["plcmos", speech, acts and prints[name]]
                key = condition_key(decided_by, damage, lost)
                found = finished.get(key)
                if found is None or found.keys() != set(test.ids):
                    found = _score_set(
                        front_end if acts else None, test, damage, lost
                    )
                    finished.add(
                        key, found, system=name, level=share, seed=seed
                    )
                bar.update(len(test))
                scores.setdefault((rate, name), []).append(
                    (share, [found[utterance] for utterance in test.ids])
                )
    return scores


@torch.no_grad()
def _score_set(front_end, test, damage, lost):
    """PLCMOS by utterance id."""
    scores = {}
    parts = [] if front_end is None else list(front_end.state_dict().values())
    device = parts[0].device if parts else "cpu"
    for batch in test.batches:
        wavs = [load_audio(test.rows[index]["wav"]) for index in batch]
        sizes = [len(wav) for wav in wavs]
        wavs = pad_sequence(wavs, batch_first=True)
        heard = damage.receive(wavs, lost[batch])
        if front_end is not None:
            gone = lost_samples(
                lost[batch], damage.packet_samples, wavs.shape[1]
            )
            lengths = torch.tensor(sizes) / wavs.shape[1]
            heard = front_end(
                heard.to(device), lengths.to(device), gone.to(device)
            ).cpu()
        for index, wav, size in zip(batch, heard, sizes, strict=True):
            scores[test.ids[index]] = plcmos(wav[:size])
    return scores


def _quality_rows(scores, damage, seeds, described):
    """Rows of results.json, the bare system being the baseline."""
    means = {
        key: np.mean([values for _, values in found], axis=0)
        for key, found in scores.items()
    }
    rows = []
    for (rate, name), values in means.items():
        compared = paired_bootstrap(means[rate, BARE], values)
        estimates = {"plcmos": compared.system}
        if name != BARE:
            estimates["plcmos_gain"] = compared.difference
        shares = [share for share, _ in scores[rate, name]]
        rows += [
            result_row(
                system=name,
                corruption=damage.name,
                level=np.mean(shares) if rate is None else rate,
                metric=metric,
                estimate=estimate,
                n=len(values),
                seed=seeds[0],
                **described,
            )
            for metric, estimate in estimates.items()
        ]
    return rows


def concealment_table(rows):
    """Lay out WER and PLCMOS in one table: systems down, loss rates across.

    Arguments
    ---------
    rows : list of dict
        The rows of results.json, of one test set and damage.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> about = "bare", "torch", "test", "spans", 0.4
    >>> rows = [
    ...     result_row(*about, "wer", (0.6, 0.5, 0.7), 60, 1),
    ...     result_row(*about, "plcmos", (2.5, 2.25, 2.75), 60, 1),
    ... ]
    >>> print(concealment_table(rows))
    | test, 60 utterances |  40 % loss: WER % |            PLCMOS |
    | :------------------ | ----------------: | ----------------: |
    | bare                | 60.0 [50.0, 70.0] | 2.50 [2.25, 2.75] |
    <BLANKLINE>
    """
    levels = sorted({row["level"] for row in rows})
    header = [f"{rows[0]['test_set']}, {rows[0]['n']} utterances"]
    for level in levels:
        header += [f"{100 * level:.3g} % loss: WER %", "PLCMOS"]
    cells = {(row["system"], row["level"], row["metric"]): row for row in rows}
    lines = [header]
    for system in dict.fromkeys(row["system"] for row in rows):
        line = [system]
        for level in levels:
            for metric, scale, digits in (("wer", 100, 1), ("plcmos", 1, 2)):
                row = cells.get((system, level, metric))
                line.append(_cell(row, scale, digits) if row else "")
        lines.append(line)
    return markdown_table(lines)


def _cell(row, scale, digits):
    value, low, high = (
        "-" if row[key] is None else f"{scale * row[key]:.{digits}f}"
        for key in ("value", "ci_low", "ci_high")
    )
    return f"{value} [{low}, {high}]"
