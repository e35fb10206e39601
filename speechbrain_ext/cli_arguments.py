"""The arguments of the ``speechbrain-ext`` command, and its help."""

import argparse

from speechbrain_ext import __version__
from speechbrain_ext.errors import UserError

_TRANSCRIBE_EPILOG = """\
examples:
  speechbrain-ext transcribe call.wav --model pretrained/plc-whisper-tiny.en
  speechbrain-ext transcribe call.wav --lost call_is_lost.txt --model ORG/NAME
  speechbrain-ext transcribe *.wav --model FOLDER --json > texts.jsonl
  speechbrain-ext transcribe *.wav --model FOLDER --backend ctranslate2

A lost-packet file is text, a 0 or 1 a line, a line a 20 ms packet from the
start of the file (1 = lost). Without one, runs of exact digital silence that
are at least 20 ms long count as lost.
"""

_CORRUPT_EPILOG = """\
example:
  speechbrain-ext corrupt in.wav out.wav --loss 0.4 --seed 1 --lost-out lost.txt

Packets of 20 ms are lost in bursts (Gilbert-Elliott); their samples are zero.
The same seed and input name lose the same packets.
"""

_ENHANCE_EPILOG = """\
examples:
  speechbrain-ext enhance noisy.wav clean.wav --model pretrained/mimic-enhance-mini
  speechbrain-ext enhance noisy.wav clean.wav --model FOLDER --observation 0.1

Audio of any length is enhanced in chunks, in bounded memory. --observation leaves
some of the input in the output: recognisers that know noise but no enhancer may
read it better.
"""

_INPAINT_EPILOG = """\
examples:
  speechbrain-ext inpaint call.wav whole.wav --model FOLDER
  speechbrain-ext inpaint call.wav whole.wav --model FOLDER --lost lost.txt
  speechbrain-ext inpaint in.wav out.wav --model FOLDER --mask mask.npy
  speechbrain-ext inpaint in.wav out.wav --model FOLDER --mask mask.npy \\
      --estimate-phases

A mask is an array of numpy's, bool [frames, 128], True where a bin is masked: a
frame is 8 ms of the audio at 16 kHz (as many as it has begun), a channel 62.5 Hz
from 0 up. To mask the band from 2 to 3 kHz from second 1 to second 2 of 5 s:

  python -c "import numpy; m = numpy.zeros((625, 128), bool); \\
      m[125:250, 32:48] = True; numpy.save('mask.npy', m)"

A lost-packet file is text, a 0 or 1 a line, a line a 20 ms packet (1 = lost): all
channels of the frames that it touches are masked. With neither of them, a model
that has to be told what is lost (an informed one) takes runs of exact digital
silence of 20 ms or more for it; a blind model finds out by itself and repairs all
that it hears.

What is not masked stays as it is, phases included. --estimate-phases is the way of
the paper: all of the output is made from the network's magnitudes. Audio of any
length is repaired in chunks, in bounded memory.
"""

_EVALUATE_EPILOG = """\
examples:
  speechbrain-ext evaluate --model pretrained/plc-whisper-tiny.en \\
      --data /data/LJSpeech-1.1 --rates 0 0.3 0.4 0.5 --seeds 0 1 2 --out results
  speechbrain-ext evaluate --model pretrained/mimic-enhance-mini \\
      --data /data/voicebank --out results
  speechbrain-ext evaluate --model pretrained/mimic-enhance-mini \\
      --data /data/LJSpeech-1.1 --noise /data/noises --snrs 0 5 10 --out results
  speechbrain-ext evaluate --model FOLDER --data test.csv --out results \\
      --observations 0 0.1 0.5 --validation valid.csv \\
      --recogniser openai/whisper-base --metrics sdr pesq dnsmos_ovrl
  speechbrain-ext evaluate --model speechVGG=runs/1/model \\
      --data /data/LJSpeech-1.1 --kinds time --sizes 0.1 0.4 --out results
  speechbrain-ext evaluate --model pretrained/fusion-joint-mini \\
      --data test_1.csv --out results

Writes results.json and results.md, of lost packets also the figure. What is
finished is kept: run it again with the same settings and it goes on. Several
processes share the work, on one machine or many, with the same results:

  torchrun --nproc_per_node=4 -m speechbrain_ext.cli evaluate ...

(--device cuda gives each of them its own card.)

Models of enhancement are measured on pairs of clean and noisy recordings
(PESQ, STOI, composite measures, and the WER of an unadapted Whisper), those of
inpainting on masked segments of 1024 ms (STOI, PESQ), those of spectrogram fusion
on noisy recordings with known SNRs (the CER of each output, the composite measures
and PESQ); a model's config.json says what it is.
"""

