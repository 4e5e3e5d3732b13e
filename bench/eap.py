"""Ability of whole histories by EAP, each posterior on a grid that fits it.

The reference for the engine's filter in `bench/abilities.py`. A coarse grid finds the posterior,
and grids with the same number of points close in on it. So the estimate is right for any number of
answers, and finite if all answers are right or all are wrong.

Source: Bock & Mislevy (1982), Applied Psychological Measurement 6, 431-444.
"""

from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from workers.modelling.calibration.irt.bank import Bank
from workers.modelling.calibration.irt.response_data import Floats, ResponseData

_POINTS = 97
_REACH = 10.0
"""Standard deviations of the prior that the coarse grid spans to each side."""
_NEGLIGIBLE = 30.0
"""Log density below the maximum from which on the density counts as 0."""
_ZOOMS = 12
_FINER = 16
"""Points of the grid for quantiles per point of the grid for moments."""


class Abilities(NamedTuple):
    """Posterior of each person's ability under the prior N(0, 1), logits, shape (persons,) each."""

    theta: Floats
    """Posterior mean."""
    standard_error: Floats
    """Posterior standard deviation."""
    lower: Floats
    """Lower end of the 95 % credible interval."""
    upper: Floats


def eap(bank: Bank, answers: ResponseData) -> Abilities:
    """Estimate the ability of every person by EAP.

    Args:
        bank: the items.
        answers: answers of the persons; a person without any has the prior.
    """
    weights = bank.weights(answers)
    rows = []
    for person in range(answers.persons):
        cells = weights[[person]].tocoo()
        theta, log_density = _grid(bank, cells.coords[1], cells.data)
        weight = np.exp(log_density)
        weight /= weight.sum()
        mean = float(weight @ theta)
        error = float(np.sqrt(weight @ (theta - mean) ** 2))
        # Quantiles need a finer grid than moments.
        fine = np.linspace(theta[0], theta[-1], _FINER * _POINTS)
        density = np.exp(CubicSpline(theta, log_density)(fine))
        below = np.cumsum(density) - 0.5 * density
        rows.append((mean, error, *np.interp([0.025, 0.975], below / density.sum(), fine)))
    return Abilities(*np.array(rows).T)


def _grid(bank: Bank, cells: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return a grid that fits the posterior, and the log density on it with maximum 0."""
    low, high = -_REACH, _REACH
    for _ in range(_ZOOMS):
        theta = np.linspace(low, high, _POINTS)
        logs = np.maximum(bank.log_cells(theta), -1e6)
        log_density = weight @ logs[cells] - 0.5 * theta**2
        log_density -= log_density.max()
        kept = np.flatnonzero(log_density > -_NEGLIGIBLE)
        first, last = max(kept[0] - 1, 0), min(kept[-1] + 1, _POINTS - 1)
        if last - first > _POINTS // 2:
            break
        low, high = theta[first], theta[last]
    return theta, log_density
