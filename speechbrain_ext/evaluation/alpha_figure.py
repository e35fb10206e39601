"""Figure 3 of Sato et al. (2025): what the weight of the SNR loss does."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_ext.evaluation import sato2025 as paper
from speechbrain_ext.evaluation.generic_enhancement_tables import (
    estimate,
    measured,
)
from speechbrain_ext.files import atomic_write

#: Panels: title, evaluation, metric, and what the values are multiplied by.
PANELS = (
    ("SDR (dB)", paper.SIGNAL, "sdr", 1),
    ("DNSMOS OVRL", paper.SIGNAL, "dnsmos_ovrl", 1),
    ("SSL-based ASR, WER (%)", paper.ASR, "wer", 100),
    ("Whisper, WER (%)", paper.WHISPER, "wer", 100),
)
# Of the losses, which the colour-blind can tell apart, and of what has no alpha.
_LOSSES = {
    paper.SSL: ("#0072B2", "o"),
    paper.ASR_LOSS: ("#D55E00", "s"),
    paper.LMFB: ("#009E73", "^"),
}
_REFERENCES = {paper.SNR: "--", paper.NOISY: ":"}


def alpha_points(systems, metric, alphas, loss):
    """Collect a line of a panel.

    Arguments
    ---------
    systems : dict
        What was measured, by system.
    metric : str
        By what.
    alphas : sequence of float
        Weights of the SNR loss.
    loss : str
        The system's name.

    Returns
    -------
    list of tuple
        (place in ``alphas``, value, low, high) of those that were measured.

    Example
    -------
    >>> alpha_points({}, "sdr", (0.1,), "SSL-MSE")
    []
    """
    points = []
    for place, alpha in enumerate(alphas):
        one = systems.get(paper.alpha_system(loss, alpha))
        found = one and estimate(one, metric)
        if found is not None:
            points.append((place, *found))
    return points


def save_alpha_figure(file, results, alphas, panels=PANELS):
    """Draw each metric against alpha, a line a loss, its interval as an area.

    Arguments
    ---------
    file : str or Path
        Where the PNG goes.
    results : dict
        As :func:`measured` takes them.
    alphas : sequence of float
        Weights of the SNR loss, in order.
    panels : sequence of tuple
        As ``PANELS``; those that nothing was measured of are left out.

    Returns
    -------
    bool
        Whether there is anything to draw; no file is written where not.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> save_alpha_figure("nowhere.png", {}, (0.1, 1.0))
    False
    """
    drawn = []
    for title, evaluation, metric, scale in panels:
        systems = measured(results, evaluation, metric)
        if any(alpha_points(systems, metric, alphas, one) for one in _LOSSES):
            drawn.append((title, systems, metric, scale))
    if not drawn:
        return False
    figure = Figure(
        figsize=(3.4 * len(drawn), 3.4), dpi=150, layout="constrained"
    )
    FigureCanvasAgg(figure)
    for place, panel in enumerate(drawn, start=1):
        axes = figure.add_subplot(1, len(drawn), place)
        _draw(axes, alphas, *panel)
    axes.legend(fontsize="small")
    with atomic_write(file) as temporary:
        figure.savefig(temporary, format="png")
    return True


def _draw(axes, alphas, title, systems, metric, scale):
    for loss, (colour, marker) in _LOSSES.items():
        points = alpha_points(systems, metric, alphas, loss)
        if points:
            places, *numbers = zip(*points)
            value, low, high = (
                [scale * number for number in column] for column in numbers
            )
            axes.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)
            axes.plot(places, value, color=colour, marker=marker, label=loss)
    for name, line in _REFERENCES.items():
        one = systems.get(name)
        found = one and estimate(one, metric)
        if found is not None:
            axes.axhline(
                scale * found.value, color="black", ls=line, label=name
            )
    # Not to scale: one of them is 0.
    axes.set_xticks(range(len(alphas)), [f"{alpha:g}" for alpha in alphas])
    axes.set_xlabel("alpha, the SNR loss's weight")
    axes.set_title(title)
    axes.grid(alpha=0.3)
