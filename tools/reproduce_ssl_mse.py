#!/usr/bin/env python3
"""Train and evaluate the SSL-MSE paper's systems, on a small scale."""

import argparse
import importlib.util
import json
import signal
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from steps import (
    ROOT,
    SSL_MSE,
    Runner,
    Step,
    add_sizes,
    make_parser,
    shorten,
    training_step,
)

from speechbrain_ext.errors import exit_on_user_error
from speechbrain_ext.evaluation import sato2025 as paper

HELP = """\
Trains the enhancers of Sato et al. (2025) on the noisy mini corpus: one with the
SNR loss, then from it those with the SNR, SSL-MSE, LMFB and ASR losses, each with
an equal number of updates, and the models of the downstream tasks, without any
enhancer. Evaluates all of them on noise of other kinds and writes, into the output
folder's subfolder of the size's name:

  tables.md     Tables 1 to 3, the paper's numbers in brackets
  figure_3.png  the metrics against the SNR loss's weight alpha
  claims.md     each claim of the paper: held, not held, undecided
  results.json  every number

What is finished is kept: run it again and it goes on. Whisper tiny.en's encoder
stands in for WavLM in the loss, Whisper base judges; nothing is downloaded where
the wheels that carry them are installed.
"""
EPILOG = """\
examples:
  python tools/reproduce_ssl_mse.py --quick
  python tools/reproduce_ssl_mse.py --workers 1 --backend torch
"""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    name: str
    train_minutes: float
    noise_minutes: float
    #: Of the first training, of each that begins with it, of the downstream
    #: models.
    epochs: tuple
    #: Weights of the SNR loss (Figure 3), in order.
    alphas: tuple
    #: Utterances that a training validates on; that the ratio of observation
    #: adding is chosen on; that are evaluated; of each speaker in trials.
    validation: int
    valid: int
    test: int
    trials: int
    #: Commands to train on, to validate on, to test on.
    commands: tuple


SIZES = {
    size.name: size
    for size in (
        Size(
            "full",
            train_minutes=24,
            noise_minutes=5,
            epochs=(16, 3, 12),
            alphas=(0.0, 0.01, 0.1, 1.0, 10.0),
            validation=16,
            valid=60,
            test=80,
            trials=12,
            commands=(800, 60, 200),
        ),
        Size(
            "quick",
            train_minutes=4,
            noise_minutes=1,
            epochs=(6, 2, 40),
            alphas=(0.01, 0.1, 10.0),
            validation=6,
            valid=12,
            test=16,
            trials=4,
            commands=(300, 20, 60),
        ),
        Size(
            "debug",
            train_minutes=0.2,
            noise_minutes=0.2,
            epochs=(1, 1, 1),
            alphas=(0.01, 0.1),
            validation=1,
            valid=2,
            test=2,
            trials=2,
            commands=(20, 10, 10),
        ),
    )
}

#: What judges: the recogniser, and what the downstream models stand on. No loss
#: is made of it.
JUDGE, JUDGE_CHANNELS, JUDGE_NAME = "openai/whisper-base", 512, "Whisper base"
#: What the SSL-MSE and ASR losses are made of.
SOURCE = "openai/whisper-tiny.en"
LANGUAGE = "en"

METRICS = ("sdr", "si_sdr", "pesq", "dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")
#: Ratios of observation adding that the validation set chooses from.
RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)

#: The training that all others begin with; the evaluation that chooses.
PRETRAINED, VALIDATION = "pretrained", "validation"


@dataclass(frozen=True)
class Loss:
    """A loss that is added to alpha times the SNR loss."""

    name: str
    hparams: str
    #: CPU seconds of training for a second of speech, roughly.
    cost: float
    overrides: dict = field(default_factory=dict)


