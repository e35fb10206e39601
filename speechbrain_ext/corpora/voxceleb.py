"""VoxCeleb1 as it is unpacked: speakers' folders and a list of trials."""

import zlib
from pathlib import Path

import numpy

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    is_prepared,
    mark_prepared,
    newest,
    read_text,
)
from speechbrain_ext.corpora.trials import Trial, all_trials, write_trials
from speechbrain_ext.errors import UserError

#: The list of trials, VoxCeleb1-O, in the data's folder.
TRIALS = "veri_test.txt"
#: Speakers to validate with, and utterances of each, of different videos.
VALID_SPEAKERS, VALID_UTTERANCES = 40, 6
#: Seconds: of what is trained on, and the longest that is tested on.
TRAIN_SECONDS, LONGEST = 8.0, 30.0


def prepare_voxceleb(
    data_folder, save_folder, trials_file=None, seed=1234, max_seconds=LONGEST
):
    """Write manifests and trials of VoxCeleb1 (Nagrani et al., 2017).

    Its layout is ``wav/<speaker>/<video>/<n>.wav``, the whole of it below one
    folder ``wav`` or in ``dev/wav`` and ``test/wav``. The speakers of the
    trials are for the test. Of the others, forty (the first by a checksum of
    their names) are for validation, six utterances of different videos each,
    every pair of which is a trial. Training sees 8 s of each utterance, drawn
    once for all. Nothing is transcribed there: ``wrd`` is the speaker's ID.

    Arguments
    ---------
    data_folder : str or Path
        The folder with ``wav`` or with ``dev`` and ``test``.
    save_folder : str or Path
        Where to write ``train.csv``, ``valid.csv``, ``test.csv``,
        ``valid-trials.csv`` and ``test-trials.csv``.
    trials_file : str or Path, optional
        The list of trials; ``veri_test.txt`` in the data's folder if not given.
    seed : int
        Of where training cuts.
    max_seconds : float
        What is longer is cut for the test, its beginning kept.

    Returns
    -------
    dict
        The Path by name, ``"train"`` to ``"test-trials"``.

    Raises
    ------
    UserError
        When the folder has another layout, the trials are missing or badly
        formed, or name a speaker or a file that is not there.

    Example
    -------
    >>> prepare_voxceleb("no/such/folder", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: holds no wav; expected \
VoxCeleb1 (wav/<speaker>/<video>/*.wav, or dev/wav and test/wav)
    """
    speakers = _find_speakers(Path(data_folder))
    trials_file = Path(trials_file or Path(data_folder) / TRIALS)
    trials = _read_trials(trials_file, speakers)
    save_folder = Path(save_folder)
    manifests = {
        name: save_folder / f"{name}.csv" for name in ("train", "valid", "test")
    }
    manifests |= {
        f"{name}-trials": save_folder / f"{name}-trials.csv"
        for name in ("valid", "test")
    }
    utterances = [manifests[name] for name in ("train", "valid", "test")]
    settings = {
        "folders": sorted(str(folder) for folder in speakers.values()),
        "newest": newest([trials_file, *speakers.values()]),
        "seed": seed,
        "max_seconds": max_seconds,
    }
    if is_prepared(utterances, settings) and all(
        path.is_file() for path in manifests.values()
    ):
        return manifests
    rows = _divide(speakers, trials)
    for name, part in rows.items():
        _set_durations(name, part, seed, max_seconds)
        write_manifest(manifests[name], part)
    write_trials(manifests["valid-trials"], all_trials(rows["valid"]))
    write_trials(
        manifests["test-trials"],
        (
            Trial(label, *(_name(speakers, file) for file in files))
            for label, *files in trials
        ),
    )
    mark_prepared(utterances, settings)
    return manifests


