"""What Kegler, Beckmann and Cernak report and claim, as facts.

"Deep Speech Inpainting of Time-frequency Masks" (arXiv 2019, Interspeech 2020),
Tables 2 and 3: means over the segments of LibriSpeech's dev-clean. The paper does
not say which PESQ it has; what is not repaired scores here what it scores there
on P.862's raw scale, nearly, and far less on P.862.1's and P.862.2's.
"""

import math

from speechbrain_ext.evaluation.claims import Claim, Comparison
from speechbrain_ext.evaluation.inpainting_systems import GAPS, LPC, NOISE

#: Kinds of masks: time, time and frequency, and random ones.
TIME, BOTH, RANDOM = "time", "time-frequency", "random"
#: Shares of the masks.
SIZES = (0.1, 0.2, 0.3, 0.4)
#: In the order of a table's pair of columns.
METRICS = ("stoi", "pesq_raw")

#: Informed models, by the loss that they were trained with. SPEECH is the
#: PC-gaps of Table 3.
PIXEL, IMAGE, SPEECH = "noVGG", "imgVGG", "speechVGG"
#: Blind models, by what stands under their masks.
BLIND_GAPS, BLIND_NOISE, ADDITIVE = "FC-gaps", "FC-noise", "FC-additive"
#: Columns of Table 2 and of Table 3.
INFORMED_COLUMNS = (GAPS, NOISE, LPC, PIXEL, IMAGE, SPEECH)
BLIND_COLUMNS = (GAPS, NOISE, SPEECH, BLIND_GAPS, BLIND_NOISE, ADDITIVE)

#: STOI, then PESQ, of the four sizes, by column and kind. What both tables have
#: is the same in both.
TABLES = {
    GAPS: {
        TIME: ((0.893, 0.772, 0.641, 0.536), (2.561, 1.872, 1.476, 1.154)),
        BOTH: ((0.869, 0.729, 0.598, 0.484), (2.423, 1.790, 1.391, 1.053)),
        RANDOM: ((0.880, 0.809, 0.713, 0.644), (2.842, 2.233, 1.690, 1.355)),
    },
    NOISE: {
        TIME: ((0.901, 0.800, 0.688, 0.598), (2.802, 2.260, 1.919, 1.665)),
        BOTH: ((0.873, 0.746, 0.629, 0.520), (2.575, 2.010, 1.653, 1.329)),
        RANDOM: ((0.892, 0.830, 0.745, 0.682), (3.063, 2.543, 2.085, 1.802)),
    },
    LPC: {
        TIME: ((0.921, 0.842, 0.750, 0.669), (2.798, 2.483, 2.233, 2.015)),
        BOTH: ((0.887, 0.780, 0.668, 0.566), (2.692, 2.378, 2.128, 1.907)),
    },
    PIXEL: {
        TIME: ((0.926, 0.879, 0.805, 0.724), (3.118, 2.755, 2.428, 2.171)),
        BOTH: ((0.905, 0.845, 0.765, 0.672), (2.921, 2.518, 2.158, 1.840)),
        RANDOM: ((0.941, 0.912, 0.872, 0.837), (3.477, 3.079, 2.702, 2.443)),
    },
    IMAGE: {
        TIME: ((0.917, 0.860, 0.779, 0.695), (3.117, 2.713, 2.382, 2.109)),
        BOTH: ((0.899, 0.829, 0.743, 0.644), (2.915, 2.491, 2.134, 1.809)),
        RANDOM: ((0.927, 0.897, 0.856, 0.823), (3.399, 3.040, 2.680, 2.422)),
    },
    SPEECH: {
        TIME: ((0.938, 0.887, 0.811, 0.730), (3.240, 2.809, 2.450, 2.179)),
        BOTH: ((0.920, 0.853, 0.772, 0.680), (3.034, 2.566, 2.178, 1.845)),
        RANDOM: ((0.944, 0.918, 0.878, 0.846), (3.496, 3.114, 2.735, 2.479)),
    },
    BLIND_GAPS: {
        TIME: ((0.930, 0.875, 0.798, 0.714), (3.191, 2.725, 2.384, 2.086)),
        BOTH: ((0.911, 0.840, 0.757, 0.665), (3.000, 2.490, 2.108, 1.772)),
        RANDOM: ((0.932, 0.904, 0.869, 0.832), (3.442, 3.061, 2.701, 2.412)),
    },
    BLIND_NOISE: {
        TIME: ((0.919, 0.863, 0.792, 0.707), (3.066, 2.677, 2.374, 2.072)),
        BOTH: ((0.896, 0.828, 0.743, 0.659), (2.859, 2.411, 2.041, 1.787)),
        RANDOM: ((0.917, 0.887, 0.853, 0.813), (3.272, 2.897, 2.596, 2.307)),
    },
    ADDITIVE: {
        TIME: ((0.933, 0.906, 0.882, 0.854), (3.216, 2.971, 2.788, 2.617)),
        BOTH: ((0.912, 0.885, 0.854, 0.828), (3.023, 2.759, 2.562, 2.413)),
        RANDOM: ((0.932, 0.910, 0.891, 0.868), (3.435, 3.117, 2.893, 2.664)),
    },
}