LOSSES = (
    Loss(paper.SSL, "mini_ssl_mse.yaml", 0.12, {"ssl_source": SOURCE}),
    Loss(paper.LMFB, "mini_lmfb.yaml", 0.06),
    Loss(
        paper.ASR_LOSS,
        "mini_asr_loss.yaml",
        0.12,
        {"recogniser_source": SOURCE},
    ),
)
#: As many more updates as the others have, with the SNR loss alone.
SNR = Loss(
    paper.SNR,
    "mini_ssl_mse.yaml",
    0.05,
    {"ssl_weight": 0.0, "snr_weight": 1.0, "ssl_source": SOURCE},
)
#: The enhancers with the paper's alpha.
MAIN = (paper.SNR, *(loss.name for loss in LOSSES))
#: Tasks whose models are trained here, with the CPU seconds of a second of speech
#: in an epoch; the first, in which the judge's encoder reads it, takes more.
DOWNSTREAM = {paper.ASR: 0.05, paper.IC: 0.01}
_ENCODING = 0.06
#: Where it gets its data.
_DATA = {paper.ASR: "speech", paper.IC: "commands", paper.ASV: "trials"}

# CPU seconds, roughly: to score an utterance, to enhance and read it, to judge it
# otherwise.
_SCORING, _READING, _JUDGING = 1.2, 1.0, 0.3


