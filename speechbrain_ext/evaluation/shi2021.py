"""What Shi et al. report and claim of spectrogram fusion, as facts.

"Spectrograms fusion-based end-to-end robust automatic speech recognition",
APSIPA ASC 2021: Tables I to III. Character error rates in percent.
"""

from speechbrain_ext.evaluation.claims import CER, Claim, Comparison

#: Evaluations, and their SNRs in dB: seen in training or not.
TEST_1, TEST_2 = "test set 1", "test set 2"
SNRS = {
    TEST_1: (20.0, 15.0, 10.0, 5.0, 0.0),
    TEST_2: (17.5, 12.5, 7.5, 2.5, -5.0),
}
TEST_SETS = tuple(SNRS)

#: A recogniser that was trained on noisy speech, and the recordings.
NOISY, ORIGINAL = "Noisy", "Original noisy"
#: The recogniser that all others begin with (not in the paper).
BARE, CLEAN = "Clean-trained", "Clean-trained, clean speech"
#: What the recogniser is given.
MAPPING, MASKING, FUSION = FRONT_ENDS = ("Mapping", "Masking", "Fusion")
#: Weights of the recogniser's loss in equation 7.
BETAS = (0.5, 1.0)
BETA = 1.0


def separate(front_end):
    """Name the system without joint training.

    Arguments
    ---------
    front_end : str
        One of ``FRONT_ENDS``.

    Returns
    -------
    str

    Example
    -------
    >>> separate(MAPPING)
    'Mapping_separate'
    """
    return f"{front_end}_separate"


def joint(front_end, beta=BETA):
    """Name the system with joint training.

    Arguments
    ---------
    front_end : str
        One of ``FRONT_ENDS``.
    beta : float
        The weight of the recogniser's loss.

    Returns
    -------
    str

    Example
    -------
    >>> joint(FUSION), joint(FUSION, 0.5)
    ('Fusion_Joint', 'Fusion_Joint, beta 0.5')
    """
    name = f"{front_end}_Joint"
    return name if beta == BETA else f"{name}, beta {beta:g}"


def head(front_end):
    """Name an output of the enhancement module inside ``Fusion_Joint``.

    Arguments
    ---------
    front_end : str
        ``MAPPING`` or ``MASKING``.

    Returns
    -------
    str

    Example
    -------
    >>> head(MASKING)
    'Fusion_Joint_Masking'
    """
    return f"{joint(FUSION)}_{front_end}"


METRICS = ("csig", "cbak", "covl", "pesq")
#: Csig, Cbak, Covl and PESQ by system and test set.
TABLE_1 = {
    ORIGINAL: {
        TEST_1: (2.800, 2.642, 2.115, 1.499),
        TEST_2: (2.365, 2.280, 1.827, 1.408),
    },
    separate(MAPPING): {
        TEST_1: (3.456, 1.817, 2.734, 2.040),
        TEST_2: (2.805, 1.595, 2.187, 1.646),
    },
    separate(MASKING): {
        TEST_1: (3.092, 1.664, 2.428, 1.830),
        TEST_2: (2.552, 1.498, 1.999, 1.549),
    },
    separate(FUSION): {
        TEST_1: (3.568, 1.825, 2.799, 2.065),
        TEST_2: (2.868, 1.583, 2.215, 1.650),
    },
    joint(MAPPING): {
        TEST_1: (1.243, 1.191, 1.133, 1.149),
        TEST_2: (1.124, 1.211, 1.084, 1.165),
    },
    joint(MASKING): {
        TEST_1: (2.737, 1.487, 2.070, 1.481),
        TEST_2: (2.290, 1.412, 1.786, 1.404),
    },
    head(MAPPING): {
        TEST_1: (1.531, 1.251, 1.207, 1.074),
        TEST_2: (1.496, 1.277, 1.210, 1.098),
    },
    head(MASKING): {
        TEST_1: (2.634, 1.462, 2.033, 1.521),
        TEST_2: (2.116, 1.325, 1.688, 1.407),
    },
    joint(FUSION): {
        TEST_1: (1.053, 1.091, 1.024, 1.083),
        TEST_2: (1.011, 1.080, 1.014, 1.124),
    },
}

