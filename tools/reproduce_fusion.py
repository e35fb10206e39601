#!/usr/bin/env python3
"""Train and evaluate the spectrogram-fusion paper's systems, on a small scale."""

import argparse
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from steps import (
    FUSION,
    ROOT,
    Runner,
    Step,
    add_sizes,
    make_parser,
    training_step,
)

from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.evaluation import shi2021 as paper

HELP = """\
Trains the systems of Shi et al. (2021) on the mini corpus in noise, from the
shipped recogniser of clean speech: the enhancement module, the fusion module, then
mapping, masking and their fusion jointly with the recogniser, each with an equal
number of updates, as has a recogniser that is trained on noisy speech. Evaluates
all of them in noise of other kinds and writes, into the output folder's subfolder
of the size's name:

  tables.md     Tables I to III, the paper's numbers in brackets
  figure_2.png  spectrograms of one utterance
  cer_*.png     character error rates by SNR
  claims.md     each claim of the paper: held, not held, undecided
  results.json  every number

What is finished is kept: run it again and it goes on.
"""
EPILOG = """\
examples:
  python tools/reproduce_fusion.py --quick
  python tools/reproduce_fusion.py --recogniser results/asr/model --workers 1
"""

#: The recogniser that all begin with.
RECOGNISER = ROOT / "pretrained" / "fusion-asr-mini"
#: Manifests by test set.
MANIFESTS = {paper.TEST_1: "test_1", paper.TEST_2: "test_2"}
#: The stages that come before joint training.
ENHANCEMENT, SEPARATE = "enhancement", "fusion"
FIGURE = "figure_2.png"
_JOINT_FILES = {
    paper.MAPPING: "mini_joint_mapping.yaml",
    paper.MASKING: "mini_joint_masking.yaml",
    paper.FUSION: "mini_joint_fusion.yaml",
}


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    name: str
    train_minutes: float
    noise_minutes: float
    #: Of enhancement, of fusion, of each joint training.
    epochs: tuple
    #: Front-ends that are trained with beta 0.5 as well.
    weighted: tuple
    #: Utterances to validate on; in each test set, and of them, those whose
    #: sound is scored.
    valid: int
    test: int
    scored: int


SIZES = {
    size.name: size
    for size in (
        Size(
            "full",
            train_minutes=36,
            noise_minutes=5,
            epochs=(10, 3, 5),
            weighted=paper.FRONT_ENDS,
            valid=40,
            test=100,
            scored=20,
        ),
        Size(
            "quick",
            train_minutes=12,
            noise_minutes=2,
            epochs=(6, 2, 3),
            weighted=(paper.FUSION,),
            valid=20,
            test=40,
            scored=8,
        ),
        Size(
            "debug",
            train_minutes=0.3,
            noise_minutes=0.2,
            epochs=(1, 1, 1),
            weighted=(paper.FUSION,),
            valid=2,
            test=2,
            scored=1,
        ),
    )
}

# CPU seconds, roughly: of training, for a second of speech; to read an utterance,
# to score how it sounds.
_ENHANCING, _FUSING, _JOINT = 0.03, 0.03, 0.06
_READING, _SCORING = 0.1, 0.3


