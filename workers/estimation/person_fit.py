"""Whether a learner answers as predicted: a surprise that adds up, in constant state.

Each answer was predicted before it was seen. With p its expected score and s its score, the log
likelihood s·log p + (1 - s)·log(1 - p) less its expectation is (s - p)·logit p, and its variance
p·(1 - p)·(logit p)², of partial credit at most that. Summed up, the one over the root of the other
is near a standard normal where the predictions are right: far below 0 for one who misses the easy
and gets the hard, as who guesses, copies or is somebody else does.

Source: l_z of Drasgow, Levine & Williams (1985), "Appropriateness measurement with polychotomous
item response models and standardized indices", British Journal of Mathematical and Statistical
Psychology 38, 67-86; standardised by one-step-ahead predictions, so that it needs no correction for
an estimated ability, after Seillier-Moiseiwitsch & Dawid (1993), "On testing the validity of
sequential probability forecasts", Journal of the American Statistical Association 88, 355-359.
"""

import math
from typing import Final, NamedTuple

from workers.estimation.ability import AbilityState

FEWEST: Final = 10
"""Answers on a scale from which on the sum is near enough to normal."""
UNUSUAL: Final = -3.0
"""A fit below it is one in some 740 of those who answer as predicted."""
_SMALLEST: Final = 1e-12


class Surprise(NamedTuple):
    """What one answer adds."""

    surprise: float
    """Log likelihood less its expectation, nats."""
    variance: float
    """Of the same, nats²."""


def surprise_of(score: float, expected: float) -> Surprise:
    """What an answer adds.

    Args:
        score: in [0, 1].
        expected: the score that was expected, in [0, 1].
    """
    p = min(max(expected, _SMALLEST), 1.0 - _SMALLEST)
    logit = math.log(p) - math.log1p(-p)
    return Surprise((score - p) * logit, p * (1.0 - p) * logit * logit)


def person_fit(state: AbilityState) -> float | None:
    """How far a learner's answers on a scale are from what was predicted, in standard deviations.

    None where too few are known, none of them was of any surprise, or the scale is not calibrated.
    """
    if state.responses < FEWEST or state.surprise_variance <= 0.0:
        return None
    return state.surprise / math.sqrt(state.surprise_variance)
