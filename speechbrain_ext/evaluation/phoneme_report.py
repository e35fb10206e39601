"""Figure 6 of Plantinga et al. from an evaluation's transcripts."""

import json
import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_ext.corpora.preparation import read_text
from speechbrain_ext.errors import UserError
from speechbrain_ext.evaluation.phonemes import VOWELS, PhoneCounts
from speechbrain_ext.files import atomic_write, write_text


def read_texts(path, system, corruption=None, levels=None, snrs=None):
    """Read what a system recognised from an evaluation's transcripts.jsonl.

    Arguments
    ---------
    path : str or Path
        The file that
        :class:`~speechbrain_ext.evaluation.transcripts.Transcripts` writes. Of
        a condition that is there twice, the later one counts.
    system : str
        Which system.
    corruption : str or None
        Under which damage; None is any.
    levels : sequence of float or None
        Under how much of it; None is any.
    snrs : dict, optional
        SNR in dB by utterance id: the levels of an evaluation in which each
        utterance has its own.

    Returns
    -------
    dict
        Text by utterance id, by (corruption, level, seed).

    Raises
    ------
    UserError
        When the file cannot be read or has no such text.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "transcripts.jsonl"
    >>> _ = file.write_text(
    ...     '{"key": "k", "system": "mask", "corruption": "noise", '
    ...     '"level": 5.0, "seed": 0, "texts": {"a": "hello"}}'
    ... )
    >>> read_texts(file, "mask")
    {('noise', 5.0, 0): {'a': 'hello'}}
    """
    found, systems = {}, set()
    text = read_text(path, "an evaluation's transcripts.jsonl")
    for line in text.splitlines():
        try:
            one = json.loads(line)
            condition = (one["corruption"], one["level"], one["seed"])
            name, texts = one["system"], dict(one["texts"])
        except (ValueError, TypeError, KeyError):
            # What a killed evaluation left unfinished.
            continue
        systems.add(name)
        if name != system or corruption not in (None, condition[0]):
            continue
        if levels is not None:
            texts = {
                key: text
                for key, text in texts.items()
                if _is_among(_level(one["level"], key, snrs), levels)
            }
        if texts:
            found[condition] = texts
    if not found:
        raise UserError(
            f"{path}: no text of {system} under the wanted damage; expected "
            f"one of {', '.join(sorted(map(str, systems))) or 'its systems'}"
        )
    return found


def _level(level, name, snrs):
    """The condition's level, or the utterance's own where it has none."""
    return snrs.get(name) if level is None and snrs else level


def _is_among(level, levels):
    return level is not None and any(
        math.isclose(level, each, abs_tol=1e-6) for each in levels
    )


def count_phones(texts, references, phones_of):
    """Count phones over all conditions.

    Arguments
    ---------
    texts : dict
        As :func:`read_texts` returns them.
    references : dict of str to str
        What was said, by utterance id.
    phones_of : callable
        From a word to its phones, or to None where it is not known.

    Returns
    -------
    PhoneCounts

    Raises
    ------
    UserError
        When an utterance has no reference.

    Example
    -------
    >>> texts = {("noise", 5.0, 0): {"a": "f f"}}
    >>> counts = count_phones(texts, {"a": "s f"}, {"f": "F", "s": "S"}.get)
    >>> counts.precision("F")
    0.5
    """
    counts = PhoneCounts()
    for condition in texts.values():
        missing = [name for name in condition if name not in references]
        if missing:
            raise UserError(
                f"{missing[0]}: was recognised but is not in the manifest; "
                "expected the manifest that was evaluated"
            )
        for name, text in condition.items():
            counts.append(references[name], text, phones_of)
    return counts


def write_phoneme_report(folder, system, baseline, found, **description):
    """Write phonemes.json and phonemes.png, the paper's Figure 6.

    Arguments
    ---------
    folder : str or Path
        Where they go.
    system, baseline : str
        Whose gain over whom it is.
    found : dict
        As :func:`~speechbrain_ext.evaluation.phonemes.precision_gains` returns
        it.
    **description : dict
        What else phonemes.json shall say.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UserError
        When one cannot be written.

    Example
    -------
    >>> import tempfile
    >>> found = {"phones": {"F": {"energy": -20.0, "gain": 0.1}}}
    >>> found["all"] = found["consonants"] = {"r": None, "n": 1}
    >>> files = write_phoneme_report(tempfile.mkdtemp(), "mask", "noisy", found)
    >>> [file.name for file in files]
    ['phonemes.json', 'phonemes.png']
    """
    files = [Path(folder) / f"phonemes.{suffix}" for suffix in ("json", "png")]
    content = {"system": system, "baseline": baseline, **description, **found}
    write_text(files[0], json.dumps(content, indent=1, allow_nan=False) + "\n")
    save_phoneme_figure(files[1], system, baseline, found)
    return files


def save_phoneme_figure(file, system, baseline, found):
    """Draw each phone's gain in precision against its mean energy.

    Arguments
    ---------
    file : str or Path
        Where the PNG goes.
    system, baseline : str
        Whose gain over whom it is.
    found : dict
        As for :func:`write_phoneme_report`.

    Raises
    ------
    UserError
        When it cannot be written.

    Example
    -------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "figure.png"
    >>> found = {"phones": {"F": {"energy": -20.0, "gain": 0.1}}}
    >>> found["all"] = found["consonants"] = {"r": None, "n": 1}
    >>> save_phoneme_figure(file, "mask", "noisy", found)
    >>> file.stat().st_size > 1000
    True
    """
    figure = Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhline(0, color="0.7", lw=0.8)
    # Words of their own colour in place of dots, as in the paper's figure.
    for phone, values in found["phones"].items():
        place = values["energy"], 100 * values["gain"]
        colour = "#D55E00" if phone in VOWELS else "#0072B2"
        axes.plot(*place, marker="o", ms=3, color=colour)
        axes.annotate(
            phone,
            place,
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )
    axes.set_xlabel("Mean energy in clean speech (dB, relative to utterance)")
    axes.set_ylabel("Gain in precision (points)")
    axes.set_title(
        f"{system} less {baseline}: {_describe(found['all'], 'phones')}, "
        f"{_describe(found['consonants'], 'consonants')}",
        fontsize=9,
    )
    with atomic_write(file) as temporary:
        figure.savefig(temporary, format="png")


def _describe(correlation, what):
    r = "undefined" if correlation["r"] is None else f"{correlation['r']:.2f}"
    return f"r = {r} ({correlation['n']} {what})"
