"""tables.md, claims.md, Figure 3 and results.json of paper 3's reproduction."""

from pathlib import Path

from speechbrain_ext.evaluation import sato2025 as paper
from speechbrain_ext.evaluation.alpha_figure import save_alpha_figure
from speechbrain_ext.evaluation.claims import claims_report
from speechbrain_ext.evaluation.enhancement_scores import read_scores
from speechbrain_ext.evaluation.generic_enhancement_tables import paper_tables
from speechbrain_ext.evaluation.results import join_results
from speechbrain_ext.evaluation.trial_scores import read_trial_scores
from speechbrain_ext.evaluation.word_errors import read_word_errors
from speechbrain_ext.files import write_texts

FIGURE = "figure_3.png"


def read_evaluation(folder):
    """Read what an evaluation's systems did, utterance by utterance.

    Arguments
    ---------
    folder : str or Path
        With ``scores.json`` and ``errors.json``, and ``trials.json`` where
        speakers were verified.

    Returns
    -------
    list
        :class:`WordErrors`, :class:`EnhancementScores` and
        :class:`TrialScores`.

    Raises
    ------
    UserError
        When a file is missing or no such file.

    Example
    -------
    >>> read_evaluation("nowhere")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere/errors.json: not readable as ...
    """
    folder = Path(folder)
    found = [
        *read_word_errors(folder / "errors.json"),
        *read_scores(folder / "scores.json"),
    ]
    trials = folder / "trials.json"
    return found + (read_trial_scores(trials) if trials.is_file() else [])


def write_generic_enhancement(
    folder,
    evaluations,
    inference,
    alphas=paper.ALPHAS,
    note="",
    **of_claims,
):
    """Write the paper's tables, figure and claims from evaluations' folders.

    Arguments
    ---------
    folder : str or Path
        Where ``tables.md``, ``claims.md``, ``figure_3.png`` and
        ``results.json``, all evaluations' rows, go.
    evaluations : dict
        Folder by evaluation; one folder may serve several.
    inference : str
        What the downstream models stand on.
    alphas : sequence of float
        Weights of the SNR loss that were trained with.
    note : str
        What stands in for what.
    **of_claims : dict
        As :func:`~speechbrain_ext.evaluation.sato2025.claims` takes them.

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
    >>> files = write_generic_enhancement(tempfile.mkdtemp(), {}, "WavLM Base+")
    >>> [file.name for file in files]
    ['tables.md', 'claims.md', 'results.json']
    """
    folder = Path(folder)
    results = {
        name: read_evaluation(place) for name, place in evaluations.items()
    }
    drawn = save_alpha_figure(folder / FIGURE, results, alphas)
    figure = FIGURE if drawn else None
    texts = {
        "tables.md": paper_tables(results, inference, note, figure),
        "claims.md": claims_report(paper.claims(**of_claims), results, note),
    }
    files = write_texts(folder, texts)
    join_results(folder / "results.json", evaluations.values())
    files.append(folder / "results.json")
    return [*files, folder / FIGURE] if drawn else files
