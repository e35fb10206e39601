"""The ``speechbrain-ext`` command."""

import json
import os
import sys
from pathlib import Path

from speechbrain_ext.cli_arguments import make_parser
from speechbrain_ext.errors import UserError, exit_on_user_error


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
        arguments = make_parser().parse_args(argv)
        _RUN[arguments.command](arguments)
        sys.stdout.flush()
    return 0


def _compute_type(arguments):
    if arguments.backend == "torch" and arguments.compute_type != "float32":
        raise UserError(
            f"--compute-type {arguments.compute_type}: torch computes in "
            "float32; expected --backend ctranslate2 with it"
        )
    return arguments.compute_type


def _run_options(arguments):
    device = arguments.device
    if not device:
        return None
    import torch

    if device == "cuda" and "LOCAL_RANK" in os.environ:
        # Of the processes on a machine, each has a card.
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--device {device}: cannot be used ({reason})"
        ) from error
    return {"device": device}


def _transcribe(arguments):
    # Here, and not above, so that --help answers at once.
    from tqdm import tqdm

    if arguments.lost and len(arguments.files) > 1:
        raise UserError(
            f"{arguments.lost}: one lost-packet file for "
            f"{len(arguments.files)} audio files; expected one audio file"
        )
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: expected 1 up")
    asr, transcribe = _load_recogniser(arguments)
    bar = tqdm(
        total=len(arguments.files),
        unit="file",
        disable=len(arguments.files) == 1 or not sys.stderr.isatty(),
    )
    with bar:
        for files, signals, lost in _read_batches(asr, arguments):
            texts = transcribe(signals, lost)
            for spoken in zip(files, texts, signals, lost):
                _print_text(arguments, *spoken)
            bar.update(len(files))


def _load_recogniser(arguments):
    """A recogniser, and its ``(signals, lost) -> texts``."""
    from speechbrain_ext.inference.model_folder import interface_name

    bare = arguments.front_end == "none"
    if interface_name(arguments.model) == "FusionASR":
        return _load_fusion_recogniser(arguments, bare)
    if arguments.spectrogram is not None:
        raise UserError("--spectrogram: expected a model of spectrogram fusion")
    asr = _load(
        arguments,
        "FusionASR",
        "PacketLossASR",
        "RobustASR",
        backend=arguments.backend,
        compute_type=_compute_type(arguments),
    )
    if arguments.language is not None:
        asr.language = arguments.language

    def transcribe(signals, lost):
        """Recognise a batch of files."""
        return asr.transcribe_signals(
            signals, lost, not bare, arguments.batch_size
        )

    return asr, transcribe


def _load_fusion_recogniser(arguments, bare):
    for name in ("lost", "language"):
        if getattr(arguments, name) is not None:
            raise UserError(
                f"--{name}: expected none with a model of spectrogram fusion"
            )
    if arguments.backend != "torch" or _compute_type(arguments) != "float32":
        raise UserError(
            f"--backend {arguments.backend}: expected torch, which runs models "
            "of spectrogram fusion"
        )
    if bare and arguments.spectrogram not in (None, "noisy"):
        raise UserError(
            f"--front-end none: gives the recogniser the noisy spectrogram; "
            f"expected no --spectrogram {arguments.spectrogram} with it"
        )
    asr = _load(arguments, "FusionASR")
    output = "noisy" if bare else arguments.spectrogram

    def transcribe(signals, lost):
        """Recognise a batch of files."""
        return asr.transcribe_signals(signals, output, arguments.batch_size)

    return asr, transcribe


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


def _loader(arguments):
    """What loads the models that are named: those of strangers run nothing."""
    from speechbrain_ext.inference.loading import load, load_trusted

    return load_trusted if arguments.trust_model else load


def _load(arguments, *wanted, **options):
    """Load the model, if it is of a kind that the command can use."""
    from speechbrain_ext.inference.model_folder import interface_name

    name = interface_name(arguments.model)
    if name not in wanted:
        raise UserError(
            f"{arguments.model}: is a model of the kind {name}; expected one "
            f"of the kind {' or '.join(wanted)}, for {arguments.command}"
        )
    return _loader(arguments)(
        arguments.model, run_opts=_run_options(arguments), **options
    )


def _inpaint(arguments):
    _load(arguments, "Inpainter").inpaint_file(
        arguments.input,
        arguments.output,
        mask=arguments.mask,
        lost_packets=arguments.lost,
        keep_observed=not arguments.estimate_phases,
    )


