"""Spoken commands with a known intent, made on the spot.

They stand in for Fluent Speech Commands where nothing can be downloaded. SVOX
Pico speaks them in the mini corpus's voices; the test has voices and phrasings
that training has not.
"""

import hashlib
import json
import os
import re
from pathlib import Path

from tqdm import tqdm

from speechbrain_ext.corpora.manifest import write_manifest
from speechbrain_ext.corpora.mini import (
    draw_rendition,
    draw_voices,
    generator,
    save_rendition,
)
from speechbrain_ext.corpora.mini_words import entries
from speechbrain_ext.corpora.pico import SAMPLE_RATE, synthesise
from speechbrain_ext.errors import UserError
from speechbrain_ext.files import cache_folder, make_folder_once

#: To be raised when a change below gives other bytes for the same settings.
VERSION = 1
SPLITS = ("train", "valid", "test")
# Apart from the streams that the mini corpus and its words take.
_STREAM = 2000
_AT_ONCE = 256

SLOTS = {
    "room": entries("""
        kitchen, bedroom, bathroom, living room, hall, office, garage, cellar,
        dining room, nursery"""),
    "minutes": entries("""
        two minutes, five minutes, ten minutes, twelve minutes, a quarter of an
        hour, half an hour, forty minutes, an hour, three hours"""),
    "hour": entries("""
        six o'clock, half past six, seven o'clock, half past seven, eight
        o'clock, nine o'clock, a quarter past ten, noon"""),
    "music": entries("""
        some jazz, a piano concert, my favourite album, an old waltz, some folk
        songs, the new record by the orchestra, something by Mozart, dance
        music"""),
    "person": entries("""
        my mother, my brother, Anna, Peter, the doctor, Doctor Miller, my boss,
        the plumber, grandmother, Michael"""),
    "city": entries("""
        London, Paris, Berlin, Boston, Chicago, Rome, Dublin, Vienna, Madrid,
        New York"""),
    "day": entries("""
        today, tomorrow, on Monday, on Friday, at the weekend, next week,
        tonight, this afternoon"""),
    "goods": entries("""
        milk, bread, eggs, a dozen apples, coffee, washing powder, potatoes,
        butter, rice, candles"""),
    "degrees": entries("""
        eighteen degrees, nineteen degrees, twenty degrees, twenty-one degrees,
        twenty-two degrees, sixteen degrees"""),
}


def _phrasings(text):
    return tuple(" ".join(part.split()) for part in text.split("|"))