#: The "larger intrusions": sizes at which ADDITIVE is best in every row.
LARGE = (0.3, 0.4)


def published(system, kind, size, metric):
    """Look up a number of Tables 2 and 3.

    Arguments
    ---------
    system : str
        A column's name, in any case; ``PC-gaps`` is ``speechVGG``.
    kind : str
        Of masks.
    size : float
        Of masks, a share.
    metric : str
        ``"stoi"`` or ``"pesq_raw"``.

    Returns
    -------
    float or None
        None where the paper has none.

    Example
    -------
    >>> published("speechVGG", "time-frequency", 0.4, "pesq_raw")
    1.845
    >>> published("lpc", "random", 0.1, "stoi")
    """
    columns = {name.lower(): name for name in TABLES}
    columns["pc-gaps"] = SPEECH
    rows = TABLES.get(columns.get(system.lower()), {}).get(kind)
    if rows is None or metric not in METRICS:
        return None
    for known, value in zip(SIZES, rows[METRICS.index(metric)], strict=True):
        if math.isclose(known, size, abs_tol=1e-6):
            return value
    return None


def claims(not_run=""):
    """List the paper's claims.

    Arguments
    ---------
    not_run : str
        Why there is no model of image features, if there is none.

    Returns
    -------
    list of Claim
        Each evaluation is a kind of masks.

    Example
    -------
    >>> claims()[0].text
    'Deep features beat the per-pixel loss.'
    """
    because = f"; undecided, not run: {not_run}" if not_run else ""
    return [
        Claim(
            "Deep features beat the per-pixel loss.",
            "Table 2, section 3.1",
            _everywhere(SPEECH, PIXEL),
        ),
        Claim(
            "Features of speech beat features of images.",
            f"Table 2, section 3.1{because}",
            _everywhere(SPEECH, IMAGE),
        ),
        Claim(
            "Informed inpainting beats blind inpainting of gaps.",
            "Table 3, section 3.2",
            _everywhere(SPEECH, BLIND_GAPS),
        ),
        Claim(
            "Informed inpainting beats blind inpainting of noise.",
            "Table 3, section 3.2",
            _everywhere(SPEECH, BLIND_NOISE),
        ),
        Claim(
            "Where noise is added, blind inpainting is the best of all for "
            "larger intrusions.",
            "Table 3, section 3.2",
            tuple(
                comparison
                for other in (SPEECH, BLIND_GAPS, BLIND_NOISE)
                for comparison in _everywhere(ADDITIVE, other, LARGE)
            ),
        ),
        Claim(
            "All models improve on gaps and on noise.",
            "Tables 2 and 3, sections 3.1 and 3.2",
            tuple(
                comparison
                for model in (PIXEL, SPEECH, BLIND_GAPS, BLIND_NOISE, ADDITIVE)
                for reference in (GAPS, NOISE)
                for comparison in _everywhere(model, reference)
            ),
        ),
        Claim(
            "The informed model beats linear prediction in STOI.",
            "Table 2, section 3.1",
            tuple(
                Comparison(kind, SPEECH, LPC, None, 0.0, "stoi")
                for kind in (TIME, BOTH)
            ),
        ),
        Claim(
            "At 40 % of time and frequency linear prediction has the higher "
            "PESQ.",
            "Table 2, sections 3.1 and 4",
            (Comparison(BOTH, LPC, SPEECH, (0.4,), 0.0, "pesq_raw"),),
        ),
    ]


def _everywhere(system, baseline, sizes=None):
    """Comparisons of each metric for each kind of masks."""
    return tuple(
        Comparison(kind, system, baseline, sizes, 0.0, metric)
        for metric in METRICS
        for kind in TABLES[system]
    )