_PUBLISH_EPILOG = """\
examples:
  speechbrain-ext publish results/mini/1 --repo ORG/NAME
  speechbrain-ext publish results/mini/1 --repo ORG/NAME --push
  speechbrain-ext publish pretrained/ssl-mse-mini --repo ORG/NAME --out hub/mine

Makes a folder that holds all that others need: the model's settings without any
code, weights as safetensors, tokenizer, config.json, a recording to try it on, and
a model card with the results. A README.md of yours in the results folder is kept
and completed. Without --push it stops there and lists what would be uploaded; with
it, one commit goes to the hub. The token is the hub's own (hf auth login, or
HF_TOKEN); HF_ENDPOINT names another hub.
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message):
        """Say in one line what is wrong."""
        raise UserError(f"{message}; see {self.prog} --help")


def make_parser():
    """Make the parser of the command line.

    Returns
    -------
    argparse.ArgumentParser
        What it returns has the command's name as ``command``.

    Example
    -------
    >>> parser = make_parser()
    >>> parser.parse_args(["enhance", "a.wav", "b.wav", "--model", "m"]).command
    'enhance'
    """
    parser = _Parser(
        prog="speechbrain-ext",
        description="Speech models that survive noise and packet loss.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        _add_transcribe,
        _add_enhance,
        _add_inpaint,
        _add_corrupt,
        _add_evaluate,
        _add_publish,
    ):
        add(commands)
    return parser


def _add_command(commands, name, summary, epilog):
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(command=name)
    return command


def _add_transcribe(commands):
    command = _add_command(
        commands,
        "transcribe",
        "write down what is said in audio files",
        _TRANSCRIBE_EPILOG,
    )
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="audio of any rate, channel count and length",
    )
    command.add_argument(
        "--model",
        required=True,
        metavar="SOURCE",
        help="a model's folder or a hub id",
    )
    command.add_argument(
        "--lost", metavar="FILE", help="lost-packet file, for one audio file"
    )
    command.add_argument(
        "--front-end",
        choices=["none"],
        help="none: the bare recogniser, with the same decoding",
    )
    command.add_argument(
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="files that are read and decoded together (default: 8)",
    )
    _add_spectrogram(command)
    _add_backend(command)
    _add_language(command)
    _add_loading(command)
    command.add_argument(
        "--json", action="store_true", help="one JSON object a line"
    )


def _add_spectrogram(command):
    command.add_argument(
        "--spectrogram",
        choices=["fusion", "mapping", "masking", "noisy"],
        help="of models of spectrogram fusion: which one is used (default: the "
        "one that the recogniser was trained with)",
    )


def _add_enhance(commands):
    command = _add_command(
        commands,
        "enhance",
        "take the noise out of an audio file",
        _ENHANCE_EPILOG,
    )
    _add_repair(command)
    command.add_argument(
        "--observation",
        type=float,
        default=0.0,
        metavar="RATIO",
        help="the input's share in the output, 0 to 1 (default: 0)",
    )
    _add_spectrogram(command)


def _add_repair(command):
    """What commands have that make an audio file of another."""
    command.add_argument(
        "input",
        metavar="IN",
        help="audio of any rate, channel count and length",
    )
    command.add_argument("output", metavar="OUT", help="16 kHz .wav or .flac")
    command.add_argument(
        "--model",
        required=True,
        metavar="SOURCE",
        help="a model's folder or a hub id",
    )
    _add_loading(command)


def _add_inpaint(commands):
    command = _add_command(
        commands,
        "inpaint",
        "repair lost parts of an audio file's spectrum",
        _INPAINT_EPILOG,
    )
    _add_repair(command)
    lost = command.add_mutually_exclusive_group()
    lost.add_argument(
        "--mask",
        metavar="FILE.npy",
        help="what is masked, bool [frames, 128]",
    )
    lost.add_argument("--lost", metavar="FILE", help="lost-packet file")
    command.add_argument(
        "--estimate-phases",
        action="store_true",
        help="make all of the output from the network's magnitudes, as in the "
        "paper, instead of keeping what is not masked",
    )


def _add_corrupt(commands):
    command = _add_command(
        commands,
        "corrupt",
        "lose packets of an audio file",
        _CORRUPT_EPILOG,
    )
    command.add_argument("input", metavar="IN", help="audio file")
    command.add_argument("output", metavar="OUT", help="16 kHz .wav or .flac")
    command.add_argument(
        "--loss",
        type=float,
        required=True,
        metavar="RATE",
        help="share of the packets that are lost, 0 to 1",
    )
    command.add_argument(
        "--seed", type=int, required=True, metavar="N", help="of the damage"
    )
    command.add_argument(
        "--mean-burst",
        type=float,
        default=3.0,
        metavar="B",
        help="mean length of a burst of losses, in packets (default: 3)",
    )
    command.add_argument(
        "--lost-out", metavar="FILE", help="write the lost-packet file here"
    )


def _add_evaluate(commands):
    command = _add_command(
        commands,
        "evaluate",
        "measure models on the same damaged speech",
        _EVALUATE_EPILOG,
    )
    command.add_argument(
        "--model",
        required=True,
        nargs="+",
        metavar="[NAME=]SOURCE",
        help="models' folders or hub ids; each is compared with the first "
        "one's recogniser without its front-end, or with the noisy speech",
    )
    command.add_argument(
        "--data",
        required=True,
        metavar="PATH",
        help="a CSV manifest, or a folder in the layout of LJSpeech (all of "
        "it), FLEURS, ALLSSTAR or the PLC challenge, which has its own losses; "
        "for enhancement a manifest with noisy_wav, or Voicebank's folder",
    )
    command.add_argument("--out", required=True, metavar="DIR", help="results")
    command.add_argument(
        "--rates",
        type=float,
        nargs="+",
        metavar="RATE",
        help="loss rates, fractions (default: 0 to 0.6); for lost packets",
    )
    command.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0],
        metavar="N",
        help="damage seeds; errors are summed over them (default: 0)",
    )
    command.add_argument(
        "--mean-burst", type=float, default=3.0, metavar="B", help="in packets"
    )
    command.add_argument(
        "--noise",
        metavar="PATH",
        help="recordings of noise, a folder or a manifest, that are added to a "
        "test set of clean speech",
    )
    command.add_argument(
        "--snrs",
        type=float,
        nargs="+",
        default=[0.0, 5.0, 10.0],
        metavar="SNR",
        help="of that noise, in dB (default: 0 5 10)",
    )
    command.add_argument(
        "--observations",
        type=float,
        nargs="+",
        metavar="RATIO",
        help="shares of the noisy input in the output of models of "
        "enhancement, each a system of its own (default: 0)",
    )
    command.add_argument(
        "--validation",
        metavar="MANIFEST",
        help="noisy recordings on which each model's ratio is chosen by the "
        "WER; the test set hears no other one above 0",
    )
    command.add_argument(
        "--kinds",
        nargs="+",
        metavar="KIND",
        help="of masks for inpainting: time, time-frequency, random (default: "
        "all)",
    )
    command.add_argument(
        "--sizes",
        type=float,
        nargs="+",
        metavar="SIZE",
        help="of those masks, shares (default: 0.1 0.2 0.3 0.4)",
    )
    command.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="(default: 8)"
    )
    command.add_argument(
        "--recogniser",
        metavar="SOURCE",
        help="the Whisper that counts words where models of enhancement have "
        "none, a folder or hub id (default: openai/whisper-tiny.en)",
    )
    command.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="of enhancement, for example sdr pesq dnsmos_ovrl (default: PESQ, "
        "STOI, SI-SDR and the composite measures; of fusion without STOI and "
        "SI-SDR)",
    )
    command.add_argument("--test-set", metavar="NAME", help="in the results")
    _add_backend(command)
    _add_language(command)
    _add_loading(command)


def _add_publish(commands):
    command = _add_command(
        commands,
        "publish",
        "make a model ready for others, and push it to the hub",
        _PUBLISH_EPILOG,
    )
    command.add_argument(
        "results",
        metavar="RESULTS_FOLDER",
        help="a recipe's output folder, or a model's folder",
    )
    command.add_argument(
        "--repo", required=True, metavar="ORG/NAME", help="on the hub"
    )
    command.add_argument(
        "--push", action="store_true", help="upload it, in one commit"
    )
    command.add_argument(
        "--private",
        action="store_true",
        help="a repository that is made now is hidden from others",
    )
    command.add_argument(
        "--out",
        metavar="DIR",
        help="a new folder for what is published (default: hub/NAME, or with "
        "--push a temporary one)",
    )
    command.add_argument(
        "--example",
        metavar="FILE",
        help="a recording to try it on (default: example.wav in the results "
        "folder, or an utterance of its test.csv)",
    )
    command.add_argument(
        "--system",
        metavar="NAME",
        help="the model's in results.json (default: what the training or the "
        "folder is called)",
    )
    command.add_argument(
        "--license",
        metavar="NAME",
        help="of the weights, as the hub names it (default: the README.md's, "
        "or apache-2.0)",
    )
    command.add_argument(
        "--language",
        nargs="+",
        metavar="CODE",
        help="(default: the README.md's, or the model's)",
    )
    command.add_argument(
        "--datasets",
        nargs="+",
        metavar="NAME",
        help="what it was trained on (default: the README.md's, or the "
        "training's)",
    )


def _add_loading(command):
    command.add_argument(
        "--device", metavar="DEVICE", help="for example cpu or cuda:0"
    )
    command.add_argument(
        "--trust-model",
        action="store_true",
        help="load the model as SpeechBrain does, which runs whatever its YAML "
        "file says: for your own models that are built on a folder of this "
        "machine or on a recogniser of SpeechBrain's",
    )


def _add_backend(command):
    command.add_argument(
        "--backend",
        choices=["torch", "ctranslate2"],
        default="torch",
        help="what runs the recogniser; ctranslate2 is several times faster "
        "(default: torch)",
    )
    command.add_argument(
        "--compute-type",
        default="float32",
        metavar="TYPE",
        help="what ctranslate2 computes in: int8 is the fastest on a CPU "
        "(default: float32)",
    )


def _add_language(command):
    command.add_argument(
        "--language",
        metavar="CODE",
        help="what is spoken, for example es (default: the model's own)",
    )
