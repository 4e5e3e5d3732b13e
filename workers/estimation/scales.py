"""Ability on a calibrated scale: a Gaussian filter with constant work and state per answer.

A learner's ability on a concept is θ + δ. θ is the ability on the scale, a random walk over
answers. δ is the concept offset, an autoregressive process over the answers on that concept:

    δ' = φ·δ + drift · ratio^k + noise of variance walk,  φ = √(1 - walk / variance)

with k the number of earlier answers on the concept. So the variance of δ over learners stays
`variance`, and practice saturates. θ and δ are kept as independent Gaussians (assumed-density
filtering). An answer depends only on their sum, so two random walks would drift apart without
bound; φ pulls δ back. An item of several concepts is answered with the mean of their offsets.

With m and v the mean and variance of the ability before an answer, and Z(m) the likelihood of the
answer averaged over the ability, the posterior has the moments

    mean' = m + v · d log Z / dm        variance' = v + v² · d² log Z / dm²

Z is exact up to the mixture of `workers.estimation.logistic_normal`: mean and standard deviation
are within 0.2 % of the posterior's standard deviation for a ≤ 3 and v ≤ 1.5. Partial credit s
weights the likelihoods, P^s · (1 - P)^(1 - s) = exp(s·x) · (1 - P). That tilts the Gaussian by s ·
a · v and leaves the average of a wrong answer.

Source: moments, Rasmussen & Williams (2006), "Gaussian processes for machine learning", equations
3.74 and following; hierarchy, Ekanadham & Karklin (2017), "T-SKIRT: online estimation of student
proficiency in an adaptive learning system"; gains that shrink with practice, Pavlik, Cen &
Koedinger (2009), "Performance factors analysis", AIED, 531-538.
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
"""Largest logit within the filter, beyond which terms would under- or overflow."""
_WIDEST: Final = 5_000.0
"""Largest variance of the logit within the filter."""

PRACTICE_RATIO: Final = 0.95
"""Ratio of the gains of two successive answers on a concept if none is fitted."""


@dataclass(frozen=True)
class ConceptOffset:
    """Distribution of ability on a concept around ability on its scale, in logits.

    Args:
        variance: variance over learners, 0 or more.
        walk: variance that each answer on the concept adds, 0 or more; from `variance` on an answer
            leaves nothing of the offset before it.
        drift: gain of the mean by the first answer on the concept.
        ratio: ratio of the gains of two successive answers, in [0, 1).

    Raises:
        ValueError: a number lies outside its range.
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
        """Share φ of the offset that an answer leaves, in [0, 1]."""
        return math.sqrt(max(0.0, 1.0 - self.walk / self.variance)) if self.variance else 1.0

    def practice(self, attempts: int) -> float:
        """Return the gain of the mean by an answer, in logits.

        Args:
            attempts: number of earlier answers on the concept.
        """
        return self.drift * self.ratio**attempts


@dataclass(frozen=True)
class ScaleParameters:
    """Parameters of a calibrated scale, in logits.

    Args:
        mean: mean of abilities before the first answer.
        variance: variance of abilities before the first answer, above 0.
        walk: variance that each answer adds, 0 (static ability) or more.
        item: mean item, used for an item of an unknown concept.
        concept_offset: offset parameters of a concept without its own.
        predicts: True if ability alone predicts answers.
        prediction: weights of the last step for a concept without its own; None: there is no last
            step.

    Raises:
        ValueError: a number lies outside its range, or both `predicts` and `prediction` are set.
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
    """Evidence of an answer about the ability behind it."""

    z: float
    """The filter's logit of a right answer, without the item's asymptotes."""
    probability: float
    """Expected score before the answer, in [0, 1]."""
    gradient: float
    """d log Z / dm."""
    curvature: float
    """-d² log Z / dm²; times the variance it stays below 1."""


def evidence(item: ItemParameters, mean: float, variance: float, score: float) -> Evidence:
    """Compute the evidence of an answer about a Gaussian ability.

    On an item with thresholds the score counts as the nearest step.

    Args:
        item: the answered item.
        mean: mean of the ability before the answer, logits.
        variance: variance of the ability before the answer, above 0.
        score: score of the answer, in [0, 1].
    """
    # A steeper item is a step function already, and its averages would underflow.
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
