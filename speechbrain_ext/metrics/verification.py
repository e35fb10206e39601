"""How well speakers are told apart, while something is trained to do so.

Intervals are :mod:`speechbrain_ext.metrics.eer_bootstrap`'s.
"""

from torch.nn import functional as F

from speechbrain_ext.corpora.trials import read_trials
from speechbrain_ext.errors import UserError
from speechbrain_ext.metrics.eer_bootstrap import eer_interval


class EqualErrorRate:
    """Collects utterances' embeddings and judges them by trials.

    A trial's score is the cosine of its utterances' embeddings; the rate is
    that at the threshold where as many trials of one speaker are rejected as
    trials of two are accepted.

    Arguments
    ---------
    trials : str, Path or list of them
        CSV files of trials. Of all, those count whose utterances were both
        appended, so that one metric serves validation and test.
    name : str
        What it is called.

    Attributes
    ----------
    embeddings : dict
        A torch.Tensor, [channels], by utterance ID.

    Example
    -------
    >>> import tempfile, torch
    >>> from speechbrain_ext.corpora.trials import Trial, write_trials
    >>> file = tempfile.mkdtemp() + "/trials.csv"
    >>> write_trials(file, [Trial(1, "a", "b"), Trial(0, "a", "c")])
    >>> eer = EqualErrorRate(file)
    >>> eer.append("abc", torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1]]))
    >>> eer.summarize()
    0.0
    """

    #: As :class:`speechbrain_ext.metrics.wer.WordErrorRate` has them.
    of_waveforms = False
    higher_is_better = False
    scale = 100

    def __init__(self, trials, name="EER"):
        self.files = trials if isinstance(trials, (list, tuple)) else [trials]
        self.name = name
        self.embeddings = {}

    def append(self, ids, embeddings):
        """Take a batch.

        Arguments
        ---------
        ids : sequence of str
            The utterances' ids, [batch].
        embeddings : sequence of torch.Tensor
            [channels] each, [batch].
        """
        self.embeddings.update(zip(ids, embeddings))

    def score(self):
        """Score the trials that count.

        Returns
        -------
        trials : list of Trial
            Those whose utterances are both there.
        scores : list of float
            Their cosines.

        Raises
        ------
        UserError
            When a file cannot be read, or no trial counts.
        """
        unit = {
            name: F.normalize(vector.double(), dim=0)
            for name, vector in self.embeddings.items()
        }
        trials = [
            trial
            for file in self.files
            for trial in read_trials(file)
            if {trial.enrol, trial.test} <= unit.keys()
        ]
        if not trials:
            raise UserError(
                f"{self.files[0]}: no trial of these utterances; expected the "
                "trials of the manifest"
            )
        return trials, [float(unit[t.enrol] @ unit[t.test]) for t in trials]

    def summarize(self):
        """Compute the equal error rate of the trials that count.

        Returns
        -------
        float
            A fraction; NaN where they are all of one label.
        """
        trials, scores = self.score()
        if len({trial.label for trial in trials}) < 2:
            return float("nan")
        return eer_interval(scores, trials, resamples=0).value
