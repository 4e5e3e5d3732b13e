"""Items by marginal maximum likelihood, as parameters of the engine: 1PL to 4PL, and in steps.

`mml` fits the whole table, with priors learnt from its items; the engine's own filter then
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
"""A step so short is one of hundreds that an item's standard error has room for."""
_MOST_POINTS: Final = 61
"""Abilities 0.2 apart: who has hundreds of answers is known better, but items gain nothing."""
_MOST_STEPS: Final = 10
_NEAREST: Final = 2.0**-53
_HALF_A_CENT: Final = 0.0051
_ASYMPTOTES: Final[Mapping[Model, tuple[str, ...]]] = {
    "3PL": ("lower",),
    "4PL": ("lower", "upper"),
}
_ASYMPTOTES_PRIORS: Final = Priors(lower=WEAK_PRIORS.lower, slip=WEAK_PRIORS.slip)
"""Most items say so little of their asymptotes that without priors the fit never comes to rest."""
_IN_STEPS: Final[Mapping[Model, Literal["graded", "partial_credit"]]] = {
    "graded": "graded",
    "partial_credit": "partial_credit",
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
        table: the responses, at least one.
        model: of "1PL" to "4PL" a score between 0 and 1 weights right and wrong; "graded" and
            "partial_credit" take it for a step, and are the 2PL where scores are 0 and 1 alone.
    """
    answers = ResponseData(
        table.learner, table.item, table.score, table.learners, len(table.items), None
    )
    steps = steps_of(table) if model in _IN_STEPS else np.ones(len(table.items), dtype=np.int64)
    models: list[Model] = [
        "2PL" if model in _IN_STEPS and count == 1 else model for count in steps.tolist()
    ]
    found = calibrate(
        answers,
        models,
        steps=steps.tolist(),
        priors=_ASYMPTOTES_PRIORS,
        points=min(points_for(answers), _MOST_POINTS),
        tolerance=_ENOUGH,
        learn_priors=True,
    )
    items = [_item(one.item) for one in found.items]
    return MarginalFit(
        items,
        [_errors(one) for one in found.items],
        _log_likelihood(table, items),
        found.converged,
    )


def steps_of(table: Table) -> Ints:
    """Of each item the fewest steps whose shares of 1 its scores are, to two digits; 10 at most.

    The nearest of ten steps is what any other score counts as.
    """
    found = np.full(len(table.items), _MOST_STEPS, dtype=np.int64)
    for steps in range(_MOST_STEPS - 1, 0, -1):
        off = np.abs(table.score - np.rint(table.score * steps) / steps) > _HALF_A_CENT
        fits = np.bincount(table.item, off, minlength=found.size) == 0.0
        found[fits] = steps
    return found


def _errors(found: CalibratedItem) -> dict[str, float | None]:
    errors = found.errors
    in_steps = found.item.model in _IN_STEPS
    names = (
        [f"threshold_{k}" for k in range(1, len(errors.thresholds) + 1)]
        if in_steps
        else ["difficulty"]
    )
    return {
        "discrimination": _known(errors.discrimination),
        **{name: _known(one) for name, one in zip(names, errors.thresholds, strict=True)},
        **{name: _known(getattr(errors, name)) for name in _ASYMPTOTES.get(found.item.model, ())},
    }


def _known(error: float) -> float | None:
    return float(error) if math.isfinite(error) else None


def _item(found: Item) -> ItemParameters:
    """Within what the engine's filter takes: farther off an item tells nothing more."""
    discrimination = _within(found.discrimination, _LEAST_SLOPE, _STEEPEST)
    at = [_within(one, -_FARTHEST, _FARTHEST) for one in found.thresholds]
    if found.model not in _IN_STEPS:
        return ItemParameters(at[0], discrimination, float(found.lower), float(found.upper))
    if found.model == "graded":
        at = _rising(at)
    return ItemParameters(
        discrimination=discrimination, thresholds=tuple(at), steps=_IN_STEPS[found.model]
    )


def _within(value: float, least: float, most: float) -> float:
    return float(min(max(value, least), most))


def _rising(thresholds: list[float]) -> list[float]:
    """The same, where some met at the end of the range each a little above the one before."""
    return list(accumulate(thresholds, lambda before, one: max(one, before + _APART)))


def _log_likelihood(table: Table, items: list[ItemParameters]) -> Floats:
    """Of each concept's answers, each predicted by the engine's own filter from those before it."""
    mean, variance = [0.0] * table.learners, [1.0] * table.learners
    expected = np.empty_like(table.score)
    columns = (table.learner.tolist(), table.item.tolist(), table.score.tolist())
    for row, (who, item, score) in enumerate(zip(*columns, strict=True)):
        found = evidence(items[item], mean[who], variance[who], score)
        expected[row] = found.probability
        mean[who] += variance[who] * found.gradient
        variance[who] *= 1.0 - found.curvature * variance[who]
    # A chance that rounds to 1 is judged as if it were no nearer than any below.
    np.clip(expected, _NEAREST, 1.0 - _NEAREST, out=expected)
    each = xlogy(table.score, expected) + xlog1py(1.0 - table.score, -expected)
    return summed(table.concept, each[table.link], len(table.concepts))
