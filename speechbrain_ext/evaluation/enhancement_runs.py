"""What systems of enhancement make of the same recordings, kept as it is found."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from speechbrain_ext.audio import save_audio
from speechbrain_ext.corpora.noise_mixtures import MixtureReader
from speechbrain_ext.evaluation.sharding import ALONE
from speechbrain_ext.evaluation.transcripts import Transcripts
from speechbrain_ext.metrics.scoring import one_thread, score_pairs


class EnhancementRuns:
    """Speech, scores and texts of systems, from one test set.

    Each process has the speech of its own batches; scores and texts are
    gathered. The first process keeps them in ``scores.jsonl`` and
    ``transcripts.jsonl``, from which another run takes what is finished.

    Arguments
    ---------
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.manifest.read_manifest` reads them,
        with ``noisy_wav`` or of mixtures.
    folder : str or Path
        Where those files go.
    batch_size : int
        Utterances at once, of similar length.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the batches.

    Raises
    ------
    UserError
        When audio cannot be read, or a file cannot be written.

    Example
    -------
    >>> EnhancementRuns([], "results", progressbar=False).ids
    []
    """

    def __init__(
        self, rows, folder, batch_size=16, progressbar=True, shards=ALONE
    ):
        self.rows = rows
        self.ids = [row["ID"] for row in rows]
        self.folder = Path(folder)
        self.shards = shards
        self._quiet = not (progressbar and shards.main)
        if shards.main:
            self._texts = Transcripts(self.folder / "transcripts.jsonl")
            self._scores = Transcripts(self.folder / "scores.jsonl")
        # Utterances of similar length together: padding is work in vain.
        order = sorted(range(len(rows)), key=lambda i: rows[i]["duration"])
        self.batches = shards.own(
            [
                order[start : start + batch_size]
                for start in range(0, len(rows), batch_size)
            ]
        )
        self._reader = MixtureReader()
        self._references = {
            member: self._reader.load_pair(rows[member])[0]
            for member in sorted(sum(self.batches, []))
        }
        self._digests = _digests(self._references)

    def recordings(self, clean=False):
        """Read this process's utterances.

        Arguments
        ---------
        clean : bool
            Whether without their noise.

        Returns
        -------
        dict
            [time] by the utterance's place in the rows, in their order.
        """
        side = 0 if clean else 1
        return {
            member: self._reader.load_pair(self.rows[member])[side]
            for member in self._references
        }

    def speech(self, name, system, save=False):
        """Enhance this process's utterances.

        Arguments
        ---------
        name : str
            The system's.
        system : EnhancementSystem
            What has ``enhance``, from a list of signals to another, and
            ``clean``: whether it is given the clean recordings.
        save : bool
            Whether to keep the speech, in ``enhanced/SYSTEM/ID.wav``.

        Returns
        -------
        dict
            [time] by the utterance's place in the rows, in their order.
        """
        side = 0 if system.clean else 1
        signals = {}
        for batch in self._bar(f"{name}, speech"):
            given = [
                self._reader.load_pair(self.rows[member])[side]
                for member in batch
            ]
            with one_thread():
                enhanced = system.enhance(given)
            signals.update(zip(batch, enhanced, strict=True))
        signals = {member: signals[member] for member in sorted(signals)}
        if save and system.enhancer is not None:
            for member, signal in signals.items():
                file = f"{self.ids[member]}.wav"
                save_audio(self.folder / "enhanced" / name / file, signal)
        return signals

    def scores(self, name, signals, metrics, n_workers=None):
        """Score a system's speech against the clean recordings.

        Arguments
        ---------
        name : str
            The system's.
        signals : dict
            As :meth:`speech` gives it.
        metrics : sequence of str
            Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
        n_workers : int or None
            Processes that compute the metrics.

        Returns
        -------
        list of dict
            Of all utterances, in the rows' order.
        """
        key = self._key([list(metrics)], self._digests, _digests(signals))
        found = self._finished("_scores", key)
        if found is None:
            scores = score_pairs(
                [(self._references[i], one) for i, one in signals.items()],
                metrics,
                self.shards.workers(n_workers, os.cpu_count()),
                not self._quiet,
            )
            # A pair's place is another one in each process.
            scores = {
                member: {**one, "name": self.ids[member]}
                for member, one in zip(signals, scores, strict=True)
            }
            found = self._gather(scores)
            if self.shards.main:
                self._scores.add(key, found, system=name)
        return found

    def texts(self, name, system, signals):
        """Recognise a system's speech.

        Arguments
        ---------
        name : str
            The system's.
        system : EnhancementSystem
            What has ``transcribe``, from a list of signals to texts, and
            ``fingerprint``, which stands for all else that decides them.
        signals : dict
            As :meth:`speech` gives it.

        Returns
        -------
        list of str
            Of all utterances, in the rows' order.
        """
        key = self._key(system.fingerprint(), _digests(signals))
        texts = self._finished("_texts", key)
        if texts is None:
            texts = {}
            for batch in self._bar(f"{name}, text"):
                found = system.transcribe([signals[i] for i in batch])
                texts.update(zip(batch, found, strict=True))
            texts = dict(zip(self.ids, self._gather(texts), strict=True))
            if self.shards.main:
                # The SNR is an utterance's own: the manifest has it.
                self._texts.add(
                    key,
                    texts,
                    system=name,
                    corruption="noise",
                    level=None,
                    seed=0,
                )
        return [texts[own] for own in self.ids]

    def _bar(self, description):
        return tqdm(self.batches, description, disable=self._quiet)

    def _gather(self, found):
        """Values of all utterances, in the rows' order."""
        everything = self.shards.gather(found, range(len(self.rows)))
        return list(everything.values())

    def _finished(self, kept, key):
        found = None
        if self.shards.main:
            found = getattr(self, kept).get(key)
        return self.shards.agree(found)

    def _key(self, settings, *digests):
        """Stand for all that decides a result, however it is shared out."""
        digests = [self._gather(one) for one in digests]
        text = json.dumps([settings, self.ids, digests])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _digests(signals):
    """Stand for each signal."""
    return {
        member: hashlib.blake2b(
            np.ascontiguousarray(signal.numpy()).tobytes(), digest_size=16
        ).hexdigest()
        for member, signal in signals.items()
    }
