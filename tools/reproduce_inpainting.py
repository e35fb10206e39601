#!/usr/bin/env python3
"""Train and evaluate the speech-inpainting paper's systems, on a small scale."""

import argparse
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from steps import (
    INPAINTING,
    ROOT,
    Runner,
    Step,
    add_sizes,
    make_parser,
    shorten,
    training_step,
)

from speechbrain_ext.backends.image_vgg import (
    SETTINGS,
    WEIGHTS,
    convert_image_vgg,
    find_image_vgg,
)
from speechbrain_ext.corpora.segments import SEGMENT_SECONDS
from speechbrain_ext.corruption.masks import KINDS
from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.evaluation import kegler2019 as paper

HELP = """\
Trains speechVGG and the inpainting models of Kegler et al. on the mini corpus,
each with an equal number of updates, evaluates them under the same masks beside
gaps, noise and linear prediction and writes, into the output folder's subfolder
of the size's name:

  tables.md   Tables 2 and 3, the paper's numbers in brackets
  claims.md   each claim of the paper: held, not held, undecided

What is finished is kept: run it again and it goes on. Nothing is downloaded:
imgVGG, the model of image features, is trained where torchvision's weights of
VGG-16 are on this machine.
"""
EPILOG = """\
examples:
  python tools/reproduce_inpainting.py --quick
  python tools/reproduce_inpainting.py --image-vgg vgg16-397923af.pth
"""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    name: str
    train_minutes: float
    #: Of speechVGG, and of the inpainting models.
    epochs: tuple
    #: Classes of speechVGG.
    n_words: int
    #: Segments that a training validates on, and that are evaluated.
    validation: int
    test: int


SIZES = {
    size.name: size
    for size in (
        Size(
            "full",
            train_minutes=36,
            epochs=(5, 10),
            n_words=100,
            validation=32,
            test=120,
        ),
        Size(
            "quick",
            train_minutes=2,
            epochs=(4, 6),
            n_words=20,
            validation=8,
            test=24,
        ),
        Size(
            "debug",
            train_minutes=0.2,
            epochs=(1, 1),
            n_words=4,
            validation=2,
            test=2,
        ),
    )
}

SPEECH_VGG = "speech-vgg"


@dataclass(frozen=True)
class Training:
    """An inpainting model: its name in the paper, and what is overridden."""

    name: str
    overrides: dict = field(default_factory=dict)


TRAININGS = (
    Training(paper.SPEECH),
    Training(paper.PIXEL, {"l1_weight": 1, "deep_weight": 0}),
    Training(paper.BLIND_GAPS, {"informed": False, "filling": "gaps"}),
    Training(paper.BLIND_NOISE, {"informed": False, "filling": "noise"}),
    Training(paper.ADDITIVE, {"informed": False, "filling": "additive"}),
)
IMAGE = Training(
    paper.IMAGE,
    {
        "n_words": SETTINGS["n_words"],
        "channels": SETTINGS["channels"],
        "dense": SETTINGS["dense"],
        "batch_norm": SETTINGS["batch_norm"],
    },
)

# CPU seconds, roughly: of training for a segment, with speechVGG and with a
# VGG-16 of full width; of a word; of a model and of all references in a cell of
# the tables, a segment.
_TRAINING, _IMAGE_TRAINING, _WORD = 0.05, 0.5, 0.02
_MODEL, _REFERENCES = 0.15, 0.2


