"""Spectrograms of clean, damaged and repaired speech (paper 2, Figure 1)."""

import re
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.features.segment_log_magnitude import HOP_LENGTH
from speechbrain_ext.files import atomic_write

_TITLES = ("clean", "damaged", "repaired")


def save_panels(file, panels, title):
    """Draw segments side by side, each clean, damaged and repaired.

    Arguments
    ---------
    file : str or Path
        Where the PNG goes.
    panels : dict
        By segment, its three features [frames, bins], clean, damaged and
        repaired: normalised log-magnitudes.
    title : str
        Above the figure.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> import tempfile, torch
    >>> file = Path(tempfile.mkdtemp()) / "panels.png"
    >>> save_panels(file, {"a": torch.randn(3, 128, 128)}, "Noise")
    >>> file.stat().st_size > 1000
    True
    """
    width = 1.0 + 2.6 * len(panels)
    figure = Figure(figsize=(width, 6.6), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        3, len(panels), sharex=True, sharey=True, squeeze=False
    )
    for column, (name, features) in zip(grid.T, panels.items()):
        features = [np.asarray(each) for each in features]
        # The clean segment's range: loud noise must not turn it grey.
        low, high = np.quantile(features[0], (0.01, 0.99))
        column[0].set_title(name, fontsize="small")
        for axes, feats in zip(column, features, strict=True):
            seconds = len(feats) * HOP_LENGTH / SAMPLE_RATE
            axes.imshow(
                feats.T,
                origin="lower",
                aspect="auto",
                cmap="magma",
                vmin=low,
                vmax=high,
                extent=(0, 1000 * seconds, 0, SAMPLE_RATE / 2000),
            )
    for axes, label in zip(grid[:, 0], _TITLES):
        axes.set_ylabel(f"{label}\nFrequency (kHz)")
    for axes in grid[-1]:
        axes.set_xlabel("Time (ms)")
    figure.suptitle(title, fontsize="medium")
    with atomic_write(file) as temporary:
        figure.savefig(temporary, format="png")


def panels_file(folder, kind, system):
    """Name the figure of a model and a kind of masks.

    Arguments
    ---------
    folder : str or Path
        Where it goes.
    kind, system : str
        What it shows.

    Returns
    -------
    Path

    Example
    -------
    >>> panels_file("out", "time", "FC gaps").name
    'spectrograms-time-FC-gaps.png'
    """
    slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{kind} {system}").strip("-.")
    return Path(folder) / f"spectrograms-{slug}.png"
