"""What Sato et al. report and claim of generic speech enhancement, as facts.

"Generic speech enhancement with self-supervised representation space loss",
Frontiers in Signal Processing 5, 2025: Tables 1 to 3 and Figure 3. Rates in
percent.
"""

from speechbrain_ext.evaluation.claims import EER, WER, Claim, Comparison
from speechbrain_ext.evaluation.observation import observation_name

#: Evaluations: of the signal; by Whisper, which no training has heard; by the
#: downstream tasks, whose models were trained on clean speech.
SIGNAL, WHISPER = "signal", "whisper"
ASR, ASV, IC = "asr", "asv", "ic"
TASKS = (ASR, ASV, IC)
#: By the recogniser that the ASR loss was computed with (not in the paper).
MATCHED = "matched"

#: The recordings, and enhancers by their loss.
CLEAN, NOISY = "clean", "no-process"
SNR, SSL, LMFB, ASR_LOSS = "SNR", "SSL-MSE", "LMFB", "ASR"
#: SSL models that a loss is made of.
WAV2VEC, HUBERT = "wav2vec 2.0 Base", "HuBERT Base"
WAVLM, WAVLM_LARGE = "WavLM Base+", "WavLM Large"
SSL_MODELS = (WAV2VEC, HUBERT, WAVLM, WAVLM_LARGE)
#: Pre-trained on clean speech alone (section 5.1.2).
WITHOUT_NOISE = (WAV2VEC, HUBERT)

