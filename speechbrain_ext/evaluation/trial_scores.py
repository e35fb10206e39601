"""trials.json: what each trial of speaker verification scored."""

import functools
from dataclasses import asdict, dataclass

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.results import (
    read_utterances,
    result_row,
    write_utterances,
)
from speechbrain_ext.metrics.eer_bootstrap import compare_eer, eer_interval


@dataclass(frozen=True)
class TrialScores:
    """A system's scores, trial by trial.

    Arguments
    ---------
    system : str
        Which system.
    trials : list of tuple
        (label, enrol, test) each: 1 where one speaker says both, 0 where not;
        the utterances' IDs.
    scores : list of float
        [trials]; of one speaker's trials they are higher.
    backend : str
        What ran it.
    test_set : str
        On what.
    corruption : str
        With which damage.
    level : float or None
        How much of it; None where each utterance has its own.
    seed : int
        The seed of the damage.

    Example
    -------
    >>> trials = [(1, "a", "b"), (0, "a", "c"), (0, "b", "c")]
    >>> TrialScores("noisy", trials, [0.9, 0.1, 0.2]).eer.value
    0.0
    """

    system: str
    trials: list
    scores: list
    backend: str = "torch"
    test_set: str = "test"
    corruption: str = "noise"
    level: float | None = None
    seed: int = 0

    @functools.cached_property
    def eer(self):
        """Estimate : The equal error rate, with its interval."""
        return eer_interval(self.scores, self.trials)

    def compare(self, baseline):
        """Compare with another system on the same trials.

        Arguments
        ---------
        baseline : TrialScores
            Of the other system.

        Returns
        -------
        speechbrain_ext.metrics.bootstrap.Comparison

        Raises
        ------
        UserError
            When the trials are others.
        """
        if list(map(tuple, self.trials)) != list(map(tuple, baseline.trials)):
            raise UserError(
                f"{self.system} and {baseline.system}: scored on other trials "
                f"of {self.test_set}; expected the same"
            )
        return compare_eer(baseline.scores, self.scores, self.trials)

    def row(self):
        """Summarise as a row of results.json.

        Returns
        -------
        dict
            With the metric ``eer``; ``n`` counts the trials.
        """
        return result_row(
            self.system,
            self.backend,
            self.test_set,
            self.corruption,
            self.level,
            "eer",
            self.eer,
            len(self.trials),
            self.seed,
        )


def write_trial_scores(path, systems):
    """Write trials.json, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The file.
    systems : sequence of TrialScores
        What to write.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "trials.json"
    >>> write_trial_scores(file, [TrialScores("a", [(1, "u", "v")], [0.5])])
    >>> read_trial_scores(file)[0].scores
    [0.5]
    """
    write_utterances(path, [asdict(one) for one in systems])


def read_trial_scores(path):
    """Read trials.json.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    list of TrialScores

    Raises
    ------
    UserError
        When it is missing or no such file.

    Example
    -------
    >>> read_trial_scores("nowhere.json")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.json: not readable as an \
evaluation's trials.json
    """
    return read_utterances(path, TrialScores, "trials.json")
