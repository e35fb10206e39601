"""The sentences of the mini corpus: templates with slots, and filling them."""

import re
import zlib

from speechbrain_ext.corpora import mini_words
from speechbrain_ext.corpora.mini_words import entries

#: Short forms that the templates share; their slots are filled in turn.
PHRASES = {
    "person": entries("{woman}, {man}"),
    "whole_name": entries("{woman} {surname}, {man} {surname}"),
    "somebody": entries("""
        {woman}, {man}, my {relative}, her {relative}, the {job}, the
        {character} {job}, {title} {surname}, {woman} {surname}, {man}
        {surname}"""),
    "crowd": entries("""
        the children, the musicians, the tourists, the {job}s, my parents,
        most people, the guests, the villagers, several passengers, the young
        couple, both teams, the twins"""),
    "object": entries("""
        a {quality} {thing}, a {colour} {thing}, a {material} {thing}, the
        {quality} {thing}, a {quality} {colour} {thing}, my {thing}, this
        {thing}, that {quality} {thing}"""),
    "amount": entries("""
        {few}, {few}, {few}, {teens}, {tens}, {tens}-{unit}, a dozen, a few,
        several, many"""),
    "number": entries("{teens}, {tens}, {tens}-{unit}, a hundred"),
    "hour": entries("{few}, one, eleven, twelve"),
    "time": entries("""
        at {hour} o'clock, at half past {hour}, at a quarter past {hour}, at a
        quarter to {hour}, shortly before noon, just after midnight, at dawn,
        early in the morning, late in the afternoon, in the evening"""),
    "when": entries("""
        on {day}, next {day}, on {day} morning, on {day} afternoon, tomorrow,
        tomorrow evening, in {month}, next {month}, at the end of {month},
        next {season}, this weekend, in {few} days, in a couple of weeks,
        before the holidays"""),
    "past": entries("""
        yesterday, last {day}, last {month}, last {season}, {few} years ago, a
        long time ago, this morning, the other day, during the war, in the
        middle of the night, an hour ago, {number} years ago"""),
    "where": entries("""
        in {city}, near {city}, in {country}, at the {place}, behind the
        {landmark}, next to the {landmark}, opposite the {landmark}, outside
        the {landmark}, on {street}, not far from the {landmark}"""),
    "place_verb": entries("""
        was waiting, fell asleep, got lost, grew up, found a job, met an old
        friend, lost a {thing}, saw a {creature}, bought a house, was born,
        spent the night, worked as a {job}, took a photograph, slipped and
        fell, sang a song, told us a story, parked the {vehicle}"""),
    "did": entries("""
        repaired, painted, borrowed, sold, stole, dropped, found, hid,
        cleaned, carried, admired, examined, delivered, wrapped, photographed,
        returned, threw away, paid for, noticed, collected, unpacked,
        polished, lost, forgot, inherited, designed, sketched, smashed,
        replaced, measured"""),
    "moved": entries("""
        walked, ran, drove, hurried, wandered, marched, crept, climbed,
        jumped, cycled, stumbled, rushed, strolled, galloped, crawled,
        limped"""),
    "beast_verb": entries("""
        slept, barked, jumped, escaped, hid, vanished, was sitting, growled,
        drank, waited, was playing, scratched"""),
    "spoke": entries("""
        whispered, shouted, replied, explained, complained, admitted,
        announced, insisted, promised, suggested, muttered, laughed, argued,
        cried"""),
    "subject_group": entries("""
        the {group}, the {nature} {group}, {few} {group}, many {group}, the
        {group} of {city}, the {nationality} {group}"""),
    "affair": entries("""
        the {matter}, the {nature} {matter}, this {matter}, a {nature}
        {matter}, his {matter}, their {nature} {matter}, the {matter} of the
        {group}, the {matter} of the {institution}, any {nature} {matter}"""),
    "spot": entries("""
        {preposition} the {structure}, {preposition} the {quality}
        {structure}, {preposition} the {place}, in {country}, throughout
        {country}"""),
    "clause": entries("""
        {affair} was {treated} by {subject_group}, {affair} was {often}
        {treated}, {somebody} {treated_actively} {affair}, {subject_group} had
        {treated} {affair}, {subject_group} were {fate} {past},
        {subject_group} were {fate} {spot}, {affair} seemed {nature} to
        {somebody}, {somebody} {moved} {spot}, there was a {quality}
        {structure} {spot}, {somebody} felt {mood}, it was {nature} to speak
        of {abstract}, the {structure} was {quality} and {quality}, no
        {matter} could be more {nature}, {somebody} was {fate} by {somebody},
        the {group} {moved} {manner} {spot}, {abstract} had become a kind of
        {abstract}, one could see {plant} {spot}"""),
    "treated_actively": entries("""
        denied, confirmed, rejected, explained, regretted, described,
        suspected, supported, ignored, announced"""),
    "feeling": entries("""
        loves, hates, prefers, enjoys, misses, is afraid of, is famous for,
        dreams about, knows nothing about, is tired of, is good at, talks
        about"""),
}

