#!/usr/bin/env python3
"""Train and evaluate every system of the packet-loss paper, on a small scale."""

import argparse
import importlib.util
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from steps import ROOT, Runner, Step, add_sizes, shorten, training_step

from speechbrain_ext.corpora.manifest import read_manifest
from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.evaluation import dissen2024 as paper
from speechbrain_ext.files import write_text
from speechbrain_ext.frontends.concealment import (
    LinearPrediction,
    MelInterpolation,
    RepeatPacket,
)
from speechbrain_ext.inference.export import export_untrained, transplant

HELP = """\
Trains the systems of Dissen et al. (Interspeech 2024) on the mini corpus with
an equal number of updates, evaluates them on the same damaged speech and
writes, into the output folder:

  figure2.png, figure3.png   WER against loss rate, small and larger Whisper
  tables.md                  Tables 1 to 3, the paper's numbers in brackets
  claims.md                  each claim of the paper: held, not held, undecided

What is finished is kept: run it again and it goes on. The small Whisper is
tiny.en, the larger one multilingual base; nothing is downloaded but them, and
not even they where the wheels that carry them are installed.
"""
EPILOG = """\
examples:
  python tools/reproduce_packet_loss.py --quick
  python tools/reproduce_packet_loss.py --other-english LJSpeech-1.1 \\
      --prompts prompts

--prompts: a folder with a manifest for each language, es/test.csv, fr/test.csv
and so on, as speechbrain_ext.corpora.asterisk_languages writes them.
"""


@dataclass(frozen=True)
class Size:
    """How much of everything; core-minutes are the sum of the estimates."""

    name: str
    train_minutes: float
    epochs: int
    batch_seconds: float
    valid: int
    english_small: int
    english_large: int
    other: int
    rates: tuple
    language_rates: tuple


