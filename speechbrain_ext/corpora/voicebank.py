"""Voicebank + DEMAND (Valentini-Botinhao et al., 2016), 28 training speakers."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.corpora.lexicon import add_phones, read_lexicon
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    audio_durations,
    check_pairs,
    is_prepared,
    mark_prepared,
    newest,
    read_text,
)
from speechbrain_ext.errors import UserError

#: Held out of training, as the field does.
VALID_SPEAKERS = ("p226", "p287")
#: Which of the published halves a split is taken from.
HALVES = {
    "train": "trainset_28spk",
    "valid": "trainset_28spk",
    "test": "testset",
}
#: What an utterance has, and where: folders for one half.
_PARTS = {
    "wav": "clean_{half}_wav/{name}.wav",
    "noisy_wav": "noisy_{half}_wav/{name}.wav",
    "txt": "{half}_txt/{name}.txt",
}


def prepare_voicebank(
    data_folder, save_folder, splits=("train", "valid", "test"), lexicon=None
):
    """Write manifests of Voicebank + DEMAND.

    The folders are those that are published, ``clean_trainset_28spk_wav``,
    ``noisy_trainset_28spk_wav``, ``trainset_28spk_txt``, ``clean_testset_wav``,
    ``noisy_testset_wav`` and ``testset_txt``; the recordings' 48 kHz become
    16 kHz in ``save_folder`` once, and an interrupted run goes on where it
    stopped. Recordings of 16 kHz are used where they are. SNR and noise come
    from the published ``log_trainset_28spk.txt`` and ``log_testset.txt``,
    beside the folders or in ``logfiles/``; without a log the manifest has no
    such columns. Nothing is done when neither folders nor arguments changed.

    Arguments
    ---------
    data_folder : str or Path
        The folder that holds the published ones.
    save_folder : str or Path
        Where to write the manifests and ``wav/``.
    splits : sequence of str
        Which of ``train``, ``valid`` (two of the training speakers) and
        ``test``; the folders of others may be missing.
    lexicon : str or Path, optional
        A file in the CMU format; the CMU dictionary when not given. An
        utterance with other words gets no phones.

    Returns
    -------
    dict
        The manifest's Path by the split's name.

    Raises
    ------
    UserError
        When a folder or a file is missing, unreadable or empty, a clean and a
        noisy recording differ in length or rate, or a log is malformed.

    Example
    -------
    >>> prepare_voicebank("no/such/folder", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no \
clean_trainset_28spk_wav; expected Voicebank + DEMAND's folders
    """
    folder, save_folder = Path(data_folder), Path(save_folder)
    words = read_lexicon(lexicon) if lexicon else None
    manifests = {}
    for split in splits:
        if split not in HALVES:
            raise UserError(
                f"splits: Voicebank has no {split}; expected "
                f"{', '.join(HALVES)}"
            )
        manifest = manifests[split] = save_folder / f"{split}.csv"
        log = _find_log(folder, HALVES[split])
        read = [*_folders(folder, HALVES[split]), *filter(None, [log])]
        settings = {
            "folder": str(folder.resolve()),
            "newest": newest(read),
            "log": str(log),
            "lexicon": str(lexicon) if lexicon else None,
            "lexicon_changed": newest([Path(lexicon)] if lexicon else []),
        }
        if not is_prepared([manifest], settings):
            rows = _rows(folder.resolve(), split, log, save_folder)
            add_phones(rows, words)
            write_manifest(manifest, rows)
            mark_prepared([manifest], settings)
    return manifests


def _folders(folder, half):
    folders = [
        folder / Path(part.format(half=half, name="")).parent
        for part in _PARTS.values()
    ]
    for part in folders:
        if not part.is_dir():
            raise UserError(
                f"{folder}: no {part.name}; expected Voicebank + DEMAND's "
                "folders"
            )
    return folders


def _find_log(folder, half):
    places = (folder, folder / "logfiles")
    logs = (place / f"log_{half}.txt" for place in places)
    return next((log for log in logs if log.is_file()), None)


def _rows(folder, split, log, save_folder):
    """Make the rows of a split, without their phones."""
    rows = _list_files(folder, split)
    pairs = [(row["wav"], row["noisy_wav"]) for row in rows]
    rates = check_pairs(pairs, f"Voicebank {split}: checking")
    foreign = {
        path: save_folder.absolute() / "wav" / path.relative_to(folder)
        for pair, rate in zip(pairs, rates, strict=True)
        for path in pair
        if rate != SAMPLE_RATE
    }
    _resample(foreign, f"Voicebank {split}: to 16 kHz")
    conditions = _read_log(log) if log else {}
    for row in rows:
        for key in ("wav", "noisy_wav"):
            row[key] = foreign.get(row[key], row[key])
        if log:
            noise, snr = conditions.get(row["ID"], ("", None))
            row.update(snr=snr, noise=noise)
    wavs = [row["wav"] for row in rows]
    durations = audio_durations(wavs, f"Voicebank {split}: durations")
    for row, duration in zip(rows, durations, strict=True):
        row["duration"] = duration
    return rows


def _list_files(folder, split):
    """List the utterances of a split with their files and text."""
    half = HALVES[split]
    names = {path.stem for path in folder.glob(f"clean_{half}_wav/*.wav")}
    names |= {path.stem for path in folder.glob(f"noisy_{half}_wav/*.wav")}
    rows = []
    for name in sorted(names):
        speaker = name.split("_")[0]
        if split != "test" and (
            (speaker in VALID_SPEAKERS) != (split == "valid")
        ):
            continue
        files = {
            key: folder / part.format(half=half, name=name)
            for key, part in _PARTS.items()
        }
        for path in files.values():
            if not path.is_file():
                raise UserError(
                    f"{path}: no such file; expected a clean and a noisy "
                    "recording and a text of each utterance"
                )
        path = files.pop("txt")
        text = " ".join(read_text(path, "what is said").split())
        if not text:
            raise UserError(f"{path}: holds no text; expected what is said")
        rows.append({"ID": name, "spk_id": speaker, "wrd": text, **files})
    if not rows:
        raise UserError(
            f"{folder / f'clean_{half}_wav'}: holds no recording of the "
            f"{split} speakers; expected Voicebank's"
        )
    return rows


def _resample(foreign, description):
    """Write 16 kHz versions of files, by where they shall be."""

    def convert(item):
        """Resample a recording that is not there yet."""
        source, target = item
        # Each is written whole or not at all, so what is there is done.
        if not target.is_file() or newest([target]) < newest([source]):
            save_audio(target, load_audio(source))

    if not foreign:
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(convert, foreign.items())
        for _ in tqdm(done, description, len(foreign), unit="files"):
            pass


def _read_log(log):
    """Read each utterance's noise and SNR (dB)."""
    conditions = {}
    text = read_text(log, "lines of utterance, noise and SNR")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            name, noise, snr = line.split()
            conditions[name] = noise, float(snr)
        except ValueError:
            raise UserError(
                f"{log}: line {number} is '{line.strip()}'; expected an "
                "utterance, a noise and an SNR in dB"
            ) from None
    return conditions
