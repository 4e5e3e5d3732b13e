"""Covariance of each item's parameters, the others' taken as known."""

import numpy as np

from workers.modelling.calibration.irt.bank import Bank, Group
from workers.modelling.calibration.irt.expectation import Expectation
from workers.modelling.calibration.irt.response_data import Floats, Ints
from workers.modelling.calibration.irt.score_function import inverse_or_nan, score_curves

_ROWS = 20_000
"""Number of answers at once."""


def item_covariances(bank: Bank, expectation: Expectation, complete: list[Floats]) -> list[Floats]:
    """Compute covariances, shape (n, parameters, parameters) per group.

    Args:
        bank: the parameters.
        expectation: E step of the answers.
        complete: complete-data information, in the same shape.
    """
    theta = expectation.grid.theta
    scores = score_curves(bank, theta)
    information = [block.copy() for block in complete]
    group_of, item_of, step_of = _index(bank)
    start = 0
    for posterior in expectation.posteriors(bank):
        part = expectation.weights[start : start + posterior.shape[0]].tocoo()
        persons = expectation.persons[start : start + posterior.shape[0]]
        start += posterior.shape[0]
        row, cell = part.coords
        for number, group in enumerate(bank.groups):
            here = group_of[cell] == number
            # A score between 0 and 1 has two cells, which belong to one answer.
            key = row[here] * group.items.size + item_of[cell[here]]
            answer, place = np.unique(key, return_inverse=True)
            _take_variance(
                information[number],
                scores[number],
                posterior,
                persons,
                (answer // group.items.size, answer % group.items.size, place),
                (step_of[cell[here]], part.data[here]),
            )
    return [
        _inverses(group, left, whole)
        for group, left, whole in zip(bank.groups, information, complete, strict=True)
    ]


def _inverses(group: Group, information: Floats, complete: Floats) -> Floats:
    """Invert each item's information; 1PL items share one slope."""
    if group.model != "1PL":
        scale = np.diagonal(complete, 0, 1, 2)
        return np.array([inverse_or_nan(*pair) for pair in zip(information, scale, strict=True)])
    cross, intercept = information[:, 0, 1], information[:, 1, 1]
    slope = 1.0 / (information[:, 0, 0] - cross**2 / intercept).sum()
    covariance = np.empty(information.shape)
    covariance[:, 0, 0] = slope
    covariance[:, 0, 1] = covariance[:, 1, 0] = -cross / intercept * slope
    covariance[:, 1, 1] = 1.0 / intercept + (cross / intercept) ** 2 * slope
    return covariance


def _take_variance(  # noqa: PLR0917  # a loop body, given its arrays
    information: Floats,
    scores: Floats,
    posterior: Floats,
    persons: Floats,
    answers: tuple[Ints, Ints, Ints],
    cells: tuple[Ints, Floats],
) -> None:
    """Subtract the variance of each answer's score over its person's posterior from its item's."""
    person, item, place = answers
    step, weight = cells
    table = np.zeros((person.size, scores.shape[2]))
    np.add.at(table, (place, step), weight)
    for begin in range(0, person.size, _ROWS):
        rows = slice(begin, begin + _ROWS)
        row_person, row_item = person[rows], item[rows]
        chance = posterior[row_person]
        score = np.einsum("rk,rpkq->rpq", table[rows], scores[row_item])
        weighted = score * chance[:, None, :]
        mean = weighted.sum(axis=2)
        square = np.matmul(weighted, score.transpose(0, 2, 1))
        spread = (square - mean[:, :, None] * mean[:, None, :]) * persons[row_person][:, None, None]
        np.subtract.at(information, row_item, spread)


def _index(bank: Bank) -> tuple[Ints, Ints, Ints]:
    """Return group, place in the group and step of each cell."""
    group, item, step = [], [], []
    for number, g in enumerate(bank.groups):
        n, k = g.items.size, g.steps + 1
        group.append(np.full(n * k, number))
        item.append(np.repeat(np.arange(n), k))
        step.append(np.tile(np.arange(k), n))
    return np.concatenate(group), np.concatenate(item), np.concatenate(step)
