"""Ability on a calibrated scale: a Gaussian that each answer moves, in constant work and state.

A learner's ability on a concept is θ + δ: θ is the ability on the scale, a random walk over
answers; δ is the concept's deviation, an autoregressive walk over the answers on that concept:

    δ' = φ·δ + drift · ratio^k + noise of variance walk,  φ = √(1 - walk / variance)

with k the number of answers on the concept before. So its spread over learners stays `variance`,
and practice saturates. θ and δ are kept as independent Gaussians (assumed-density filtering). An
answer tells of their sum alone, so two random walks would slide apart for ever; φ brings δ back. An
item of several concepts is answered with the mean of their deviations.

With m and v mean and variance of the ability before an answer, and Z(m) the likelihood of the
answer averaged over the ability, the posterior has the moments

    mean' = m + v · d log Z / dm        variance' = v + v² · d² log Z / dm²

Z is exact up to the mixture of `workers.estimation.logistic_normal`: mean and standard deviation
are within 0.2 % of the posterior's standard deviation for a ≤ 3 and v ≤ 1.5. Partial credit s
weights the likelihoods, P^s · (1 - P)^(1 - s) = exp(s·x) · (1 - P), which tilts the Gaussian by
s · a · v and leaves the average of a wrong answer.

Source: moments after Rasmussen & Williams (2006), "Gaussian processes for machine learning",
equations 3.74 and following; the hierarchy after Ekanadham & Karklin (2017), "T-SKIRT: online
estimation of student proficiency in an adaptive learning system"; gains that shrink with practice
after Pavlik, Cen & Koedinger (2009), "Performance factors analysis", AIED, 531-538.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.logistic_normal import chances, evidence_of_logit, logistic_normal
from workers.estimation.quadrature import evidence_of_score, evidence_of_steps
from workers.estimation.ranges import check_chance, check_finite

_LIMIT: Final = 300.0
"""Largest logit within the filter: nothing under- or overflows below it."""
_WIDEST: Final = 5_000.0
"""Largest variance of the logit within the filter."""

PRACTICE_RATIO: Final = 0.95
"""Ratio of the gains of two successive answers on a concept, where none is fitted."""


@dataclass(frozen=True)
class ConceptOffset:
    """How ability on a concept lies around ability on the scale, in logits.

    Args:
        variance: of learners around their ability on the scale, 0 or more.
        walk: variance added by each answer on it, 0 or more; from `variance` on, nothing of the
            deviation before an answer is left after it.
        drift: added to the mean by the first answer on it: what practice brings.
        ratio: of what an answer adds to what the answer before it added, in [0, 1).

    Raises:
        ValueError: if a number lies outside its range.
    """

    variance: float = 0.0
    walk: float = 0.0
    drift: float = 0.0
    ratio: float = PRACTICE_RATIO

    def __post_init__(self) -> None:
        check_finite("variance of a concept offset", self.variance, 0.0)
        check_finite("walk of a concept offset", self.walk, 0.0, 100.0)
        check_finite("drift", self.drift, -10.0, 10.0)
        check_chance("ratio", self.ratio, zero=True)

    @cached_property
    def kept(self) -> float:
        """The share φ of the deviation that an answer leaves, in [0, 1]."""
        return math.sqrt(max(0.0, 1.0 - self.walk / self.variance)) if self.variance else 1.0

    def practice(self, attempts: int) -> float:
        """What an answer adds to the mean after so many answers on the concept, logits."""
        return self.drift * self.ratio**attempts


@dataclass(frozen=True)
class ScaleParameters:
    """Parameters of a calibrated scale, in logits.

    Args:
        mean: of abilities before the first answer.
        variance: of the same, above 0.
        walk: variance added by each answer, 0 (a static ability) or more.
        item: the mean item, which an item of an unknown concept takes.
        deviation: of a concept that has none of its own.
        predicts: whether answers are predicted by ability alone.
        prediction: weights of the last step, which then predicts, for a concept that has none of
            its own; None: there is no last step.

    Raises:
        ValueError: if a number lies outside its range.
    """

    mean: float = 0.0
    variance: float = 1.0
    walk: float = 0.0
    item: ItemParameters = field(default_factory=ItemParameters)
    concept_offset: ConceptOffset = field(default_factory=ConceptOffset)
    predicts: bool = False
    prediction: PredictionWeights | None = None

    def __post_init__(self) -> None:
        check_finite("mean", self.mean)
        check_finite("variance", self.variance, 1e-6)
        check_finite("walk", self.walk, 0.0, 100.0)
        if self.predicts and self.prediction is not None:
            raise ValueError(
                "predicts must be false where prediction has weights: only one predicts"
            )


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

    On an item with thresholds the score counts as the nearest of its steps.

    Args:
        item: the item that was answered.
        mean: of the ability before the answer, logits.
        variance: of the ability before the answer, above 0.
        score: of the answer, in [0, 1].
    """
    # An item steeper than that is a step already; its averages would underflow.
    a = min(item.discrimination, math.sqrt(_WIDEST / variance))
    x = min(max(a * (mean - item.location), -_LIMIT), _LIMIT)
    w = a * a * variance
    right, wrong = chances(x, w)
    z = math.log(right) - math.log(wrong)
    if item.thresholds:
        return Evidence(z, *evidence_of_steps(item, mean, variance, score))
    if item.lower == 0.0 and item.upper == 1.0:
        gradient, curvature = evidence_of_logit(x, w, score)
        return Evidence(z, right, a * gradient, a * a * curvature)
    span = item.upper - item.lower
    expected, missed = item.lower + span * right, (1.0 - item.upper) + span * wrong
    if 0.0 < score < 1.0:
        return Evidence(z, expected, *evidence_of_score(item, mean, variance, score))
    _, _, slope, bend = logistic_normal(x, w)
    share = span / expected if score == 1.0 else -span / missed
    gradient = slope * share
    return Evidence(z, expected, a * gradient, a * a * (gradient * gradient - bend * share))