def _enhance(arguments):
    from speechbrain_ext.inference.model_folder import interface_name
    from speechbrain_ext.inference.observation import check_observation

    check_observation(arguments.observation)
    fuses = interface_name(arguments.model) == "FusionASR"
    if fuses and arguments.observation:
        raise UserError(
            "--observation: expected 0 with a model of spectrogram fusion"
        )
    if arguments.spectrogram is not None and not fuses:
        raise UserError("--spectrogram: expected a model of spectrogram fusion")
    enhancer = _load(
        arguments, "FusionASR", "GenericEnhancer", "PerceptualEnhancer"
    )
    enhancer.enhance_file(
        arguments.input,
        arguments.output,
        arguments.spectrogram if fuses else arguments.observation,
    )


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
            "FusionASR": _evaluate_fusion,
        }.get(name, _evaluate_enhancement)
        for name in interfaces.values()
    }
    if len(kinds) > 1:
        listed = ", ".join(f"{k}: {v}" for k, v in interfaces.items())
        raise UserError(f"--model: expected models of one kind ({listed})")
    (evaluate,) = kinds
    if evaluate is not _evaluate_masks and (arguments.kinds or arguments.sizes):
        raise UserError("--kinds, --sizes: expected models of inpainting")
    for name in ("observations", "validation", "recogniser", "metrics"):
        takes = [_evaluate_enhancement]
        if name == "metrics":
            takes.append(_evaluate_fusion)
        if evaluate not in takes and getattr(arguments, name):
            raise UserError(f"--{name}: expected models of enhancement with it")
    from speechbrain_ext.evaluation.sharding import shared_evaluation

    with shared_evaluation() as shards:
        evaluate(arguments, shards)


def _evaluate_masks(arguments, shards):
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
    manifest, name, _ = shards.once(
        prepare_test_set, arguments.data, arguments.out
    )
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
        shards=shards,
        load=_loader(arguments),
    )


def _evaluate_enhancement(arguments, shards):
    from speechbrain_ext.evaluation.enhancement import (
        RECOGNISER,
        SIGNAL_METRICS,
        evaluate_enhancement,
    )

    if arguments.validation and not arguments.observations:
        raise UserError(
            "--validation: expected --observations, the ratios to choose from"
        )
    manifest, name = _noisy_test_set(arguments, shards)
    evaluate_enhancement(
        arguments.model,
        manifest,
        arguments.out,
        metrics=arguments.metrics or SIGNAL_METRICS,
        recogniser=arguments.recogniser or RECOGNISER,
        language=arguments.language,
        backend=arguments.backend,
        batch_size=arguments.batch_size,
        test_set=arguments.test_set or name,
        observations=arguments.observations or (0.0,),
        validation=arguments.validation,
        run_opts=_run_options(arguments),
        shards=shards,
        load=_loader(arguments),
    )


def _noisy_test_set(arguments, shards):
    """Find the manifest of noisy speech, or mix it; and name the test set."""
    from speechbrain_ext.corpora.mixing import mix_test_set
    from speechbrain_ext.corpora.prepare import prepare_test_set

    if arguments.rates is not None:
        raise UserError(
            "--rates: expected none, as noisy recordings have their own SNRs"
        )
    manifest, name, _ = shards.once(
        prepare_test_set, arguments.data, arguments.out
    )
    if arguments.noise:
        manifest = shards.once(
            mix_test_set,
            manifest,
            arguments.noise,
            arguments.snrs,
            Path(arguments.out) / "speech",
            arguments.seeds[0],
        )
    return manifest, name


def _evaluate_fusion(arguments, shards):
    from speechbrain_ext.evaluation.fusion import METRICS, evaluate_fusion

    manifest, name = _noisy_test_set(arguments, shards)
    evaluate_fusion(
        arguments.model,
        manifest,
        arguments.out,
        metrics=arguments.metrics or METRICS,
        batch_size=arguments.batch_size,
        test_set=arguments.test_set or name,
        run_opts=_run_options(arguments),
        shards=shards,
        load=_loader(arguments),
    )


def _evaluate_packet_loss(arguments, shards):
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
    manifest, name, traces = shards.once(
        prepare_test_set, arguments.data, arguments.out, arguments.language
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
        shards=shards,
        load=_loader(arguments),
    )


def _publish(arguments):
    from speechbrain_ext.publishing.folder import Publication
    from speechbrain_ext.publishing.hub import publish

    files, place = publish(
        arguments.results,
        Publication(
            arguments.repo,
            arguments.license,
            arguments.language,
            arguments.datasets,
            arguments.system,
            arguments.example,
        ),
        arguments.out,
        arguments.push,
        arguments.private,
    )
    width = max(len(name) for name, _ in files)
    for name, size in files:
        print(f"{name:{width}}  {size:>12,} bytes")
    done = "pushed in one commit" if arguments.push else "not pushed"
    total = sum(size for _, size in files)
    print(f"{arguments.repo}: {len(files)} files, {total:,} bytes, {done}")
    print(place)


_RUN = {
    "transcribe": _transcribe,
    "enhance": _enhance,
    "inpaint": _inpaint,
    "corrupt": _corrupt,
    "evaluate": _evaluate,
    "publish": _publish,
}

if __name__ == "__main__":
    sys.exit(main())
