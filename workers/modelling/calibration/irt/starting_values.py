"""Starting values of a calibration."""

import numpy as np
from scipy.special import expit, logit

from workers.modelling.calibration.irt.bank import Bank, Group, Model
from workers.modelling.calibration.irt.response_data import Floats, ResponseData


def starting_bank(answers: ResponseData, models: list[Model], steps: list[int]) -> Bank:
    """Start with slopes of 1, and intercepts that reproduce each item's mean score."""
    weight = answers.weights[answers.person]
    kinds = [
        (m, k if m in {"graded", "partial_credit"} else 1)
        for m, k in zip(models, steps, strict=True)
    ]
    groups = []
    for model, number in dict.fromkeys(kinds):
        items = np.array([j for j, kind in enumerate(kinds) if kind == (model, number)])
        total = np.bincount(answers.item, weight, answers.items)[items]
        rows = [np.ones(items.size)]
        for k in range(1, number + 1):
            # A score between steps counts as the nearest step.
            reached = (
                answers.score
                if number == 1 and model not in {"graded", "partial_credit"}
                else np.rint(answers.score * number) >= k
            )
            right = np.bincount(answers.item, weight * reached, answers.items)[items]
            rows.append(1.16 * logit((right + 0.5) / (total + 1.0)))
        if model == "partial_credit":
            rows[1:] = _adjacent(rows[1:])
        if model in {"3PL", "4PL"}:
            rows.append(np.full(items.size, float(logit(0.1))))
        if model == "4PL":
            rows.append(np.full(items.size, float(logit(0.05))))
        parameters = np.column_stack(rows)
        if model == "graded":
            parameters[:, 1:] -= 1e-3 * np.arange(number)
        groups.append(Group(model, number, items, parameters))
    return Bank(tuple(groups))


def _adjacent(cumulative: list[Floats]) -> list[Floats]:
    """Turn logits of at least k into approximate logits of k against k - 1."""
    above = [expit(d) for d in cumulative]
    chance = -np.diff(np.array([np.ones_like(above[0]), *above, np.zeros_like(above[0])]), axis=0)
    logs = np.log(np.maximum(chance, 1e-3))
    return list(logs[1:] - logs[:-1])
