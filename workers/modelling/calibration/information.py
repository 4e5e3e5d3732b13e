"""How uncertain fitted parameters are: the inverse of the observed information, priors included.

The information is the negative second derivative of the log posterior at its mode, from central
differences of the score, which EM knows exactly: by Fisher's identity the derivative of the log
likelihood is that of the expected one (Louis, 1982, Journal of the Royal Statistical Society B 44,
226-233). Chances are taken as logits, where a beta prior of a and b imagined counts has the mode
that EM with these counts finds, and the information (a + b)·p·(1 - p).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from workers.modelling.calibration.table import Bools, Floats

_STEP: Final = 1e-4
_LEAST: Final = 0.04
"""Information that any combination of parameters is taken to have at least: an error of 5 logits
says already that nothing is known."""

Score = Callable[[Floats], Floats]
"""Derivatives of the log posterior, shape (parameters, concepts), at parameters of that shape."""


def information(score: Score, at: Floats) -> Floats:
    """The observed information of each concept, shape (concepts, parameters, parameters).

    Args:
        score: of a concept it depends on the concept's own parameters alone.
        at: shape (parameters, concepts).
    """
    count, concepts = at.shape
    found = np.empty((concepts, count, count))
    for k in range(count):
        move = np.zeros((count, 1))
        move[k] = _STEP
        found[:, :, k] = ((score(at - move) - score(at + move)) / (2.0 * _STEP)).T
    return np.asarray((found + found.swapaxes(1, 2)) / 2.0)


def inverse(observed: Floats, fixed: Bools, least: float = _LEAST) -> Floats:
    """Covariances of parameters with some information; zeros for what is fixed.

    What the answers say nothing of, or what lies where the likelihood is no hill (at the edge, as
    after too few answers), has a large variance, never none and never an infinite one.

    Args:
        observed: shape (concepts, parameters, parameters).
        fixed: which parameters were not fitted, shape (parameters, concepts).
        least: information that any combination of parameters is taken to have.
    """
    free = ~fixed.T
    both = free[:, :, None] & free[:, None, :]
    one = np.eye(fixed.shape[0])
    held = np.where(both, np.nan_to_num(observed), one)
    value, vector = np.linalg.eigh(held)
    scaled = vector / np.sqrt(np.maximum(value, least))[:, None, :]
    return np.where(both, scaled @ scaled.swapaxes(1, 2), 0.0)


def around_mean(values: Floats, covariance: Floats) -> Floats:
    """Covariance of a concept never seen about the mean of those that were.

    Args:
        values: of those, shape (parameters, concepts).
        covariance: of each, shape (concepts, parameters, parameters).
    """
    apart = values - values.mean(axis=1, keepdims=True)
    between = apart @ apart.T / max(1, values.shape[1] - 1)
    return np.asarray(between + covariance.mean(axis=0))
