"""Find items that the answers determine too little, or not at all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.modelling.calibration.irt.bank import Group, Item
from workers.modelling.calibration.irt.response_data import Floats, ResponseData

FEW = 30
"""Number of answers below which an item gets a warning."""
_HARDLY = 3
_FLAT = 0.1
_FAR = 6.0


@dataclass(frozen=True)
class AnswerCheck:
    """Findings about a group's answers before the fit.

    Args:
        answers: number of answers of each item.
        inestimable: True for items without a finite estimate of their own.
        warnings: warnings of each item.
    """

    answers: Floats
    inestimable: NDArray[np.bool_]
    warnings: list[list[str]]


def check_answers(group: Group, answers: ResponseData) -> AnswerCheck:
    """Check each item's answers."""
    weight = answers.weights[answers.person]
    place = np.full(answers.items, -1)
    place[group.items] = np.arange(group.items.size)
    here = place[answers.item] >= 0
    item, score, weight = place[answers.item[here]], answers.score[here], weight[here]
    total: Floats = np.bincount(item, weight, group.items.size).astype(np.float64)
    stepped = group.model in {"graded", "partial_credit"}
    steps = group.steps
    if stepped:
        at = np.rint(score * steps).astype(np.int64)
        seen = np.bincount(item * (steps + 1) + at, weight, group.items.size * (steps + 1))
    else:
        right = np.bincount(item, weight * score, group.items.size)
        seen = np.column_stack([total - right, right])
    seen = seen.reshape(group.items.size, steps + 1)
    empty = seen <= 1e-12 * np.maximum(total, 1.0)[:, None]
    inestimable = empty.any(axis=1) | (total < _HARDLY)
    return AnswerCheck(
        total,
        inestimable,
        [_words(n, gaps, stepped) for n, gaps in zip(total.tolist(), empty.tolist(), strict=True)],
    )


def _words(answers: float, empty: list[bool], stepped: bool) -> list[str]:
    warnings = []
    if answers < FEW:
        warnings.append(f"only {answers:g} answers: fewer than {FEW} determine little")
    if answers and all(empty[:-1]):
        warnings.append("all answers are right: weak priors determine it")
    elif answers and all(empty[1:]):
        warnings.append("all answers are wrong: weak priors determine it")
    elif answers and stepped and any(empty):
        names = ", ".join(str(k) for k, gap in enumerate(empty) if gap)
        warnings.append(f"no answer on step {names}: weak priors determine it")
    return warnings


def parameter_warnings(item: Item, errors: Item, *, asked: bool) -> list[str]:
    """Warn of an item's parameters after the fit.

    Args:
        item: the parameters.
        errors: their standard errors.
        asked: True if standard errors were computed.
    """
    warnings = []
    if item.discrimination < 0.0:
        warnings.append(
            f"discrimination {item.discrimination:.3g} is negative: abler learners are wrong more "
            "often"
        )
    elif item.discrimination < _FLAT:
        warnings.append(
            f"discrimination {item.discrimination:.3g} is near 0: it says nothing about ability"
        )
    if max(map(abs, item.thresholds)) > _FAR:
        warnings.append(f"difficulty beyond ±{_FAR:g} logits: no learner has such an ability")
    if asked and not np.isfinite([errors.discrimination, *errors.thresholds]).all():
        warnings.append("no standard error: the likelihood is flat or not at its maximum here")
    return warnings
