"""The ability filter of one scale, fitted to predict each answer one step ahead.

Coordinate ascent on the predictive likelihood of all answers, penalised by priors whose variances
are estimated too: items given the filter (`item_fit`), what all concepts have in common given the
items (L-BFGS on five numbers), and each concept's own deviation around that.

A concept's numbers work on its own answers nearly alone. So one pass of the filter with all
concepts moved by the same small step gives, concept by concept, the change of the likelihood, and
three passes a Newton step for all of them.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
from scipy.optimize import minimize

from workers.estimation.scales import PRACTICE_RATIO
from workers.modelling.calibration.ability.filter import (
    AbilityModel,
    Filtered,
    logits,
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
from workers.modelling.calibration.table import Floats, Table, summed

_START: Final = np.array([np.log(1.0), np.log(0.01), np.log(0.5), np.log(0.02), 0.0])
_BOUNDS: Final = ((-4.0, 3.0), (-12.0, 0.0), (-6.0, 2.0), (-12.0, 0.0), (-0.5, 0.5))
_USUAL_DEVIATION: Final = np.array([1.0, 2.0, 1.0, 2.0, 0.05])
_ROUNDS: Final = 10
"""Rounds in any case: the shared numbers and the concepts' own are fitted in them."""
_MOST_ROUNDS: Final = 20
_AT_REST: Final = 0.02
"""Change of difficulties in a round, logits, with which a fit is at rest."""
_SHARED_IN: Final = frozenset({1, 2, 4, 6, 8})
"""Rounds that fit the shared numbers: in between the items settle."""
_OWN_IN: Final = frozenset({2, 3, 4, 6, 8})
_DIFFERENCE: Final = 1.5e-8
_ENOUGH: Final = 60_000
"""Answers of which the shared numbers are told as well as they need be."""
_HEAD: Final = 500
"""Responses of each learner by which the shared numbers and the concepts' own are fitted. Longer
logs are few, cost most, and would set for all learners what practice brings."""
_FEWEST: Final = 200
"""Learners that are looked at in any case."""
_SEED: Final = 2
_DRIFT, _VARIANCE, _WALK = 2, 0, 1
_STEP: Final = {_DRIFT: 0.02, _VARIANCE: 0.2, _WALK: 0.3}
"""Steps of the numerical derivatives: drift in logits, variances in their logarithm."""
_PRIOR: Final = {_DRIFT: 0.02**2, _VARIANCE: 0.3, _WALK: 0.5}
"""Variances of concepts around what they share, in the same units."""


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
    """What a fit found.

    Args:
        model: the filter's parameters.
        items: with their prior and standard errors.
        shared: logarithms of variance, walk, deviation variance and deviation walk; drift.
        own: each concept's departure from the shared: log deviation variance, log deviation walk,
            drift; shape (3, concepts).
        log_likelihood: of each concept's answers, nats.
        converged: whether the items came to rest.
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
    """Fit a scale to a table of at least one response.

    Args:
        table: the responses.
        like: take from this fit all but the items, as cross-fitting may: a handful of numbers
            fitted to thousands of learners tell next to nothing of any one of them, an item's do.
    """
    items = first_guess(table)
    shared = _START if like is None else like.shared
    own = np.zeros((3, len(table.concepts))) if like is None else like.own
    head = table.first(_HEAD)
    converged = False
    for turn in range(_MOST_ROUNDS):
        before, filtered = items, run_filter(table, _model(shared, own, items))
        items = fit_items(table, filtered, fit_items(table, filtered, items))
        if like is None and turn in _SHARED_IN:
            shared = _fit_shared(head, shared, own, items)
        if like is None and turn in _OWN_IN:
            for what in (_DRIFT, _VARIANCE, _WALK):
                own = _fit_own(head, shared, own, items, what)
        converged = turn >= _ROUNDS - 1 and _moved(table, before, items) < _AT_REST
        if converged:
            break
    model = _model(shared, own, items)
    likely = -_by_concept(table, losses(table, model, run_filter(table, model)))
    return AbilityFit(model, items, shared, own, likely, converged)


def _moved(table: Table, before: Items, after: Items) -> float:
    """Root mean square change of the difficulty of what was answered, logits."""
    change = np.square(after.difficulty - before.difficulty)
    return float(np.sqrt(np.average(change, weights=table.responses_of_item)))


def losses(table: Table, model: AbilityModel, filtered: Filtered) -> Floats:
    """Cross-entropy of each answer, nats."""
    z = logits(table, model, filtered)
    each: Floats = np.logaddexp(0.0, z) - table.score * z
    return each


def _model(shared: Floats, own: Floats, items: Items) -> AbilityModel:
    common = SharedParameters.of(shared)
    return AbilityModel(
        0.0,
        float(common.variance),
        float(common.walk),
        common.offset_variance * np.exp(own[_VARIANCE]),
        common.offset_walk * np.exp(own[_WALK]),
        common.drift + own[_DRIFT],
        PRACTICE_RATIO,
        items.difficulty,
        np.exp(items.log_discrimination),
    )


def _fit_shared(table: Table, shared: Floats, own: Floats, items: Items) -> Floats:
    table = _some(table)

    def mean_loss(numbers: Floats) -> tuple[float, Floats]:
        """With its forward differences, all of them from passes side by side."""
        places = [numbers, *(numbers + step for step in _DIFFERENCE * np.eye(numbers.size))]
        models = [_model(place, own, items) for place in places]
        here, *there = (
            loss(table.score, logits(table, model, filtered))
            for model, filtered in zip(models, run_filters(table, models), strict=True)
        )
        # What is usual, worth one observation: it counts where learners are a handful.
        off = (numbers - _START) / _USUAL_DEVIATION
        return (
            here + 0.5 * float(off @ off) / table.score.size,
            (np.array(there) - here) / _DIFFERENCE + off / _USUAL_DEVIATION / table.score.size,
        )

    found = minimize(
        mean_loss,
        shared,
        method="L-BFGS-B",
        jac=True,
        bounds=_BOUNDS,
        options={"maxiter": 5, "ftol": 1e-7},
    )
    best: Floats = found.x
    return best


def _some(table: Table) -> Table:
    """As many learners, drawn at random, as five numbers need: any more tell them no better."""
    share = max(_ENOUGH / table.score.size, _FEWEST / table.learners)
    if share >= 1.0:
        return table
    return table.of(np.random.default_rng(_SEED).random(table.learners) < share)


def _fit_own(table: Table, shared: Floats, own: Floats, items: Items, what: int) -> Floats:
    step, prior = _STEP[what], _PRIOR[what]

    models = []
    for by in (0.0, step, -step):
        other = own.copy()
        other[what] += by
        models.append(_model(shared, other, items))
    here, above, below = (
        _by_concept(table, losses(table, model, filtered))
        for model, filtered in zip(models, run_filters(table, models), strict=True)
    )
    slope = (above - below) / (2.0 * step) + own[what] / prior
    bend = np.maximum((above + below - 2.0 * here) / step**2, 0.0) + 1.0 / prior
    moved = own.copy()
    moved[what] -= np.clip(slope / bend, -3.0 * step, 3.0 * step)
    # Walks and variances stay where the filter is a filter.
    moved[what] = np.clip(moved[what], -3.0, 3.0) if what != _DRIFT else moved[what]
    return moved


def _by_concept(table: Table, each: Floats) -> Floats:
    """Sums over the answers of each concept; one of several concepts counts in equal shares."""
    return summed(table.concept, table.share * each[table.link], len(table.concepts))


def on_table(fit: AbilityFit, table: Table) -> AbilityModel:
    """The model for a table that names items and concepts the fit never saw."""
    items = place_unseen(fit.items, table.concept_of_item)
    return replace(
        fit.model,
        difficulty=items.difficulty,
        discrimination=np.exp(items.log_discrimination),
    )
