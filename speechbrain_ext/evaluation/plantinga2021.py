"""What Plantinga et al. (2021) report and claim of Voicebank, as facts.

Plantinga, Bagchi, Fosler-Lussier: "Perceptual Loss with Recognition Model for
Single-Channel Enhancement and Robust ASR", sections V and VI. Error rates in
percent.
"""

import math
from pathlib import Path

from speechbrain_ext.evaluation.claims import (
    Claim,
    Comparison,
    claims_report,
    pool_levels,
)
from speechbrain_ext.evaluation.enhancement_report import (
    COLUMNS,
    TABLE_VII_BINS,
)
from speechbrain_ext.evaluation.enhancement_scores import (
    EnhancementScores,
    read_scores,
)
from speechbrain_ext.evaluation.report import markdown_table
from speechbrain_ext.evaluation.word_errors import WordErrors, read_word_errors
from speechbrain_ext.files import write_texts
from speechbrain_ext.metrics.bootstrap import bootstrap_interval

#: Names of the evaluations: scores of the test set, word errors of the
#: validation set (the paper's dev) and of the test set.
SCORES, VALID, TEST = "scores", "valid", "test"

#: The recordings, and the recognisers that were trained on them.
CLEAN, NOISY = "clean", "noisy"

#: Enhancers, by what they were trained with: no perceptual model, the Wide
#: ResNet that writes phones (PHONES: its first block is the perceptual loss
#: wherever nothing else is said), other targets, other inputs, the CRDNN.
L1, PHONES, BLOCK2 = "L1", "perceptual", "block2"
CHARACTERS, WORD_PIECES = "characters", "word-pieces"
MELS_40, MELS_80 = "log-mel-40", "log-mel-80"
CNN1, CNN2, CNN3, RNN, DNN = "cnn1", "cnn2", "cnn3", "rnn", "dnn"

#: Recognisers that were trained behind an enhancer, frozen or not.
FROZEN_L1, FROZEN = "frozen L1", "frozen perceptual"
JOINT_L1, JOINT = "joint L1", "joint perceptual"
#: The recogniser that was trained on noisy speech, fed enhanced speech.
NOISY_L1, NOISY_PERCEPTUAL = "noisy-trained, L1", "noisy-trained, perceptual"
#: A recogniser that was trained on none of this (not in the paper).
UNADAPTED = {kind: f"unadapted, {kind}" for kind in (CLEAN, NOISY, L1, PHONES)}

#: Table III: the context that an output sees, PESQ, COVL.
TABLE_3 = {
    PHONES: ("Wide ResNet, first block", "7 frames", 3.03, 3.74),
    BLOCK2: ("Wide ResNet, second block", "13 frames", 2.97, 3.68),
    CNN1: ("CRDNN, first CNN block", "5 frames", 2.93, 3.64),
    CNN2: ("CRDNN, 2 CNN blocks", "9 frames", 3.05, 3.74),
    CNN3: ("CRDNN, 3 CNN blocks", "13 frames", 3.06, 3.75),
    RNN: ("CRDNN, RNN outputs", "full utterance", 2.91, 3.54),
    DNN: ("CRDNN, DNN outputs", "full utterance", 2.87, 3.50),
}

#: Table IV: the perceptual model's error rate, PESQ, COVL.
TABLE_4 = {
    CHARACTERS: ("characters, CER", 20.37, 2.98, 3.68),
    WORD_PIECES: ("word pieces, WER", 21.19, 2.92, 3.62),
    PHONES: ("phonemes, PER", 14.55, 3.05, 3.74),
}

#: Table V: the perceptual model's phone error rate, PESQ, COVL.
TABLE_5 = {
    PHONES: ("spectral magnitude", 14.55, 3.05, 3.74),
    MELS_40: ("log-mel filterbank, 40", 20.25, 3.03, 3.72),
    MELS_80: ("log-mel filterbank, 80", 15.36, 3.02, 3.73),
}

#: Table VI: PESQ, COVL, WER on dev and on test.
TABLE_6 = {
    CLEAN: (4.50, 4.50, 1.44, 2.29),
    NOISY: (1.97, 2.63, 4.32, 3.43),
    JOINT_L1: (2.46, 3.32, 3.12, 3.77),
    JOINT: (2.44, 3.29, 3.57, 3.58),
    FROZEN_L1: (2.99, 3.69, 2.88, 3.25),
    FROZEN: (3.05, 3.74, 2.89, 2.80),
}
# Whose speech a recogniser hears that has no enhancer of its own making.
_SPEECH = {FROZEN_L1: L1, FROZEN: PHONES}

