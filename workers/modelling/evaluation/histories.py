"""Measure predictions by number of earlier answers of the learner."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from workers.estimation.metrics import auc, ece
from workers.modelling.evaluation.protocol import Predictions

_FROM: Final = (0, 1, 3, 6, 11, 21, 51, 101)
"""Number of earlier answers at which each group begins."""
_FEWEST: Final = 50
"""Predictions needed to measure a group."""


@dataclass(frozen=True)
class Group:
    """Predictions with a similar number of earlier answers.

    Args:
        label: range of the number of earlier answers.
        answers: number of predictions.
        auc: NaN if all outcomes are equal.
        ece: expected calibration error over ten bins.
    """

    label: str
    answers: int
    auc: float
    ece: float


def by_history(predictions: Predictions) -> list[Group]:
    """Group predictions by number of earlier answers; groups with fewer than 50 are left out."""
    groups = []
    for low, high in zip(_FROM, [*(at - 1 for at in _FROM[1:]), None], strict=True):
        chosen = predictions.history >= low
        if high is not None:
            chosen &= predictions.history <= high
        answers = int(np.count_nonzero(chosen))
        if answers < _FEWEST:
            continue
        score, probability = predictions.score[chosen], predictions.probability[chosen]
        label = f"{low}+" if high is None else f"{low}" if low == high else f"{low}–{high}"  # noqa: RUF001
        groups.append(Group(label, answers, auc(score, probability), ece(score, probability)))
    return groups
