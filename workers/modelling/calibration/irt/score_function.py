"""Score function of the cells, and the inverse of an information matrix."""

import numpy as np

from workers.modelling.calibration.irt.bank import Bank
from workers.modelling.calibration.irt.curves import derivatives
from workers.modelling.calibration.irt.response_data import Floats

_NOTHING = 1e-8
"""Share of the complete-data information below which nothing is known."""


def score_curves(bank: Bank, theta: Floats) -> list[Floats]:
    """Differentiate each cell's log probability, shape (n, p, steps + 1, abilities) per group."""
    return [
        derivatives(g.model, g.steps, g.parameters, theta, g.log_curves(theta)) for g in bank.groups
    ]


def inverse_or_nan(information: Floats, scale: Floats) -> Floats:
    """Invert an information; NaN for parameters of which almost nothing is known.

    Args:
        information: information of the answers.
        scale: complete-data information of each parameter.
    """
    unit = 1.0 / np.sqrt(np.maximum(scale, 1e-300))
    share = information * unit[:, None] * unit
    try:
        np.linalg.cholesky(share - _NOTHING * np.eye(scale.size))
        inverse = np.linalg.inv(share)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(share)
        bad = values <= _NOTHING
        inverse = (vectors[:, ~bad] / values[~bad]) @ vectors[:, ~bad].T
        # Only parameters in a flat direction have no error.
        flat = (vectors[:, bad] ** 2).sum(axis=1) > 1e-6
        inverse[flat], inverse[:, flat] = np.nan, np.nan
    return np.asarray(inverse * unit[:, None] * unit)
