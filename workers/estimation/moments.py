"""An ability that each answer moves: the posterior's mean and variance, exact at each step.

The state of a learner on a scale is two numbers, mean and variance of a normal distribution. An
answer multiplies it by the answer's likelihood, and the product's mean and variance, integrated on
a few points around the mean, are the new state. Work and state are constant; beside the posterior
of all answers at once only the product's skewness is lost.

Source: assumed density filtering, Opper (1998), "A Bayesian approach to on-line learning", in Saad,
"On-line learning in neural networks", 363-378; for single abilities Owen (1975), Journal of the
American Statistical Association 70, 351-356, whose closed form these integrals replace.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_POINTS: Final = 25
_REACH: Final = 6.0
NODES: Final[Floats] = np.linspace(-_REACH, _REACH, _POINTS)
"""Points of integration, in deviations from the mean."""
_LOG_WEIGHT: Final[Floats] = -0.5 * NODES**2
_LEAST: Final = 1e-12
_DEEPEST: Final = -700.0


class Moments(NamedTuple):
    """Abilities of many learners, logits, shape (n,) each."""

    mean: Floats
    variance: Floats
    """Above 0."""


class Curves(NamedTuple):
    """Items that were answered, one for each learner, shape (n,) each but the thresholds.

    P(right | θ) = lower + (upper - lower) / (1 + exp(-a·(θ - b))).
    """

    discrimination: Floats
    difficulty: Floats
    lower: Floats
    upper: Floats


def start(learners: int, mean: float = 0.0, variance: float = 1.0) -> Moments:
    """Learners before their first answer."""
    return Moments(np.full(learners, mean), np.full(learners, variance))


def after_answers(state: Moments, items: Curves, score: Floats) -> Moments:
    """The abilities after one more answer each.

    Args:
        state: before.
        items: what was answered.
        score: of each answer, in [0, 1]; between them it weights "right" and "wrong".
    """
    theta = state.mean[:, None] + np.sqrt(state.variance)[:, None] * NODES
    x = items.discrimination[:, None] * (theta - items.difficulty[:, None])
    return _moved(state, _log_dichotomous(x, items, score))


def after_steps(
    state: Moments, discrimination: Floats, thresholds: Floats, step: NDArray[np.int64], model: str
) -> Moments:
    """The abilities after one more answer each on items with steps.

    Args:
        state: before.
        discrimination: a, shape (n,).
        thresholds: b of each step, logits, shape (n, steps); all items have the same number.
        step: which was reached, 0 to steps.
        model: "graded" or "partial_credit".
    """
    theta = state.mean[:, None] + np.sqrt(state.variance)[:, None] * NODES
    x = discrimination[:, None, None] * (theta[:, None, :] - thresholds[:, :, None])
    row = np.arange(step.size)
    if model == "graded":
        edge = np.full((step.size, 1, NODES.size), np.inf)
        edges = np.concatenate([edge, x, -edge], axis=1)
        above, below = edges[row, step], edges[row, step + 1]
        # P(at least k) - P(at least k + 1) without cancellation.
        log_chance = (
            -np.logaddexp(0.0, -above) - np.logaddexp(0.0, below) + np.log(-np.expm1(below - above))
        )
    else:
        sums = np.concatenate([np.zeros_like(x[:, :1]), np.cumsum(x, axis=1)], axis=1)
        log_chance = sums[row, step] - np.logaddexp.reduce(sums, axis=1)
    return _moved(state, log_chance)


def _log_dichotomous(x: Floats, items: Curves, score: Floats) -> Floats:
    log_up = -np.logaddexp(0.0, -x)
    if not items.lower.any() and (items.upper == 1.0).all():
        # log P(wrong) = log P(right) - x.
        return log_up - (1.0 - score)[:, None] * x
    up = np.exp(log_up)
    span = (items.upper - items.lower)[:, None]
    right = items.lower[:, None] + span * up
    wrong = (1.0 - items.upper)[:, None] + span * np.exp(log_up - x)
    s = score[:, None]
    with np.errstate(divide="ignore"):
        log_right = np.maximum(np.log(right), _DEEPEST)
        log_wrong = np.maximum(np.log(wrong), _DEEPEST)
    return np.asarray(s * log_right + (1.0 - s) * log_wrong)


def _moved(state: Moments, log_chance: Floats) -> Moments:
    """Mean and variance of the product of a normal density and a likelihood."""
    log_weight = log_chance + _LOG_WEIGHT
    log_weight -= log_weight.max(axis=1, keepdims=True)
    weight = np.exp(log_weight)
    total = weight.sum(axis=1)
    shift = weight @ NODES / total
    spread = weight @ NODES**2 / total - shift**2
    return Moments(
        state.mean + np.sqrt(state.variance) * shift,
        state.variance * np.maximum(spread, _LEAST),
    )
