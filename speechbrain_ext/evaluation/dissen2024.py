"""What Dissen et al. (Interspeech 2024) report and claim, as facts.

Dissen, Yonash, Cohen, Keshet: "Enhanced ASR Robustness to Packet Loss with a
Front-End Adaptation Network". WER in percent. Figures 2 and 3 print no numbers.
"""

import json
from pathlib import Path

from speechbrain_ext.evaluation.claims import Claim, Comparison, claims_report
from speechbrain_ext.evaluation.report import markdown_table, save_figure
from speechbrain_ext.evaluation.results import BARE
from speechbrain_ext.evaluation.word_errors import read_word_errors
from speechbrain_ext.files import write_texts

#: Names of the evaluations that the tables and the claims read. A small Whisper
#: stands for the paper's base, a larger one for its large-v2.
SMALL, LARGE = "english-small", "english-large"
TRACES_SMALL, TRACES_LARGE = "traces-small", "traces-large"
OTHER_ENGLISH, SPANISH = "english-other", "es"
#: Languages, none of them trained on.
LANGUAGES = ("fr", "de", "es", "it")

#: Names of the systems. "Own" is the larger Whisper's own adapter.
L1, CE, OURS = "L1", "CE", "CE+L1"
BTA_CE, BTA = "CE (BTA)", "CE+L1 (BTA)"
CONCEALER, FINE_TUNED = "concealer", "fine-tuned"

#: Table 1: the PLC challenge's blind set, with Whisper base and large-v2.
TABLE_1 = {
    BARE: (24.0, 15.4),
    CONCEALER: (20.4, 16.2),
    OURS: (18.1, 14.2),
}

#: Table 2: FLEURS with Whisper base, Whisper's and ours, by loss rate.
TABLE_2 = {
    "fr": {
        0.0: (24.7, 26.3),
        0.05: (29.1, 27.7),
        0.1: (33.8, 29.3),
        0.2: (48.6, 32.6),
        0.3: (69.5, 38.3),
        0.4: (104.9, 41.5),
        0.5: (126.7, 49.6),
        0.6: (124.6, 61.2),
    },
    "de": {
        0.0: (17.2, 18.4),
        0.05: (20.8, 19.6),
        0.1: (25.3, 20.9),
        0.2: (39.0, 23.7),
        0.3: (60.7, 27.2),
        0.4: (102.2, 32.8),
        0.5: (141.2, 40.4),
        0.6: (140.4, 53.2),
    },
    "ru": {
        0.0: (20.3, 21.8),
        0.05: (24.6, 23.0),
        0.1: (28.7, 24.7),
        0.2: (39.1, 27.9),
        0.3: (53.7, 32.6),
        0.4: (75.6, 39.0),
        0.5: (100.8, 46.1),
        0.6: (121.1, 59.2),
    },
    "es": {
        0.0: (10.3, 10.7),
        0.05: (12.7, 11.2),
        0.1: (15.8, 11.5),
        0.2: (24.7, 13.2),
        0.3: (38.3, 15.5),
        0.4: (57.2, 19.0),
        0.5: (89.2, 24.4),
        0.6: (127.9, 33.7),
    },
}

#: Table 3: ALLSSTAR and Spanish with Whisper base, at these loss rates.
TABLE_3_RATES = (0.0, 0.2, 0.4)
TABLE_3 = {
    LARGE: {
        BARE: (18.4, 37.8, 70.0),
        FINE_TUNED: (24.9, 27.1, 31.8),
        OURS: (18.7, 22.1, 30.0),
    },
    SPANISH: {
        BARE: (10.3, 24.7, 57.2),
        FINE_TUNED: (89.5, 91.1, 94.5),
        OURS: (10.7, 13.2, 19.0),
    },
}

# From 20 % on even the paper's large Whisper is in trouble (section 3.3).
_LOSSY = (0.2, 0.3, 0.4, 0.5, 0.6)
# The most that the paper's adapters cost without loss (Table 2, base, French).
_SLIGHT = 0.016
# "Equals" needs a width: a point of WER.
_EQUAL = 0.01