#: How often a sentence is drawn from NARRATIVE and not from SCENES.
NARRATIVE_SHARE = 0.35

#: Narrative and report: few frames, but clauses that differ in every word.
NARRATIVE = (
    "{clause}.",
    "{clause}.",
    "{clause}, {link} {clause}.",
    "{clause}, {link} {clause}.",
    "{clause}, and {clause}.",
    "{opening}, {clause}.",
    "{opening}, {clause}.",
    "{opening}, {clause}, {link} {clause}.",
    "It is {nature} that {clause}.",
    "They say that {clause}.",
    "I heard that {clause}.",
    "{somebody} {spoke} that {clause}.",
    "Was {affair} ever {treated}?",
    "Who would have {treated} such a {nature} {matter}?",
    "The {matter} and the {matter} were both {nature}.",
    "The {institution} of {country} {treated_actively} {affair}.",
    "{subject_group} and {subject_group} were {fate} {spot}.",
    "We read of {affair} in the {matter}.",
    "{title} {surname} was {fate} by the {institution}.",
    "From the {structure}, you can see the {structure} and the {place}.",
)

#: Everyday sentences, grouped by what they are about.
SCENES = (
    # Introductions and families
    "My name is {whole_name}, and I come from {city}.",
    "{person} is a {character} {job} from {country}.",
    "Have you met our {job}, {whole_name}?",
    "{somebody} and {person} were married {where} {past}.",
    "Her {relative} used to be a {job} in {city}.",
    "His {relative} speaks {language} and a little {language}.",
    "{person} has {few} brothers and a {character} sister.",
    "I was named after my {relative}, who was a {job}.",
    "{somebody} looks {mood} because {person} forgot the {event}.",
    "The twins are called {person} and {person}.",
    "When I was a child, I wanted to be a {job}.",
    "Everybody says that {person} is a {character} {job}.",
    "{title} {surname} teaches {subject} at the university.",
    # Travel and directions
    "The next train to {city} leaves {time}.",
    "The train to {city} was {amount} minutes late.",
    "Turn left at the {landmark}, and then take the {ordinal} street "
    "on the right.",
    "Go straight ahead until you reach the {landmark}.",
    "Excuse me, how do I get to the {landmark} from here?",
    "The {landmark} is opposite the {landmark} on {street}.",
    "We are flying from {city} to {city} {when}.",
    "You will find the {landmark} behind the {landmark}.",
    "It takes {amount} minutes to walk from the {landmark} to the {landmark}.",
    "All trains to {city} have been delayed because of {weather}.",
    "They passed through {country} and {country} by {vehicle}.",
    "Take the {vehicle} to {street}, and get off at the {landmark}.",
    "Is there a {landmark} near {street}?",
    "Passengers for {city} should go to gate {hour}.",
    "The captain steered the ship towards {country}.",
    "Follow the road past the {landmark}, and cross the {place}.",
    "Our {vehicle} broke down somewhere between {city} and {city}.",
    "She packed a {thing}, a {thing}, and a {thing} for the journey.",
    "Keep to the right when you drive through {city}.",
    # Weather
    "It will be {weatherly} in {region} {when}.",
    "There was {weather} all day in {city}.",
    "Expect {weather} in {region} and {weather} in {region}.",
    "Tomorrow will be {weatherly} at first, with {weather} later.",
    "The temperature in {city} will fall to {number} degrees.",
    "After a {weatherly} morning, we had {weather} in the afternoon.",
    "The storm damaged {amount} houses near {city}.",
    "Because of {weather}, the {event} was postponed until {day}.",
    "It was the {ordinal} {weatherly} day of {month}.",
    "{season} in {country} is usually {weatherly}.",
    "Do not forget your {thing}, because it is {weatherly} outside.",
    # Shops, orders, food
    "I would like {food} with {food}, please.",
    "Could we have {amount} glasses of {drink}, please?",
    "Today we have {food}, {food}, and {food}.",
    "{somebody} ordered {food} and a glass of {drink}.",
    "How much does the {colour} {thing} cost?",
    "The {quality} {thing} costs {number} dollars.",
    "Can I pay for the {thing} by credit card?",
    "We ran out of {food} and {drink} {past}.",
    "My {relative} makes wonderful {food}.",
    "Please buy {food}, {food}, and some {drink}.",
    "{person} never eats {food} for breakfast.",
    "Add the {food}, stir {manner}, and wait for {number} minutes.",
    "There is no {drink} left in the refrigerator.",
    "The {nationality} restaurant on {street} serves {food}.",
    "This {thing} is too {quality}, so I want my money back.",
    "Do you have this {thing} in {colour}?",
    "A table for {few}, please, if possible near the window.",
    "Would you prefer {drink} or {drink} with your {food}?",
    "The {food} smells good, but the {food} is cold.",
    "Everything in the shop was {quality}, even the {thing}.",
    # Telephone calls
    "Hello, this is {whole_name} calling from {city}.",
    "Could I speak to {title} {surname}, please?",
    "I am sorry, but {person} is in a meeting until {hour} o'clock.",
    "Please leave a message after the tone, {person}.",
    "The line is bad, so please call me back {time}.",
    "You have {few} new messages from {whole_name}.",
    "Tell {person} that the {event} starts {time}.",
    "I am calling about the {quality} {thing} in your advertisement.",
    "Can you hear me now, or should I call you {when}?",
    "Sorry, you have the wrong number; {person} does not live here.",
    "Thank you for waiting; your {thing} will arrive {when}.",
    "{title} {surname} cannot see you before {day}.",
    "May I ask who is calling, and is it about the {event}?",
    "I tried to ring {person} {past}, but nobody answered.",
    # Appointments and times
    "The {event} begins {time} {where}.",
    "Let us meet outside the {landmark} {time}.",
    "Are you free {when}, or is {day} better?",
    "The {job} can see you on {day} {time}.",
    "Remind me to phone {person} {when}.",
    "My {relative} will arrive {time} on {day}.",
    "Set an alarm for half past {hour}, please.",
    "We have moved the {event} from {day} to {day}.",
    "{somebody} is always late for the {event}.",
    "The {landmark} is closed on {day} and {day}.",
    "It happened on the {ordinal} of {month}.",
    "They have lived {where} for {amount} years.",
    "Wake up, {person}, it is already {hour} o'clock!",
    # News
    "The {official} has promised to do something about {issue}.",
    "The {official} and the {official} disagree about {issue}.",
    "A {nationality} {company} will open a factory near {city} {when}.",
    "{amount} people were injured when a {vehicle} crashed near {city}.",
    "Voters in {country} are worried about {issue} and {issue}.",
    "The {company} has lost {number} million dollars.",
    "Police in {city} are looking for a {character} {job}.",
    "A fire destroyed the {place} in {city} {past}.",
    "The {official} refused to answer questions about {issue}.",
    "A {quality} painting was stolen from the museum in {city}.",
    "The {nationality} team won by {few} goals to {hour}.",
    "Workers at the {company} went on strike {past}.",
    "The {official} of {country} will visit {country} {when}.",
    "{number} thousand people watched the {event} in {city}.",
    "Scientists in {country} have discovered a new kind of {creature}.",
    "According to a report, the problem of {issue} is getting worse "
    "in {country}.",
    "A {character} {job} from {city} has won the lottery.",
    "An earthquake shook {region} of {country} {past}.",
    "The price of {food} has risen by {number} percent.",
    # Stories
    "{somebody} {did} {object} {past}.",
    "{somebody} {did} {object}, and {somebody} {did} {object}.",
    "{somebody} {place_verb} {where} {past}.",
    "{somebody} {moved} {manner} towards the {place}.",
    "Once upon a time, a {character} {job} lived near the {place}.",
    "The {character} {job} opened the door and {spoke} {manner}.",
    "Nobody knew why {somebody} {moved} into the {place}.",
    "{crowd} {moved} from the {place} to the {place}.",
    "Suddenly, {somebody} heard a {creature} in the {place}.",
    "She found {object} under the {thing}.",
    "He sat down {manner} and {did} the {quality} {thing}.",
    "The {creature} {beast_verb} {manner} in the {place}.",
    "A {colour} {creature} and a {quality} {thing} stood near the {place}.",
    "{somebody} {did} the {thing} before anyone could stop him.",
    "In the {place}, there was {object} and nothing else.",
    "The {job} gave {person} {object}.",
    "It was a {weatherly} night, and {somebody} was {mood}.",
    "{somebody} kept {object} in the {place} for {amount} years.",
    "When the lights went out, {somebody} {moved} to the {place}.",
    "Without a word, {somebody} left the {place} and {moved} home.",
    "The {relative} of the {job} {did} {object}.",
    "They buried the {thing} behind the {place} {past}.",
    "{somebody} wrote a {quality} letter to {somebody}.",
    "Behind the {thing} sat a {character} {creature}.",
    "The door of the {place} was open, but the {job} was gone.",
    # Conversation and opinions
    "Why is {somebody} so {mood} today?",
    "I think {person} is more {mood} than {person}.",
    "What did {somebody} say about the {event}?",
    "{person} {feeling} {hobby} and {hobby}.",
    "My {relative} {often} talks about {hobby}.",
    "Do you remember the {event} {where}?",
    "I have {often} been interested in {subject}.",
    "In my opinion, {subject} is harder than {subject}.",
    "Did {person} enjoy the {event} {past}?",
    "I would rather stay at home than work {where}.",
    "Which do you like better, {hobby} or {hobby}?",
    "What a {quality} {thing}!",
    "You should ask {somebody} about {subject}.",
    "{somebody} was {mood} when {crowd} left the {event}.",
    "If I were you, I would sell the {thing} and buy a {thing}.",
    "How long has {person} been learning {language}?",
    "I cannot believe that {person} {did} the {quality} {thing}!",
    "Nothing makes {somebody} as {mood} as {hobby}.",
    "Well, {person} is {character}, but {person} is not.",
    "{somebody} {spoke} that {hobby} was better than {hobby}.",
    "We were all {mood} after the {event} {where}.",
    "{crowd} were {mood} because of {weather}.",
    # School, science, nature
    "{substance} is heavier than {substance}.",
    "The {creature} is smaller than the {creature}.",
    "The experiment needs {substance}, {substance}, and a {thing}.",
    "Wild {plant} grow near the {place} in {country}.",
    "A {creature} can live for {number} years.",
    "{country} exports {food}, {substance}, and {food}.",
    "Our {subject} teacher has a {quality} {thing}.",
    "The students studied {subject} and {subject} until {month}.",
    "{amount} {nationality} explorers crossed the {place} {past}.",
    "Water the {plant} {manner}, and keep them away from {weather}.",
    "The {job} planted {plant} and {plant} behind the {place}.",
    "This chapter is about {subject} in {country}.",
    "{country} lies between the sea and {region}.",
    "Every {season}, the {creature} returns to the {place}.",
    "The library has {number} books about {subject}.",
    # Health
    "My {body} hurts, and I have a {illness}.",
    "The {job} has a {illness}, so {person} will do the work.",
    "Take this medicine {few} times a day for your {illness}.",
    "{woman} hurt her {body} during the {event}.",
    "How long have you had this {illness}?",
    "{man} fell off a {vehicle} and injured his {body}.",
    "You should rest your {body} until {day}.",
    "Drink {drink} and stay in bed if you have a {illness}.",
    # Home, work and instructions
    "Please put the {quality} {thing} in the {place}.",
    "Where did you put the {colour} {thing}?",
    "Pack the {thing} before you leave the {place}.",
    "{person}, please bring me the {thing} and the {thing}.",
    "There is a {creature} in the {place}!",
    "The {thing} in the {place} is {quality}.",
    "Open the window and let the {creature} out.",
    "Could you carry the {quality} {thing} to the {place}?",
    "We need a {job} to repair the {thing}.",
    "The {job} fixed the {thing} in {amount} minutes.",
    "Never leave {object} in the {vehicle}.",
    "First clean the {thing}, then dry it {manner}.",
    "I am looking for a job as a {job} in {city}.",
    "The new {job} starts work {when}.",
    "Our office has {number} desks and only one {thing}.",
    "Lock the {place} and give the key to {person}.",
    "Move the {thing} closer to the {thing}.",
    "The walls of the {place} were painted {colour}.",
    # Music, arts, sport
    "{person} plays the {instrument}, and {person} plays the {instrument}.",
    "The concert for {instrument} and {instrument} was {quality}.",
    "{somebody} wrote a book about {abstract} and {abstract}.",
    "{nationality} music is often played on the {instrument}.",
    "The team from {city} lost to {city} {past}.",
    "{person} came {ordinal} in the race {where}.",
    "We learned {hobby} in {country} {past}.",
    "The film is about a {character} {job} and a {creature}.",
    "Practice the {instrument} for {number} minutes every day.",
    "{crowd} cheered when {somebody} {moved} onto the stage.",
    # Sayings
    "{abstract} is worth more than {abstract}.",
    "There is no {abstract} without {abstract}.",
    "{abstract} and {abstract} do not always go together.",
    "He who has {abstract} needs no {thing}.",
    "It takes {abstract} to be a {job}.",
)