#: Ratios of observation adding, and weights of the SNR loss (section 5.1).
OBSERVATIONS = (0.1, 0.5)
ALPHAS = (0.0, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
ALPHA = 0.1
#: Of the downstream tasks it is the best (section 5.2.2).
BEST_ALPHA = 0.01


def ssl_system(model):
    """Name the enhancer that was trained with an SSL model.

    Arguments
    ---------
    model : str
        One of ``SSL_MODELS``; none of them is a stand-in's.

    Returns
    -------
    str

    Example
    -------
    >>> ssl_system(WAVLM)
    'SSL-MSE, WavLM Base+'
    """
    return f"{SSL}, {model}"


def alpha_system(name, alpha):
    """Name the enhancer that was trained with a weight of the SNR loss.

    Arguments
    ---------
    name : str
        Of the enhancer with the weight ``ALPHA``.
    alpha : float
        The weight.

    Returns
    -------
    str

    Example
    -------
    >>> alpha_system("LMFB", 0.1), alpha_system("LMFB", 0.01)
    ('LMFB', 'LMFB, alpha 0.01')
    """
    return name if alpha == ALPHA else f"{name}, alpha {alpha:g}"


def inferred(task, model):
    """Name the evaluation by a downstream model on another SSL model.

    Arguments
    ---------
    task : str
        One of ``TASKS``.
    model : str
        The SSL model for inference; that of all other tables, WavLM Base+ in
        the paper, has the task's own name.

    Returns
    -------
    str

    Example
    -------
    >>> inferred(ASR, HUBERT)
    'asr on HuBERT Base'
    """
    return f"{task} on {model}"


def robust(task):
    """Name the evaluation by a downstream model that was trained in noise.

    Arguments
    ---------
    task : str
        One of ``TASKS``.

    Returns
    -------
    str

    Example
    -------
    >>> robust(ASR)
    'asr-robust'
    """
    return f"{task}-robust"


#: Metric by evaluation.
METRICS = {WHISPER: WER, MATCHED: WER, ASR: WER, ASV: EER, IC: "accuracy"}


def metric_of(evaluation):
    """Look up by what an evaluation judges.

    Arguments
    ---------
    evaluation : str
        By what understands speech.

    Returns
    -------
    str

    Example
    -------
    >>> metric_of(robust(ASV)), metric_of(inferred(IC, HUBERT))
    ('eer', 'accuracy')
    """
    return METRICS[evaluation.removesuffix("-robust").partition(" ")[0]]


_OA = OBSERVATIONS[0]
#: Columns of Table 1: evaluation and metric.
COLUMNS_1 = (
    (SIGNAL, "sdr"),
    (SIGNAL, "pesq"),
    (SIGNAL, "dnsmos_sig"),
    (SIGNAL, "dnsmos_bak"),
    (SIGNAL, "dnsmos_ovrl"),
    (ASR, WER),
    (ASV, EER),
    (IC, "accuracy"),
    (WHISPER, WER),
)
#: Rows of Table 1.
TABLE_1 = {
    CLEAN: (None, None, 4.02, 4.02, 3.57, 5.6, 4.4, 98.8, 3.9),
    NOISY: (3.7, 1.27, 2.88, 1.86, 1.99, 17.1, 10.9, 67.4, 9.3),
    SNR: (15.7, 2.27, 3.73, 4.21, 3.47, 14.6, 8.6, 84.8, 12.2),
    observation_name(SNR, _OA): (
        *(14.5, 2.01, 3.82, 2.88, 2.93),
        *(12.2, 7.8, 87.8, 10.3),
    ),
    ssl_system(WAVLM): (
        *(15.8, 2.35, 3.74, 4.18, 3.46),
        *(12.9, 8.1, 87.7, 11.1),
    ),
    ssl_system(WAVLM_LARGE): (
        *(15.6, 2.34, 3.82, 3.94, 3.42),
        *(11.3, 7.4, 88.6, 9.6),
    ),
    observation_name(ssl_system(WAVLM_LARGE), _OA): (
        *(14.3, 1.97, 3.85, 2.83, 2.92),
        *(10.9, 7.2, 88.7, 9.1),
    ),
}

#: Table 2: WER, EER and accuracy by the SSL model for inference, then by the
#: enhancer.
TABLE_2 = {
    WAVLM: {
        NOISY: (17.1, 10.9, 67.4),
        SNR: (14.6, 8.6, 84.8),
        ssl_system(WAV2VEC): (14.4, 8.6, 85.4),
        ssl_system(HUBERT): (14.7, 8.7, 86.1),
        ssl_system(WAVLM): (12.9, 8.1, 87.7),
        ssl_system(WAVLM_LARGE): (11.3, 7.4, 88.6),
    },
    WAV2VEC: {
        NOISY: (36.8, 19.0, 41.0),
        SNR: (18.8, 12.2, 70.9),
        ssl_system(WAVLM): (17.5, 11.3, 71.3),
        ssl_system(WAVLM_LARGE): (14.9, 11.0, 75.9),
        ssl_system(WAV2VEC): (18.5, 12.5, 71.2),
    },
    HUBERT: {
        NOISY: (31.7, 15.5, 57.8),
        SNR: (18.5, 10.6, 81.9),
        ssl_system(WAVLM): (16.9, 9.7, 82.6),
        ssl_system(WAVLM_LARGE): (14.0, 8.7, 85.1),
        ssl_system(HUBERT): (18.8, 11.1, 82.3),
    },
    WAVLM_LARGE: {
        NOISY: (9.9, 9.8, 52.1),
        SNR: (7.8, 9.8, 86.6),
        ssl_system(WAVLM): (7.2, 9.3, 88.3),
        ssl_system(WAVLM_LARGE): (6.1, 10.1, 89.2),
    },
}

#: Table 3: enhancer, whether the downstream model was trained in noise; WER,
#: EER, accuracy. Its SSL-MSE is WavLM Base+'s.
TABLE_3 = {
    (NOISY, False): (17.1, 10.9, 67.4),
    (NOISY, True): (13.6, 9.2, 79.4),
    (SNR, True): (12.5, 7.9, 85.8),
    (SSL, True): (11.3, 7.7, 88.3),
}

# "Equivalently": SDRs of Table 1's (b1), (c1) and (c2) are 0.2 dB apart, here
# a decibel is; the DNSMOS OVRL of (c2) is 0.05 below that of (b1).
_SDR, _OVRL = 1.0, 0.1
_QUALITY = "dnsmos_ovrl"
# "Does not improve": (d1) has 0.2 points less WER than (b).
_SAME_WER = 0.003


def claims(
    tasks=(WHISPER, *TASKS),
    noisy_tasks=TASKS,
    chosen=None,
    small=BEST_ALPHA,
    large=ALPHAS[-1],
    not_run="",
):
    """List the paper's claims.

    Arguments
    ---------
    tasks : sequence of str
        The evaluations by what understands speech.
    noisy_tasks : sequence of str
        Of ``TASKS``, those whose model was trained in noise as well.
    chosen : float or None
        The ratio of observation adding that the validation set chose; None
        takes the paper's 0.1.
    small, large : float
        Weights of the SNR loss that stand for the ends of Figure 3.
    not_run : str
        Why there are no losses of ``SSL_MODELS``, if there are none.

    Returns
    -------
    list of Claim

    Example
    -------
    >>> claims()[0].text
    'SSL-MSE beats the SNR loss in all downstream tasks.'
    """
    because = f"; undecided, not run: {not_run}" if not_run else ""
    added = observation_name(SSL, _OA if chosen is None else chosen)
    snr_added = observation_name(SNR, _OA)
    readers = [task for task in (WHISPER, ASR) if task in tasks]
    in_noise = [robust(task) for task in noisy_tasks]
    ends = alpha_system(SSL, small), alpha_system(SSL, large)
    return [
        Claim(
            "SSL-MSE beats the SNR loss in all downstream tasks.",
            "Table 1, section 5.2.1",
            _downstream(SSL, SNR, tasks),
        ),
        Claim(
            "It does so at equal SDR and quality: at most "
            f"{_SDR:g} dB and {_OVRL:g} DNSMOS less, and no less PESQ.",
            "Table 1, section 5.2.1",
            (
                _signal(SSL, SNR, "sdr", _SDR),
                _signal(SSL, SNR, _QUALITY, _OVRL),
                _signal(SSL, SNR, "pesq"),
            ),
        ),
        Claim(
            "SSL-MSE beats the LMFB loss across tasks and recognisers.",
            "Figure 3, section 5.2.2",
            _downstream(SSL, LMFB, tasks),
        ),
        Claim(
            "SSL-MSE beats the ASR loss across tasks and recognisers.",
            "Figure 3, section 5.2.2",
            _downstream(SSL, ASR_LOSS, tasks),
        ),
        Claim(
            "The ASR loss does not carry over to another recogniser: Whisper "
            "reads the noisy speech better.",
            "Figure 3 (d), section 5.2.2",
            _downstream(NOISY, ASR_LOSS, (WHISPER,)),
        ),
        Claim(
            "Whisper reads noisy speech better than what the SNR loss makes "
            "of it.",
            "Table 1, section 5.2.1",
            _downstream(NOISY, SNR, (WHISPER,)),
        ),
        Claim(
            "Observation adding helps Whisper.",
            "Table 1, section 5.2.1",
            (
                *_downstream(snr_added, SNR, (WHISPER,)),
                *_downstream(observation_name(SSL, _OA), SSL, (WHISPER,)),
            ),
        ),
        Claim(
            "With observation adding, Whisper reads what SSL-MSE made better "
            "than the noisy speech.",
            "Table 1, section 5.2.1; the ratio is the validation set's choice",
            _downstream(added, NOISY, (WHISPER,)),
        ),
        Claim(
            "SSL-MSE alone beats the SNR loss with observation adding.",
            "Table 1, section 5.2.1",
            (
                _signal(SSL, snr_added, _QUALITY),
                *_downstream(SSL, snr_added, readers),
            ),
        ),
        Claim(
            "The weight alpha trades the signal for the tasks: more gives more "
            "SDR and DNSMOS, less gives fewer word errors.",
            "Figure 3, section 5.2.2",
            (
                *(_signal(*ends[::-1], name) for name in ("sdr", _QUALITY)),
                *_downstream(*ends, readers),
            ),
        ),
        Claim(
            "At a small alpha the ASR loss harms the signal most.",
            "Figure 3, section 5.2.2",
            tuple(
                _signal(
                    alpha_system(other, small),
                    alpha_system(ASR_LOSS, small),
                    metric,
                )
                for other in (SSL, LMFB)
                for metric in ("sdr", _QUALITY)
            ),
        ),
        Claim(
            "Losses of SSL models that were trained without noise do not help.",
            f"Table 2, section 5.2.3{because}",
            (
                *(
                    Comparison(ASR, SNR, ssl_system(model), None, _SAME_WER)
                    for model in WITHOUT_NOISE
                ),
                *(
                    Comparison(ASR, ssl_system(WAVLM), ssl_system(model))
                    for model in WITHOUT_NOISE
                ),
            ),
        ),
        Claim(
            "WavLM Large makes a better loss than WavLM Base+.",
            f"Table 1, section 5.2.3{because}",
            _downstream(ssl_system(WAVLM_LARGE), ssl_system(WAVLM), tasks),
        ),
        Claim(
            "Enhancement helps downstream models that were trained in noise, "
            "and SSL-MSE helps them more.",
            "Table 3, section 5.2.4",
            (
                *_downstream(SNR, NOISY, in_noise),
                *_downstream(SSL, SNR, in_noise),
            ),
        ),
    ]


def _signal(system, baseline, metric, margin=0.0):
    return Comparison(SIGNAL, system, baseline, None, margin, metric)


def _downstream(system, baseline, evaluations):
    """Comparisons by each of those that understand speech."""
    return tuple(
        Comparison(evaluation, system, baseline, metric=metric_of(evaluation))
        for evaluation in evaluations
    )