def claims(levels, languages=LANGUAGES):
    """List the paper's claims.

    Arguments
    ---------
    levels : dict[str, collection of float]
        The loss rates that were evaluated, by evaluation; what an evaluation
        that is not there would have to be evaluated at is all of the paper's.
    languages : sequence of str
        The evaluations of languages that were not trained on.

    Returns
    -------
    list of Claim

    Example
    -------
    >>> claims({SMALL: [0.0, 0.2, 0.4]})[1].text
    'The cross entropy alone improves more than L1 alone.'
    """

    def lossy(evaluation):
        """Keep the loss rates that were measured."""
        measured = levels.get(evaluation, _LOSSY)
        return tuple(rate for rate in _LOSSY if rate in measured)

    return [
        Claim(
            "Every adapter beats zero fill at 20 % loss and more.",
            "Figures 2 and 3, section 3.3",
            tuple(
                Comparison(evaluation, system, BARE, (rate,))
                for evaluation, systems in (
                    (SMALL, (L1, CE, OURS)),
                    (LARGE, (OURS, BTA_CE, BTA)),
                )
                for system in systems
                for rate in lossy(evaluation)
            ),
        ),
        Claim(
            "The cross entropy alone improves more than L1 alone.",
            "Figure 2, section 3.3",
            (Comparison(SMALL, CE, L1, lossy(SMALL)),),
        ),
        Claim(
            "Both losses together improve more than either.",
            "Figure 2, section 3.3",
            (
                Comparison(SMALL, OURS, CE, lossy(SMALL)),
                Comparison(SMALL, OURS, L1, lossy(SMALL)),
            ),
        ),
        Claim(
            "An adapter of a smaller Whisper equals or beats the larger "
            "one's own (at most 1 point worse).",
            "Figure 3, section 3.3",
            (Comparison(LARGE, BTA, OURS, lossy(LARGE), _EQUAL),),
        ),
        Claim(
            "A waveform concealer helps a small Whisper.",
            "Figure 2, Table 1",
            (
                Comparison(SMALL, CONCEALER, BARE, lossy(SMALL)),
                Comparison(TRACES_SMALL, CONCEALER, BARE),
            ),
        ),
        Claim(
            "A waveform concealer can hurt a large Whisper.",
            "Table 1",
            (Comparison(TRACES_LARGE, BARE, CONCEALER),),
        ),
        Claim(
            "The adapter beats the waveform concealer.",
            "Figures 2 and 3, Table 1",
            (
                Comparison(SMALL, OURS, CONCEALER, lossy(SMALL)),
                Comparison(LARGE, OURS, CONCEALER, lossy(LARGE)),
                Comparison(TRACES_SMALL, OURS, CONCEALER),
                Comparison(TRACES_LARGE, OURS, CONCEALER),
            ),
        ),
        Claim(
            "Without loss the adapter harms slightly (at most 1.6 points).",
            "Tables 2 and 3",
            (
                Comparison(SMALL, OURS, BARE, (0.0,), _SLIGHT),
                Comparison(LARGE, OURS, BARE, (0.0,), _SLIGHT),
            ),
        ),
        Claim(
            "Fine-tuning forgets other languages.",
            "Table 3",
            (Comparison(SPANISH, BARE, FINE_TUNED, (0.0,)),),
        ),
        Claim(
            "Fine-tuning forgets other domains of its language.",
            "Table 3",
            (Comparison(OTHER_ENGLISH, BARE, FINE_TUNED, (0.0,)),),
        ),
        Claim(
            "The adapter forgets neither (at most 1.6 points).",
            "Tables 2 and 3",
            tuple(
                Comparison(evaluation, OURS, BARE, (0.0,), _SLIGHT)
                for evaluation in (OTHER_ENGLISH, *languages)
            ),
        ),
        Claim(
            "The adapter gains in languages that it was never trained on.",
            "Table 2",
            tuple(
                Comparison(language, OURS, BARE, lossy(language))
                for language in languages
            ),
        ),
    ]


def write_reproduction(folder, evaluations, note=""):
    """Write the paper's figures, tables and claims from evaluations' folders.

    Arguments
    ---------
    folder : str or Path
        Where ``figure2.png``, ``figure3.png``, ``tables.md`` and ``claims.md``
        go.
    evaluations : dict
        Folder with ``results.json`` and ``errors.json`` by evaluation.
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
    >>> files = write_reproduction(tempfile.mkdtemp(), {})
    >>> [file.name for file in files]
    ['tables.md', 'claims.md']
    """
    folder = Path(folder)
    results = {
        name: json.loads((Path(place) / "results.json").read_text())
        for name, place in evaluations.items()
    }
    errors = {
        name: read_word_errors(Path(place) / "errors.json")
        for name, place in evaluations.items()
    }
    levels = {
        name: {row.level for row in rows} for name, rows in errors.items()
    }
    files = []
    for number, name, title in (
        (2, SMALL, "the small Whisper"),
        (3, LARGE, "the larger Whisper"),
    ):
        if name in results:
            files.append(folder / f"figure{number}.png")
            save_figure(
                files[-1], results[name], f"After Figure {number}: {title}"
            )
    others = {SMALL, LARGE, TRACES_SMALL, TRACES_LARGE, OTHER_ENGLISH}
    languages = [name for name in evaluations if name not in others]
    texts = {
        "tables.md": tables(results, languages, note),
        "claims.md": claims_report(claims(levels, languages), errors, note),
    }
    return [*files, *write_texts(folder, texts)]


