"""Items of one to four parameters by marginal maximum likelihood, as parameters of the engine.

What `workers.calibration.irt.mml` finds for a whole table, priors learnt from its items; and how
well the engine's own filter then predicts each answer from those before it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit, xlog1py, xlogy

from workers.calibration.irt.answers import Answers
from workers.calibration.irt.bank import Item, Model
from workers.calibration.irt.mml import calibrate
from workers.calibration.table import Floats, Table, summed
from workers.estimation.items import ItemParameters

_PI_8: Final = np.pi / 8.0
_LOGIT: Final = 300.0
_FARTHEST: Final = 30.0
_LEAST_SLOPE: Final = 0.05
_STEEPEST: Final = 10.0
_TOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "1PL": ("discrimination",),
    "2PL": ("discrimination",),
    "3PL": ("discrimination", "lower"),
    "4PL": ("discrimination", "lower", "upper"),
}


@dataclass(frozen=True)
class MarginalFit:
    """What a fit found; abilities are N(0, 1).

    Args:
        items: of each item of the table.
        errors: of the same their standard errors, by the name of the parameter; None where there is
            none to give.
        log_likelihood: of each concept's answers, each predicted one step ahead, nats. An answer
            on several concepts counts for each of them.
        converged: whether the items came to rest.
    """

    items: list[ItemParameters]
    errors: list[dict[str, float | None]]
    log_likelihood: Floats
    converged: bool


def fit_marginal(table: Table, model: Model) -> MarginalFit:
    """Fit all items of a table.

    Args:
        table: the responses, at least one. A score between 0 and 1 weights right and wrong.
        model: "1PL", "2PL", "3PL" or "4PL".
    """
    answers = Answers(
        table.learner, table.item, table.score, table.learners, len(table.items), None
    )
    found = calibrate(answers, model, learn_priors=True)
    items = [_item(one.item) for one in found.items]
    errors = [
        {"difficulty": _known(one.errors.thresholds[0])}
        | {name: _known(getattr(one.errors, name)) for name in _TOLD[model]}
        for one in found.items
    ]
    return MarginalFit(items, errors, _log_likelihood(table, items), found.converged)


def _known(error: float) -> float | None:
    return float(error) if math.isfinite(error) else None


def _item(found: Item) -> ItemParameters:
    """Within what the engine's filter takes: farther off an item tells nothing more."""
    (difficulty,) = found.thresholds
    return ItemParameters(
        float(min(max(difficulty, -_FARTHEST), _FARTHEST)),
        float(min(max(found.discrimination, _LEAST_SLOPE), _STEEPEST)),
        float(found.lower),
        float(found.upper),
    )


def _log_likelihood(table: Table, items: list[ItemParameters]) -> Floats:
    """By `workers.estimation.scales.evidence`, over all learners at a time."""
    a, b, lower, upper = np.array(
        [(one.discrimination, one.difficulty, one.lower, one.upper) for one in items]
    ).T
    mean, variance = np.zeros(table.learners), np.ones(table.learners)
    each = np.empty_like(table.score)
    for begin, end in zip(table.step[:-1], table.step[1:], strict=True):
        rows = slice(int(begin), int(end))
        item, who, score = table.item[rows], table.learner[rows], table.score[rows]
        slope = a[item] / np.sqrt(1.0 + _PI_8 * a[item] ** 2 * variance[who])
        z = np.clip(slope * (mean[who] - b[item]), -_LOGIT, _LOGIT)
        p, q, span = expit(z), expit(-z), upper[item] - lower[item]
        right, wrong = lower[item] + span * p, (1.0 - upper[item]) + span * q
        first = span * slope * p * q
        second = first * slope * (q - p)
        of_right, of_wrong = first / right, -first / wrong
        gradient = score * of_right + (1.0 - score) * of_wrong
        curvature = score * (of_right**2 - second / right) + (1.0 - score) * (
            of_wrong**2 + second / wrong
        )
        each[rows] = xlogy(score, right) + xlog1py(1.0 - score, -right)
        mean[who] += variance[who] * gradient
        variance[who] *= 1.0 - curvature * variance[who]
    return summed(table.concept, each[table.link], len(table.concepts))