#: Phrasings by intent, for train, valid and test. Each split has its own, which
#: share the words that matter.
INTENTS = {
    intent: dict(zip(SPLITS, map(_phrasings, texts)))
    for intent, texts in {
        "lights-on": (
            """Switch on the lights in the {room}. | Turn the lights on in the
            {room}. | Lights on in the {room}, please. | Please switch the
            {room} lights on. | It is too dark in the {room}. | I need light in
            the {room}. | Turn on the {room} lamp. | Let there be light in the
            {room}. | Switch on the lamp, please. | Make the {room}
            brighter.""",
            """Put the lights on in the {room}. | Could you turn on the light in
            the {room}?""",
            """Could you switch on the lights in the {room}? | Please turn the
            lamp on in the {room}. | I need more light, it is too dark. | I want
            the lights on in the {room}.""",
        ),
        "lights-off": (
            """Switch off the lights in the {room}. | Turn the lights off in the
            {room}. | Lights off in the {room}, please. | Please switch the
            {room} lights off. | It is too bright in the {room}. | I need no
            light in the {room}. | Turn off the {room} lamp. | Nobody needs a
            lamp in the {room} now. | Switch off the lamp, please. | Make the
            {room} darker.""",
            """Put the lights off in the {room}. | Could you turn off the light
            in the {room}?""",
            """Could you switch off the lights in the {room}? | Please turn the
            lamp off in the {room}. | I need no lamp, it is too bright. | I want
            the lights off in the {room}.""",
        ),
        "set-temperature": (
            """Set the temperature in the {room} to {degrees}. | Heat the {room}
            to {degrees}. | I want {degrees} in the {room}. | Change the heating
            to {degrees}. | Turn the heating in the {room} to {degrees}. | Make
            the {room} {degrees} warm. | Keep the {room} at {degrees}.""",
            """Adjust the heating to {degrees}, please. | The {room} should have
            {degrees}.""",
            """Could you heat the {room} to {degrees}? | Put the heating up to
            {degrees}. | Change the temperature to {degrees}, please.""",
        ),
        "play-music": (
            """Play {music}. | I want to hear {music}. | Put on {music}. | Play
            {music} in the {room}. | Let me hear {music}, please. | Start
            playing {music}. | I feel like listening to {music}.""",
            """Could you play {music}? | Let us have {music} in the {room}.""",
            """Please start playing {music}. | I would like to hear {music}. |
            Could you put on {music} in the {room}?""",
        ),
        "stop-music": (
            """Stop the music. | Stop playing in the {room}. | Turn off the
            music in the {room}. | No more music, please. | Be quiet now. | Stop
            that song. | Silence in the {room}, please. | End the music. | Do
            not play any more music. | I want silence now.""",
            """Could you stop the music? | Please turn the music off.""",
            """Please stop playing music. | I want no more music in the {room}.
            | Stop the song in the {room}, please.""",
        ),
        "set-timer": (
            """Set a timer for {minutes}. | Tell me when {minutes} are over. |
            Start a timer of {minutes}. | Count down {minutes}. | Remind me in
            {minutes}. | I need a timer for {minutes}. | Give me a signal after
            {minutes}.""",
            """Please measure {minutes}. | Could you set a timer to
            {minutes}?""",
            """Let the timer run for {minutes}. | Please start counting down
            {minutes}. | Could you remind me after {minutes}?""",
        ),
        "set-alarm": (
            """Wake me at {hour}. | Set an alarm for {hour}. | I want to get up
            at {hour}. | Ring the alarm clock at {hour} {day}. | Please wake us
            at {hour} {day}. | The alarm should ring at {hour}. | I have to be
            awake by {hour}.""",
            """Could you wake me up at {hour}? | Put the alarm clock to
            {hour}.""",
            """Please set the alarm clock to {hour}. | I have to get up at
            {hour} {day}. | Could you ring the alarm at {hour}?""",
        ),
        "weather": (
            """What will the weather be like {day}? | Will it rain in {city}
            {day}? | How is the weather in {city}? | Tell me the weather for
            {city}. | Do I need an umbrella {day}? | Is it going to be sunny
            {day}? | What is the forecast for {city}?""",
            """How warm will it be in {city} {day}? | Give me the weather
            report, please.""",
            """Is it going to rain in {city} {day}? | What will the weather be
            in {city}? | Tell me the forecast for {city}, please.""",
        ),
        "call": (
            """Call {person}. | Please phone {person}. | Ring {person} on the
            mobile. | I want to talk to {person}. | Dial the number of {person}.
            | Make a call to {person}. | Get {person} on the line.""",
            """Could you call {person} for me? | Telephone {person}, please.""",
            """I want to call {person} now. | Please dial the number of
            {person}. | Could you get {person} on the phone?""",
        ),
        "shopping-list": (
            """Add {goods} to the shopping list. | Put {goods} on my list. | We
            need to buy {goods}. | Write down {goods} for the shop. | We have
            run out of {goods}. | Remember to buy {goods} {day}. | Put down
            {goods} and {goods}.""",
            """Could you note {goods} for shopping? | Our list needs
            {goods}.""",
            """Please put {goods} on the shopping list. | I have to buy {goods}
            and {goods}. | Could you add {goods} to my list?""",
        ),
    }.items()
}

_SLOT = re.compile(r"\{(\w+)\}")