class Reproduction:
    """What one size of the run consists of, in its folder."""

    def __init__(self, size, out, backend, verifies=True):
        self.size = size
        self.out = Path(out).absolute()
        self.folder = self.out / size.name
        self.backend = backend
        self.verifies = verifies

    # --- Where things are

    def system(self, name):
        """Path : An enhancer's folder."""
        return (
            self.folder / "models" / name.replace(", ", "-").replace(" ", "-")
        )

    def downstream(self, task):
        """Path : The folder of a downstream model."""
        return self.folder / "downstream" / task

    def manifest(self, name, data="speech"):
        """Path : A manifest, of speech, commands or trials in noise."""
        return self.folder / "data" / data / f"{name}.csv"

    def evaluation(self, name):
        """Path : An evaluation's folder."""
        return self.folder / "evaluations" / name

    # --- Data

    def prepare(self):
        """Make all speech and list all mixtures."""
        from speechbrain_ext.corpora.mini_commands import prepare_mini_commands
        from speechbrain_ext.corpora.mini_trials import prepare_mini_trials
        from speechbrain_ext.corpora.mixture_manifests import (
            write_mixture_manifests,
        )
        from speechbrain_ext.corpora.noise_mixtures import SNR_RANGES
        from speechbrain_ext.corpora.noisy_mini import prepare_noisy_mini

        size = self.size
        prepare_noisy_mini(
            self.manifest("").parent,
            train_minutes=size.train_minutes,
            valid_utterances=size.valid,
            test_utterances=size.test,
            noise_minutes=size.noise_minutes,
            repeat=True,
            snr_ranges=SNR_RANGES,
        )
        shorten(
            self.manifest("valid"),
            size.validation,
            self.manifest("validation"),
        )
        splits = ("train", "valid", "test")
        noises = {split: self.manifest(f"{split}-noise") for split in splits}
        commands = dict(zip(splits, size.commands, strict=True))
        write_mixture_manifests(
            prepare_mini_commands(commands),
            noises,
            self.manifest("", "commands").parent,
            seed=1234,
        )
        if self.verifies:
            made = prepare_mini_trials(
                self.folder / "data" / "trials without noise",
                utterances=size.trials,
            )
            write_mixture_manifests(
                {"test": made["test"]},
                noises,
                self.manifest("", "trials").parent,
                seed=1234,
            )

    # --- Training

    def pretraining(self):
        """Step : Trains what all others begin with."""
        return self._enhancer(
            Loss(PRETRAINED, "mini_pretrain_snr.yaml", 0.05),
            PRETRAINED,
            self.size.epochs[0],
            {},
        )

    def fine_tunings(self):
        """Steps that train an enhancer each, with an equal number of updates."""
        pretrained = self.system(PRETRAINED) / "model"
        trained = [(SNR, paper.SNR, {})] + [
            (loss, paper.alpha_system(loss.name, alpha), {"snr_weight": alpha})
            for loss in LOSSES
            for alpha in self.size.alphas
        ]
        return [
            self._enhancer(
                loss,
                name,
                self.size.epochs[1],
                {"pretrain_folder": pretrained, **overrides},
                (pretrained,),
            )
            for loss, name, overrides in trained
        ]

    def _enhancer(self, loss, name, epochs, overrides, inputs=()):
        seconds = 60 * self.size.train_minutes * epochs
        manifests = {
            "train": self.manifest("train"),
            "valid": self.manifest("validation"),
            # What is made here is evaluated afterwards.
            "test": self.manifest("validation"),
            "noise": self.manifest("train-noise"),
        }
        return training_step(
            f"training {name}",
            loss.hparams,
            self.system(name),
            manifests,
            {"number_of_epochs": epochs, **loss.overrides, **overrides},
            20 + seconds * loss.cost,
            recipe=SSL_MSE,
            inputs=inputs,
        )

    def judges(self):
        """Steps that train a downstream model each, in noise and without."""
        return [
            self._judge(task, in_noise)
            for task in DOWNSTREAM
            for in_noise in (False, True)
        ]

    def _judge(self, task, in_noise):
        epochs, data = self.size.epochs[2], _DATA[task]
        seconds = 60 * self.size.train_minutes
        if task == paper.IC:
            seconds = 3 * self.size.commands[0]
        manifests = {
            "train": self.manifest("train", data),
            "valid": self.manifest(
                "validation" if task == paper.ASR else "valid", data
            ),
            "test": self.manifest("test", data),
        }
        name = paper.robust(task) if in_noise else task
        overrides = {
            "number_of_epochs": epochs,
            "noise_robust": in_noise,
            "upstream_source": JUDGE,
            "n_channels": JUDGE_CHANNELS,
        }
        return training_step(
            f"training {name}",
            f"mini_downstream_{task}.yaml",
            self.downstream(name),
            manifests,
            overrides,
            20 + seconds * (_ENCODING + epochs * DOWNSTREAM[task]),
            recipe=SSL_MSE,
        )

    # --- Evaluation

    def choice(self):
        """Step : Tries ratios of observation adding on the validation set."""
        return self._evaluation(
            VALIDATION,
            [paper.SNR, paper.SSL],
            self.manifest("valid"),
            self.size.valid * (2 * len(RATIOS) + 1) * _READING,
        )

    def evaluations(self):
        """Steps that evaluate by a judge each."""
        every, test, n = self._trained(), self.manifest("test"), self.size.test
        steps = [
            self._evaluation(
                paper.WHISPER,
                every,
                test,
                n * (len(every) + 6) * (_SCORING + _READING),
                (self.evaluation(VALIDATION) / "results.json",),
            ),
            self._evaluation(
                paper.MATCHED,
                MAIN,
                test,
                n * (len(MAIN) + 6) * _READING / 2,
            ),
        ]
        for task in DOWNSTREAM:
            for name in (task, paper.robust(task)):
                systems = every if name == paper.ASR else MAIN
                steps.append(
                    self._evaluation(
                        name,
                        systems,
                        self.manifest("test", _DATA[task]),
                        self._n_judged(task) * (len(systems) + 6) * _JUDGING,
                        (self.downstream(name) / "model",),
                    )
                )
        if self.verifies:
            steps.append(
                self._evaluation(
                    paper.ASV,
                    MAIN,
                    self.manifest("test", "trials"),
                    7 * self.size.trials * (len(MAIN) + 6) * _JUDGING,
                )
            )
        return steps

    def _n_judged(self, task):
        return self.size.commands[2] if task == paper.IC else self.size.test

    def _trained(self):
        """Names of all enhancers that are compared."""
        return [paper.SNR] + [
            paper.alpha_system(loss.name, alpha)
            for loss in LOSSES
            for alpha in self.size.alphas
        ]

    def _evaluation(self, name, systems, manifest, seconds, inputs=()):
        command = [
            *(sys.executable, str(Path(__file__).resolve())),
            *("--out", str(self.out), "--backend", self.backend),
            *("--evaluate", name),
        ]
        if self.size.name != "full":
            command.append(f"--{self.size.name}")
        models = [self.system(each) / "model" for each in systems]
        return Step(
            f"evaluating {name}",
            tuple(command),
            self.evaluation(name),
            30 + seconds,
            inputs=(manifest, *models, *inputs),
        )

    def evaluate(self, name):
        """Evaluate, in this process."""
        if name == VALIDATION:
            self._read(name, self._enhancers((paper.SNR, paper.SSL), RATIOS))
        elif name == paper.WHISPER:
            self._read(name, self._on_test(self._trained()), METRICS)
        elif name == paper.MATCHED:
            self._read(name, self._on_test(), source=SOURCE)
        elif name == paper.ASV:
            self._verify()
        else:
            self._judged(name)

    def _enhancers(self, names, ratios):
        """Load the recordings and enhancers, by the paper's names."""
        from speechbrain_ext.evaluation.enhancement_systems import (
            EnhancementSystem,
            load_enhancement_system,
        )
        from speechbrain_ext.evaluation.observation import with_observations

        loaded = {
            name: load_enhancement_system(self.system(name) / "model", None)
            for name in names
        }
        return {
            paper.CLEAN: EnhancementSystem(clean=True),
            paper.NOISY: EnhancementSystem(),
            **with_observations(loaded, ratios),
        }

    def _on_test(self, names=MAIN):
        """Load what a test set hears: the paper's ratios, and the choice."""
        ratios = {name: [0.0] for name in names}
        ratios[paper.SNR] = [0.0, *paper.OBSERVATIONS]
        ratios[paper.SSL] = sorted({*ratios[paper.SNR], self.chosen()})
        return self._enhancers(names, ratios)

    def chosen(self):
        """float : The ratio that the validation set chose for SSL-MSE."""
        from speechbrain_ext.evaluation.observation import choose_observations

        rows = json.loads(
            (self.evaluation(VALIDATION) / "results.json").read_text()
        )
        return choose_observations(rows, [paper.SSL], RATIOS)[paper.SSL]

    def _read(self, name, systems, metrics=(), source=JUDGE):
        from speechbrain_ext.corpora.manifest import read_manifest
        from speechbrain_ext.evaluation.enhancement import (
            evaluate_enhancement_systems,
        )
        from speechbrain_ext.evaluation.enhancement_systems import (
            unadapted_recogniser,
        )

        language = None if source.endswith(".en") else LANGUAGE
        recogniser = unadapted_recogniser(source, language, self.backend)
        split = "valid" if name == VALIDATION else "test"
        evaluate_enhancement_systems(
            {
                one: replace(system, recogniser=recogniser)
                for one, system in systems.items()
            },
            read_manifest(self.manifest(split)),
            self.evaluation(name),
            metrics=metrics,
            backend=self.backend,
            # Steps run side by side, a core each.
            n_workers=1,
            test_set=name,
            baseline=paper.NOISY,
        )

    def _verify(self):
        from speechbrain_ext.backends.speaker_encoder import SpeakerEncoder
        from speechbrain_ext.corpora.manifest import read_manifest
        from speechbrain_ext.evaluation.enhancement import (
            evaluate_enhancement_systems,
        )
        from speechbrain_ext.evaluation.speech_tasks import SpeakerVerification

        trials = self.folder / "data" / "trials without noise"
        evaluate_enhancement_systems(
            self._on_test(),
            read_manifest(self.manifest("test", "trials")),
            self.evaluation(paper.ASV),
            metrics=(),
            test_set=paper.ASV,
            baseline=paper.NOISY,
            verification=SpeakerVerification(
                SpeakerEncoder().embed, trials / "test-trials.csv"
            ),
        )

    def _judged(self, name):
        from speechbrain_ext.evaluation.downstream import evaluate_downstream

        data = _DATA[name.removesuffix("-robust")]
        names = self._trained() if name == paper.ASR else MAIN
        folder = self.downstream(name)
        # Where the labels are looked for.
        shorten(self.manifest("train", data), None, folder / "train.csv")
        evaluate_downstream(
            self._on_test(names),
            folder,
            self.evaluation(name),
            self.manifest("test", data),
            test_set=name,
            baseline=paper.NOISY,
        )

    # --- What was found

    def write(self):
        """Write the tables, the figure and the claims.

        Returns
        -------
        list of Path
            The files.
        """
        from speechbrain_ext.evaluation.generic_enhancement_report import (
            write_generic_enhancement,
        )

        folders = {step.folder.name: step.folder for step in self.evaluations()}
        folders[paper.SIGNAL] = folders[paper.WHISPER]
        verified = (paper.ASV,) if self.verifies else ()
        return write_generic_enhancement(
            self.folder,
            folders,
            JUDGE_NAME,
            self.size.alphas,
            self.note(),
            tasks=(paper.WHISPER, paper.MATCHED, *DOWNSTREAM, *verified),
            noisy_tasks=tuple(DOWNSTREAM),
            chosen=self.chosen(),
            small=next(alpha for alpha in self.size.alphas if alpha > 0),
            large=self.size.alphas[-1],
            not_run=(
                "WavLM, wav2vec 2.0 and HuBERT, whose losses ssl_mse.yaml has, "
                "are not used on this scale"
            ),
        )

    def note(self):
        """str : What was done, and what stands in for what."""
        size = self.size
        first, then, downstream = size.epochs
        return (
            f"Size *{size.name}*: {size.train_minutes:g} minutes of synthetic "
            f"English in noise (the noisy mini corpus), {first} epochs with the "
            f"SNR loss, then {then} with each loss, the same updates for each "
            "(*SNR* as well); one training each. The test set has other kinds "
            f"of noise than training, at 0 to 10 dB: {size.test} utterances. "
            f"Stand-ins: the encoder of {SOURCE} for the SSL model of the loss, "
            "its cross entropy for the ASR loss, a small Conv-TasNet. Judges: "
            f"{JUDGE_NAME} as *Whisper* (decoding: {self.backend}); on its "
            f"encoder, {downstream} epochs of BLSTM and CTC as *SSL ASR* and of "
            f"a classifier of {size.commands[0]} spoken commands as *IC*"
            + (
                "; the speaker encoder of resemblyzer, on voices of five "
                "languages, as *ASV*. "
                if self.verifies
                else "; no *ASV*: resemblyzer, whose weights it takes, is not "
                "installed. "
            )
            + "The numbers beside *SSL-MSE* are those of WavLM Large. "
            "Observation adding: the validation set chose "
            f"{self.chosen():g} for SSL-MSE, by Whisper's WER. SDR is the "
            "scale-dependent SDR of Le Roux et al. (2019).\n"
        )


