"""Item fit: mean squares of residuals, whatever is missing.

The residuals are averaged over each person's posterior rather than taken at a point estimate: the
expectation under the model is then exactly 1 at the true parameters (the posterior of the ability,
averaged over answers, is its distribution). Source of the statistics: Wright & Masters (1982),
"Rating scale analysis", chapter 5.
"""

from typing import NamedTuple

import numpy as np

from workers.modelling.calibration.irt.bank import Group
from workers.modelling.calibration.irt.response_data import Floats

_LEAST = 1e-12


class MeanSquares(NamedTuple):
    """Of each item of a group; NaN without answers. Above 1: more noise than the model says."""

    infit: Floats
    """Weighted by each answer's information."""
    outfit: Floats
    """Each answer alike: sees single surprises."""


def mean_squares(group: Group, counts: Floats, theta: Floats) -> MeanSquares:
    """Infit and outfit from expected counts, shape (n, steps + 1, abilities).

    A score between 0 and 1 on an item without steps counts as that share of a right answer.
    """
    score = np.arange(group.steps + 1.0)[:, None] / group.steps
    chance = np.exp(group.log_curves(theta))
    mean = (score * chance).sum(axis=1, keepdims=True)
    squares = (score - mean) ** 2
    variance = np.maximum((chance * squares).sum(axis=1), _LEAST)
    seen = (counts * squares).sum(axis=1)
    total = counts.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        infit = seen.sum(axis=1) / (total * variance).sum(axis=1)
        outfit = (seen / variance).sum(axis=1) / total.sum(axis=1)
    return MeanSquares(infit, outfit)