#: Table VII: WER of dev and test together, by TABLE_VII_BINS.
TABLE_7 = {
    NOISY: (7.53, 3.31, 2.07, 2.64),
    FROZEN_L1: (5.48, 2.32, 1.77, 2.44),
    FROZEN: (5.26, 2.45, 1.55, 1.99),
    CLEAN: (2.04, 1.85, 1.26, 2.08),
}

#: Table VIII: PESQ, CSIG, CBAK, COVL of the rivals, which are cited.
TABLE_8 = {
    NOISY: (1.97, 3.35, 2.44, 2.63),
    "SERGAN": (2.62, None, None, None),
    "D. F. Loss": (None, 3.86, 3.33, 3.22),
    "PHASEN": (2.99, 4.21, 3.55, 3.62),
    "DEMUCS": (3.07, 4.31, 3.40, 3.63),
    "MetricGAN+": (3.15, 4.14, 3.16, 3.64),
    PHONES: (3.06, 4.40, 3.52, 3.75),
}

#: Table IX: WER on dev and on test.
TABLE_9 = {
    NOISY: (4.32, 3.43),
    NOISY_L1: (3.36, 3.58),
    NOISY_PERCEPTUAL: (3.69, 3.34),
}

# "Not much of an impact" needs a width: Table V's inputs are 0.03 PESQ apart.
_EQUAL = 0.05


def claims(rates=None):
    """List the paper's claims.

    Arguments
    ---------
    rates : dict or None
        The error rate of a perceptual model in percent, by the name of its
        enhancer: says which of two is the better recogniser. None takes the
        paper's.

    Returns
    -------
    list of Claim

    Example
    -------
    >>> claims()[0].text
    'Phones beat characters and word pieces.'
    """
    if rates is None:
        rates = {name: row[1] for name, row in TABLE_5.items()}
    worse, better = sorted(
        (MELS_40, MELS_80), key=lambda name: -rates.get(name, math.inf)
    )
    return [
        Claim(
            "Phones beat characters and word pieces.",
            "Table IV, section V-A",
            _scores((PHONES, CHARACTERS), (PHONES, WORD_PIECES)),
        ),
        Claim(
            "Shallow context beats the full utterance (CRDNN).",
            "Table III, section V-A",
            _scores(
                *(
                    (shallow, deep)
                    for shallow in (CNN1, CNN2, CNN3)
                    for deep in (RNN, DNN)
                )
            ),
        ),
        Claim(
            "In the Wide ResNet the first block beats the second.",
            "Table III, section V-A",
            _scores((PHONES, BLOCK2)),
        ),
        Claim(
            "Spectral magnitudes beat log-mels.",
            "Table V, section VII",
            _scores((PHONES, MELS_40), (PHONES, MELS_80)),
        ),
        Claim(
            "A better recogniser is not a better perceptual model: of two "
            "inputs the one with the higher error rate is at most "
            f"{_EQUAL} PESQ worse.",
            "Table V, section V-A; phone error rate here: "
            + ", ".join(
                f"{rates.get(name, math.nan):.1f} % ({name})"
                for name in (worse, better)
            ),
            _scores((worse, better), margin=_EQUAL),
        ),
        Claim(
            "Perceptual loss beats L1 alone in PESQ.",
            "Table VI, section VI",
            _scores((PHONES, L1)),
        ),
        Claim(
            "Perceptual loss beats L1 alone in the test set's WER.",
            "Table VI, section VI",
            (Comparison(TEST, FROZEN, FROZEN_L1),),
        ),
        Claim(
            "On the validation set L1 alone has the lower WER.",
            "Table VI, dev WER",
            (Comparison(VALID, FROZEN_L1, FROZEN),),
        ),
        Claim(
            "A frozen enhancer with a distortion-independent recogniser beats "
            "joint training.",
            "Table VI, section VI",
            (
                *(
                    Comparison(evaluation, frozen, joint)
                    for evaluation in (TEST, VALID)
                    for frozen, joint in (
                        (FROZEN_L1, JOINT_L1),
                        (FROZEN, JOINT),
                    )
                ),
                *_scores((L1, JOINT_L1), (PHONES, JOINT)),
            ),
        ),
        Claim(
            "A recogniser that was trained on noisy speech reads the test set "
            "better behind perceptual loss than behind L1 alone.",
            "Table IX, section VI",
            (Comparison(TEST, NOISY_PERCEPTUAL, NOISY_L1),),
        ),
        Claim(
            "It reads the validation set better behind L1 alone.",
            "Table IX, dev WER",
            (Comparison(VALID, NOISY_L1, NOISY_PERCEPTUAL),),
        ),
    ]


