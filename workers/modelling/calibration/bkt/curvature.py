"""Curvature of the log posterior of knowledge tracing near its mode: Newton steps and covariances.

Coordinates are the logits of prior, learn, guess, slip and forget; a parameter of 0 was not fitted.
Fisher's identity gives the exact score.
"""

from typing import Final

import numpy as np
from scipy.special import expit, logit

from workers.modelling.calibration.bkt.em import (
    FORGET,
    GUESS,
    LEARN,
    SLIP,
    constrained,
    em,
    expected,
)
from workers.modelling.calibration.bkt.forest import Forest
from workers.modelling.calibration.information import Score, information, inverse
from workers.modelling.calibration.table import Bools, Floats

_STEPS: Final = 20
_MOST_STEP: Final = 2.0
_SHARES: Final = (1.0, 0.25, 0.05)
"""Shares of a Newton step to try; the first one with a higher objective is taken."""
_FLAT: Final = 1e-6
"""Least curvature: along a ridge a step is as long as allowed."""
_ENOUGH: Final = 1e-8
"""Gain in nats that a step must promise to be tried."""


def bkt_covariance(forest: Forest, parameters: Floats, counts: Floats) -> Floats:
    """Compute the covariance of the logits of prior, learn, guess, slip and forget.

    Args:
        forest: the answers.
        parameters: the mode, shape (5, concepts).
        counts: prior counts, see `em`.

    Returns:
        Shape (concepts, 5, 5), zeros for parameters that were not fitted.
    """
    fixed = _fixed(parameters)
    at = _logits(parameters, fixed)
    return inverse(information(_score_of(forest, parameters, counts), at), fixed)


def newton_polish(
    forest: Forest, parameters: Floats, counts: Floats, *, reachable: bool = False
) -> Floats:
    """Improve parameters by Newton steps, where EM converges slowly.

    Args:
        forest: the answers.
        parameters: parameters near the mode, shape (5, concepts).
        counts: prior counts, see `em`.
        reachable: see `em.constrained`.

    Returns:
        Parameters, no concept's objective lower than before.
    """
    best = parameters.copy()
    alike = constrained(_alike(forest, parameters), parameters[FORGET], reachable=reachable)
    better = em(forest, alike, counts).objective > em(forest, best, counts).objective
    best[:, better] = alike[:, better]
    going = np.arange(forest.concepts)
    for _ in range(_STEPS):
        here = best[:, going]
        fixed = _fixed(here)
        score, x = _score_of(forest, here, counts), _logits(here, fixed)
        slope = np.where(fixed, 0.0, score(x))
        step = np.einsum("cij,jc->ic", inverse(information(score, x), fixed, _FLAT), slope)
        promised = 0.5 * (slope * step).sum(axis=0)
        step = np.clip(step, -_MOST_STEP, _MOST_STEP)
        least = em(forest, here, counts).objective
        better = np.zeros(going.size, dtype=np.bool_)
        for share in _SHARES:
            there = np.where(fixed, here, expit(x + share * step))
            there = constrained(there, here[FORGET], reachable=reachable)
            here_better = ~better & (em(forest, there, counts).objective > least)
            best[:, going[here_better]] = there[:, here_better]
            better |= here_better
        kept = np.flatnonzero(better & (promised > _ENOUGH))
        if not kept.size:
            break
        forest, going = forest.of(kept), going[kept]
    return best


def _alike(forest: Forest, parameters: Floats) -> Floats:
    """Return the same parameters with uninformative answers, an edge along which EM is slow."""
    right, answers = forest.learners_of
    share = right / np.maximum(answers, 1.0)
    uninformative = parameters.copy()
    uninformative[GUESS], uninformative[SLIP] = share, 1.0 - share
    return uninformative


def _fixed(parameters: Floats) -> Bools:
    fixed = np.zeros(parameters.shape, dtype=np.bool_)
    fixed[[LEARN, FORGET]] = parameters[[LEARN, FORGET]] == 0.0
    return fixed


def _logits(parameters: Floats, fixed: Bools) -> Floats:
    return np.asarray(np.where(fixed, 0.0, logit(np.where(fixed, 0.5, parameters))))


def _score_of(forest: Forest, parameters: Floats, counts: Floats) -> Score:
    fixed = _fixed(parameters)
    a, b = counts[:, :1], counts[:, 1:]

    def score(x: Floats) -> Floats:
        p = np.where(fixed, parameters, expit(x))
        _, events, others = expected(forest, p)
        return np.asarray((events + a) * (1.0 - p) - (others + b) * p)

    return score
