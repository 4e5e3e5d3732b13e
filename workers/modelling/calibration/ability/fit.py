"""Fit the ability filter of one scale to one-step-ahead predictions.

Coordinate ascent on the predictive likelihood of all answers, penalised by priors with estimated
variances: items given the filter (`items`), then the numbers that all concepts share given the
items (L-BFGS on five numbers), then each concept's departures from the shared numbers.

A concept's numbers affect almost only its own answers. So one pass of the filter with all concepts
moved by a small step gives the change of the likelihood of each concept, and three passes give a
Newton step for all of them.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np

from workers.estimation.scales import PRACTICE_RATIO
from workers.modelling.calibration.ability.filter import (
    AbilityModel,
    Filtered,
    logits,
    logits_of,
    loss,
    run_filter,
    run_filters,
)
from workers.modelling.calibration.ability.items import (
    Items,
    first_guess,
    fit_items,
    place_unseen,
)
from workers.modelling.calibration.paging import column, pages, release
from workers.modelling.calibration.table import Floats, Table

_START: Final = np.array([np.log(1.0), np.log(0.01), np.log(0.5), np.log(0.02), 0.0])
_BOUNDS: Final = ((-4.0, 3.0), (-12.0, 0.0), (-6.0, 2.0), (-12.0, 0.0), (-0.5, 0.5))
_USUAL_DEVIATION: Final = np.array([1.0, 2.0, 1.0, 2.0, 0.05])
_ROUNDS: Final = 10
"""Least number of rounds, in which the shared numbers and the concepts' own are fitted."""
_MOST_ROUNDS: Final = 20
_AT_REST: Final = 0.02
"""Change of difficulties in a round, in logits, at which a fit has converged."""
_SHARED_IN: Final = frozenset({1, 2, 4, 6, 8})
"""Rounds that fit the shared numbers; the items settle between them."""
_OWN_IN: Final = frozenset({2, 3, 4, 6, 8})
_DIFFERENCE: Final = 1.5e-8
_ENOUGH: Final = 60_000
"""Number of answers that determine the shared numbers well enough."""
_HEAD: Final = 500
"""Number of each learner's first responses that fit the shared and the concepts' own numbers.
Longer logs are few, cost most, and would determine the effect of practice for all learners."""
_FEWEST: Final = 200
"""Least number of learners in the sample for the shared numbers."""
_SEED: Final = 2
_DRIFT, _VARIANCE, _WALK = 2, 0, 1
_STEP: Final = {_DRIFT: 0.02, _VARIANCE: 0.2, _WALK: 0.3}
"""Steps of the numerical derivatives: drift in logits, variances in their logarithm."""
_PRIOR: Final = {_DRIFT: 0.02**2, _VARIANCE: 0.3, _WALK: 0.5}
"""Variances of concepts around the shared numbers, in the same units."""


class SharedParameters(NamedTuple):
    """Parameters that all concepts of a scale share, variances in logits²."""

    variance: np.float64
    """Variance of abilities before the first answer."""
    walk: np.float64
    """Variance that each answer adds to an ability."""
    offset_variance: np.float64
    """Variance of concept offsets over learners."""
    offset_walk: np.float64
    """Variance that each answer on a concept adds to its offset."""
    drift: np.float64
    """Gain of the first answer on a concept, logits."""

    @classmethod
    def of(cls, shared: Floats) -> Self:
        """Read the vector that is optimised: logarithms of the variances, then drift."""
        log_variance, log_walk, log_offset_variance, log_offset_walk, drift = shared
        return cls(
            np.exp(log_variance),
            np.exp(log_walk),
            np.exp(log_offset_variance),
            np.exp(log_offset_walk),
            drift,
        )


@dataclass(frozen=True)
class AbilityFit:
    """Result of a fit.

    Args:
        model: parameters of the filter.
        items: items with their prior and standard errors.
        shared: logarithms of variance, walk, offset variance and offset walk, then drift, shape
            (5,).
        own: departures of each concept from the shared: log offset variance, log offset walk,
            drift; shape (3, concepts).
        log_likelihood: log likelihood of each concept's answers, nats.
        converged: True if the items converged.
    """

    model: AbilityModel
    items: Items
    shared: Floats
    own: Floats
    log_likelihood: Floats
    converged: bool

    @property
    def shared_parameters(self) -> SharedParameters:
        """The shared numbers as parameters."""
        return SharedParameters.of(self.shared)