def _scores(*pairs, margin=0.0):
    """Comparisons of PESQ."""
    return tuple(
        Comparison(SCORES, system, baseline, None, margin, "pesq")
        for system, baseline in pairs
    )


def write_reproduction(folder, evaluations, rates, note=""):
    """Write the paper's tables and claims from evaluations' folders.

    Arguments
    ---------
    folder : str or Path
        Where ``tables.md`` and ``claims.md`` go.
    evaluations : dict
        Folder with ``scores.json`` and ``errors.json`` by evaluation.
    rates : dict
        The error rate of a perceptual model in percent, by the name of its
        enhancer.
    note : str
        What stands in for what.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UserError
        When a file cannot be read or written.

    Example
    -------
    >>> import tempfile
    >>> files = write_reproduction(tempfile.mkdtemp(), {}, {})
    >>> [file.name for file in files]
    ['tables.md', 'claims.md']
    """
    results = {
        name: [
            *read_word_errors(Path(place) / "errors.json"),
            *read_scores(Path(place) / "scores.json"),
        ]
        for name, place in evaluations.items()
    }
    texts = {
        "tables.md": tables(results, rates, note),
        "claims.md": claims_report(claims(rates), results, note),
    }
    return write_texts(folder, texts)


def tables(results, rates, note=""):
    """Lay out Tables III to IX, the paper's numbers in brackets.

    Arguments
    ---------
    results : dict
        List of :class:`WordErrors` and :class:`EnhancementScores` by
        evaluation.
    rates : dict
        The error rate of a perceptual model in percent, by the name of its
        enhancer.
    note : str
        What stands in for what.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> tables({}, {}, "Nothing was measured.").splitlines()[2]
    'Nothing was measured.'
    """
    return "\n".join(
        [
            "# The paper's tables, measured here\n",
            note,
            "Means and WER in % with 95 % intervals (bootstrap over "
            "utterances); in round brackets the paper's own number, of its own "
            "data and models.\n",
            "## Table III: the perceptual model's output, and its context\n",
            table_3(results),
            "## Table IV: the perceptual model's targets\n",
            table_of_models(results, rates, TABLE_4),
            "## Table V: the perceptual model's inputs\n",
            table_of_models(results, rates, TABLE_5),
            "## Table VI: joint training, and a frozen enhancer\n",
            table_6(results),
            "## Table VII: WER by SNR, validation and test set together\n",
            table_7(results),
            "## Table VIII: the rivals, as the paper cites them\n",
            table_8(results),
            "## Table IX: a recogniser that was trained on noisy speech\n",
            _word_table(results, TABLE_9),
            "## Not in the paper: a recogniser that was adapted to nothing\n",
            _word_table(
                results, dict.fromkeys(UNADAPTED.values(), (None, None))
            ),
        ]
    )


def table_3(results):
    """Lay out Table III: where the perceptual loss is taken.

    Arguments
    ---------
    results : dict
        As :func:`tables` takes them.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> table_3({}).splitlines()[2].split("|")[2:4]
    [' 7 frames       ', ' - (3.03) ']
    """
    lines = [["Context model", "Context", "PESQ", "COVL"]]
    for name, (label, context, *paper) in TABLE_3.items():
        lines.append([label, context, *_quality(results, name, paper)])
    lines.append(["none (L1 alone)", "-", *_quality(results, L1, (None, None))])
    return markdown_table(lines, left=2)


def table_of_models(results, rates, paper):
    """Lay out Table IV or V: error rates beside what they are worth.

    Arguments
    ---------
    results, rates : dict
        As :func:`tables` takes them.
    paper : dict
        ``TABLE_4`` or ``TABLE_5``.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> text = table_of_models({}, {CHARACTERS: 50.0}, TABLE_4)
    >>> text.splitlines()[2].split("|")[2]
    '  50.0 (20.4) '
    """
    lines = [["Perceptual model", "Error rate %", "PESQ", "COVL"]]
    for name, (label, rate, *quality) in paper.items():
        ours = f"{rates[name]:.1f}" if name in rates else "-"
        lines.append(
            [label, f"{ours} ({rate:.1f})", *_quality(results, name, quality)]
        )
    return markdown_table(lines)


