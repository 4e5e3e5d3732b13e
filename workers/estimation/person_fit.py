"""Person fit: a standardised surprise that adds up answer by answer.

Each answer is predicted before it is seen. With p its expected score and s its score, the log
likelihood s·log p + (1 - s)·log(1 - p) minus its expectation is (s - p)·logit p. Its variance is
p·(1 - p)·(logit p)², an upper bound for partial credit. The sum over the root of the summed
variances is nearly standard normal if the predictions are right. It is far below 0 for a learner
who misses easy items and solves hard ones, which guessing, copying or answering for another person
produces.

Source: l_z of Drasgow, Levine & Williams (1985), "Appropriateness measurement with polychotomous
item response models and standardized indices", British Journal of Mathematical and Statistical
Psychology 38, 67-86. One-step-ahead predictions need no correction for an estimated ability:
Seillier-Moiseiwitsch & Dawid (1993), "On testing the validity of sequential probability forecasts",
Journal of the American Statistical Association 88, 355-359.
"""

import math
from typing import Final, NamedTuple

from workers.estimation.ability import AbilityState

FEWEST: Final = 10
"""Number of answers on a scale from which on the statistic is nearly normal."""
UNUSUAL: Final = -3.0
"""Person fit of about one in 740 learners who answer as predicted."""
_SMALLEST: Final = 1e-12


class Surprise(NamedTuple):
    """Contribution of one answer to person fit."""

    surprise: float
    """Log likelihood minus its expectation, nats."""
    variance: float
    """Variance of the surprise, nats²."""


def surprise_of(score: float, expected: float) -> Surprise:
    """Compute the contribution of an answer.

    Args:
        score: score of the answer, in [0, 1].
        expected: expected score, in [0, 1].
    """
    p = min(max(expected, _SMALLEST), 1.0 - _SMALLEST)
    logit = math.log(p) - math.log1p(-p)
    return Surprise((score - p) * logit, p * (1.0 - p) * logit * logit)


def person_fit(state: AbilityState) -> float | None:
    """Compute a learner's person fit on a scale, in standard deviations.

    Returns:
        The standardised surprise; None with fewer than `FEWEST` answers, without any surprise, or
        on an uncalibrated scale.
    """
    if state.responses < FEWEST or state.surprise_variance <= 0.0:
        return None
    return state.surprise / math.sqrt(state.surprise_variance)
