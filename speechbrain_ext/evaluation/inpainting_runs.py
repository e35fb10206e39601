"""Scores of systems under masks, kept as they are found."""

import hashlib
import json
import math
import os
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_ext.corpora.segments import load_segment
from speechbrain_ext.evaluation.inpainting_systems import fingerprint
from speechbrain_ext.evaluation.inpainting_tables import UNDAMAGED, mask_name
from speechbrain_ext.evaluation.sharding import ALONE
from speechbrain_ext.files import write_text
from speechbrain_ext.metrics.scoring import one_thread, score_pairs

# Bounds the memory that all systems' speech takes before it is scored.
_SEGMENTS_AT_ONCE = 512


class InpaintingRuns:
    """What systems make of the same segments, cell after cell.

    Arguments
    ---------
    rows : list of dict
        As :func:`~speechbrain_ext.corpora.segments.read_segments` gives them.
    folder : str or Path
        Has ``finished``, the scores of finished systems and cells.
    metrics : sequence of str
        Of :data:`speechbrain_ext.metrics.scoring.METRICS`.
    batch_size : int
        Segments at once.
    n_workers : int or None
        Processes that compute the metrics.
    progressbar : bool
        Whether to show one.
    shards : Shards
        The processes that share the batches; the first keeps the scores.

    Example
    -------
    >>> runs = InpaintingRuns([], "results", ("stoi",), progressbar=False)
    >>> runs.finish(None, {})
    {}
    """

    def __init__(
        self,
        rows,
        folder,
        metrics,
        batch_size=16,
        n_workers=None,
        progressbar=True,
        shards=ALONE,
    ):
        self._kept = None
        if shards.main:
            self._kept = _Kept(Path(folder) / "finished", rows, metrics)
        self._score = _Scorer(
            rows, metrics, batch_size, n_workers, progressbar, shards
        )
        self._shards = shards

    def finish(self, masking, systems):
        """Score systems in a cell, those that are not finished.

        Arguments
        ---------
        masking : Masking or None
            The cell.
        systems : dict
            What repairs, by name.

        Returns
        -------
        dict
            Of each system, values by metric in the segments' order.
        """
        found = None
        if self._shards.main:
            found = {
                name: self._kept.get(system, masking)
                for name, system in systems.items()
            }
        found = self._shards.agree(found)
        waiting = {name: systems[name] for name in found if found[name] is None}
        if waiting:
            for name, scores in self._score(masking, waiting).items():
                if self._shards.main:
                    self._kept.add(name, systems[name], masking, scores)
                found[name] = scores
        return found


class _Kept:
    """Scores of finished systems and cells, in a file each."""

    def __init__(self, folder, rows, metrics):
        self.folder = folder
        self.metrics = list(metrics)
        digest = hashlib.blake2b(digest_size=16)
        for row in rows:
            digest.update(json.dumps(row["ID"]).encode())
            digest.update(load_segment(row).numpy().tobytes())
        self.speech = digest.hexdigest()

    def file(self, system, masking):
        """Name the file of a system and a cell."""
        key = fingerprint(system, masking, self.speech, self.metrics)
        return self.folder / f"{key}.json"

    def get(self, system, masking):
        """Scores by metric, None where they are not finished."""
        try:
            found = json.loads(self.file(system, masking).read_text())["scores"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return {
            metric: [math.nan if one is None else one for one in found[metric]]
            for metric in self.metrics
        }

    def add(self, name, system, masking, scores):
        """Keep finished scores."""
        plain = {
            metric: [one if math.isfinite(one) else None for one in values]
            for metric, values in scores.items()
        }
        # All but the scores is for people.
        text = json.dumps(
            {"system": name, "masks": str(masking), "scores": plain}
        )
        write_text(self.file(system, masking), text + "\n")


class _Scorer:
    """Scores systems on one cell, all on the same segments at once."""

    def __init__(
        self, rows, metrics, batch_size, n_workers, progressbar, shards
    ):
        self.ids = [row["ID"] for row in rows]
        self.batches = shards.own(
            [
                rows[start : start + batch_size]
                for start in range(0, len(rows), batch_size)
            ]
        )
        self.at_once = max(1, _SEGMENTS_AT_ONCE // batch_size)
        self.metrics = metrics
        self.n_workers = shards.workers(n_workers, os.cpu_count())
        self.progressbar = progressbar and shards.main
        self.shards = shards

    def __call__(self, masking, systems):
        """Scores by metric, of each system, in the segments' order."""
        title = UNDAMAGED
        if masking is not None:
            title = mask_name(masking.kind, masking.size)
        found = {name: {} for name in systems}
        with tqdm(
            total=sum(map(len, self.batches)) * len(systems),
            desc=title,
            disable=not self.progressbar,
        ) as bar:
            for start in range(0, len(self.batches), self.at_once):
                batches = self.batches[start : start + self.at_once]
                pairs = self._pairs(batches, masking, systems, bar)
                scored = score_pairs(
                    list(pairs.values()),
                    self.metrics,
                    self.n_workers,
                    self.progressbar,
                )
                for (name, own), values in zip(pairs, scored, strict=True):
                    found[name][own] = values
        scores = {}
        for name in systems:
            values = self.shards.gather(found[name], self.ids).values()
            scores[name] = {
                metric: [one[metric] for one in values]
                for metric in self.metrics
            }
        return scores

    def _pairs(self, batches, masking, systems, bar):
        """Clean and repaired segments by system and id."""
        pairs = {}
        for batch in batches:
            clean = torch.stack([load_segment(row) for row in batch])
            ids = [row["ID"] for row in batch]
            for name, system in systems.items():
                with one_thread():
                    repaired = system.process(clean, ids, masking).cpu()
                for own, *pair in zip(ids, clean, repaired, strict=True):
                    pairs[name, own] = pair
                bar.update(len(ids))
        return pairs
