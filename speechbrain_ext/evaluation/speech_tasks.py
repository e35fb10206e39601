"""Downstream tasks that enhanced speech is judged by, besides recognition.

Speaker verification and intent classification of paper 3 (Sato et al., 2025,
section 5.1.3): their models are trained without any enhancer.
"""

from dataclasses import dataclass
from types import SimpleNamespace

from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.trial_scores import TrialScores
from speechbrain_ext.metrics.accuracy import Accuracy
from speechbrain_ext.metrics.verification import EqualErrorRate


@dataclass(frozen=True)
class SpeakerVerification:
    """Does one speaker say both? By the cosine of two embeddings.

    Arguments
    ---------
    embed : callable
        From [time] at 16 kHz to [channels], for example a
        :class:`~speechbrain_ext.backends.speaker_encoder.SpeakerEncoder`'s
        ``embed``.
    trials : str or Path
        The CSV file of the trials. Both sides of one are the system's speech.

    Example
    -------
    >>> import tempfile, torch
    >>> from speechbrain_ext.corpora.trials import Trial, write_trials
    >>> file = tempfile.mkdtemp() + "/trials.csv"
    >>> write_trials(file, [Trial(1, "a", "b"), Trial(0, "a", "c")])
    >>> verify = SpeakerVerification(lambda wav: wav, file)
    >>> rows = [{"ID": name} for name in "abc"]
    >>> signals = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> verify("noisy", rows, signals).scores
    [1.0, 0.0]
    """

    embed: object
    trials: object

    def __call__(self, system, rows, signals, **description):
        """Score the trials.

        Arguments
        ---------
        system : str
            Whose speech it is.
        rows : list of dict
            The manifest's.
        signals : sequence of torch.Tensor
            [time] each, in the order of the rows.
        **description : dict
            What else :class:`TrialScores` says.

        Returns
        -------
        TrialScores

        Raises
        ------
        UserError
            When the trials cannot be read, or none is of these utterances.
        """
        metric = EqualErrorRate(self.trials)
        for row, signal in zip(rows, signals, strict=True):
            metric.append([row["ID"]], [self.embed(signal)])
        trials, scores = metric.score()
        return TrialScores(
            system, [tuple(trial) for trial in trials], scores, **description
        )


@dataclass(frozen=True)
class IntentAccuracy:
    """Is what a speaker wants recognised?

    Arguments
    ---------
    classify : callable
        From a list of [time] at 16 kHz to a list of the intents' names.
    batch_size : int
        Utterances at once.

    Example
    -------
    >>> import torch
    >>> right = IntentAccuracy(lambda signals: ["call"] * len(signals))
    >>> right([{"ID": "a", "intent": "call"}], [torch.zeros(2)])
    [1.0]
    """

    classify: object
    batch_size: int = 16

    def __call__(self, rows, signals):
        """Compare with the manifest.

        Arguments
        ---------
        rows : list of dict
            The manifest's, with ``intent``.
        signals : sequence of torch.Tensor
            [time] each, in the order of the rows.

        Returns
        -------
        list of float
            1 where the intent is right, else 0.

        Raises
        ------
        UserError
            When an utterance has no intent.
        """
        for row in rows:
            if not row.get("intent"):
                raise UserError(
                    f"{row['ID']}: has no intent; expected the column intent "
                    "in the manifest"
                )
        metric = Accuracy()
        for start in range(0, len(rows), self.batch_size):
            batch = slice(start, start + self.batch_size)
            metric.append(
                [row["ID"] for row in rows[batch]],
                self.classify(list(signals[batch])),
                [row["intent"] for row in rows[batch]],
            )
        return metric.values


class DownstreamReader:
    """A downstream recogniser where systems want one.

    Arguments
    ---------
    model : DownstreamRecogniser
        Of :mod:`speechbrain_ext.backends.downstream`.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(transcribe_signals=lambda x: ["HI"] * len(x))
    >>> DownstreamReader(model).transcribe_signals([0, 1], None, False, 8)
    ['HI', 'HI']
    """

    language = None

    def __init__(self, model):
        self.model = model
        self.mods = SimpleNamespace(back_end=model)

    def transcribe_signals(self, signals, lost, front_end, batch_size):
        """Transcribe waveforms.

        Arguments
        ---------
        signals : list of torch.Tensor
            [time] each, 16 kHz.
        lost : list of torch.Tensor or None
            Not used, nor are ``front_end`` and ``batch_size``.
        front_end : bool
            Not used.
        batch_size : int
            Not used.

        Returns
        -------
        list of str
        """
        return self.model.transcribe_signals(signals)

    def state_dict(self):
        """Give all that decides the texts: texts are kept by it.

        Returns
        -------
        dict
            Tensors by name, those of the frozen upstream as well.
        """
        upstream = self.model.upstream.state_dict()
        return {
            **self.model.state_dict(),
            **{f"upstream.{name}": value for name, value in upstream.items()},
        }
