"""Observation adding: a little of the noisy input on top of what was enhanced.

Ochiai et al., "Rethinking processing distortions", IEEE/ACM TASLP 32, 2024;
equation 22 of paper 3 (Sato et al., 2025).
"""

from speechbrain_ext.errors import UserError


def check_observation(ratio):
    """Refuse what is no ratio of observation adding.

    Arguments
    ---------
    ratio : float
        What a person gave.

    Raises
    ------
    UserError
        When it is not in [0, 1].

    Example
    -------
    >>> check_observation(1.5)
    Traceback (most recent call last):
    ...
    speechbrain_ext.errors.UserError: observation: is 1.5; expected a ratio, \
0 to 1
    """
    if not 0 <= ratio <= 1:
        raise UserError(f"observation: is {ratio:g}; expected a ratio, 0 to 1")


def add_observation(enhanced, observed, ratio):
    """Mix what was enhanced with what was observed (equation 22).

    ``ratio * observed + (1 - ratio) * enhanced``: an enhancer's distortions
    become weaker, and some noise comes back.

    Arguments
    ---------
    enhanced, observed : torch.Tensor
        Of one shape.
    ratio : float
        The observation's share, beta in the paper; 0 adds nothing.

    Returns
    -------
    torch.Tensor
        The same shape.

    Raises
    ------
    UserError
        When the ratio is not in [0, 1].

    Example
    -------
    >>> import torch
    >>> add_observation(torch.zeros(2), torch.ones(2), 0.1)
    tensor([0.1000, 0.1000])
    """
    check_observation(ratio)
    if not ratio:
        return enhanced
    return ratio * observed + (1 - ratio) * enhanced
