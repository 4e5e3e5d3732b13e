"""The log posterior of classical knowledge tracing near its mode: Newton steps, and covariances.

In the logits of prior, learn, guess, slip and forget; what is 0 was not fitted. The score is exact,
by Fisher's identity.
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
from workers.modelling.calibration.bkt.prefix_tree import PrefixTree
from workers.modelling.calibration.information import Score, information, inverse
from workers.modelling.calibration.table import Bools, Floats, summed

_STEPS: Final = 20
_MOST_STEP: Final = 2.0
_SHARES: Final = (1.0, 0.25, 0.05)
"""Of a step, the first of which that gets higher is taken."""
_FLAT: Final = 1e-6
"""Least curvature: along a ridge a step is as long as it may be."""
_ENOUGH: Final = 1e-8
"""Nats that a step must promise, or it is not tried."""


def bkt_covariance(tree: PrefixTree, parameters: Floats, counts: Floats) -> Floats:
    """Covariance of the logits of prior, learn, guess, slip and forget of each concept.

    Args:
        tree: the answers.
        parameters: the mode, shape (5, concepts).
        counts: as of `em`.

    Returns:
        Shape (concepts, 5, 5), zeros for what was not fitted.
    """
    fixed = _fixed(parameters)
    at = _logits(parameters, fixed)
    return inverse(information(_score_of(tree, parameters, counts), at), fixed)


def newton_polish(
    tree: PrefixTree, parameters: Floats, counts: Floats, *, reachable: bool = False
) -> Floats:
    """Parameters by Newton steps to where EM creeps; of no concept lower than before.

    Args:
        tree: the answers.
        parameters: near the mode, shape (5, concepts).
        counts: as of `em`.
        reachable: as of `bkt_step.constrained`.
    """
    found = parameters.copy()
    alike = constrained(_alike(tree, parameters), parameters[FORGET], reachable=reachable)
    better = em(tree, alike, counts).objective > em(tree, found, counts).objective
    found[:, better] = alike[:, better]
    going = np.arange(tree.concepts)
    for _ in range(_STEPS):
        here = found[:, going]
        fixed = _fixed(here)
        score, x = _score_of(tree, here, counts), _logits(here, fixed)
        slope = np.where(fixed, 0.0, score(x))
        step = np.einsum("cij,jc->ic", inverse(information(score, x), fixed, _FLAT), slope)
        promised = 0.5 * (slope * step).sum(axis=0)
        step = np.clip(step, -_MOST_STEP, _MOST_STEP)
        least = em(tree, here, counts).objective
        better = np.zeros(going.size, dtype=np.bool_)
        for share in _SHARES:
            there = np.where(fixed, here, expit(x + share * step))
            there = constrained(there, here[FORGET], reachable=reachable)
            here_better = ~better & (em(tree, there, counts).objective > least)
            found[:, going[here_better]] = there[:, here_better]
            better |= here_better
        kept = np.flatnonzero(better & (promised > _ENOUGH))
        if not kept.size:
            break
        tree, going = tree.of(kept), going[kept]
    return found


def _alike(tree: PrefixTree, parameters: Floats) -> Floats:
    """The same with answers that tell next to nothing of knowing: an edge that EM creeps along."""
    right = summed(tree.concept, tree.count * tree.values[tree.symbol], tree.concepts)
    share = right / np.maximum(summed(tree.concept, tree.count, tree.concepts), 1.0)
    found = parameters.copy()
    found[GUESS], found[SLIP] = share, 1.0 - share
    return found


def _fixed(parameters: Floats) -> Bools:
    fixed = np.zeros(parameters.shape, dtype=np.bool_)
    fixed[[LEARN, FORGET]] = parameters[[LEARN, FORGET]] == 0.0
    return fixed


def _logits(parameters: Floats, fixed: Bools) -> Floats:
    return np.asarray(np.where(fixed, 0.0, logit(np.where(fixed, 0.5, parameters))))


def _score_of(tree: PrefixTree, parameters: Floats, counts: Floats) -> Score:
    fixed = _fixed(parameters)
    a, b = counts[:, :1], counts[:, 1:]

    def score(x: Floats) -> Floats:
        p = np.where(fixed, parameters, expit(x))
        _, events, others = expected(tree, p)
        return np.asarray((events + a) * (1.0 - p) - (others + b) * p)

    return score
