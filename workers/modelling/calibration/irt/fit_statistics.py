"""Item fit: infit and outfit mean squares, whatever answers are missing.

The residuals are averaged over each person's posterior instead of taken at a point estimate. So at
the true parameters the expectation is exactly 1: averaged over answers, the posterior of the
ability is its distribution. Source of the statistics: Wright & Masters (1982), "Rating scale
analysis", chapter 5.
"""

from typing import NamedTuple

import numpy as np

from workers.modelling.calibration.irt.bank import Group
from workers.modelling.calibration.irt.response_data import Floats

_LEAST = 1e-12


class MeanSquares(NamedTuple):
    """Mean squares of each item of a group; NaN without answers, above 1 for a noisier item."""

    infit: Floats
    """Mean square weighted by each answer's information."""
    outfit: Floats
    """Unweighted mean square, sensitive to single surprising answers."""


def mean_squares(group: Group, counts: Floats, theta: Floats) -> MeanSquares:
    """Compute infit and outfit from expected counts.

    A score between 0 and 1 on an item without steps counts as that share of a right answer.

    Args:
        group: the items.
        counts: expected counts, shape (n, steps + 1, abilities).
        theta: the abilities.
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
