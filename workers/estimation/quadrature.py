"""Moments of an answer by Gauss-Hermite quadrature, for items without a closed form."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimation.items import ItemParameters

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
_WEIGHT: Final[Floats] = _WEIGHTS / _WEIGHTS.sum()
_SMALLEST: Final = 1e-300


def step_probabilities(item: ItemParameters, theta: Floats) -> Floats:
    """Compute P(step = k | θ), shape (thresholds + 1, abilities).

    Source: see `ItemParameters`.
    """
    distance = item.discrimination * (theta - np.array(item.thresholds)[:, None])
    if item.steps == "graded":
        # A difference of two probabilities near 1 would lose all digits in the tail.
        reached = np.exp(-np.logaddexp(0.0, -distance))
        missed = np.exp(-np.logaddexp(0.0, distance))
        between = np.where(reached[1:] > 0.5, missed[1:] - missed[:-1], reached[:-1] - reached[1:])
        return np.vstack([missed[:1], between, reached[-1:]])
    sums = np.vstack([np.zeros_like(distance[:1]), np.cumsum(distance, axis=0)])
    sums -= sums.max(axis=0)
    weight = np.exp(sums)
    return np.asarray(weight / weight.sum(axis=0))


def evidence_of_steps(
    item: ItemParameters, mean: float, variance: float, score: float
) -> tuple[float, float, float]:
    """Compute expected score and derivatives of log Z for an item with thresholds.

    The derivatives give the posterior's moments by quadrature. 41 points suffice while a²·variance
    is below about 30. A posterior narrower than their spacing keeps the spacing as its width.

    Args:
        item: an item with thresholds.
        mean: mean of the ability before the answer, logits.
        variance: variance of the ability before the answer, above 0.
        score: score of the answer, in [0, 1]; the nearest step counts.

    Returns:
        Expected score, first derivative and negative second derivative.
    """
    chances = step_probabilities(item, mean + np.sqrt(variance) * _NODES)
    count = len(item.thresholds)
    expected = float((np.arange(count + 1) / count) @ (chances @ _WEIGHT))
    return expected, *_moments(chances[round(score * count)], variance)


def evidence_of_score(
    item: ItemParameters, mean: float, variance: float, score: float
) -> tuple[float, float]:
    """Compute derivatives of log Z for partial credit on an item with asymptotes.

    Args:
        item: an item without thresholds.
        mean: mean of the ability before the answer, logits.
        variance: variance of the ability before the answer, above 0.
        score: score of the answer, in (0, 1); it weights the likelihoods of right and wrong.

    Returns:
        First derivative and negative second derivative.
    """
    x = item.discrimination * (mean + np.sqrt(variance) * _NODES - item.difficulty)
    span = item.upper - item.lower
    right = item.lower + span * np.exp(-np.logaddexp(0.0, -x))
    wrong = (1.0 - item.upper) + span * np.exp(-np.logaddexp(0.0, x))
    return _moments(right**score * wrong ** (1.0 - score), variance)


def _moments(likelihood: Floats, variance: float) -> tuple[float, float]:
    """Compute the derivatives of log Z from the posterior's mean and variance."""
    posterior = _WEIGHT * np.maximum(likelihood, _SMALLEST)
    posterior /= posterior.sum()
    shift = float(posterior @ _NODES)
    spread = max(float(posterior @ (_NODES - shift) ** 2), 1e-3)
    return shift / float(np.sqrt(variance)), (1.0 - spread) / variance
