"""How good predictions are by how much was known of the learner before them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from workers.estimation.metrics import auc, ece
from workers.modelling.evaluation.protocol import Predictions

_FROM: Final = (0, 1, 3, 6, 11, 21, 51, 101)
"""Answers before, where a group of histories begins."""
_FEWEST: Final = 50
"""Answers from which on a group is measured."""


@dataclass(frozen=True)
class Group:
    """Predictions after histories of about one length.

    Args:
        label: its lengths in words.
        answers: number of predictions.
        auc: NaN where all outcomes are alike.
        ece: over ten bins.
    """

    label: str
    answers: int
    auc: float
    ece: float


def by_history(predictions: Predictions) -> list[Group]:
    """Groups by number of earlier answers of the learner; those too small to measure are left."""
    found = []
    for low, high in zip(_FROM, [*(at - 1 for at in _FROM[1:]), None], strict=True):
        chosen = predictions.history >= low
        if high is not None:
            chosen &= predictions.history <= high
        answers = int(np.count_nonzero(chosen))
        if answers < _FEWEST:
            continue
        score, probability = predictions.score[chosen], predictions.probability[chosen]
        label = f"{low}+" if high is None else f"{low}" if low == high else f"{low}–{high}"  # noqa: RUF001
        found.append(Group(label, answers, auc(score, probability), ece(score, probability)))
    return found
