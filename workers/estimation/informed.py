"""Knowledge tracing informed by ability: emissions that know learner and item.

With z the ability filter's logit of a right answer *before* this response (`workers.estimation.
scales`), θ the ability on the scale, and L the hidden state of the concept:

    logit P(correct | L) = intercept of L + weight · z
    logit P(known before the first answer) = prior + prior_slope · θ

The weight is shared between the states and the intercept of "known" lies above that of "unknown",
so that a right answer always speaks for knowing and P(known) keeps its meaning.

Source: the emission generalises Corbett & Anderson's guess and slip (1995) by an item response
model as in Khajah, Wing, Lindsey & Mozer (2014), "Integrating latent-factor and knowledge-tracing
models to predict individual differences in learning", EDM 7, 99-106 (LFKT), with the latent trait
filtered online in place of sampled.
"""

import math
from dataclasses import dataclass

from workers.estimation.logistic import bounded, sigmoid
from workers.estimation.ranges import (
    Covariance,
    check_chance,
    check_covariance,
    check_decay,
    check_finite,
)


@dataclass(frozen=True)
class InformedParameters:
    """Parameters of one concept's ability-informed knowledge tracing.

    Args:
        unknown: intercept of a right answer while unknown, logits.
        known: intercept of a right answer once known, logits; above `unknown`.
        weight: of the ability filter's logit, 0 or more.
        prior: logit of P(known before the first answer) at ability 0.
        prior_slope: of ability in that logit, 0 or more.
        learn: P(unknown → known) after an answer, in [0, 1).
        forget: P(known → unknown) after an answer, in [0, 1).
        decay_per_day: as in `BktParameters`.
        covariance: of unknown, known, weight, prior, prior_slope and the logits of learn and
            forget, in that order, as they are uncertain after a fit; rows of zeros for what was
            not fitted. Empty: unknown.

    Raises:
        ValueError: if a number lies outside its range, or the covariance is none.
    """

    unknown: float
    known: float
    weight: float
    prior: float
    prior_slope: float
    learn: float
    forget: float = 0.0
    decay_per_day: float = 0.0
    covariance: Covariance = ()

    def __post_init__(self) -> None:
        for name in ("unknown", "known", "prior"):
            check_finite(name, getattr(self, name))
        for name in ("weight", "prior_slope"):
            check_finite(name, getattr(self, name), 0.0)
        for name in ("learn", "forget"):
            check_chance(name, getattr(self, name), zero=True)
        check_decay(self.decay_per_day)
        check_covariance(self.covariance, 7)
        if not self.known > self.unknown:
            raise ValueError(
                f"known must lie above unknown, {self.known} does not above {self.unknown}: else a "
                "right answer speaks against knowing"
            )

    def prior_odds_at(self, theta: float) -> tuple[float, int]:
        """Odds of knowing before the first answer at an ability, as mantissa and exponent."""
        return math.frexp(math.exp(bounded(self.prior + self.prior_slope * theta)))

    def right(self, z: float) -> tuple[float, float]:
        """P(correct | unknown) and P(correct | known) where the filter's logit is z."""
        return (
            sigmoid(bounded(self.unknown + self.weight * z)),
            sigmoid(bounded(self.known + self.weight * z)),
        )

    def ratio(self, z: float, score: float) -> float:
        """P(score | known) / P(score | unknown), of partial credit the weighted product."""
        low = bounded(self.unknown + self.weight * z)
        high = bounded(self.known + self.weight * z)
        right = sigmoid(high) / sigmoid(low)
        wrong = sigmoid(-high) / sigmoid(-low)
        if score == 1.0:
            return right
        if score == 0.0:
            return wrong
        return float(right**score * wrong ** (1.0 - score))