def fit_ability(table: Table, like: AbilityFit | None = None) -> AbilityFit:
    """Fit a scale to a table with at least one response.

    Args:
        table: the responses.
        like: a fit whose shared and concept numbers are kept, for cross-fitting. A few numbers
            fitted to thousands of learners depend hardly on any one learner; an item's numbers do.
    """
    items = first_guess(table)
    shared = _START if like is None else like.shared
    departures = np.zeros((3, len(table.concepts))) if like is None else like.own
    head = table.first(_HEAD)
    converged = False
    for turn in range(_MOST_ROUNDS):
        before, filtered = items, run_filter(table, _model(shared, departures, items))
        items = fit_items(table, filtered, fit_items(table, filtered, items))
        if like is None and turn in _SHARED_IN:
            shared = _fit_shared(head, shared, departures, items)
        if like is None and turn in _OWN_IN:
            for row in (_DRIFT, _VARIANCE, _WALK):
                departures = _fit_own(head, shared, departures, items, row)
        converged = turn >= _ROUNDS - 1 and _moved(table, before, items) < _AT_REST
        if converged:
            break
    model = _model(shared, departures, items)
    likely = -_losses_by_concept(table, model, run_filter(table, model))
    return AbilityFit(model, items, shared, departures, likely, converged)


def _moved(table: Table, before: Items, after: Items) -> float:
    """Compute the root mean square change of the answered difficulties, logits."""
    change = np.square(after.difficulty - before.difficulty)
    return float(np.sqrt(np.average(change, weights=table.responses_of_item)))


def _losses_by_concept(table: Table, model: AbilityModel, filtered: Filtered) -> Floats:
    """Sum the cross-entropy of answers by concept, nats.

    An answer with several concepts counts in equal shares.
    """
    losses = column(table.score.size, np.float64)
    for rows in pages(losses.size):
        z = logits_of(table, model, filtered, rows)
        losses[rows] = np.logaddexp(0.0, z) - table.score[rows] * z
    release(*filtered)
    return table.sum_by_concept(lambda links, response: table.share_of(links) * losses[response])


def _model(shared: Floats, departures: Floats, items: Items) -> AbilityModel:
    common = SharedParameters.of(shared)
    return AbilityModel(
        0.0,
        float(common.variance),
        float(common.walk),
        common.offset_variance * np.exp(departures[_VARIANCE]),
        common.offset_walk * np.exp(departures[_WALK]),
        common.drift + departures[_DRIFT],
        PRACTICE_RATIO,
        items.difficulty,
        np.exp(items.log_discrimination),
    )


def _fit_shared(table: Table, shared: Floats, departures: Floats, items: Items) -> Floats:
    from scipy.optimize import minimize  # noqa: PLC0415  # long to import; workers rarely fit

    table = _some(table)

    def mean_loss(numbers: Floats) -> tuple[float, Floats]:
        """Compute the mean loss and its forward differences, from passes side by side."""
        places = [numbers, *(numbers + step for step in _DIFFERENCE * np.eye(numbers.size))]
        models = [_model(place, departures, items) for place in places]
        here, *there = (
            loss(table.score, logits(table, model, filtered))
            for model, filtered in zip(models, run_filters(table, models), strict=True)
        )
        # A prior worth one observation, for tables with a handful of learners.
        off = (numbers - _START) / _USUAL_DEVIATION
        return (
            here + 0.5 * float(off @ off) / table.score.size,
            (np.array(there) - here) / _DIFFERENCE + off / _USUAL_DEVIATION / table.score.size,
        )

    optimum = minimize(
        mean_loss,
        shared,
        method="L-BFGS-B",
        jac=True,
        bounds=_BOUNDS,
        options={"maxiter": 5, "ftol": 1e-7},
    )
    best: Floats = optimum.x
    return best


def _some(table: Table) -> Table:
    """Draw as many learners at random as five numbers need."""
    share = max(_ENOUGH / table.score.size, _FEWEST / table.learners)
    if share >= 1.0:
        return table
    return table.of(np.random.default_rng(_SEED).random(table.learners) < share)


def _fit_own(table: Table, shared: Floats, departures: Floats, items: Items, row: int) -> Floats:
    step, prior = _STEP[row], _PRIOR[row]

    models = []
    for by in (0.0, step, -step):
        shifted = departures.copy()
        shifted[row] += by
        models.append(_model(shared, shifted, items))
    here, above, below = (
        _losses_by_concept(table, model, filtered)
        for model, filtered in zip(models, run_filters(table, models), strict=True)
    )
    slope = (above - below) / (2.0 * step) + departures[row] / prior
    bend = np.maximum((above + below - 2.0 * here) / step**2, 0.0) + 1.0 / prior
    moved = departures.copy()
    moved[row] -= np.clip(slope / bend, -3.0 * step, 3.0 * step)
    # Variances and walks stay in a range in which the filter is stable.
    moved[row] = np.clip(moved[row], -3.0, 3.0) if row != _DRIFT else moved[row]
    return moved


def on_table(fit: AbilityFit, table: Table) -> AbilityModel:
    """Extend the model to a table with items and concepts that the fit never saw."""
    items = place_unseen(fit.items, table.concept_of_item)
    return replace(
        fit.model,
        difficulty=items.difficulty,
        discrimination=np.exp(items.log_discrimination),
    )
