"""Ability on a scale: two-parameter logistic items, expected a posteriori on a fixed grid.

For items without calibrated parameters (discrimination a = 1, difficulty b = 0, logistic with
D = 1) the likelihood of all answers is P^S · (1 - P)^(n - S), with P = 1 / (1 + exp(-θ)), n their
number and S the sum of their scores: those two numbers are the whole state, whatever the history's
length, and the posterior is computed from them alone: nothing accumulates, nothing drifts. On a
calibrated scale the state holds the posterior's mean and variance (`workers.estimation.scales`).

Source: Bock & Mislevy (1982), "Adaptive EAP estimation of ability in a microcomputer
environment", Applied Psychological Measurement 6, 431-444, equations 5 and 6.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRID: Final[Floats] = np.linspace(-6.0, 6.0, 61)
"""Quadrature points, logits. Beyond some 300 responses 0.2 is too coarse for the error."""

_LOG_PRIOR: Final[Floats] = -0.5 * GRID**2
_LOG_RIGHT: Final[Floats] = -np.logaddexp(0.0, -GRID)
_LOG_WRONG: Final[Floats] = -np.logaddexp(0.0, GRID)


_NORMAL_95: Final = 1.959963984540054


class AbilityState(NamedTuple):
    """What is known of a learner on a scale."""

    responses: int = 0
    """Number of answers."""
    score: float = 0.0
    """Sum of their scores, in [0, responses]."""
    mean: float = 0.0
    """On a calibrated scale the posterior mean, logits; else 0."""
    variance: float = 0.0
    """On a calibrated scale the posterior variance, above 0; else 0."""
    surprise: float = 0.0
    """On a calibrated scale, log likelihood of all answers less what the predictions made expect of
    it, nats (`workers.estimation.person_fit`); else 0."""
    surprise_variance: float = 0.0
    """Variance of the same under the predictions, nats²; else 0."""

    def after(self, score: float) -> "AbilityState":
        """The state after one more answer with a score in [0, 1], on an uncalibrated scale."""
        return AbilityState(self.responses + 1, self.score + score)


class AbilityEstimate(NamedTuple):
    """Posterior of an ability."""

    theta: float
    """Posterior mean, logits."""
    standard_error: float
    """Posterior standard deviation, logits."""

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end of the 95 % interval, logits: normal, as the posterior nearly is."""
        half = _NORMAL_95 * self.standard_error
        return self.theta - half, self.theta + half


def estimate_many(responses: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Posterior mean and standard deviation for many states at once.

    Args:
        responses: number of answers of each, shape (n,).
        score: sum of their scores, shape (n,), each in [0, responses].

    Returns:
        theta and standard_error in logits, shape (n,) each.
    """
    log_posterior = (
        _LOG_PRIOR + score[:, None] * _LOG_RIGHT + (responses - score)[:, None] * _LOG_WRONG
    )
    # The maximum goes first, so that exp neither overflows nor loses the whole row.
    log_posterior -= log_posterior.max(axis=1, keepdims=True)
    weight = np.exp(log_posterior)
    total = weight.sum(axis=1)
    theta = (weight * GRID).sum(axis=1) / total
    variance = (weight * (GRID - theta[:, None]) ** 2).sum(axis=1) / total
    return theta, np.sqrt(variance)


def estimates(states: "list[AbilityState]") -> list[AbilityEstimate]:
    """The estimate of each state, equal ones computed once."""
    distinct = list(dict.fromkeys(state for state in states if state.variance == 0.0))
    theta, error = estimate_many(
        np.array([s.responses for s in distinct], dtype=np.float64),
        np.array([s.score for s in distinct], dtype=np.float64),
    )
    found = {
        state: AbilityEstimate(t, e)
        for state, t, e in zip(distinct, theta.tolist(), error.tolist(), strict=True)
    }
    return [
        found[state]
        if state.variance == 0.0
        else AbilityEstimate(state.mean, math.sqrt(state.variance))
        for state in states
    ]
