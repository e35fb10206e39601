"""results.json: what every evaluation writes, a row a figure."""

import json
import math
from pathlib import Path

from speechbrain_ext.errors import UserError
from speechbrain_ext.files import write_text

#: The keys of a row, in order; other programs read them.
ROW_KEYS = (
    "system",
    "backend",
    "test_set",
    "corruption",
    "level",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "seed",
)

#: The ``system`` of the recogniser without a front-end.
BARE = "bare"


def result_row(
    system,
    backend,
    test_set,
    corruption,
    level,
    metric,
    estimate,
    n,
    seed,
):
    """Make a row of results.json.

    Arguments
    ---------
    system : str
        Which system; ``bare`` is the recogniser without a front-end.
    backend : str
        What ran it, for example ``torch``.
    test_set : str
        On what.
    corruption : str
        With which damage.
    level : float or None
        How much of it; a loss rate is a fraction, an SNR in dB. None is all
        levels together.
    metric : str
        For example ``wer``, a fraction.
    estimate : tuple of float
        The value with its interval's ends. What is not finite becomes None, as
        JSON has no name for it.
    n : int
        Utterances.
    seed : int
        Seed of the damage; the first of several.

    Returns
    -------
    dict
        With the keys of ``ROW_KEYS``.

    Example
    -------
    >>> row = result_row(
    ...     "bare", "torch", "test", "spans", 0.4, "wer", (0.6, 0.5, 0.7), 60, 1
    ... )
    >>> row["metric"], row["value"], row["ci_low"], row["ci_high"]
    ('wer', 0.6, 0.5, 0.7)
    """
    value, low, high = (
        float(part) if math.isfinite(part) else None for part in estimate
    )
    values = (
        system,
        backend,
        test_set,
        corruption,
        None if level is None else float(level),
        metric,
        value,
        low,
        high,
        int(n),
        int(seed),
    )
    return dict(zip(ROW_KEYS, values, strict=True))


def result_values(rows, metric, level=None):
    """Look up a metric's values.

    Arguments
    ---------
    rows : list of dict
        As :func:`result_row` makes them, of one test set.
    metric : str
        For example ``wer``.
    level : float or None
        Of the damage; None is all levels together.

    Returns
    -------
    dict
        Value by system.

    Example
    -------
    >>> row = result_row(
    ...     "bare", "torch", "test", "noise", None, "wer", (0.6, 0.5, 0.7), 9, 1
    ... )
    >>> result_values([row], "wer")
    {'bare': 0.6}
    """
    return {
        row["system"]: row["value"]
        for row in rows
        if (row["metric"], row["level"]) == (metric, level)
    }


def write_utterances(path, systems):
    """Write what systems did, utterance by utterance: a system a line.

    Arguments
    ---------
    path : str or Path
        The JSON file.
    systems : sequence of dict
        What JSON has names for.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "errors.json"
    >>> write_utterances(file, [{"system": "bare"}])
    >>> read_utterances(file, dict, file.name)
    [{'system': 'bare'}]
    """
    lines = ",\n".join(json.dumps(one, allow_nan=False) for one in systems)
    write_text(path, f"[\n{lines}\n]\n")


def read_utterances(path, make, name):
    """Read what :func:`write_utterances` wrote.

    Arguments
    ---------
    path : str or Path
        The JSON file.
    make : callable
        Called with what stands there of a system, by keyword.
    name : str
        What such a file is called.

    Returns
    -------
    list
        What ``make`` returns.

    Raises
    ------
    UserError
        When it is missing or no such file.

    Example
    -------
    >>> read_utterances("nowhere.json", dict, "errors.json")
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: nowhere.json: not readable as an \
evaluation's errors.json
    """
    try:
        systems = json.loads(Path(path).read_text(encoding="utf-8"))
        return [make(**one) for one in systems]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not readable as an evaluation's {name}"
        ) from error


def check_same_utterances(system, baseline):
    """Refuse to compare systems that were given other speech.

    Arguments
    ---------
    system, baseline : object
        What has ``system``, ``ids`` and ``test_set``.

    Raises
    ------
    UserError
        When the utterances are others.

    Example
    -------
    >>> from types import SimpleNamespace
    >>> one = SimpleNamespace(system="a", ids=["u"], test_set="test")
    >>> check_same_utterances(one, one)
    """
    if list(system.ids) != list(baseline.ids):
        raise UserError(
            f"{system.system} and {baseline.system}: scored on other "
            f"utterances of {system.test_set}; expected the same"
        )


def write_results(path, rows):
    """Write results.json, whole or not at all.

    Arguments
    ---------
    path : str or Path
        The file.
    rows : list of dict
        As :func:`result_row` makes them.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "results.json"
    >>> write_results(file, [])
    >>> json.loads(file.read_text())
    []
    """
    write_text(path, json.dumps(rows, indent=1, allow_nan=False) + "\n")


def join_results(path, folders):
    """Write one results.json of all that several evaluations wrote.

    Arguments
    ---------
    path : str or Path
        The file.
    folders : iterable of (str or Path)
        Where each evaluation wrote its own; one that comes twice counts once.

    Raises
    ------
    UserError
        When the file cannot be written.

    Example
    -------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "results.json"
    >>> join_results(file, [])
    >>> json.loads(file.read_text())
    []
    """
    rows = [
        row
        for folder in dict.fromkeys(map(Path, folders))
        for row in json.loads((folder / "results.json").read_text("utf-8"))
    ]
    write_results(path, rows)
