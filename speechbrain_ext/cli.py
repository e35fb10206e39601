"""The ``speechbrain-ext`` command."""

import argparse
import json
import sys
from pathlib import Path

from speechbrain_ext import __version__
from speechbrain_ext.errors import UserError, exit_on_user_error

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
example:
  speechbrain-ext enhance noisy.wav clean.wav --model pretrained/mimic-enhance-mini

Audio of any length is enhanced in chunks, in bounded memory.
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
  speechbrain-ext evaluate --model speechVGG=runs/1/model \\
      --data /data/LJSpeech-1.1 --kinds time --sizes 0.1 0.4 --out results

Writes results.json and results.md, of lost packets also the figure. What is
finished is kept: run it again with the same settings and it goes on.

Models of enhancement are measured on pairs of clean and noisy recordings
(PESQ, STOI, composite measures, and the WER of an unadapted Whisper), those of
inpainting on masked segments of 1024 ms (STOI, PESQ); a model's config.json says
what it is.
"""


def main(argv=None):
    """Run the command.

    Arguments
    ---------
    argv : list of str, optional
        The arguments; the command line's if not given.

    Returns
    -------
    int
        The exit status: 0. A user's error exits with 2 and one line.

    Example
    -------
    >>> main(["--version"])
    Traceback (most recent call last):
    ...
    SystemExit: 0
    """
    with exit_on_user_error():
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
        sys.stdout.flush()
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message):
        raise UserError(f"{message}; see {self.prog} --help")


def _parser():
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
    ):
        add(commands)
    return parser


def _add_command(commands, name, run, summary, epilog):
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run)
    return command


def _add_transcribe(commands):
    command = _add_command(
        commands,
        "transcribe",
        _transcribe,
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
    _add_backend(command)
    _add_language(command)
    command.add_argument(
        "--device", metavar="DEVICE", help="for example cpu or cuda:0"
    )
    command.add_argument(
        "--json", action="store_true", help="one JSON object a line"
    )


def _add_enhance(commands):
    command = _add_command(
        commands,
        "enhance",
        _enhance,
        "take the noise out of an audio file",
        _ENHANCE_EPILOG,
    )
    _add_repair(command)


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
    command.add_argument(
        "--device", metavar="DEVICE", help="for example cpu or cuda:0"
    )


def _add_inpaint(commands):
    command = _add_command(
        commands,
        "inpaint",
        _inpaint,
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
        _corrupt,
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
        _evaluate,
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
    command.add_argument("--test-set", metavar="NAME", help="in the results")
    _add_backend(command)
    _add_language(command)
    command.add_argument(
        "--device", metavar="DEVICE", help="for example cpu or cuda:0"
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


def _compute_type(arguments):
    if arguments.backend == "torch" and arguments.compute_type != "float32":
        raise UserError(
            f"--compute-type {arguments.compute_type}: torch computes in "
            "float32; expected --backend ctranslate2 with it"
        )
    return arguments.compute_type


def _run_options(arguments):
    if not arguments.device:
        return None
    import torch

    try:
        torch.empty(0, device=arguments.device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--device {arguments.device}: cannot be used ({reason})"
        ) from error
    return {"device": arguments.device}


def _transcribe(arguments):
    # Here, and not above, so that --help answers at once.
    from tqdm import tqdm

    from speechbrain_ext.inference import PacketLossASR

    if arguments.lost and len(arguments.files) > 1:
        raise UserError(
            f"{arguments.lost}: one lost-packet file for "
            f"{len(arguments.files)} audio files; expected one audio file"
        )
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: expected 1 up")
    asr = PacketLossASR.from_hparams(
        arguments.model,
        backend=arguments.backend,
        compute_type=_compute_type(arguments),
        run_opts=_run_options(arguments),
    )
    if arguments.language is not None:
        asr.language = arguments.language
    front_end = arguments.front_end != "none"
    bar = tqdm(
        total=len(arguments.files),
        unit="file",
        disable=len(arguments.files) == 1 or not sys.stderr.isatty(),
    )
    with bar:
        for files, signals, lost in _read_batches(asr, arguments):
            texts = asr.transcribe_signals(
                signals, lost, front_end, arguments.batch_size
            )
            for spoken in zip(files, texts, signals, lost):
                _print_text(arguments, *spoken)
            bar.update(len(files))


def _read_batches(asr, arguments):
    """Files with their signals and lost samples, a batch at a time."""
    batch, unusable = [], None
    for file in arguments.files:
        try:
            batch.append((file, *asr.read(file, arguments.lost)))
        except UserError as error:
            # What was read before it shall not be lost.
            unusable = error
            break
        if len(batch) == arguments.batch_size:
            yield zip(*batch)
            batch = []
    if batch:
        yield zip(*batch)
    if unusable is not None:
        raise unusable


def _print_text(arguments, file, text, signal, lost):
    if arguments.json:
        row = {
            "file": file,
            "text": text,
            "duration": round(len(signal) / 16000, 3),
            "lost_fraction": round(lost.float().mean().item(), 4),
        }
        print(json.dumps(row, ensure_ascii=False), flush=True)
    elif len(arguments.files) == 1:
        print(text)
    else:
        print(f"{file}: {text}", flush=True)


def _check_interface(source, wanted, command):
    """Refuse a model of another kind, before it is loaded."""
    from speechbrain_ext.inference.model_folder import interface_name

    name = interface_name(source)
    if name != wanted:
        raise UserError(
            f"{source}: is a model of the kind {name}; expected one of the "
            f"kind {wanted}, for {command}"
        )


def _inpaint(arguments):
    from speechbrain_ext.inference import Inpainter

    _check_interface(arguments.model, "Inpainter", "inpaint")
    inpainter = Inpainter.from_hparams(
        arguments.model, run_opts=_run_options(arguments)
    )
    inpainter.inpaint_file(
        arguments.input,
        arguments.output,
        mask=arguments.mask,
        lost_packets=arguments.lost,
        keep_observed=not arguments.estimate_phases,
    )


def _enhance(arguments):
    from speechbrain_ext.inference import PerceptualEnhancer

    _check_interface(arguments.model, "PerceptualEnhancer", "enhance")
    enhancer = PerceptualEnhancer.from_hparams(
        arguments.model, run_opts=_run_options(arguments)
    )
    enhancer.enhance_file(arguments.input, arguments.output)


def _corrupt(arguments):
    import torch

    from speechbrain_ext.audio import load_audio, save_audio
    from speechbrain_ext.corruption.loss_models import (
        GilbertElliottLoss,
        check_rate,
    )
    from speechbrain_ext.corruption.lost_packets import write_lost_packets
    from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss

    rate = check_rate(arguments.loss)
    damage = WaveformPacketLoss(
        GilbertElliottLoss(mean_burst=arguments.mean_burst), arguments.seed
    )
    signal = load_audio(arguments.input)
    name = Path(arguments.input).stem
    damaged, lost = damage(
        signal[None], torch.ones(1), [name], epoch=0, rate=rate
    )
    save_audio(arguments.output, damaged[0])
    if arguments.lost_out:
        write_lost_packets(arguments.lost_out, lost[0])


def _evaluate(arguments):
    from speechbrain_ext.evaluation.systems import named_models
    from speechbrain_ext.inference.model_folder import interface_name

    interfaces = {
        source: interface_name(source)
        for source in named_models(arguments.model).values()
    }
    kinds = {
        {
            "PacketLossASR": _evaluate_packet_loss,
            "Inpainter": _evaluate_masks,
        }.get(name, _evaluate_enhancement)
        for name in interfaces.values()
    }
    if len(kinds) > 1:
        listed = ", ".join(f"{k}: {v}" for k, v in interfaces.items())
        raise UserError(f"--model: expected models of one kind ({listed})")
    (evaluate,) = kinds
    if evaluate is not _evaluate_masks and (arguments.kinds or arguments.sizes):
        raise UserError("--kinds, --sizes: expected models of inpainting")
    evaluate(arguments)


def _evaluate_masks(arguments):
    from speechbrain_ext.corpora.prepare import prepare_test_set
    from speechbrain_ext.corruption.masks import KINDS
    from speechbrain_ext.evaluation.inpainting import SIZES, evaluate_inpainting

    if arguments.rates is not None or arguments.noise:
        raise UserError(
            "--rates, --noise: expected --sizes, as models of inpainting are "
            "given masks"
        )
    if len(arguments.seeds) > 1:
        raise UserError("--seeds: expected one for models of inpainting")
    manifest, name, _ = prepare_test_set(arguments.data, arguments.out)
    evaluate_inpainting(
        arguments.model,
        manifest,
        arguments.out,
        kinds=arguments.kinds or KINDS,
        sizes=arguments.sizes or SIZES,
        seed=arguments.seeds[0],
        batch_size=arguments.batch_size,
        test_set=arguments.test_set or name,
        run_opts=_run_options(arguments),
    )


def _evaluate_enhancement(arguments):
    from speechbrain_ext.corpora.mixing import mix_test_set
    from speechbrain_ext.corpora.prepare import prepare_test_set
    from speechbrain_ext.evaluation.enhancement import evaluate_enhancement

    if arguments.rates is not None:
        raise UserError(
            "--rates: expected none, as noisy recordings have their own SNRs"
        )
    manifest, name, _ = prepare_test_set(arguments.data, arguments.out)
    if arguments.noise:
        manifest = mix_test_set(
            manifest,
            arguments.noise,
            arguments.snrs,
            Path(arguments.out) / "speech",
            arguments.seeds[0],
        )
    evaluate_enhancement(
        arguments.model,
        manifest,
        arguments.out,
        language=arguments.language,
        backend=arguments.backend,
        batch_size=arguments.batch_size,
        test_set=arguments.test_set or name,
        run_opts=_run_options(arguments),
    )


def _evaluate_packet_loss(arguments):
    from speechbrain_ext.corpora.prepare import prepare_test_set
    from speechbrain_ext.corruption.loss_models import (
        GilbertElliottLoss,
        TraceLoss,
    )
    from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss
    from speechbrain_ext.evaluation.packet_loss import (
        LOSS_RATES,
        evaluate_packet_loss,
    )

    if arguments.noise:
        raise UserError("--noise: expected models of enhancement with it")
    manifest, name, traces = prepare_test_set(
        arguments.data, arguments.out, arguments.language
    )
    rates = arguments.rates
    if traces is None:
        loss = GilbertElliottLoss(mean_burst=arguments.mean_burst)
        rates = LOSS_RATES if rates is None else rates
    elif rates is None:
        loss = TraceLoss(traces)
    else:
        raise UserError(
            f"--rates: expected none, as the traces in {arguments.data} have "
            "their own"
        )
    evaluate_packet_loss(
        arguments.model,
        manifest,
        WaveformPacketLoss(loss, seed=0),
        arguments.out,
        rates=rates,
        seeds=arguments.seeds,
        batch_size=arguments.batch_size,
        test_set=arguments.test_set or name,
        backend=arguments.backend,
        compute_type=_compute_type(arguments),
        language=arguments.language,
        run_opts=_run_options(arguments),
    )


if __name__ == "__main__":
    sys.exit(main())
