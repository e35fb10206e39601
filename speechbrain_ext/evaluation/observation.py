"""Systems under several ratios of observation adding, and the choice of one.

Equation 22 of paper 3 (Sato et al., 2025): post-processing, so that an enhancer
is trained once whatever the ratio.
"""

import dataclasses

from speechbrain_ext.evaluation.results import result_values


def observation_name(name, ratio):
    """Name a system with observation adding.

    Arguments
    ---------
    name : str
        The system's without.
    ratio : float
        The observation's share.

    Returns
    -------
    str

    Example
    -------
    >>> observation_name("SSL-MSE", 0.1), observation_name("SSL-MSE", 0)
    ('SSL-MSE+OA0.1', 'SSL-MSE')
    """
    return f"{name}+OA{ratio:g}" if ratio else name


def with_observations(systems, ratios):
    """Give each enhancer several ratios of observation adding.

    Arguments
    ---------
    systems : dict
        :class:`~speechbrain_ext.evaluation.enhancement.EnhancementSystem` by
        name; those without an enhancer stay as they are.
    ratios : sequence of float or dict
        For all systems, or by name; 0 is the enhancer alone.

    Returns
    -------
    dict
        Systems by name, as :func:`observation_name` gives it.

    Example
    -------
    >>> from speechbrain_ext.evaluation.enhancement_systems import (
    ...     EnhancementSystem,
    ... )
    >>> systems = {"noisy": EnhancementSystem(), "a": EnhancementSystem(list)}
    >>> list(with_observations(systems, (0.0, 0.1)))
    ['noisy', 'a', 'a+OA0.1']
    """
    found = {}
    for name, system in systems.items():
        if system.enhancer is None:
            found[name] = system
            continue
        own = ratios[name] if isinstance(ratios, dict) else ratios
        for ratio in own:
            found[observation_name(name, ratio)] = dataclasses.replace(
                system, observation=ratio
            )
    return found


def choose_observations(rows, names, ratios):
    """Choose each enhancer's ratio by its word error rate.

    Arguments
    ---------
    rows : list of dict
        Of a *validation* set's results.json: what is chosen on a test set says
        too much of itself.
    names : iterable of str
        The enhancers'.
    ratios : sequence of float
        Those that were tried.

    Returns
    -------
    dict
        By name, the ratio with the lowest rate; the smallest of equals.

    Example
    -------
    >>> from speechbrain_ext.evaluation.results import result_row
    >>> rows = [
    ...     result_row(*row, 9, 0)
    ...     for row in (
    ...         ("a", "t", "valid", "noise", None, "wer", (0.2, 0, 1)),
    ...         ("a+OA0.1", "t", "valid", "noise", None, "wer", (0.1, 0, 1)),
    ...     )
    ... ]
    >>> choose_observations(rows, ["a"], (0.0, 0.1))
    {'a': 0.1}
    """
    rates = result_values(rows, "wer")
    return {
        name: min(
            sorted(ratios),
            key=lambda ratio: rates[observation_name(name, ratio)],
        )
        for name in names
    }


def choice_note(rows, chosen, ratios):
    """Say on which rates a choice stands.

    Arguments
    ---------
    rows : list of dict
        As :func:`choose_observations` takes them.
    chosen : dict
        What it returned.
    ratios : sequence of float
        Those that were tried.

    Returns
    -------
    str
        A paragraph.

    Example
    -------
    >>> choice_note([], {}, (0.0, 0.1))
    'Observation adding, chosen by the WER of the validation set:\\n'
    """
    rates = result_values(rows, "wer")
    lines = ["Observation adding, chosen by the WER of the validation set:\n"]
    for name, best in chosen.items():
        tried = ", ".join(
            f"{100 * rates[observation_name(name, ratio)]:.1f} % with {ratio:g}"
            for ratio in sorted(ratios)
        )
        lines.append(f"- {name}: **{best:g}** ({tried})")
    return "\n".join(lines)