def table_6(results):
    """Lay out Table VI: scores and word error rates of the same systems.

    Arguments
    ---------
    results : dict
        As :func:`tables` takes them.

    Returns
    -------
    str
        Markdown; with STOI, which the paper has not.

    Example
    -------
    >>> len(table_6({}).splitlines())
    8
    """
    lines = [["System", "PESQ", "COVL", "STOI", "valid WER", "test WER"]]
    for name, (pesq, covl, *words) in TABLE_6.items():
        speech = _SPEECH.get(name, name)
        lines.append(
            [
                name,
                *_quality(results, speech, (pesq, covl)),
                _cell(_score(results, speech, "stoi"), None, 3),
                *_words(results, name, words),
            ]
        )
    return markdown_table(lines)


def table_7(results):
    """Lay out Table VII: word error rates by SNR.

    Arguments
    ---------
    results : dict
        As :func:`tables` takes them.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> table_7({}).splitlines()[0]
    '| WER %             |  0-3 dB |  5-8 dB | 10-13 dB | 15-18 dB |'
    """
    lines = [["WER %", *(f"{low}-{high} dB" for low, high in TABLE_VII_BINS)]]
    for name, paper in TABLE_7.items():
        cells = [
            _cell(_wer(results, (VALID, TEST), name, low), number, 1, 100)
            for (low, _), number in zip(TABLE_VII_BINS, paper, strict=True)
        ]
        lines.append([name, *cells])
    return markdown_table(lines)


def table_8(results):
    """Lay out Table VIII: rivals' scores, cited, beside ours.

    Arguments
    ---------
    results : dict
        As :func:`tables` takes them.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> table_8({}).splitlines()[3]
    '| SERGAN     | - (2.62) |        - |        - |        - |'
    """
    metrics = ("pesq", "csig", "cbak", "covl")
    lines = [["System", *(COLUMNS[metric][0] for metric in metrics)]]
    for name, paper in TABLE_8.items():
        cells = [
            _cell(_score(results, name, metric), number, 2)
            for metric, number in zip(metrics, paper, strict=True)
        ]
        lines.append([name, *cells])
    return markdown_table(lines)


def _word_table(results, paper):
    lines = [["WER %", "valid", "test"]]
    lines += [
        [name, *_words(results, name, numbers)]
        for name, numbers in paper.items()
    ]
    return markdown_table(lines)


def _quality(results, name, paper):
    """Cells of PESQ and COVL."""
    return [
        _cell(_score(results, name, metric), number, COLUMNS[metric][1])
        for metric, number in zip(("pesq", "covl"), paper, strict=True)
    ]


def _words(results, name, paper):
    """Cells of the word error rates of the validation and the test set."""
    return [
        _cell(_wer(results, (evaluation,), name), number, 1, 100)
        for evaluation, number in zip((VALID, TEST), paper, strict=True)
    ]


def _score(results, name, metric):
    """A system's mean on the test set; None where it has none."""
    for row in results.get(SCORES, []):
        if isinstance(row, EnhancementScores) and row.system == name:
            values = row.scores.get(metric, [])
            values = [value for value in values if math.isfinite(value)]
            return bootstrap_interval(values) if values else None
    return None


def _wer(results, evaluations, name, level=None):
    """A system's word error rate at a level, or over all."""
    pooled = pool_levels(
        [
            row
            for evaluation in evaluations
            for row in results.get(evaluation, [])
            if isinstance(row, WordErrors)
            and row.system == name
            and level in (None, row.level)
        ]
    )
    return pooled and bootstrap_interval(pooled.errors, pooled.words)


def _cell(estimate, paper, decimals, scale=1):
    """Our number with its interval, and the paper's in brackets."""
    ours = "-"
    if estimate is not None:
        value, low, high = (f"{scale * x:.{decimals}f}" for x in estimate)
        ours = f"{value} [{low}, {high}]"
    return ours if paper is None else f"{ours} ({paper:.{decimals}f})"