def _find_speakers(data_folder):
    """Each speaker's folder by the speaker's name."""
    roots = [
        data_folder / part / "wav"
        for part in ("", "dev", "test")
        if (data_folder / part / "wav").is_dir()
    ]
    speakers = {
        folder.name: folder.resolve()
        for root in roots
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }
    if not speakers:
        raise UserError(
            f"{data_folder}: holds no {'speakers in wav' if roots else 'wav'}; "
            "expected VoxCeleb1 (wav/<speaker>/<video>/*.wav, or dev/wav and "
            "test/wav)"
        )
    return speakers


def _read_trials(path, speakers):
    """Lines of ``label enrol test``, the files below the speakers' folders."""
    trials = []
    lines = read_text(path, "VoxCeleb1's list of trials").splitlines()
    for number, line in enumerate(lines, start=1):
        where, parts = f"{path}: line {number}", line.split()
        if not parts:
            continue
        if len(parts) != 3 or parts[0] not in ("0", "1"):
            raise UserError(
                f"{where}: is '{line.strip()[:60]}'; expected 0 or 1 and two "
                "files, <speaker>/<video>/<n>.wav"
            )
        for file in parts[1:]:
            _check_file(where, file, speakers)
        trials.append((int(parts[0]), *parts[1:]))
    if not trials:
        raise UserError(f"{path}: holds no trials; expected VoxCeleb1's")
    return trials


def _check_file(where, file, speakers):
    speaker, _, rest = file.partition("/")
    if speaker not in speakers:
        raise UserError(
            f"{where}: unknown speaker {speaker}; expected one that has a "
            "folder in wav"
        )
    if not (speakers[speaker] / rest).is_file():
        raise UserError(f"{where}: no audio file {speakers[speaker] / rest}")


def _name(speakers, file):
    speaker, _, rest = file.partition("/")
    return _row(speaker, speakers[speaker] / rest)["ID"]


def _row(speaker, wav):
    return {
        "ID": f"{speaker}-{wav.parent.name}-{wav.stem}",
        "wav": wav,
        "spk_id": speaker,
        "wrd": speaker,
    }


def _divide(speakers, trials):
    """Rows of train, valid and test, still without durations."""
    tested = sorted({file for _, *files in trials for file in files})
    held = {file.partition("/")[0] for file in tested}
    others = sorted(
        set(speakers) - held,
        key=lambda speaker: (zlib.crc32(speaker.encode()), speaker),
    )
    # A small part of the corpus shall have some to train on as well.
    n_valid = min(VALID_SPEAKERS, len(others) // 2)
    if n_valid < 2:
        raise UserError(
            f"wav: {len(others)} speakers that no trial names; expected at "
            "least 4, to train and validate on"
        )
    rows = {"train": [], "valid": [], "test": []}
    for speaker in others[n_valid:]:
        wavs = sorted(speakers[speaker].glob("*/*.wav"))
        rows["train"] += [_row(speaker, wav) for wav in wavs]
    for speaker in others[:n_valid]:
        first = {}
        for wav in sorted(speakers[speaker].glob("*/*.wav")):
            first.setdefault(wav.parent, wav)
        wavs = list(first.values())[:VALID_UTTERANCES]
        rows["valid"] += [_row(speaker, wav) for wav in wavs]
    for file in tested:
        speaker, _, rest = file.partition("/")
        rows["test"].append(_row(speaker, speakers[speaker] / rest))
    return rows


def _set_durations(name, rows, seed, max_seconds):
    """Set ``start`` and ``duration``, in seconds."""
    durations = audio_durations(
        [row["wav"] for row in rows],
        f"VoxCeleb1: {name}",
        "VoxCeleb1 has it",
    )
    for row, duration in zip(rows, durations, strict=True):
        row["start"], row["duration"] = 0.0, min(duration, max_seconds)
        if name == "train" and duration > TRAIN_SECONDS:
            key = int(seed), zlib.crc32(row["ID"].encode())
            rng = numpy.random.Generator(numpy.random.PCG64(key))
            start = rng.uniform(0, duration - TRAIN_SECONDS)
            # Down, so that the end is in the file whatever its rate.
            row["start"] = int(start * 100) / 100
            row["duration"] = TRAIN_SECONDS