class Reproduction:
    """What one size of the run consists of, in its folder."""

    def __init__(self, size, out, image_vgg=None):
        self.size = size
        self.out = Path(out).absolute()
        self.folder = self.out / size.name
        self.data = self.folder / "data"
        self.image_vgg = image_vgg

    @property
    def not_run(self):
        """str : Why there is no imgVGG; empty where there is one."""
        if self.image_vgg:
            return ""
        return (
            f"VGG-16's weights of ImageNet are missing: torchvision's {WEIGHTS}, "
            "named with --image-vgg or in torch's hub folder (checkpoints)"
        )

    @property
    def models(self):
        """tuple : The trainings that can be run."""
        return (*TRAININGS, IMAGE) if self.image_vgg else TRAININGS

    def system(self, name):
        """Path : A training's folder."""
        return self.folder / "models" / name

    def manifest(self, name):
        """Path : A manifest of the mini corpus's segments."""
        return self.data / f"{name}.csv"

    def prepare(self):
        """Cut the mini corpus into segments, and convert imgVGG's weights."""
        from speechbrain_ext.corpora.segments import prepare_segments

        prepare_segments("", self.data, train_minutes=self.size.train_minutes)
        shorten(self.manifest("valid"), self.size.validation)
        shorten(self.manifest("test"), self.size.test)
        if self.image_vgg:
            convert_image_vgg(self.image_vgg, self.extractor(paper.IMAGE))

    def extractor(self, name):
        """Path : The folder of what a model's deep features come from."""
        if name == paper.IMAGE:
            return self.folder / "image-vgg"
        return self.system(SPEECH_VGG) / "model"

    def speech_vgg(self):
        """Step : Trains speechVGG."""
        size = self.size
        words = 60 * size.train_minutes / 0.4
        return training_step(
            "training speechVGG",
            "mini_speech_vgg.yaml",
            self.system(SPEECH_VGG),
            {},
            {
                "number_of_epochs": size.epochs[0],
                "n_words": size.n_words,
                "train_minutes": size.train_minutes,
                # Words are not segments: it makes its own manifests.
                "skip_prep": False,
            },
            30 + words * size.epochs[0] * _WORD,
            recipe=INPAINTING,
        )

    def trainings(self):
        """Steps that train a model each, with an equal number of updates."""
        return [self._training(training) for training in self.models]

    def _training(self, training):
        size = self.size
        manifests = {
            "train": self.manifest("train"),
            "valid": self.manifest("valid"),
            # What is made here is evaluated afterwards.
            "test": self.manifest("valid"),
        }
        extractor = self.extractor(training.name)
        # speechVGG was trained on features of these very statistics.
        statistics = self.system(SPEECH_VGG) / "features.safetensors"
        settings = {
            "number_of_epochs": size.epochs[1],
            "n_words": size.n_words,
            "speech_vgg_folder": extractor,
            "statistics": statistics,
            # The paper's, where the mini recipe has its own.
            "keep_observed": False,
            "l1_weight": 0,
        }
        cost = _IMAGE_TRAINING if training is IMAGE else _TRAINING
        segments = 60 * size.train_minutes / SEGMENT_SECONDS
        return training_step(
            f"training {training.name}",
            "mini.yaml",
            self.system(training.name),
            manifests,
            {**settings, **training.overrides},
            30 + segments * size.epochs[1] * cost,
            recipe=INPAINTING,
            inputs=(extractor, statistics),
        )

    def evaluations(self):
        """Steps that evaluate all models under one kind of masks each."""
        folders = [
            self.system(training.name) / "model" for training in self.models
        ]
        cost = len(folders) * _MODEL + _REFERENCES
        steps = []
        for kind in KINDS:
            command = [
                *(sys.executable, str(Path(__file__).resolve())),
                *("--out", str(self.out), "--evaluate", kind),
            ]
            if self.image_vgg:
                command += ["--image-vgg", str(self.image_vgg)]
            if self.size.name != "full":
                command.append(f"--{self.size.name}")
            steps.append(
                Step(
                    f"evaluating {kind}",
                    tuple(command),
                    self.evaluation(kind),
                    20 + self.size.test * len(paper.SIZES) * cost,
                    inputs=(self.manifest("test"), *folders),
                )
            )
        return steps

    def evaluation(self, kind):
        """Path : An evaluation's folder."""
        return self.folder / "evaluations" / kind

    def evaluate(self, kind):
        """Evaluate one kind of masks, in this process."""
        from speechbrain_ext.evaluation.inpainting import evaluate_inpainting

        evaluate_inpainting(
            [
                f"{training.name}={self.system(training.name) / 'model'}"
                for training in self.models
            ],
            self.manifest("test"),
            self.evaluation(kind),
            kinds=(kind,),
            sizes=paper.SIZES,
            metrics=("stoi", "pesq", "pesq_raw"),
            # Steps run side by side, a core each.
            n_workers=1,
            # It is the same under all masks.
            ceiling=kind == KINDS[0],
        )


def main():
    """Parse the command line and run."""
    parser = make_parser(
        HELP, EPILOG, ROOT / "results" / "reproduce_inpainting"
    )
    add_sizes(parser, "less of everything: intervals too wide for most claims")
    parser.add_argument(
        "--image-vgg",
        type=Path,
        metavar="FILE",
        help=f"torchvision's {WEIGHTS} (default: torch's hub folder's)",
    )
    parser.add_argument("--evaluate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    image_vgg = arguments.image_vgg or find_image_vgg()
    run = Reproduction(
        SIZES[arguments.size or "full"],
        arguments.out,
        image_vgg and image_vgg.absolute(),
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
    from speechbrain_ext.evaluation.inpainting_report import (
        write_inpainting_reproduction,
    )

    run.prepare()
    stages = {
        "speechVGG": [run.speech_vgg()],
        "inpainting models": run.trainings(),
        "evaluation": run.evaluations(),
    }
    runner.announce([step for steps in stages.values() for step in steps])
    for title, steps in stages.items():
        runner.run(title, steps)
    for file in write_inpainting_reproduction(
        run.folder,
        [run.evaluation(kind) for kind in KINDS],
        _note(run),
        run.not_run,
    ):
        print(file)


def _note(run):
    size = run.size
    epochs = " and ".join(map(str, size.epochs))
    return (
        f"Size *{size.name}*: {size.train_minutes:g} minutes of synthetic "
        f"English (the mini corpus), {epochs} epochs of speechVGG and of each "
        "inpainting model, the same updates for each of these; one training "
        f"each. Evaluated on {size.test} segments at most, from texts that "
        "were not trained on. Stand-ins: the mini corpus for LibriSpeech; a "
        f"speechVGG of a quarter of the paper's widths that knows {size.n_words} "
        "words, spoken one at a time. Models differ in their loss, or in "
        "being blind and in what stands under their masks.\n"
    )


if __name__ == "__main__":
    main()
