"""Estimate ability on an uncalibrated scale by EAP, exactly and for any number of answers.

Each item has discrimination a = 1 and difficulty b = 0 (logistic, D = 1). The likelihood of all
answers is P^S · (1 - P)^(n - S), with P = 1 / (1 + exp(-θ)), n the number of answers and S the sum
of their scores. n and S are the whole state. The posterior under the prior N(0, 1) is computed from
them each time, so no error accumulates. On a calibrated scale the state holds the posterior's mean
and variance (`workers.estimation.scales`).

Source: Bock & Mislevy (1982), "Adaptive EAP estimation of ability in a microcomputer environment",
Applied Psychological Measurement 6, 431-444, equations 5 and 6. The integrals over the whole line
use the trapezoid rule on points that follow the posterior's location and width. Its error falls
exponentially for a smooth density: Trefethen & Weideman (2014), "The exponentially convergent
trapezoidal rule", SIAM Review 56, 385-458.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DROP: Final = 32.0
"""Drop of the log density, in nats, beyond which the density counts as 0: exp(-32) = 1e-14."""
_FARTHEST: Final = math.sqrt(2.0 * _DROP)
"""Distance from the mode, in logits, within which the prior alone makes any posterior drop by
`_DROP`."""
_NEWTON_STEPS: Final = 2
"""Two steps are enough: the integrals are the same around any point near the mode."""
_PLACES: Final[Floats] = np.linspace(0.0, 1.0, 36)
"""Points between the two ends; 36 keep the error below 1e-12 for 0 to 100 million answers."""
_SIDES: Final[Floats] = np.array([[-1.0], [1.0]])

_NORMAL_95: Final = 1.959963984540054


class AbilityState(NamedTuple):
    """Sufficient statistics of a learner's answers on a scale."""

    responses: int = 0
    """Number of answers."""
    score: float = 0.0
    """Sum of the scores, in [0, responses]."""
    mean: float = 0.0
    """Posterior mean in logits on a calibrated scale; 0 otherwise."""
    variance: float = 0.0
    """Posterior variance on a calibrated scale, above 0; 0 otherwise."""
    surprise: float = 0.0
    """Log likelihood of all answers minus its expectation under the predictions, in nats, on a
    calibrated scale (`workers.estimation.person_fit`); 0 otherwise."""
    surprise_variance: float = 0.0
    """Variance of the surprise under the predictions, nats²; 0 on an uncalibrated scale."""

    def after(self, score: float) -> "AbilityState":
        """Return the state after one more answer on an uncalibrated scale.

        Args:
            score: score of the answer, in [0, 1].
        """
        return AbilityState(self.responses + 1, self.score + score)


class AbilityEstimate(NamedTuple):
    """Posterior of an ability."""

    theta: float
    """Posterior mean, logits."""
    standard_error: float
    """Posterior standard deviation, logits."""

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the 95 % interval in logits, by the normal approximation."""
        half = _NORMAL_95 * self.standard_error
        return self.theta - half, self.theta + half


def estimate_many(responses: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Compute posterior mean and standard deviation for many states at once.

    A state gives the same bits in any batch.

    Args:
        responses: number of answers, shape (n,).
        score: sum of their scores, shape (n,), each in [0, responses].

    Returns:
        theta and standard_error in logits, shape (n,) each, within 1e-12 of the integrals.
    """
    # The posterior of S mirrors the one of n - S. The smaller of the two keeps P at most 1/2 around
    # the centre, so log(1 + P·(exp(δ) - 1)) keeps its digits.
    rarer = np.minimum(score, responses - score)
    centre = _near_mode(responses, rarer)
    p = 1.0 / (1.0 + np.exp(-centre))
    slope = rarer - centre
    low, high = _ends(responses, p, slope)
    offset = low[:, None] + (high - low)[:, None] * _PLACES
    # log density at centre + δ less that at the centre: (S - centre)·δ - δ²/2 - n·log(...)
    weight = p[:, None] * np.expm1(offset)
    np.log1p(weight, out=weight)
    weight *= -responses[:, None]
    weight += (slope[:, None] - 0.5 * offset) * offset
    np.exp(weight, out=weight)
    total = weight.sum(axis=1)
    shift = (weight * offset).sum(axis=1) / total
    offset -= shift[:, None]
    offset *= offset
    variance = (weight * offset).sum(axis=1) / total
    theta = centre + shift
    return np.where(score > rarer, -theta, theta), np.sqrt(variance)


def _near_mode(responses: Floats, rarer: Floats) -> Floats:
    """Find a point well within a standard deviation of the mode, where S - n·P(θ) - θ = 0."""
    commoner = responses - rarer
    # At the mode P = (S - θ) / n, so the first guess of θ gives the prior's share of S.
    pull = np.log((commoner + 1.0) / (rarer + 1.0))
    theta: Floats = np.log((rarer + pull + 1.0) / (commoner + 1.0))
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-theta))
        expected = responses * p
        theta = theta - (expected + theta - rarer) / (expected * (1.0 - p) + 1.0)
    return theta


def _ends(responses: Floats, p: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """Find the offsets on both sides of the centre at which the density has dropped by `_DROP`.

    Takes one Newton step from the offset at which a normal density would have dropped so far. The
    log density is concave, so the step never ends too near.
    """
    end = _SIDES * (_FARTHEST / np.sqrt(responses * p * (1.0 - p) + 1.0))
    odds = p * np.expm1(end)
    height = (slope - 0.5 * end) * end - responses * np.log1p(odds)
    steepness = slope - end - responses * (p + odds) / (1.0 + odds)
    end = end - (height + _DROP) / steepness
    low, high = np.minimum(np.maximum(end, -_FARTHEST), _FARTHEST)
    return low, high


def estimates(states: "list[AbilityState]") -> list[AbilityEstimate]:
    """Estimate the ability of each state; equal states are computed once."""
    distinct = list(dict.fromkeys(state for state in states if state.variance == 0.0))
    theta, error = estimate_many(
        np.array([s.responses for s in distinct], dtype=np.float64),
        np.array([s.score for s in distinct], dtype=np.float64),
    )
    estimate_of = {
        state: AbilityEstimate(t, e)
        for state, t, e in zip(distinct, theta.tolist(), error.tolist(), strict=True)
    }
    return [
        estimate_of[state]
        if state.variance == 0.0
        else AbilityEstimate(state.mean, math.sqrt(state.variance))
        for state in states
    ]