_SLOT = re.compile(r"\{(\w+)\}")
_AN = re.compile(
    r"\b([Aa]) (?=[ai]|e(?!uro)|o(?!ne\b)|u(?!ni[^n]|se)|hon[eo]|hour)", re.I
)


def random_sentence(rng):
    """Draw a sentence: cased, punctuated, numbers in words.

    Arguments
    ---------
    rng : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    str
        One English sentence.

    Example
    -------
    >>> import numpy
    >>> sentence = random_sentence(numpy.random.default_rng(1))
    >>> sentence[0].isupper(), sentence[-1] in ".?!"
    (True, True)
    """
    used = set()
    frames = NARRATIVE if rng.random() < NARRATIVE_SHARE else SCENES
    text = _fill(frames[rng.integers(len(frames))], rng, used)
    text = _AN.sub(r"\1n ", text)
    return text[0].upper() + text[1:]


def grammar_checksum():
    """Sum up all words and templates, to know whether they have changed.

    Returns
    -------
    int
        A CRC-32.
    """
    words = {
        name: value
        for name, value in vars(mini_words).items()
        if name.isupper()
    }
    grammar = (SCENES, NARRATIVE, NARRATIVE_SHARE, PHRASES, words)
    return zlib.crc32(repr(grammar).encode())


def _fill(template, rng, used):
    """Fill the slots, from left to right; no entry twice in a sentence."""
    return _SLOT.sub(lambda slot: _entry(slot[1], rng, used), template)


def _entry(name, rng, used):
    if name in PHRASES:
        choices = PHRASES[name]
        return _fill(choices[rng.integers(len(choices))], rng, used)
    choices = getattr(mini_words, name.upper())
    while True:
        entry = choices[rng.integers(len(choices))]
        if entry not in used:
            used.add(entry)
            return entry
