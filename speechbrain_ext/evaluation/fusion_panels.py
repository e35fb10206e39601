"""Spectrograms of clean, noisy and enhanced speech (Shi et al. 2021, Figure 2)."""

import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_ext.audio import SAMPLE_RATE
from speechbrain_ext.files import atomic_write

#: Of a frame, in seconds (section IV).
HOP_SECONDS = 0.016
#: What is drawn below the loudest bin, in dB.
_RANGE = 70.0
_ACROSS = 3


def save_fusion_panels(file, spectrograms, title):
    """Draw magnitudes, in decibels, and masks.

    Arguments
    ---------
    file : str or Path
        Where the PNG goes.
    spectrograms : dict
        By name, [time, bins] each: magnitudes, or masks between 0 and 1 where
        the name ends in ``mask``. The loudest bin of the first one is that of
        the range which all are drawn in.
    title : str
        Above the figure.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> import tempfile, torch
    >>> file = f"{tempfile.mkdtemp()}/panels.png"
    >>> magnitude = torch.rand(50, 257)
    >>> save_fusion_panels(
    ...     file, {"clean": magnitude, "mapping mask": magnitude}, "15 dB"
    ... )
    """
    down = math.ceil(len(spectrograms) / _ACROSS)
    figure = Figure(
        figsize=(3.6 * _ACROSS, 0.6 + 2.2 * down),
        dpi=120,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        down, _ACROSS, sharex=True, sharey=True, squeeze=False
    )
    loudest = None
    for axes, (name, values) in zip(grid.flat, spectrograms.items()):
        values, limits = np.asarray(values, dtype=float), (0.0, 1.0)
        if not name.endswith("mask"):
            values = 20 * np.log10(np.maximum(values, 1e-8))
            loudest = values.max() if loudest is None else loudest
            limits = loudest - _RANGE, loudest
        axes.imshow(
            values.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=limits[0],
            vmax=limits[1],
            extent=(0, len(values) * HOP_SECONDS, 0, SAMPLE_RATE / 2000),
        )
        axes.set_title(name, fontsize="small")
    for axes in grid.flat[len(spectrograms) :]:
        axes.axis("off")
    for axes in grid[:, 0]:
        axes.set_ylabel("Frequency (kHz)")
    for axes in grid[-1]:
        axes.set_xlabel("Time (s)")
    figure.suptitle(title, fontsize="medium")
    with atomic_write(file) as temporary:
        figure.savefig(temporary, format="png")