def main():
    """Parse the command line and run."""
    parser = make_parser(HELP, EPILOG, ROOT / "results" / "reproduce_ssl_mse")
    add_sizes(parser, "less of everything: intervals too wide for most claims")
    parser.add_argument(
        "--backend", choices=["torch", "ctranslate2"], help="decodes the texts"
    )
    parser.add_argument("--evaluate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    run = Reproduction(
        SIZES[arguments.size or "full"],
        arguments.out,
        arguments.backend
        or ("ctranslate2" if _is_installed("ctranslate2") else "torch"),
        _is_installed("resemblyzer"),
    )
    # Ends what was started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with exit_on_user_error():
        if arguments.evaluate:
            run.evaluate(arguments.evaluate)
        else:
            reproduce(run, Runner(arguments.workers))


def _is_installed(package):
    return importlib.util.find_spec(package) is not None


def reproduce(run, runner):
    """Train, evaluate, and write what was found."""
    run.prepare()
    stages = {
        "SNR loss": [run.pretraining()],
        "losses and judges": [*run.fine_tunings(), *run.judges()],
        "choice of observation adding": [run.choice()],
        "evaluation": run.evaluations(),
    }
    runner.announce([step for steps in stages.values() for step in steps])
    for title, steps in stages.items():
        runner.run(title, steps)
    for file in run.write():
        print(file)


if __name__ == "__main__":
    main()