def random_command(rng, intent, split):
    """Draw a command.

    Arguments
    ---------
    rng : numpy.random.Generator
        Where the draws come from.
    intent : str
        One of :data:`INTENTS`.
    split : str
        Whose phrasings.

    Returns
    -------
    str
        What is said.

    Example
    -------
    >>> random_command(generator(1), "call", "test")
    'Please dial the number of Doctor Miller.'
    """
    phrasings = INTENTS[intent][split]

    def fill(slot):
        """Draw a word for a slot."""
        words = SLOTS[slot[1]]
        return words[int(rng.integers(len(words)))]

    return _SLOT.sub(fill, phrasings[int(rng.integers(len(phrasings)))])


def prepare_mini_commands(
    utterances={"train": 800, "valid": 100, "test": 200},
    seed=1234,
    folder=None,
    n_workers=None,
):
    """Let the mini corpus's voices say commands.

    Voices and phrasings of train, valid and test are disjoint; intents and
    voices are equally frequent. The same settings give the same bytes on every
    machine.

    Arguments
    ---------
    utterances : dict
        How many for ``"train"``, ``"valid"`` and ``"test"``.
    seed : int
        Of voices, words and noise floors.
    folder : str or Path, optional
        Where the recordings get a folder of their own; the cache folder if not
        given.
    n_workers : int, optional
        Processes that speak; as many as there are cores when not given.

    Returns
    -------
    dict
        The manifest's Path for ``"train"``, ``"valid"`` and ``"test"``, with
        ``intent``.

    Raises
    ------
    UserError
        When ``py-nanotts`` is missing, the folder cannot be written, or a size
        is not above 0.

    Example
    -------
    >>> prepare_mini_commands({"train": 9, "valid": 0, "test": 9})
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: utterances: valid is 0; expected a ...
    """
    for split in SPLITS:
        if not utterances[split] > 0:
            raise UserError(
                f"utterances: {split} is {utterances[split]}; expected a "
                "number above 0"
            )
    settings = json.dumps([VERSION, seed, utterances, SLOTS, INTENTS])
    name = hashlib.sha256(settings.encode()).hexdigest()[:12]
    final = Path(folder or cache_folder()).absolute() / f"mini-commands-{name}"
    n_workers = n_workers or os.cpu_count() or 1
    make_folder_once(
        final,
        lambda partial: _speak(partial, final, utterances, seed, n_workers),
    )
    return {split: final / f"{split}.csv" for split in SPLITS}


def _speak(partial, final, utterances, seed, n_workers):
    voices = draw_voices(seed)
    for place, split in enumerate(SPLITS):
        (partial / split).mkdir()
        rng = generator(seed, _STREAM + place)
        renditions = [
            _rendition(rng, number, split, voices[split])
            for number in range(utterances[split])
        ]
        rows = []
        with tqdm(
            total=len(renditions), desc=f"commands: {split}", unit="commands"
        ) as bar:
            for first in range(0, len(renditions), _AT_ONCE):
                part = renditions[first : first + _AT_ONCE]
                speech = synthesise([each[2] for each in part], n_workers)
                rows += _save(partial, split, first, part, speech)
                bar.update(len(part))
        for row in rows:
            row["wav"] = final / row["wav"]
        write_manifest(partial / f"{split}.csv", rows)


def _rendition(rng, number, split, voices):
    """Draw the command of this number: intents go round, then voices."""
    intents = list(INTENTS)
    intent = intents[number % len(intents)]
    voice = voices[(number // len(intents)) % len(voices)]
    text = random_command(rng, intent, split)
    return intent, voice, *draw_rendition(rng, text, voice)


def _save(folder, split, first, renditions, speech):
    rows = []
    for number, (rendition, samples) in enumerate(
        zip(renditions, speech, strict=True), start=first
    ):
        intent, voice, request, noise, noise_seed = rendition
        name = f"command-{split}-{number:05d}"
        save_rendition(
            folder / split / f"{name}.wav", samples, noise, noise_seed
        )
        rows.append(
            {
                "ID": name,
                "duration": len(samples) / SAMPLE_RATE,
                "wav": f"{split}/{name}.wav",
                "spk_id": voice.name,
                "wrd": request.text,
                "intent": intent,
            }
        )
    return rows
