"""How fast the recogniser decodes in CTranslate2, and whether its texts stay.

Compares the same model, front-end and beam search run by SpeechBrain's own
searcher, by this library's torch path and by CTranslate2, on several files in
one call; and, on one file of 10 s, with faster-whisper, which has the same
Whisper and no front-end."""

import argparse
import tempfile
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import jiwer
import torch
from faster_whisper import WhisperModel
from speechbrain.decoders.seq2seq import S2SWhisperBeamSearcher
from timing import median_times

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.backends import whisper as torch_whisper
from speechbrain_ext.backends.weights import resolve
from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.corpora.mini import prepare_mini
from speechbrain_ext.corpora.prepare import prepare_test_set
from speechbrain_ext.corruption.lost_packets import lost_samples
from speechbrain_ext.corruption.packet_loss import (
    GilbertElliottLoss,
    WaveformPacketLoss,
)
from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.files import cache_folder
from speechbrain_ext.inference import PacketLossASR
from speechbrain_ext.metrics.wer import TextNormaliser

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "pretrained" / "plc-whisper-tiny.en"
COMPUTE_TYPES = ("float32", "int8")

_EPILOG = """\
All have the same threads, and beam 5 unless --beam says otherwise. They take
turns, so that a busy machine is busy for all of them, and the median of the
rounds counts. faster-whisper runs without timestamps, voice activity detection
and temperature fallback, as the others do; a time on one file includes reading
it. "equal" is the share of words that stand in the torch path's texts as well,
of all words that either has. Without --data, the speech is the mini corpus's
test split, which is synthesised once.

examples:
  python tools/bench/decode.py
  python tools/bench/decode.py --data /data/LJSpeech-1.1 --loss 0.4
  python tools/bench/decode.py --files 64 --threads 4 --rounds 1

The last line reads: files a second, TYPE/SpeechBrain RATIO one file, \
ctranslate2/faster-whisper RATIO words equal SHARE
(all three in --compute-type)
"""


def load_speech(arguments):
    """Read the files: rows of a manifest, signals, masks of lost samples."""
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            manifest = prepare_mini(
                cache_folder() / "bench-mini",
                train_minutes=0.3,
                valid_utterances=4,
            )["test"]
        else:
            manifest, _, _ = prepare_test_set(
                arguments.data, folder, arguments.language
            )
        rows = read_manifest(manifest)[: arguments.files]
    if len(rows) < arguments.files:
        raise UserError(
            f"{manifest}: has {len(rows)} utterances; expected at least "
            f"{arguments.files}, or --files {len(rows)}"
        )
    damage = WaveformPacketLoss(GilbertElliottLoss(), seed=0)
    signals, lost = [], []
    for row in rows:
        signal = load_audio(row["wav"])
        damaged, packets = damage(
            signal[None],
            torch.ones(1),
            [row["ID"]],
            epoch=0,
            rate=arguments.loss,
        )
        signals.append(damaged[0])
        lost.append(
            lost_samples(packets, damage.packet_samples, len(signal))[0]
        )
    return rows, signals, lost


