"""Ability on a calibrated scale: a Gaussian that each answer moves, in constant work and state.

A learner's ability on a concept is θ + δ: θ the ability on the scale, a random walk over answers,
δ the concept's deviation, a random walk with drift over answers on that concept. Both are kept as
independent Gaussians (assumed-density filtering). An item of several concepts is answered with the
mean of their deviations.

With m and v mean and variance of the ability before an answer, Z(m) its predictive probability:

    mean' = m + v · d log Z / dm        variance' = v + v² · d² log Z / dm²

which are the posterior's moments where Z is exact. For logistic items Z is taken as
1 / (1 + exp(-a·(m - b)·κ)) with κ = 1 / √(1 + π·a²·v / 8).

Source: moments after Rasmussen & Williams (2006), "Gaussian processes for machine learning",
equations 3.74 and following; κ after MacKay (1992), "The evidence framework applied to
classification networks", Neural Computation 4, 720-736; the hierarchy after Ekanadham & Karklin
(2017), "T-SKIRT: online estimation of student proficiency in an adaptive learning system".
"""

import math
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from workers.estimation.items import ItemParameters
from workers.estimation.logistic import sigmoid
from workers.estimation.ranges import check_finite
from workers.estimation.steps import evidence_of_steps

_PI_8: Final = math.pi / 8.0
_LIMIT: Final = 300.0
"""Largest logit within the filter: nothing under- or overflows below it."""


@dataclass(frozen=True)
class Deviation:
    """How ability on a concept lies around ability on the scale, in logits.

    Args:
        variance: before the first answer on the concept, 0 or more.
        walk: variance added by each answer on it, 0 or more.
        drift: added to the mean by each answer on it: what practice brings.

    Raises:
        ValueError: if a number lies outside its range.
    """

    variance: float = 0.0
    walk: float = 0.0
    drift: float = 0.0

    def __post_init__(self) -> None:
        check_finite("variance of a deviation", self.variance, 0.0)
        check_finite("walk of a deviation", self.walk, 0.0, 100.0)
        check_finite("drift", self.drift, -10.0, 10.0)


@dataclass(frozen=True)
class ScaleParameters:
    """Parameters of a calibrated scale, in logits.

    Args:
        mean: of abilities before the first answer.
        variance: of the same, above 0.
        walk: variance added by each answer, 0 (a static ability) or more.
        item: the mean item, which an item of an unknown concept takes.
        deviation: of a concept that has none of its own.
        predicts: whether answers are predicted by ability alone; else by the concepts' mastery,
            which ability informs where their parameters say so.

    Raises:
        ValueError: if a number lies outside its range.
    """

    mean: float = 0.0
    variance: float = 1.0
    walk: float = 0.0
    item: ItemParameters = field(default_factory=ItemParameters)
    deviation: Deviation = field(default_factory=Deviation)
    predicts: bool = False

    def __post_init__(self) -> None:
        check_finite("mean", self.mean)
        check_finite("variance", self.variance, 1e-6)
        check_finite("walk", self.walk, 0.0, 100.0)


class Evidence(NamedTuple):
    """What an answer says about the ability with which it was given."""

    z: float
    """The filter's logit of a right answer, without the item's asymptotes."""
    probability: float
    """Expected score before the answer, in [0, 1]."""
    gradient: float
    """d log Z / dm of the answer."""
    curvature: float
    """-d² log Z / dm² of the answer; times the variance it stays below 1."""


def evidence(item: ItemParameters, mean: float, variance: float, score: float) -> Evidence:
    """What an answer with a score in [0, 1] says about a Gaussian ability.

    A score between 0 and 1 on an item without thresholds weights the evidence of a right and of a
    wrong answer; on one with thresholds it is the nearest of its steps.
    """
    a = item.discrimination
    slope = a / math.sqrt(1.0 + _PI_8 * a * a * variance)
    z = min(max(slope * (mean - item.location), -_LIMIT), _LIMIT)
    if item.thresholds:
        return Evidence(z, *evidence_of_steps(item, mean, variance, score))
    p = sigmoid(z)
    if item.lower == 0.0 and item.upper == 1.0:
        return Evidence(z, p, slope * (score - p), slope * slope * p * (1.0 - p))
    q = sigmoid(-z)
    span = item.upper - item.lower
    right = item.lower + span * p
    wrong = (1.0 - item.upper) + span * q
    first = span * slope * p * q
    second = first * slope * (q - p)
    of_right, of_wrong = first / right, -first / wrong
    return Evidence(
        z,
        right,
        score * of_right + (1.0 - score) * of_wrong,
        score * (of_right * of_right - second / right)
        + (1.0 - score) * (of_wrong * of_wrong + second / wrong),
    )
