"""Covariance of fitted parameters: the inverse of the observed information, priors included.

The information is the negative second derivative of the log posterior at its mode, by central
differences of the score. EM gives the score exactly: by Fisher's identity the derivative of the log
likelihood is the one of the expected log likelihood (Louis, 1982, Journal of the Royal Statistical
Society B 44, 226-233). Probabilities are taken as logits, where a beta prior of a and b imagined
counts has the mode that EM with these counts finds, and the information (a + b)·p·(1 - p).
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from workers.modelling.calibration.table import Bools, Floats

_STEP: Final = 1e-4
_LEAST: Final = 0.04
"""Least information of any combination of parameters: a standard error of 5 logits already means
that nothing is known."""

Score = Callable[[Floats], Floats]
"""Derivatives of the log posterior at given parameters; both of shape (parameters, concepts)."""


def information(score: Score, at: Floats) -> Floats:
    """Compute the observed information of each concept.

    Args:
        score: score function; a concept's score may depend only on its own parameters.
        at: the mode, shape (parameters, concepts).

    Returns:
        Shape (concepts, parameters, parameters).
    """
    count, concepts = at.shape
    hessian = np.empty((concepts, count, count))
    for k in range(count):
        move = np.zeros((count, 1))
        move[k] = _STEP
        hessian[:, :, k] = ((score(at - move) - score(at + move)) / (2.0 * _STEP)).T
    return np.asarray((hessian + hessian.swapaxes(1, 2)) / 2.0)


def inverse(observed: Floats, fixed: Bools, least: float = _LEAST) -> Floats:
    """Invert informations; a fixed parameter has covariances of 0.

    A parameter that the answers do not determine has a large variance, never a zero, negative or
    infinite one.

    Args:
        observed: informations, shape (concepts, parameters, parameters).
        fixed: True for parameters that were not fitted, shape (parameters, concepts).
        least: least information of any combination of parameters.
    """
    free = ~fixed.T
    free_pair = free[:, :, None] & free[:, None, :]
    identity = np.eye(fixed.shape[0])
    filled = np.where(free_pair, np.nan_to_num(observed), identity)
    value, vector = np.linalg.eigh(filled)
    scaled = vector / np.sqrt(np.maximum(value, least))[:, None, :]
    return np.where(free_pair, scaled @ scaled.swapaxes(1, 2), 0.0)


def around_mean(values: Floats, covariance: Floats) -> Floats:
    """Compute the covariance of an unseen concept around the mean of the seen ones.

    Args:
        values: parameters of the seen concepts, shape (parameters, concepts).
        covariance: their covariances, shape (concepts, parameters, parameters).
    """
    apart = values - values.mean(axis=1, keepdims=True)
    between = apart @ apart.T / max(1, values.shape[1] - 1)
    return np.asarray(between + covariance.mean(axis=0))