#: CER by system, at the test set's SNRs and on average.
TABLE_2 = {
    NOISY: (12.51, 14.60, 17.31, 24.62, 39.65, 21.78),
    separate(MAPPING): (14.58, 19.40, 29.33, 51.65, 81.14, 39.32),
    separate(MASKING): (19.96, 33.22, 53.33, 83.04, 111.28, 60.27),
    separate(FUSION): (13.34, 18.74, 29.69, 55.14, 89.79, 41.45),
    joint(MAPPING, 0.5): (11.67, 12.97, 16.37, 25.49, 43.63, 22.08),
    joint(MASKING, 0.5): (10.18, 11.56, 13.94, 20.17, 36.39, 18.49),
    joint(FUSION, 0.5): (9.82, 11.59, 15.43, 26.76, 49.89, 22.76),
    joint(MAPPING): (11.08, 12.33, 15.58, 22.83, 40.21, 20.45),
    joint(MASKING): (9.83, 11.38, 13.78, 20.18, 36.05, 18.29),
    joint(FUSION): (9.77, 11.00, 12.93, 19.04, 33.45, 17.28),
}
TABLE_3 = {
    NOISY: (20.31, 24.54, 30.45, 45.41, 76.66, 39.99),
    separate(MAPPING): (25.14, 35.75, 58.11, 91.47, 125.36, 68.43),
    separate(MASKING): (31.13, 48.81, 78.56, 113.53, 157.40, 87.42),
    separate(FUSION): (23.77, 36.33, 61.57, 97.53, 139.44, 73.13),
    joint(MAPPING, 0.5): (16.53, 20.71, 30.96, 54.86, 102.55, 45.93),
    joint(MASKING, 0.5): (14.19, 17.10, 23.77, 38.03, 83.29, 35.81),
    joint(FUSION, 0.5): (14.86, 19.88, 33.26, 57.94, 106.59, 47.40),
    joint(MAPPING): (16.41, 19.63, 27.87, 45.70, 96.42, 41.85),
    joint(MASKING): (14.04, 16.68, 24.01, 37.69, 75.91, 34.18),
    joint(FUSION): (13.75, 16.75, 23.03, 36.81, 73.86, 33.34),
}
CER_TABLES = {TEST_1: TABLE_2, TEST_2: TABLE_3}


def _rates(*pairs, lowest=False):
    """The first of each pair has the lower CER, on both test sets."""
    return tuple(
        Comparison(
            test_set,
            system,
            baseline,
            (min(SNRS[test_set]),) if lowest else None,
            metric=CER,
            unit="dB",
        )
        for test_set in TEST_SETS
        for system, baseline in pairs
    )


def _scores(*pairs, metrics=METRICS):
    """The first of each pair sounds better, on both test sets."""
    return tuple(
        Comparison(test_set, system, baseline, metric=metric)
        for metric in metrics
        for test_set in TEST_SETS
        for system, baseline in pairs
    )


def claims(front_ends=FRONT_ENDS, weighted=FRONT_ENDS):
    """List what the paper says.

    Arguments
    ---------
    front_ends : sequence of str
        Those that were trained jointly.
    weighted : sequence of str
        Those that were trained with ``beta`` 0.5 as well.

    Returns
    -------
    list of Claim

    Example
    -------
    >>> len(claims())
    8
    """
    single = [one for one in (MAPPING, MASKING) if one in front_ends]
    low = " and ".join(f"{min(SNRS[name]):g} dB" for name in TEST_SETS)
    return [
        Claim(
            "Joint training improves the recognition of every system greatly.",
            "Section IV-E, Tables II and III",
            _rates(*((joint(one), separate(one)) for one in front_ends)),
        ),
        Claim(
            "Without joint training, mapping is recognised better than fusion.",
            "Section IV-D, Tables II and III",
            _rates((separate(MAPPING), separate(FUSION))),
        ),
        Claim(
            "Joint fusion is recognised better than a recogniser that was "
            "trained on noisy speech.",
            "Tables II and III",
            _rates((joint(FUSION), NOISY)),
        ),
        Claim(
            f"Joint fusion beats each joint head at the lowest SNR, {low}.",
            "Section IV-E, Tables II and III",
            _rates(
                *((joint(FUSION), joint(one)) for one in single), lowest=True
            ),
        ),
        Claim(
            "Joint fusion beats each joint head on average.",
            "Tables II and III",
            _rates(*((joint(FUSION), joint(one)) for one in single)),
        ),
        Claim(
            "The recogniser's loss alone (beta 1) is better than with the "
            "enhancement loss (beta 0.5).",
            "Section IV-E, Tables II and III",
            _rates(*((joint(one), joint(one, 0.5)) for one in weighted)),
        ),
        Claim(
            "Joint training makes what is enhanced sound worse.",
            "Section IV-E, Table I",
            _scores(*((separate(one), joint(one)) for one in front_ends)),
        ),
        Claim(
            "Without joint training, fusion enhances best.",
            "Section IV-D, Table I (Csig, Covl, PESQ)",
            _scores(
                *((separate(FUSION), separate(one)) for one in FRONT_ENDS[:2]),
                metrics=("csig", "covl", "pesq"),
            ),
        ),
    ]