SIZES = {
    size.name: size
    for size in (
        Size(
            "full",
            train_minutes=36,
            epochs=8,
            batch_seconds=32,
            valid=8,
            english_small=60,
            english_large=40,
            other=30,
            rates=(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
            language_rates=(0.0, 0.2, 0.4),
        ),
        Size(
            "quick",
            train_minutes=10,
            epochs=2,
            batch_seconds=16,
            valid=4,
            english_small=12,
            english_large=10,
            other=6,
            rates=(0.0, 0.2, 0.4),
            language_rates=(0.0, 0.2, 0.4),
        ),
        Size(
            "debug",
            train_minutes=0.2,
            epochs=2,
            batch_seconds=4,
            valid=1,
            english_small=2,
            english_large=2,
            other=1,
            rates=(0.0, 0.4),
            language_rates=(0.0, 0.4),
        ),
    )
}

SMALL_WHISPER = "openai/whisper-tiny.en"
LARGE_WHISPER = "openai/whisper-base"


@dataclass(frozen=True)
class Training:
    """A system that is trained: a YAML file and what is overridden in it."""

    folder: str
    hparams: str
    overrides: tuple
    #: CPU seconds of training for a second of speech, roughly, in bfloat16.
    cost: float
    #: Whether it may compute in bfloat16 where the processor does.
    reduced: bool = True


_BASE = (("whisper_source", LARGE_WHISPER), ("language", "en"))
#: The longest first, so that no core is left alone at the end.
TRAININGS = (
    Training("large/fine-tuned", "finetune_whisper.yaml", _BASE, 0.08),
    Training("large/CE+L1", "mini.yaml", _BASE, 0.04),
    Training("small/CE+L1", "mini.yaml", (), 0.025),
    Training(
        "small/CE", "mini.yaml", (("l1_weight", 0), ("ce_weight", 1)), 0.025
    ),
    Training(
        "small/L1", "mini.yaml", (("l1_weight", 1), ("ce_weight", 0)), 0.02
    ),
    Training("small/concealer", "recurrent_concealer.yaml", (), 0.05, False),
)

#: Front-ends that learn nothing, by name.
CLASSICAL = {
    "repeat": RepeatPacket,
    "LPC": LinearPrediction,
    "interpolate": MelInterpolation,
}

#: Systems of the larger Whisper that are a smaller one's front-end.
TRANSPLANTS = {
    paper.BTA_CE: "small/CE",
    paper.BTA: "small/CE+L1",
    paper.CONCEALER: "small/concealer",
}

SMALL_SYSTEMS = {
    paper.OURS: "small/CE+L1",
    paper.CE: "small/CE",
    paper.L1: "small/L1",
    paper.CONCEALER: "small/concealer",
    **{name: f"small/{name}" for name in CLASSICAL},
}
LARGE_SYSTEMS = {
    paper.OURS: "large/CE+L1",
    paper.BTA: f"large/{paper.BTA}",
    paper.BTA_CE: f"large/{paper.BTA_CE}",
    paper.CONCEALER: f"large/{paper.CONCEALER}",
    paper.FINE_TUNED: "large/fine-tuned",
}
OWN = {paper.OURS: LARGE_SYSTEMS[paper.OURS]}
OWN_AND_FINE_TUNED = {
    **OWN,
    paper.FINE_TUNED: LARGE_SYSTEMS[paper.FINE_TUNED],
}


# Greedy search: dozens of conditions are decoded.
_BEAM_SIZE = 1

# CPU seconds to decode an utterance.
_DECODING = {True: 1.4, False: 0.5}


class Reproduction:
    """What one size of the run consists of, in its folder."""

    def __init__(self, size, folder, backend, other_english, prompts):
        self.size = size
        self.folder = Path(folder).absolute()
        self.backend = backend
        self.other_english = other_english
        self.prompts = prompts

    def model(self, name):
        """Path : A system's model folder."""
        return self.folder / "systems" / name / "model"

    def prepare(self):
        """Make all speech; return what is evaluated on what."""
        from speechbrain_ext.corpora.prepare import prepare_corpus
        from speechbrain_ext.corpora.telephone import prepare_telephone

        size, data = self.size, self.folder / "data"
        manifests = prepare_corpus(
            "", data / "english", train_minutes=size.train_minutes
        )
        self.train_csv = manifests["train"]
        self.valid_csv = self._first(manifests["valid"], size.valid, "valid")
        small = self._first(manifests["test"], size.english_small, "english")
        large = self._first(manifests["test"], size.english_large, "english-l")
        other = self.other_english or prepare_telephone(data / "telephone")
        test_sets = {
            paper.SMALL: (small, SMALL_SYSTEMS, size.rates, None),
            paper.LARGE: (large, LARGE_SYSTEMS, size.rates, "en"),
            paper.TRACES_SMALL: (
                self._recorded(small, "traces-small"),
                SMALL_SYSTEMS,
                (),
                None,
            ),
            paper.TRACES_LARGE: (
                self._recorded(large, "traces-large"),
                LARGE_SYSTEMS,
                (),
                "en",
            ),
            paper.OTHER_ENGLISH: (
                self._first(other, size.other, "english-other"),
                OWN_AND_FINE_TUNED,
                paper.TABLE_3_RATES,
                "en",
            ),
        }
        for name, manifest in self._languages(data).items():
            code = name.removeprefix("prompts-")
            systems = OWN_AND_FINE_TUNED if code == "es" else OWN
            manifest = self._first(manifest, size.other, name)
            test_sets[name] = manifest, systems, size.language_rates, code
        return test_sets

    def _languages(self, data):
        """Manifests of languages that are not trained on, by name."""
        from speechbrain_ext.corpora.mini import prepare_mini

        found = {}
        for code in paper.LANGUAGES:
            found[code] = prepare_mini(
                data / code,
                language=code,
                train_minutes=0.1,
                valid_utterances=1,
                test_utterances=self.size.other,
            )["test"]
        if self.prompts:
            prompts = sorted(Path(self.prompts).glob("??/test.csv"))
            if not prompts:
                raise UserError(
                    f"{self.prompts}: no manifest named for a language; "
                    "expected es/test.csv or the like"
                )
            found |= {f"prompts-{path.parent.name}": path for path in prompts}
        return found

    def _first(self, data, n, name):
        """A manifest of a test set's first utterances."""
        from speechbrain_ext.corpora.prepare import prepare_test_set

        manifest = prepare_test_set(data, self.folder / "data" / name)[0]
        file = self.folder / "data" / f"{name}-{n}.csv"
        shorten(manifest, n, file)
        return file

    def _recorded(self, manifest, name):
        """A test set with losses of its own, in the PLC challenge's layout."""
        import torch

        from speechbrain_ext.audio import load_audio, save_audio
        from speechbrain_ext.corruption.loss_models import GilbertElliottLoss
        from speechbrain_ext.corruption.lost_packets import write_lost_packets
        from speechbrain_ext.corruption.packet_loss import WaveformPacketLoss

        rates = [0.1, 0.2, 0.3, 0.4, 0.5]
        damage = WaveformPacketLoss(
            GilbertElliottLoss(mean_burst=4.0, rates=rates, rate_weights=rates),
            seed=2022,
        )
        folder = self.folder / "data" / name / "blind"
        texts = []
        for row in read_manifest(manifest):
            wav = load_audio(row["wav"])[None]
            lossy, lost = damage(wav, torch.ones(1), [row["ID"]], epoch=0)
            save_audio(folder / "lossy_signals" / f"{row['ID']}.wav", lossy[0])
            trace = folder / "lossy_signals" / f"{row['ID']}_is_lost.txt"
            write_lost_packets(trace, lost[0])
            texts.append(f"{row['ID']}.wav\t{row['wrd']}\n")
        write_text(folder / "transcripts.txt", "".join(texts))
        return folder

    def trainings(self):
        """Steps that train a system each, with an equal number of updates."""
        size = self.size
        seconds = size.train_minutes * 60 * size.epochs
        validation = size.epochs * size.valid * _DECODING[True]
        # Training needs no test set.
        manifests = {
            "train": self.train_csv,
            "valid": self.valid_csv,
            "test": self.valid_csv,
        }
        common = {
            "number_of_epochs": size.epochs,
            "batch_seconds": size.batch_seconds,
            "beam_size": _BEAM_SIZE,
        }
        return [
            training_step(
                f"training {training.folder}",
                training.hparams,
                self.folder / "systems" / training.folder,
                manifests,
                {**common, **dict(training.overrides)},
                30 + validation + seconds * training.cost,
                training.reduced,
            )
            for training in TRAININGS
        ]

    def assemble(self):
        """Make the systems that are not trained."""
        for name, front_end in CLASSICAL.items():
            folder = self.model(f"small/{name}")
            export_untrained(front_end, SMALL_WHISPER, None, folder, _BEAM_SIZE)
        for name, source in TRANSPLANTS.items():
            transplant(
                self.model(source),
                LARGE_WHISPER,
                self.model(f"large/{name}"),
                language="en",
            )

    def evaluations(self, test_sets):
        """Steps that evaluate all systems of a test set each."""
        steps = []
        for name, (data, systems, rates, language) in test_sets.items():
            folder = self.folder / "evaluations" / name
            rates = [rate for rate in rates if rate in self.size.rates]
            command = [
                *(sys.executable, "-m", "speechbrain_ext.cli", "evaluate"),
                # They were trained here, on whatever Whisper there is.
                "--trust-model",
                *("--data", str(data), "--out", str(folder)),
                *("--test-set", name, "--backend", self.backend),
                "--model",
                *(
                    f"{key}={self.model(value)}"
                    for key, value in systems.items()
                ),
            ]
            if rates:
                command += ["--rates", *map(str, rates)]
            if language:
                command += ["--language", language]
            n = len(read_manifest(data)) if data.is_file() else self.size.other
            large = language is not None
            conditions = (1 + len(systems)) * max(1, len(rates))
            seconds = 30 + _DECODING[large] * n * conditions
            steps.append(
                Step(
                    f"evaluating {name}",
                    tuple(command),
                    folder,
                    seconds,
                    inputs=(data, *map(self.model, systems.values())),
                )
            )
        return sorted(steps, key=lambda step: -step.estimate)


def main():
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=HELP,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_sizes(
        parser,
        "eleven minutes on two cores: intervals too wide for most claims. The "
        "full size takes an hour and a half",
    )
    parser.add_argument("--out", type=Path, help="default: results/...")
    parser.add_argument(
        "--other-english",
        type=Path,
        metavar="PATH",
        help="English of another domain: a manifest, or a test set's folder; "
        "default: made-up telephone calls",
    )
    parser.add_argument(
        "--prompts", type=Path, metavar="DIR", help="real speech, see below"
    )
    parser.add_argument(
        "--backend", choices=["torch", "ctranslate2"], help="decodes the texts"
    )
    parser.add_argument(
        "--workers", type=int, default=min(2, os.cpu_count() or 1), metavar="N"
    )
    arguments = parser.parse_args()
    size = SIZES[arguments.size or "full"]
    found = importlib.util.find_spec("ctranslate2")
    run = Reproduction(
        size,
        arguments.out or ROOT / "results" / "reproduce_packet_loss" / size.name,
        arguments.backend or ("ctranslate2" if found else "torch"),
        arguments.other_english,
        arguments.prompts,
    )
    # Ends what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with exit_on_user_error():
        test_sets = run.prepare()
        runner = Runner(arguments.workers)
        trainings, evaluations = run.trainings(), run.evaluations(test_sets)
        runner.announce(trainings + evaluations)
        runner.run("Training", trainings)
        run.assemble()
        runner.run("Evaluation", evaluations)
        folders = {
            name: run.folder / "evaluations" / name for name in test_sets
        }
        for file in paper.write_reproduction(run.folder, folders, _note(run)):
            print(file)


def _note(run):
    size = run.size
    other = run.other_english or "made-up calls over a telephone line"
    prompts = (
        " Evaluations named prompts- are real telephone prompts."
        if run.prompts
        else ""
    )
    return (
        f"Size *{size.name}*: {size.train_minutes:g} minutes of synthetic "
        f"English (the mini corpus), {size.epochs} epochs in batches of "
        f"{size.batch_seconds:g} s, the same updates for each; CE + L1 weighs both alike, where "
        "the paper has 0.1 and 0.9. Stand-ins: tiny.en for the "
        "paper's base and multilingual base for its large-v2 (in Tables 2 and 3 "
        "base is base); the mini corpus' unseen voices and sentences for "
        f"ALLSSTAR; losses drawn once for the PLC challenge's; {other} for "
        "English of another domain; the mini corpus' French, German, Spanish "
        "and Italian for FLEURS; a recurrent concealer of our own for tPLCnet. "
        "Damage: 20 ms packets, Gilbert-Elliott bursts. Decoding: beam "
        f"{_BEAM_SIZE}, {run.backend}.{prompts}\n"
    )


if __name__ == "__main__":
    main()