class Reproduction:
    """What one size of the run consists of, in its folder."""

    def __init__(self, size, out, recogniser=RECOGNISER):
        self.size = size
        self.out = Path(out).absolute()
        self.folder = self.out / size.name
        self.recogniser = Path(recogniser).absolute()

    # --- Where things are

    def system(self, name):
        """Path : The folder that a training writes."""
        return (
            self.folder / "models" / name.replace(", ", "-").replace(" ", "-")
        )

    def model(self, name):
        """Path : A trained model's folder."""
        return self.system(name) / "model"

    def manifest(self, name):
        """Path : A manifest."""
        return self.folder / "data" / f"{name}.csv"

    def evaluation(self, test_set):
        """Path : An evaluation's folder."""
        return self.folder / "evaluations" / MANIFESTS[test_set]

    # --- Data

    def prepare(self):
        """Make all speech and noise, and list all mixtures."""
        from speechbrain_ext.corpora.prepare import prepare_spectrogram_fusion

        size = self.size
        prepare_spectrogram_fusion(
            "",
            self.manifest("").parent,
            train_minutes=size.train_minutes,
            valid_utterances=size.valid,
            test_utterances=size.test,
            noise_minutes=size.noise_minutes,
        )

    # --- Training

    def enhancement(self):
        """Step : Trains the mapping and masking heads (eq. 1 to 3)."""
        return self._training(
            ENHANCEMENT,
            "mini_pretrain_enhance.yaml",
            self.size.epochs[0],
            _ENHANCING,
        )

    def fusion(self):
        """Step : Trains the fusion module (eq. 4) behind fixed heads."""
        heads = self.model(ENHANCEMENT)
        return self._training(
            SEPARATE,
            "mini_pretrain_fusion.yaml",
            self.size.epochs[1],
            _FUSING,
            {"enhance_folder": heads, "asr_folder": self.recogniser},
            (heads, self.recogniser),
        )

    def joint_trainings(self):
        """Steps that train a front-end and the recogniser each (eq. 7)."""
        steps = [
            self._joint(
                paper.joint(front_end, beta), _JOINT_FILES[front_end], beta=beta
            )
            for beta in sorted(paper.BETAS, reverse=True)
            for front_end in paper.FRONT_ENDS
            if beta == paper.BETA or front_end in self.size.weighted
        ]
        # The recogniser hears noisy speech, and its front-end is not used.
        noisy = _JOINT_FILES[paper.FUSION]
        return [*steps, self._joint(paper.NOISY, noisy, output="noisy")]

    def _joint(self, name, hparams, **overrides):
        separate = self.model(SEPARATE)
        folders = {"enhance_folder": separate, "asr_folder": self.recogniser}
        if hparams == _JOINT_FILES[paper.FUSION]:
            folders["fusion_folder"] = separate
        return self._training(
            name,
            hparams,
            self.size.epochs[2],
            _JOINT,
            {**folders, **overrides},
            (separate, self.recogniser),
        )

    def _training(self, name, hparams, epochs, cost, overrides=None, inputs=()):
        manifests = {
            "train": self.manifest("train"),
            "valid": self.manifest("valid"),
            # What is made here is evaluated afterwards.
            "test": self.manifest("valid"),
            "noise": self.manifest("train-noise"),
        }
        return training_step(
            f"training {name}",
            hparams,
            self.system(name),
            manifests,
            {"number_of_epochs": epochs, **(overrides or {})},
            20 + 60 * self.size.train_minutes * epochs * cost,
            recipe=FUSION,
            inputs=inputs,
        )

    # --- Evaluation

    def evaluations(self):
        """Steps that evaluate all systems on a test set each."""
        models = [
            step.folder / "model"
            for step in [self.fusion(), *self.joint_trainings()]
        ]
        return [self._evaluation(name, models) for name in paper.TEST_SETS]

    def _evaluation(self, test_set, models):
        command = [
            *(sys.executable, str(Path(__file__).resolve())),
            *("--out", str(self.out), "--recogniser", str(self.recogniser)),
            *("--evaluate", MANIFESTS[test_set]),
        ]
        if self.size.name != "full":
            command.append(f"--{self.size.name}")
        snrs = len(paper.SNRS[test_set])
        read = self.size.test * snrs * (len(models) + 4) * _READING
        scored = self.size.scored * snrs * len(paper.TABLE_1) * _SCORING
        return Step(
            f"evaluating on {test_set}",
            tuple(command),
            self.evaluation(test_set),
            30 + read + scored,
            inputs=(
                self.manifest(MANIFESTS[test_set]),
                self.recogniser,
                *models,
            ),
        )

    def systems(self):
        """Load all systems, by the paper's names."""
        from speechbrain_ext.evaluation.fusion_systems import (
            FusionSystem,
            load_fusion_model,
        )

        def unchanged(model, **settings):
            """Give the recogniser recordings as they are."""
            return FusionSystem(model, scored=False, **settings)

        bare = load_fusion_model(self.recogniser)
        found = {
            paper.CLEAN: unchanged(bare, clean=True),
            paper.BARE: unchanged(bare),
            paper.ORIGINAL: FusionSystem(bare, reads=False),
            paper.NOISY: unchanged(load_fusion_model(self.model(paper.NOISY))),
        }
        separate = load_fusion_model(self.model(SEPARATE))
        for front_end in paper.FRONT_ENDS:
            found[paper.separate(front_end)] = FusionSystem(
                separate, front_end.lower()
            )
        for step in self.joint_trainings():
            name = step.name.removeprefix("training ")
            front_end = name.partition("_")[0]
            if name == paper.NOISY:
                continue
            model = load_fusion_model(self.model(name))
            # The paper's Table I is of beta 1.
            found[name] = FusionSystem(
                model, front_end.lower(), scored=name == paper.joint(front_end)
            )
            if name == paper.joint(paper.FUSION):
                for head in (paper.MAPPING, paper.MASKING):
                    found[paper.head(head)] = FusionSystem(
                        model, head.lower(), reads=False
                    )
        return found

    def evaluate(self, manifest):
        """Evaluate on a test set, in this process."""
        from speechbrain_ext.evaluation.fusion import (
            evaluate_fusion_systems,
            read_mixtures,
        )

        test_set = next(
            name for name, file in MANIFESTS.items() if file == manifest
        )
        evaluate_fusion_systems(
            self.systems(),
            read_mixtures(self.manifest(manifest)),
            self.evaluation(test_set),
            scored_utterances=self.size.scored,
            # Two test sets are evaluated side by side.
            n_workers=1,
            test_set=test_set,
            baseline=paper.NOISY,
        )

    # --- What was found

    def write(self):
        """Write the tables, the figures and the claims.

        Returns
        -------
        list of Path
            The files.
        """
        from speechbrain_ext.evaluation.fusion import PANELS
        from speechbrain_ext.evaluation.fusion_tables import write_fusion
        from speechbrain_ext.files import copy_file

        folders = {name: self.evaluation(name) for name in paper.TEST_SETS}
        figures = []
        for title, source, file in (
            ("Figure 2: spectrograms", folders[paper.TEST_1] / PANELS, FIGURE),
            *(
                (
                    f"Character error rates, {name}",
                    folders[name] / "cer.png",
                    f"cer_{MANIFESTS[name]}.png",
                )
                for name in paper.TEST_SETS
            ),
        ):
            copy_file(source, self.folder / file)
            figures.append((title, file))
        files = write_fusion(
            self.folder,
            folders,
            self.note(),
            figures,
            weighted=self.size.weighted,
        )
        return [*files, *(self.folder / file for _, file in figures)]

    def note(self):
        """str : What was done, and what stands in for what."""
        size = self.size
        first, second, joint = size.epochs
        return (
            f"Size *{size.name}*: {size.train_minutes:g} minutes of synthetic "
            "English (matrix sentences) in synthesised noise, mixed anew every "
            f"epoch at 0 to 20 dB; {first} epochs of the enhancement module, "
            f"{second} of the fusion module, then {joint} of each joint "
            f"training and of *{paper.NOISY}*, from one recogniser of clean "
            "speech: the same updates for each; one training each. Each test "
            f"set has {size.test} sentences, each at five SNRs, in noise of two "
            "kinds that no training has heard; intervals are over sentences. "
            f"How the outputs sound is measured on {size.scored} of them. "
            f"*{paper.BARE}* is that recogniser, which is not in the paper.\n"
        )


def main():
    """Parse the command line and run."""
    parser = make_parser(HELP, EPILOG, ROOT / "results" / "reproduce_fusion")
    add_sizes(parser, "less of everything: intervals too wide for most claims")
    parser.add_argument(
        "--recogniser",
        default=RECOGNISER,
        metavar="DIR",
        help="of clean speech, that all begin with (default: %(default)s)",
    )
    parser.add_argument("--evaluate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    run = Reproduction(
        SIZES[arguments.size or "full"], arguments.out, arguments.recogniser
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
    stages = {
        "enhancement": [run.enhancement()],
        "fusion": [run.fusion()],
        "joint training": run.joint_trainings(),
        "evaluation": run.evaluations(),
    }
    runner.announce([step for steps in stages.values() for step in steps])
    for title, steps in stages.items():
        runner.run(title, steps)
    for file in run.write():
        print(file)


if __name__ == "__main__":
    main()
