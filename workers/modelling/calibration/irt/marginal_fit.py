"""Fit items by marginal maximum likelihood: 1PL to 4PL, graded and partial credit.

`mml` fits the whole table, with priors estimated from its items. The engine's own filter then
predicts each answer from the answers before it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

import numpy as np
from scipy.special import xlog1py, xlogy

from workers.estimation.items import ItemParameters
from workers.estimation.scales import evidence
from workers.modelling.calibration.irt.bank import Item, Model
from workers.modelling.calibration.irt.expectation import points_for
from workers.modelling.calibration.irt.mml import CalibratedItem, calibrate
from workers.modelling.calibration.irt.priors import WEAK_PRIORS, Priors
from workers.modelling.calibration.irt.response_data import ResponseData
from workers.modelling.calibration.table import Floats, Ints, Table, summed

_FARTHEST: Final = 30.0
_LEAST_SLOPE: Final = 0.05
_STEEPEST: Final = 10.0
_APART: Final = 1e-6
_ENOUGH: Final = 1e-3
"""Change of a parameter at which the fit has converged, far below its standard error."""
_MOST_POINTS: Final = 61
"""Largest number of abilities, 0.2 apart; a finer grid would not improve items."""
_MOST_STEPS: Final = 10
_NEAREST: Final = 2.0**-53
_HALF_A_CENT: Final = 0.0051
_ASYMPTOTES: Final[Mapping[Model, tuple[str, ...]]] = {
    "3PL": ("lower",),
    "4PL": ("lower", "upper"),
}
_ASYMPTOTES_PRIORS: Final = Priors(lower=WEAK_PRIORS.lower, slip=WEAK_PRIORS.slip)
"""Most items determine their asymptotes so little that the fit would not converge without priors.
"""
_IN_STEPS: Final[Mapping[Model, Literal["graded", "partial_credit"]]] = {
    "graded": "graded",
    "partial_credit": "partial_credit",
}


@dataclass(frozen=True)
class MarginalFit:
    """Result of a fit with abilities N(0, 1).

    Args:
        items: parameters of each item of the table.
        errors: standard errors of each item by parameter name; None where undefined.
        log_likelihood: one-step-ahead log likelihood of each concept's answers, nats; an answer
            counts for each of its concepts.
        converged: True if the items converged.
    """

    items: list[ItemParameters]
    errors: list[dict[str, float | None]]
    log_likelihood: Floats
    converged: bool


def fit_marginal(table: Table, model: Model) -> MarginalFit:
    """Fit all items of a table.

    Args:
        table: the responses, at least one.
        model: the model. "1PL" to "4PL" weight right and wrong by a score between 0 and 1; "graded"
            and "partial_credit" take it as a step, and equal the 2PL if all scores are 0 or 1.
    """
    answers = ResponseData(
        table.learner, table.item, table.score, table.learners, len(table.items), None
    )
    steps = steps_of(table) if model in _IN_STEPS else np.ones(len(table.items), dtype=np.int64)
    models: list[Model] = [
        "2PL" if model in _IN_STEPS and count == 1 else model for count in steps.tolist()
    ]
    calibration = calibrate(
        answers,
        models,
        steps=steps.tolist(),
        priors=_ASYMPTOTES_PRIORS,
        points=min(points_for(answers), _MOST_POINTS),
        tolerance=_ENOUGH,
        learn_priors=True,
    )
    items = [_item(item.item) for item in calibration.items]
    return MarginalFit(
        items,
        [_errors(item) for item in calibration.items],
        _log_likelihood(table, items),
        calibration.converged,
    )


def steps_of(table: Table) -> Ints:
    """Choose each item's number of steps, 10 at most.

    It is the fewest steps whose shares of 1 are the item's scores, to two digits. With ten steps
    any other score counts as the nearest step.
    """
    fewest = np.full(len(table.items), _MOST_STEPS, dtype=np.int64)
    for steps in range(_MOST_STEPS - 1, 0, -1):
        off = np.abs(table.score - np.rint(table.score * steps) / steps) > _HALF_A_CENT
        fits = np.bincount(table.item, off, minlength=fewest.size) == 0.0
        fewest[fits] = steps
    return fewest


def _errors(calibrated: CalibratedItem) -> dict[str, float | None]:
    errors = calibrated.errors
    in_steps = calibrated.item.model in _IN_STEPS
    names = (
        [f"threshold_{k}" for k in range(1, len(errors.thresholds) + 1)]
        if in_steps
        else ["difficulty"]
    )
    return {
        "discrimination": _known(errors.discrimination),
        **{name: _known(error) for name, error in zip(names, errors.thresholds, strict=True)},
        **{
            name: _known(getattr(errors, name))
            for name in _ASYMPTOTES.get(calibrated.item.model, ())
        },
    }


def _known(error: float) -> float | None:
    return float(error) if math.isfinite(error) else None


def _item(item: Item) -> ItemParameters:
    """Clip parameters to the range of the engine's filter, beyond which an item adds nothing."""
    discrimination = _within(item.discrimination, _LEAST_SLOPE, _STEEPEST)
    at = [_within(threshold, -_FARTHEST, _FARTHEST) for threshold in item.thresholds]
    if item.model not in _IN_STEPS:
        return ItemParameters(at[0], discrimination, float(item.lower), float(item.upper))
    if item.model == "graded":
        at = _rising(at)
    return ItemParameters(
        discrimination=discrimination, thresholds=tuple(at), steps=_IN_STEPS[item.model]
    )


def _within(value: float, least: float, most: float) -> float:
    return float(min(max(value, least), most))


def _rising(thresholds: list[float]) -> list[float]:
    """Raise thresholds that met at the end of the range a little above the one before."""
    return list(accumulate(thresholds, lambda before, threshold: max(threshold, before + _APART)))


def _log_likelihood(table: Table, items: list[ItemParameters]) -> Floats:
    """Compute the log likelihood of each concept's answers under the engine's own filter."""
    mean, variance = [0.0] * table.learners, [1.0] * table.learners
    expected = np.empty_like(table.score)
    columns = (table.learner.tolist(), table.item.tolist(), table.score.tolist())
    for row, (learner, item, score) in enumerate(zip(*columns, strict=True)):
        seen = evidence(items[item], mean[learner], variance[learner], score)
        expected[row] = seen.probability
        mean[learner] += variance[learner] * seen.gradient
        variance[learner] *= 1.0 - seen.curvature * variance[learner]
    # A probability that rounds to 1 counts as the largest number below 1.
    np.clip(expected, _NEAREST, 1.0 - _NEAREST, out=expected)
    log_likelihood = xlogy(table.score, expected) + xlog1py(1.0 - table.score, -expected)
    return summed(table.concept, log_likelihood[table.link], len(table.concepts))