def tables(results, languages=LANGUAGES, note=""):
    """Lay out Tables 1 to 3, the paper's numbers in brackets.

    Arguments
    ---------
    results : dict
        List of rows of results.json by evaluation.
    languages : sequence of str
        The evaluations of languages that were not trained on.
    note : str
        What stands in for what.

    Returns
    -------
    str
        Markdown.

    Example
    -------
    >>> tables({}, [], "Nothing was measured.").splitlines()[2]
    'Nothing was measured.'
    """
    return (
        "# The paper's tables, measured here\n\n"
        f"{note}\n"
        "WER in % with its 95 % interval (bootstrap over utterances); in round "
        "brackets the paper's own number, of its own data and models.\n\n"
        "## Table 1: recorded losses, used as they are\n\n"
        f"{table_1(results)}\n"
        "## Table 2: languages that no front-end was trained on, base\n\n"
        f"{table_2(results, languages)}\n"
        "## Table 3: fine-tuning against the adapter, base\n\n"
        f"{table_3(results)}"
    )


def table_1(results):
    """Lay out Table 1: recorded losses, a small and a larger Whisper.

    Arguments
    ---------
    results : dict
        List of rows of results.json by evaluation.

    Returns
    -------
    str
        Markdown; the paper's numbers in brackets.

    Example
    -------
    >>> table_1({}).splitlines()[2]
    '| bare      | - (24.0) | - (15.4) |'
    """
    lines = [["WER %", "small", "larger"]]
    names = list(TABLE_1)
    for evaluation in (TRACES_SMALL, TRACES_LARGE):
        names += _systems(results.get(evaluation, []))
    for name in dict.fromkeys(names):
        paper = TABLE_1.get(name, (None, None))
        lines.append(
            [name]
            + [
                _cell(_wer(results.get(evaluation, []), name), number)
                for evaluation, number in zip(
                    (TRACES_SMALL, TRACES_LARGE), paper, strict=True
                )
            ]
        )
    return markdown_table(lines)


def table_2(results, languages=LANGUAGES):
    """Lay out Table 2: languages that were never trained on.

    Arguments
    ---------
    results : dict
        List of rows of results.json by evaluation.
    languages : sequence of str
        The evaluations.

    Returns
    -------
    str
        Markdown; the paper's numbers in brackets.

    Example
    -------
    >>> print(table_2({}, ["fr"]))
    | WER % | system | fr |
    | :---- | :----- | -: |
    <BLANKLINE>
    """
    rates = sorted(
        {row["level"] for name in languages for row in results.get(name, [])}
    )
    lines = [["WER %", "system", *languages]]
    for rate in rates:
        for place, system in enumerate((BARE, OURS)):
            cells = []
            for language in languages:
                code = language.removeprefix("prompts-")
                paper = TABLE_2.get(code, {}).get(round(rate, 6))
                wer = _wer(results.get(language, []), system, rate)
                cells.append(_cell(wer, paper and paper[place]))
            lines.append([f"{100 * rate:.3g} % loss", system, *cells])
    return markdown_table(lines, left=2)


def table_3(results):
    """Lay out Table 3: fine-tuning against the adapter.

    Arguments
    ---------
    results : dict
        List of rows of results.json by evaluation.

    Returns
    -------
    str
        Markdown; the paper's numbers in brackets.

    Example
    -------
    >>> len(table_3({}).splitlines())
    11
    """
    rates = [f"{100 * rate:g} % loss" for rate in TABLE_3_RATES]
    lines = [["WER %", "system", *rates]]
    for evaluation, paper in (
        (LARGE, TABLE_3[LARGE]),
        (OTHER_ENGLISH, {}),
        (SPANISH, TABLE_3[SPANISH]),
    ):
        for system in (BARE, FINE_TUNED, OURS):
            numbers = paper.get(system, (None,) * len(rates))
            rows = results.get(evaluation, [])
            cells = [
                _cell(_wer(rows, system, rate), number)
                for rate, number in zip(TABLE_3_RATES, numbers, strict=True)
            ]
            lines.append([evaluation, system, *cells])
    return markdown_table(lines, left=2)


def _systems(rows):
    return [row["system"] for row in rows if row["metric"] == "wer"]


def _wer(rows, system, level=None):
    """The row of a system at a level, or at the only one; None without."""
    found = [
        row
        for row in rows
        if (row["system"], row["metric"]) == (system, "wer")
        and (level is None or abs(row["level"] - level) < 1e-6)
    ]
    return found[0] if found else None


def _cell(row, paper):
    """Our number with its interval, and the paper's in brackets."""
    ours = "-"
    if row is not None:
        value, low, high = (
            100 * row[key] for key in ("value", "ci_low", "ci_high")
        )
        ours = f"{value:.1f} [{low:.1f}, {high:.1f}]"
    return ours if paper is None else f"{ours} ({paper:.1f})"
