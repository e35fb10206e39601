"""What a model card says of each class of model."""

from dataclasses import dataclass

_ASR = "automatic-speech-recognition"
_AUDIO = "audio-to-audio"
_SIGNAL_METRICS = (
    "sdr",
    "si_sdr",
    "pesq",
    "stoi",
    "estoi",
    "csig",
    "cbak",
    "covl",
    "dnsmos_ovrl",
    "wer",
)


@dataclass(frozen=True)
class Kind:
    """A class of models, for people who find one on the hub.

    Arguments
    ---------
    task : str
        The hub's name of the task.
    tags : tuple of str
        What it is found by.
    summary : str
        What such a model does, a sentence.
    metrics : tuple of str
        Those of results.json that go to the card's metadata; the first that
        there is goes to the figure.
    call : str
        What one does with it in Python; ``model`` is loaded.
    command : str
        The same from a shell; ``{repo}`` is the model.
    limits : str
        What such a model cannot do.
    citation : str
        The paper.

    Example
    -------
    >>> KINDS["Inpainter"].task
    'audio-to-audio'
    """

    task: str
    tags: tuple
    summary: str
    metrics: tuple
    call: str
    command: str
    limits: str
    citation: str


_TRANSCRIBE = "speechbrain-ext transcribe example.wav --model {repo}"
_ENHANCE = "speechbrain-ext enhance example.wav clean.wav --model {repo}"

#: By the class's name in :mod:`speechbrain_ext.inference`.
KINDS = {
    "PacketLossASR": Kind(
        task=_ASR,
        tags=("packet-loss", "robust-asr"),
        summary="A recogniser behind a front-end that repairs packet loss: it "
        "is told which packets were lost, or takes runs of digital silence for "
        "it.",
        metrics=("wer", "cer"),
        call='model.transcribe_file("example.wav")',
        command=_TRANSCRIBE,
        limits="Trained for lost packets of 20 ms that become zeros. A codec "
        "that conceals losses leaves no zeros: say which packets were lost. "
        "The recogniser may invent text where most of the speech is gone.",
        citation="Dissen, Yonash, Cohen, Keshet: *Enhanced ASR Robustness to "
        "Packet Loss with a Front-End Adaptation Network*, Interspeech 2024.",
    ),
    "RobustASR": Kind(
        task=_ASR,
        tags=("robust-asr", "speech-enhancement", "perceptual-loss"),
        summary="A recogniser that was adapted to what an enhancer makes of "
        "noisy speech, with that enhancer.",
        metrics=("wer", "cer"),
        call='model.transcribe_file("example.wav")',
        command=_TRANSCRIBE,
        limits="It knows the kinds of noise that it was adapted to; in others "
        "it may be no better than the recogniser that it began as.",
        citation="Plantinga, Bagchi, Fosler-Lussier: *Perceptual Loss with "
        "Recognition Model for Single-Channel Enhancement and Robust ASR*, "
        "2021.",
    ),
    "FusionASR": Kind(
        task=_ASR,
        tags=("robust-asr", "speech-enhancement", "spectrogram-fusion"),
        summary="A recogniser behind a network that makes two enhanced "
        "spectrograms of noisy speech, by mapping and by masking, and joins "
        "them bin by bin.",
        metrics=("cer", "pesq"),
        call='model.transcribe_file("example.wav")',
        command=_TRANSCRIBE,
        limits="One speaker at a time, at 16 kHz. It writes the characters and "
        "the kind of sentences that it was trained on.",
        citation="Shi, Wang, Li, Fan, Dang, Kawahara: *Spectrograms "
        "Fusion-based End-to-end Robust Automatic Speech Recognition*, APSIPA "
        "2021.",
    ),
    "PerceptualEnhancer": Kind(
        task=_AUDIO,
        tags=("speech-enhancement", "perceptual-loss"),
        summary="A network that takes the noise out of speech, trained with "
        "the loss of a recognition model.",
        metrics=_SIGNAL_METRICS,
        call='model.enhance_file("example.wav", "clean.wav")',
        command=_ENHANCE,
        limits="It takes out no reverberation and restores no phase; where "
        "noise is louder than speech it leaves artefacts.",
        citation="Plantinga, Bagchi, Fosler-Lussier: *Perceptual Loss with "
        "Recognition Model for Single-Channel Enhancement and Robust ASR*, "
        "2021.",
    ),
    "GenericEnhancer": Kind(
        task=_AUDIO,
        tags=("speech-enhancement", "self-supervised"),
        summary="A network that takes the noise out of speech, for listeners "
        "and for whatever understands speech.",
        metrics=_SIGNAL_METRICS,
        call='model.enhance_file("example.wav", "clean.wav", observation=0.1)',
        command=_ENHANCE,
        limits="One speaker at a time, at 16 kHz. What understands speech may "
        "want some of the noisy input in it (`observation`).",
        citation="Sato, Ochiai, Delcroix, Moriya, Ashihara, Masumura: *Generic "
        "speech enhancement with self-supervised representation space loss*, "
        "2025.",
    ),
    "Inpainter": Kind(
        task=_AUDIO,
        tags=("speech-inpainting", "deep-feature-loss"),
        summary="A network that finds what is missing in a spectrogram of "
        "speech.",
        metrics=("stoi", "pesq"),
        call='model.inpaint_file("example.wav", "whole.wav")',
        command="speechbrain-ext inpaint example.wav whole.wav --model {repo}",
        limits="Gaps longer than about 100 ms become speech-like sound rather "
        "than what was said. It hears what follows a gap: it is for files, not "
        "for a call.",
        citation="Kegler, Beckmann, Cernak: *Deep Speech Inpainting of "
        "Time-frequency Masks*, Interspeech 2020.",
    ),
}
