"""Trials of speaker verification that need no download.

The mini corpus's speakers differ in pitch and in little else. Those of these
trials are SVOX Pico's six voices, of five languages, at pitches that they
share, and, where there are recordings of them, real people.
"""

import os
from pathlib import Path

from speechbrain_ext.corpora import mini_languages, mini_sentences
from speechbrain_ext.corpora.manifest import read_manifest, write_manifest
from speechbrain_ext.corpora.mini import (
    LANGUAGES,
    LONGEST,
    SHORTEST,
    Voice,
    draw_rendition,
    generator,
    save_rendition,
)
from speechbrain_ext.corpora.pico import SAMPLE_RATE, synthesise
from speechbrain_ext.corpora.trials import all_trials, write_trials
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import cache_folder, make_folder_once

#: To be raised when a change below gives other bytes for the same settings.
VERSION = 1
#: Pico's percents: close to the voices' own, and the same for all.
PITCHES, SPEEDS = range(90, 112, 2), range(90, 112)
#: Seconds: of the real recordings that are taken.
SHORTEST_REAL, LONGEST_REAL = 2.0, 12.0
# Apart from the streams of the other corpora that Pico speaks.
_STREAM = 3000
# Some sentences turn out too short or too long.
_SPARE = 2


def prepare_mini_trials(
    save_folder,
    recordings=(),
    utterances=12,
    seed=1234,
    folder=None,
    n_workers=None,
):
    """Write utterances of several speakers, and every pair of them as a trial.

    Arguments
    ---------
    save_folder : str or Path
        Where to write ``test.csv`` and ``test-trials.csv``.
    recordings : sequence of (str or Path)
        Manifests of real speakers, for example of
        :mod:`~speechbrain_ext.corpora.asterisk` and
        :mod:`~speechbrain_ext.corpora.asterisk_languages`; who has one ``spk_id`` in several of them is one speaker.
    utterances : int
        How many of each speaker.
    seed : int
        Of what is said and chosen.
    folder : str or Path, optional
        Where what Pico says gets a folder of its own; the cache folder if not
        given.
    n_workers : int, optional
        Processes that speak; as many as there are cores when not given.

    Returns
    -------
    dict
        The Path of ``"test"`` and ``"test-trials"``.

    Raises
    ------
    UserError
        When ``py-nanotts`` is missing, a folder cannot be written, a manifest
        cannot be used, or one of its speakers has fewer than two utterances of
        2 to 12 s.

    Example
    -------
    >>> prepare_mini_trials("trials", utterances=1)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: utterances: is 1; expected 2 or more ...
    """
    if not utterances > 1:
        raise UserError(
            f"utterances: is {utterances}; expected 2 or more of each speaker"
        )
    settings = [VERSION, seed, utterances]
    settings += [mini_languages.grammar_checksum(code) for code in _others()]
    settings.append(mini_sentences.grammar_checksum())
    name = "-".join(map(str, settings[:3]))
    name += f"-{sum(settings[3:]) % 2**32:08x}"
    final = Path(folder or cache_folder()).absolute() / f"mini-trials-{name}"
    n_workers = n_workers or os.cpu_count() or 1
    make_folder_once(
        final,
        lambda partial: _speak(partial, final, utterances, seed, n_workers),
    )
    rows = read_manifest(final / "test.csv")
    rows += _choose_real(recordings, utterances, seed)
    made = {
        name: Path(save_folder) / f"{name}.csv"
        for name in ("test", "test-trials")
    }
    write_manifest(made["test"], rows)
    write_trials(made["test-trials"], all_trials(rows))
    return made


def _others():
    return [code for code in LANGUAGES if code != "en"]


def _speak(partial, final, utterances, seed, n_workers):
    (partial / "wav").mkdir()
    rows = []
    speakers = [
        (language, accent)
        for language, accents in LANGUAGES.items()
        for accent in accents
    ]
    for place, (language, accent) in enumerate(speakers):
        rng = generator(seed, _STREAM + place)
        renditions = [
            _rendition(rng, language, accent)
            for _ in range(_SPARE * utterances)
        ]
        speech = synthesise([each[0] for each in renditions], n_workers)
        fit = [
            (rendition, samples)
            for rendition, samples in zip(renditions, speech, strict=True)
            if SHORTEST <= len(samples) / SAMPLE_RATE <= LONGEST
        ]
        for number, (rendition, samples) in enumerate(fit[:utterances]):
            request, noise, noise_seed = rendition
            name = f"trial-{accent}-{number:03d}"
            save_rendition(
                partial / "wav" / f"{name}.wav", samples, noise, noise_seed
            )
            rows.append(
                {
                    "ID": name,
                    "duration": len(samples) / SAMPLE_RATE,
                    "wav": final / "wav" / f"{name}.wav",
                    "spk_id": accent,
                    "wrd": request.text,
                }
            )
    write_manifest(partial / "test.csv", rows)


def _rendition(rng, language, accent):
    if language == "en":
        text = mini_sentences.random_sentence(rng)
    else:
        text = mini_languages.random_sentence(rng, language)
    voice = Voice(accent, int(rng.choice(PITCHES)), int(rng.choice(SPEEDS)))
    return draw_rendition(rng, text, voice, language)


def _choose_real(recordings, utterances, seed):
    """Rows of each real speaker; their IDs get the manifest's number."""
    by_speaker = {}
    for number, manifest in enumerate(recordings):
        for row in read_manifest(manifest):
            mine = by_speaker.setdefault(row["spk_id"], [])
            if SHORTEST_REAL <= row["duration"] <= LONGEST_REAL:
                mine.append({**row, "ID": f"real{number}-{row['ID']}"})
    chosen = []
    for place, (speaker, rows) in enumerate(by_speaker.items()):
        if len(rows) < 2:
            raise UserError(
                f"recordings: {len(rows)} of {speaker} last {SHORTEST_REAL:g} "
                f"to {LONGEST_REAL:g} s; expected 2 or more of each speaker"
            )
        rng = generator(seed, _STREAM + 100 + place)
        order = rng.permutation(len(rows))[:utterances]
        chosen += [rows[index] for index in sorted(order)]
    return chosen