def write_one_file(path, signals, seconds=10):
    """Join signals until they are long enough."""
    repeats = -(-seconds * SAMPLE_RATE // sum(map(len, signals)))
    joined = torch.cat(signals * repeats)
    save_audio(path, joined[: seconds * SAMPLE_RATE])


@contextmanager
def speechbrains_searcher():
    """Search with SpeechBrain's class, as it is."""
    with mock.patch.object(
        torch_whisper, "_BeamSearcher", S2SWhisperBeamSearcher
    ):
        yield


def load_faster_whisper(back_end, folder, compute_type, threads):
    """Load the same converted weights, with the files that it wants beside."""
    source = resolve(back_end.source)
    folder.mkdir()
    for file in (
        *back_end.folder.iterdir(),
        source / "tokenizer.json",
        source / "preprocessor_config.json",
    ):
        (folder / file.name).symlink_to(file.resolve())
    return WhisperModel(
        str(folder),
        device="cpu",
        compute_type=compute_type,
        cpu_threads=threads,
        num_workers=1,
    )


def load_systems(arguments):
    """Load the model in torch and in CTranslate2, by name."""
    systems = {"torch": PacketLossASR.from_hparams(arguments.model)}
    for compute_type in COMPUTE_TYPES:
        systems[compute_type] = PacketLossASR.from_hparams(
            arguments.model, backend="ctranslate2", compute_type=compute_type
        )
    for asr in systems.values():
        asr.mods.back_end.beam_size = arguments.beam
        if arguments.language is not None:
            asr.language = arguments.language
    return systems


def time_one_file(systems, path, arguments):
    """Seconds of each system on one file."""

    def by_faster_whisper(model):
        """Decode with faster-whisper."""
        segments, _ = model.transcribe(
            str(path),
            language=systems["torch"].language or "en",
            beam_size=arguments.beam,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return " ".join(segment.text for segment in segments)

    def by(asr):
        """Decode with one of our backends."""
        return lambda: asr.transcribe_file(path)

    functions = {"torch": by(systems["torch"])}
    for compute_type in COMPUTE_TYPES:
        functions[f"ctranslate2 {compute_type}"] = by(systems[compute_type])
        model = load_faster_whisper(
            systems[compute_type].mods.back_end,
            path.parent / compute_type,
            compute_type,
            arguments.threads,
        )
        functions[f"faster-whisper {compute_type}"] = lambda model=model: (
            by_faster_whisper(model)
        )
    return median_times(functions, arguments.rounds)


def time_files(systems, signals, lost, arguments):
    """Seconds of each system on all files in one call, and their texts."""
    texts = {}

    def by(name, asr):
        """Decode all files with one of our backends."""

        def run():
            """Keep the texts."""
            texts[name] = asr.transcribe_signals(
                signals, lost, batch_size=arguments.batch_size
            )

        return run

    def by_speechbrain():
        """Decode with SpeechBrain's searcher."""
        with speechbrains_searcher():
            by("SpeechBrain", systems["torch"])()

    functions = {"SpeechBrain": by_speechbrain}
    functions["torch"] = by("torch", systems["torch"])
    for compute_type in COMPUTE_TYPES:
        name = f"ctranslate2 {compute_type}"
        functions[name] = by(name, systems[compute_type])
    return median_times(functions, arguments.rounds), texts


def equal_words(expected, found):
    """Share of words that both have, of those that either has."""
    pairs = [pair for pair in zip(expected, found) if pair[0]]
    output = jiwer.process_words(*map(list, zip(*pairs)))
    inserted = sum(
        len(other.split()) for one, other in zip(expected, found) if not one
    )
    wrong = output.substitutions + output.deletions + output.insertions
    return output.hits / (output.hits + wrong + inserted)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, kind, default, metavar, meaning in (
        ("threads", int, torch.get_num_threads(), "N", "of all systems"),
        ("rounds", int, 3, "N", "timed runs of each, after one to warm up"),
        ("files", int, 32, "N", "how many files in one call"),
        ("batch-size", int, 16, "N", "windows of at most 30 s at once"),
        ("beam", int, 5, "N", "beam size"),
        ("loss", float, 0.0, "RATE", "share of packets that the files lose"),
        ("model", str, SHIPPED, "SOURCE", "a model's folder or hub id"),
    ):
        parser.add_argument(
            f"--{name}",
            type=kind,
            default=default,
            metavar=metavar,
            help=f"{meaning} (default: %(default)s)",
        )
    parser.add_argument(
        "--data", metavar="PATH", help="a manifest, or a test set's folder"
    )
    parser.add_argument(
        "--language", metavar="CODE", help="what is spoken there"
    )
    parser.add_argument(
        "--compute-type",
        choices=COMPUTE_TYPES,
        default="float32",
        help="of the ratios in the last line (default: %(default)s)",
    )
    arguments = parser.parse_args()
    with exit_on_user_error():
        measure(arguments)


def measure(arguments):
    """Time all and print two tables and the ratios."""
    torch.set_num_threads(arguments.threads)
    rows, signals, lost = load_speech(arguments)
    systems = load_systems(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        write_one_file(path, signals)
        alone = time_one_file(systems, path, arguments)
    own = f"ctranslate2 {arguments.compute_type}"
    theirs = alone[f"faster-whisper {arguments.compute_type}"]
    print(
        f"one file of 10 s, beam {arguments.beam}, {arguments.threads} threads"
    )
    print(f"{'':24} {'s':>8} {'/faster-whisper':>16}")
    for name, seconds in alone.items():
        print(f"{name:24} {seconds:8.3f} {seconds / theirs:16.2f}")
    times, texts = time_files(systems, signals, lost, arguments)
    normalise = TextNormaliser(systems["torch"].language)
    references = [normalise(row["wrd"]) for row in rows]
    words = {
        name: [normalise(text) for text in own_texts]
        for name, own_texts in texts.items()
    }
    print(f"{len(rows)} files in one call, {arguments.loss:.0%} lost")
    print(
        f"{'':24} {'files/s':>8} {'/SpeechBrain':>13} {'WER':>8} {'equal':>7}"
    )
    equal = {name: equal_words(words["torch"], words[name]) for name in times}
    for name, seconds in times.items():
        print(
            f"{name:24} {len(rows) / seconds:8.2f} "
            f"{times['SpeechBrain'] / seconds:13.2f} "
            f"{jiwer.wer(references, words[name]):8.2%} {equal[name]:7.1%}"
        )
    print(
        f"files a second, {arguments.compute_type}/SpeechBrain "
        f"{times['SpeechBrain'] / times[own]:.2f} "
        f"one file, ctranslate2/faster-whisper {alone[own] / theirs:.2f} "
        f"words equal {equal[own]:.3f}"
    )


if __name__ == "__main__":
    main()
