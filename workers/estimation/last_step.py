"""The last step of a prediction: a logistic regression over mastery and ability.

Mastery and ability are not all that predicts a right answer: recent answers, practice, and whether
the learner stays on the concept matter too. The last step joins them in one calibrated probability.
It changes neither mastery nor ability. For each concept of the answer

    η = constant + ability·z + concept·c + mastery·m + recent·r + lasting·l + again·g
        + again_recent·g·r + (practice + practice_ability·z + practice_concept·c) · log(1 + n)

with z the ability filter's logit of a right answer, c the logit predicted by knowledge tracing, m
the mastery, r and l two decayed sums of (score - 0.5) over the learner's answers on the concept, g
= 1 if the learner's newest answer was on the concept too and 0 otherwise, and n the number of
earlier answers on the concept. The probability of a right answer is 1 / (1 + exp(-mean of η over
its concepts)).

Source: logistic regression over counts and recency, Galyardt & Goldin (2015), "Move your lamp post:
recent data reflects learner knowledge better than older data", Journal of Educational Data Mining
7, 83-108 (R-PFA), and Gervet, Koedinger, Schneider & Mitchell (2020), "When is deep learning the
best approach to knowledge tracing?", JEDM 12, 31-54; predictors joined by their logits (stacking),
Wolpert (1992), Neural Networks 5, 241-259.
"""

import math
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.estimation.logistic import LOGIT_LIMIT, bounded
from workers.estimation.ranges import check_finite

Floats = NDArray[np.float64]
Number = TypeVar("Number", float, Floats)

RECENT: Final = 0.5
"""Factor by which each answer on a concept shrinks the short-term sum."""
LASTING: Final = 0.85
"""Factor by which each answer on a concept shrinks the long-term sum."""


@dataclass(frozen=True)
class PredictionWeights:
    """Weights of the last step, named as in the module's formula.

    Raises:
        ValueError: a number lies outside ±1000.
    """

    constant: float = 0.0
    ability: float = 0.0
    concept: float = 0.0
    mastery: float = 0.0
    recent: float = 0.0
    lasting: float = 0.0
    again: float = 0.0
    again_recent: float = 0.0
    practice: float = 0.0
    practice_ability: float = 0.0
    practice_concept: float = 0.0

    def __post_init__(self) -> None:
        for name in FEATURES:
            check_finite(name, getattr(self, name))

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """All weights in the order of `FEATURES`."""
        return astuple(self)

    def logit(
        self,
        z: float,
        chance: tuple[float, float],
        mastery: float,
        sums: tuple[float, float],
        attempts: int,
        *,
        again: bool,
    ) -> float:
        """Compute η of one concept of an answer, within ±30.

        Args:
            z: logit of a right answer by ability alone.
            chance: probabilities of a right and of a wrong answer by knowledge tracing, each above
                0.
            mastery: P(known) before the answer, in [0, 1].
            sums: the recent and the lasting sum before the answer.
            attempts: number of the learner's earlier answers on the concept.
            again: True if the learner's newest answer was on the concept too.
        """
        w = self.numbers
        z, c = bounded(z), bounded(math.log(chance[0] / chance[1]))
        recent, lasting = sums
        eta = w[0] + w[1] * z + w[2] * c + w[3] * mastery + w[4] * recent + w[5] * lasting
        if again:
            eta += w[6] + w[7] * recent
        if attempts:
            eta += (w[8] + w[9] * z + w[10] * c) * math.log1p(attempts)
        return bounded(eta)


FEATURES: Final = tuple(PredictionWeights.__dataclass_fields__)
"""Names of the features, in the order of the columns of `features`."""


class FeatureSources(NamedTuple):
    """Arguments of `PredictionWeights.logit` for many answers, shape (n,) each."""

    z: Floats
    chance: tuple[Floats, Floats]
    mastery: Floats
    sums: tuple[Floats, Floats]
    attempts: Floats
    again: Floats
    """0 or 1."""


def features(seen: FeatureSources) -> Floats:
    """Compute the factors of the weights, shape (n, features)."""
    z, chance, mastery, sums, attempts, again = seen
    z = np.clip(z, -LOGIT_LIMIT, LOGIT_LIMIT)
    c = np.clip(np.log(chance[0] / chance[1]), -LOGIT_LIMIT, LOGIT_LIMIT)
    recent, lasting = sums
    practice = np.log1p(attempts)
    columns = (
        np.ones_like(z),
        z,
        c,
        mastery,
        recent,
        lasting,
        again,
        again * recent,
        practice,
        practice * z,
        practice * c,
    )
    return np.stack(columns, axis=1)


def sums_after(sums: tuple[Number, Number], score: Number) -> tuple[Number, Number]:
    """Return the recent and the lasting sum after one more answer.

    Args:
        sums: both sums before the answer.
        score: score of the answer, in [0, 1].
    """
    recent, lasting = sums
    return recent * RECENT + (score - 0.5), lasting * LASTING + (score - 0.5)
