"""ALLSSTAR (Bradlow et al., SpeechBox): one text by talkers of many languages.

Files are ``ALL_005_M_CMN_ENG_HT1.wav`` with a ``.TextGrid`` beside them: the
talker's number and sex, the first language, the language spoken, the task.
Paper 0 takes talkers of Mandarin (CMN) who speak English (section 3.2).
"""

import logging
import re
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.audio import SAMPLE_RATE, load_audio, save_audio
from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.preparation import (
    is_prepared,
    mark_prepared,
    newest,
)
from speechbrain_ext.corpora.textgrid import read_textgrid
from speechbrain_ext.errors import UserError

#: How a recording is named.
NAME = re.compile(
    r"ALL_(?P<talker>\d+)_(?P<sex>[MF])_(?P<first>[A-Z]{3})_"
    r"(?P<spoken>[A-Z]{3})_(?P<task>\w+)"
)
#: Seconds of an utterance; Whisper's window is 30 s.
SHORTEST, LONGEST = 0.5, 28.0
#: Seconds of recording that are kept on either side of an utterance.
_MARGIN = 0.1

_SILENCE = {"", "sp", "sil", "<sil>", "#", "{sl}", "{ns}", "{br}", "{ls}"}
_MARKS = re.compile(r"<[^>]*>|\{[^}]*\}|\[[^]]*\]")

logger = logging.getLogger(__name__)


def prepare_allsstar(
    data_folder,
    save_folder,
    first_language="CMN",
    spoken_language="ENG",
    tasks=None,
):
    """Cut the recordings into utterances and write ``test.csv``.

    An utterance is an interval of the TextGrid's tier of utterances or
    sentences; where there is none, words up to a pause of half a second. Times
    get a tenth of a second of the recording on either side.

    Arguments
    ---------
    data_folder : str or Path
        A folder with the recordings and their TextGrids, in folders of any
        depth.
    save_folder : str or Path
        Where to write ``wav/`` and ``test.csv``.
    first_language : str or None
        The talkers' first language, ISO 639-3 in capitals; None for all.
    spoken_language : str
        The language that is spoken.
    tasks : sequence of str or None
        Tasks by name, for example ``HT1``, ``DHR``; None for all.

    Returns
    -------
    dict
        The manifest's Path for ``"test"``.

    Raises
    ------
    UserError
        When the folder is missing or has no such recording, a TextGrid is
        missing, damaged or without a tier of utterances or words, or a
        recording cannot be read.

    Example
    -------
    >>> prepare_allsstar("no/such/folder", "out")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: no/such/folder: no such folder; expected \
ALLSSTAR's recordings (ALL_005_M_CMN_ENG_HT1.wav)
    """
    folder = Path(data_folder)
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; expected ALLSSTAR's recordings "
            "(ALL_005_M_CMN_ENG_HT1.wav)"
        )
    wavs = [
        (wav, name)
        for wav in sorted(folder.resolve().rglob("ALL_*.wav"))
        if (name := NAME.fullmatch(wav.stem))
        and first_language in (None, name["first"])
        and spoken_language == name["spoken"]
        and (tasks is None or name["task"] in tasks)
    ]
    if not wavs:
        raise UserError(
            f"{folder}: no recording ALL_*_{first_language or '*'}_"
            f"{spoken_language}_{'|'.join(tasks) if tasks else '*'}.wav; "
            "expected ALLSSTAR's recordings"
        )
    grids = {wav: _textgrid_of(wav) for wav, _ in wavs}
    manifest = Path(save_folder).absolute() / "test.csv"
    settings = {
        "folder": str(folder.resolve()),
        "newest": newest([*grids, *grids.values()]),
        "recordings": [wav.stem for wav in grids],
    }
    if not is_prepared([manifest], settings):
        rows = []
        for wav, name in tqdm(wavs, desc="ALLSSTAR", unit="files"):
            rows += _cut(wav, name, grids[wav], manifest.parent / "wav")
        if not rows:
            raise UserError(
                f"{folder}: no utterance of {SHORTEST} to {LONGEST} s in "
                f"{len(wavs)} recordings"
            )
        write_manifest(manifest, rows)
        mark_prepared([manifest], settings)
    return {"test": manifest}


def _textgrid_of(wav):
    for suffix in (".TextGrid", ".textgrid", ".Textgrid"):
        grid = wav.with_suffix(suffix)
        if grid.is_file():
            return grid
    raise UserError(
        f"{wav}: no {wav.stem}.TextGrid beside it; expected the transcript"
    )


def _cut(wav, name, grid, folder):
    """Write a recording's utterances; return their rows."""
    signal = load_audio(wav)
    rows = []
    for number, (start, end, text) in enumerate(_utterances(grid)):
        first = max(0, round((start - _MARGIN) * SAMPLE_RATE))
        samples = signal[first : round((end + _MARGIN) * SAMPLE_RATE)]
        duration = len(samples) / SAMPLE_RATE
        if not SHORTEST <= duration <= LONGEST:
            logger.warning(
                "%s: utterance %d of %.1f s is left out",
                *(wav.stem, number, duration),
            )
            continue
        utterance = f"{wav.stem}-{number:03d}"
        cut = folder / f"{utterance}.wav"
        save_audio(cut, samples)
        rows.append(
            {
                "ID": utterance,
                "duration": duration,
                "wav": cut,
                "spk_id": f"ALL_{name['talker']}",
                "wrd": text,
            }
        )
    return rows


def _utterances(grid):
    """What is said when: (start, end, text), silence left out."""
    tiers = read_textgrid(grid)
    spoken = _tier(tiers, ("utt", "sent", "phrase", "transcri"))
    if spoken is None:
        words = _tier(tiers, ("word",))
        if words is None:
            raise UserError(
                f"{grid}: tiers {', '.join(tiers) or '(none)'}; expected one "
                "of utterances, sentences or words"
            )
        spoken = _up_to_pauses(words)
    return spoken


def _tier(tiers, names):
    for tier, intervals in tiers.items():
        if any(name in tier.lower() for name in names):
            return [
                (start, end, text)
                for start, end, text in (
                    (interval.start, interval.end, _clean(interval.text))
                    for interval in intervals
                )
                if text
            ]
    return None


def _clean(text):
    """Leave out noises and remarks; empty for silence."""
    if text.strip().lower() in _SILENCE:
        return ""
    return " ".join(_MARKS.sub(" ", text).split())


def _up_to_pauses(words, pause=0.5):
    """Join words with less than a pause, in seconds, between them."""
    spans = []
    for start, end, word in words:
        if spans and start - spans[-1][1] < pause:
            spans[-1] = (spans[-1][0], end, f"{spans[-1][2]} {word}")
        else:
            spans.append((start, end, word))
    return spans
