"""From the logs of many learners to parameters: one recipe for each model, for any data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.special import logit

from workers.calibration.ability_fit import AbilityFit, fit_ability, on_table
from workers.calibration.ability_kernel import logits, walk
from workers.calibration.bkt_curvature import bkt_covariance
from workers.calibration.bkt_fit import WEAK_PRIORS, BktFit, fit_bkt
from workers.calibration.bkt_step import FORGET, GUESS, LEARN, PRIOR, SLIP
from workers.calibration.information import around_mean
from workers.calibration.informed_fit import InformedFit, fit_informed
from workers.calibration.irt.bank import Model
from workers.calibration.item_guesses import fit_item_guesses
from workers.calibration.marginal_fit import fit_marginal
from workers.calibration.prefixes import prefixes_of
from workers.calibration.table import Floats, Ints, Table, summed, table_of
from workers.estimation.informed import InformedParameters
from workers.estimation.items import ItemParameters
from workers.estimation.learner import Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.ranges import Covariance
from workers.estimation.scales import Deviation, ScaleParameters

_SEED: Final = 1
_AMPLE: Final = 500
"""Learners of which half tell of items nearly what all do."""
_PARTS: Final = 8
_DULL: Final = 0.1
"""1 - guess - slip below which answers on a concept say next to nothing of mastery."""
_RARE: Final = 30
"""Answers below which a concept's parameters are mostly those of the others."""


@dataclass(frozen=True)
class Fitted:
    """Parameters and how good they are.

    Args:
        parameters: what was fitted.
        log_likelihood: of each concept's answers, predicted one step ahead, nats.
        warnings: what to know before they are used, one sentence each.
        item_errors: standard errors of items' parameters by their names, where the fit has them;
            None where there is none to give.
    """

    parameters: Parameters
    log_likelihood: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    item_errors: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)


def fit(model: str, logs: Iterable[Sequence[Response]]) -> Fitted:
    """Fit a model to whole logs of answers on one scale, each in its learner's order.

    Args:
        model: one of `MODELS`.
        logs: one for each learner.

    Raises:
        ValueError: if the model is none, or there is no answer.
    """
    return fit_table(model, table_of(logs)[0])


def fit_table(model: str, table: Table) -> Fitted:
    """`fit` of answers that are a table already.

    Raises:
        ValueError: if the model is none, or there is no answer.
    """
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, not {model!r}")
    if not table.score.size:
        raise ValueError("there is nothing to fit: no answer is given")
    return MODELS[model](table)


def _classical(_: Table) -> Fitted:
    return Fitted(Parameters())


def _bkt(table: Table) -> Fitted:
    return _of_bkt(table, fit_bkt(table, forgets=False))


def _bkt_forgets(table: Table) -> Fitted:
    return _of_bkt(table, fit_bkt(table, forgets=True))


def _kt_idem(table: Table) -> Fitted:
    found = fit_item_guesses(table, fit_bkt(table, forgets=True))
    items = {
        table.items[at]: ItemParameters(guess=float(found.guess[at]), slip=float(found.slip[at]))
        for at in np.flatnonzero(table.responses_of_item).tolist()
    }
    return Fitted(
        Parameters(
            default=_bkt_of(found.parameters.mean(axis=1)),
            concepts={
                name: ConceptParameters(_bkt_of(found.parameters[:, at]))
                for at, name in _seen(table)
            },
            items=items,
        ),
        _named(table, found.log_likelihood),
        _warnings(table, 1.0 - found.parameters[GUESS] - found.parameters[SLIP]),
    )


def _marginal(table: Table, model: Model) -> Fitted:
    found = fit_marginal(table, model)
    seen = np.flatnonzero(table.responses_of_item).tolist()
    concept_of_item = table.concept_of_item
    by_concept: dict[int, list[int]] = {}
    for at in seen:
        by_concept.setdefault(int(concept_of_item[at]), []).append(at)
    return Fitted(
        Parameters(
            concepts={
                name: ConceptParameters(
                    item=_mean_item([found.items[one] for one in by_concept[at]])
                )
                for at, name in _seen(table)
                if at in by_concept
            },
            items={table.items[at]: found.items[at] for at in seen},
            any_scale=ScaleParameters(
                item=_mean_item([found.items[at] for at in seen]), predicts=True
            ),
        ),
        _named(table, found.log_likelihood),
        _warnings(table) + ([] if found.converged else ["the fit did not come to rest"]),
        {table.items[at]: found.errors[at] for at in seen},
    )


def _mean_item(items: Sequence[ItemParameters]) -> ItemParameters:
    """The mean of items, of discriminations the geometric one: an item never seen takes it."""
    numbers = np.array([(one.location, one.discrimination, one.lower, one.upper) for one in items])
    mean = numbers.mean(axis=0)
    mean[1] = np.exp(np.log(numbers[:, 1]).mean())
    # Where all items stand at a bound, rounding would put their mean beyond it.
    return ItemParameters(*np.clip(mean, numbers.min(axis=0), numbers.max(axis=0)).tolist())


def _irt(table: Table) -> Fitted:
    found = fit_ability(table)
    return Fitted(
        Parameters(
            concepts=_concepts(table, found, None),
            items=_items(table, found),
            any_scale=_scale(found, predicts=True),
        ),
        _named(table, found.log_likelihood),
        _warnings(table),
    )


def _informed(table: Table) -> Fitted:
    ability = fit_ability(table)
    parts = range(parts_of(table.learners))
    return informed_by(table, ability, [fit_but_part(table, ability, part) for part in parts])


def parts_of(learners: int) -> int:
    """In how many parts learners are divided, each predicted by what the others taught.

    Of few learners each part leaves out fewer, for items of half of them would be much worse than
    those that predict in the end.
    """
    return min(max(2, round(_AMPLE / max(learners, 1))), _PARTS)


def fit_but_part(table: Table, ability: AbilityFit, part: int) -> AbilityFit | None:
    """The ability filter that predicts one part of the learners, fitted on the others.

    Args:
        table: all.
        ability: fitted on all.
        part: which, below `parts_of`.

    Returns:
        None where there are no others.
    """
    others = table.of(_part(table) != part)
    return fit_ability(others, like=ability) if others.learners else None


def informed_by(table: Table, ability: AbilityFit, of_parts: Sequence[AbilityFit | None]) -> Fitted:
    """Cross-fitting: ability before each answer by items fitted on other learners.

    On the learners that they were fitted on, items explain too much, and emissions fitted on that
    would trust ability more than it deserves with a new learner.

    Args:
        table: all.
        ability: fitted on all.
        of_parts: what `fit_but_part` found for each part.
    """
    z, theta, part = np.empty_like(table.score), np.empty_like(table.score), _part(table)
    for number, of_part in enumerate(of_parts):
        here = part == number
        predicted = table.of(here)
        model = on_table(ability if of_part is None else of_part, table)
        if predicted.learners:
            walked, rows = walk(predicted, model), here[table.learner]
            z[rows], theta[rows] = logits(predicted, model, walked), walked.theta
    found = fit_informed(table, z, theta)
    return Fitted(
        Parameters(
            default=_informed_mean(table, found),
            concepts=_concepts(table, ability, found),
            items=_items(table, ability),
            any_scale=_scale(ability, predicts=False),
        ),
        _named(table, found.log_likelihood),
        _warnings(table),
    )


def _part(table: Table) -> Ints:
    """Of each learner the part that it is in."""
    drawn = np.random.default_rng(_SEED).permutation(table.learners)
    part: Ints = drawn % parts_of(table.learners)
    return part


IN_STEPS: Final = frozenset({"graded", "partial-credit"})
"""Models that are the 2PL where each score is 0 or 1."""

MODELS: Final[Mapping[str, Callable[[Table], Fitted]]] = MappingProxyType(
    {
        "classical": _classical,
        "bkt": _bkt,
        "bkt-forgets": _bkt_forgets,
        "kt-idem": _kt_idem,
        "1pl": partial(_marginal, model="1PL"),
        "2pl": partial(_marginal, model="2PL"),
        "3pl": partial(_marginal, model="3PL"),
        "4pl": partial(_marginal, model="4PL"),
        "graded": partial(_marginal, model="graded"),
        "partial-credit": partial(_marginal, model="partial_credit"),
        "irt": _irt,
        "informed": _informed,
    }
)
"""The models by name, from the plainest to the best."""


def _seen(table: Table) -> list[tuple[int, str]]:
    answered = np.unique(table.concept).tolist()
    return [(at, table.concepts[at]) for at in answered]


def _named(table: Table, values: Floats) -> dict[str, float]:
    return {name: float(values[at]) for at, name in _seen(table)}


def _of_bkt(table: Table, found: BktFit) -> Fitted:
    covariance = bkt_covariance(prefixes_of(table), found.parameters, np.array(WEAK_PRIORS))
    at_all = _logits(found.parameters)
    return Fitted(
        Parameters(
            default=_bkt_of(found.parameters.mean(axis=1), around_mean(at_all, covariance)),
            concepts={
                name: ConceptParameters(_bkt_of(found.parameters[:, at], covariance[at]))
                for at, name in _seen(table)
            },
        ),
        _named(table, found.log_likelihood),
        [
            *_warnings(table, 1.0 - found.parameters[GUESS] - found.parameters[SLIP]),
            *(
                f"concept {name!r}: the fit did not come to rest"
                for at, name in _seen(table)
                if not found.converged[at]
            ),
        ],
    )


def _bkt_of(column: Floats, covariance: Floats | None = None) -> BktParameters:
    prior, learn, guess, slip, forget = (
        float(column[at]) for at in (PRIOR, LEARN, GUESS, SLIP, FORGET)
    )
    return BktParameters(prior, learn, guess, slip, forget, covariance=_rows(covariance))


def _rows(covariance: Floats | None) -> Covariance:
    return () if covariance is None else tuple(map(tuple, covariance.tolist()))


def _logits(chances: Floats) -> Floats:
    """What is 0, and so not fitted, stays 0."""
    fitted = chances > 0.0
    return np.where(fitted, logit(np.where(fitted, chances, 0.5)), 0.0)


def _scale(found: AbilityFit, *, predicts: bool) -> ScaleParameters:
    model = found.model
    _, _, deviation, step = np.exp(found.shared[:4])
    return ScaleParameters(
        model.mean,
        model.variance,
        model.walk,
        ItemParameters(float(found.items.of_concept.mean())),
        Deviation(float(deviation), float(step), float(found.shared[4])),
        predicts,
    )


def _items(table: Table, found: AbilityFit) -> dict[str, ItemParameters]:
    model = found.model
    return {
        table.items[at]: ItemParameters(
            float(model.difficulty[at]), float(model.discrimination[at])
        )
        for at in np.flatnonzero(table.responses_of_item).tolist()
    }


def _concepts(
    table: Table, found: AbilityFit, informed: InformedFit | None
) -> dict[str, ConceptParameters]:
    model = found.model
    return {
        name: ConceptParameters(
            None if informed is None else informed_parameters(informed, at),
            ItemParameters(float(found.items.of_concept[at])),
            Deviation(
                float(model.deviation[at]),
                float(model.deviation_walk[at]),
                float(model.drift[at]),
            ),
        )
        for at, name in _seen(table)
    }


def informed_parameters(found: InformedFit, at: int) -> InformedParameters:
    """What a fit found for one of its concepts."""
    informed = found.informed
    return InformedParameters(
        float(informed.unknown[at]),
        float(informed.known[at]),
        float(informed.weight[at]),
        float(informed.prior[at]),
        informed.prior_slope,
        float(informed.learn[at]),
        float(informed.forget[at]),
        covariance=_rows(found.covariance[at]),
    )


def _informed_mean(table: Table, found: InformedFit) -> InformedParameters:
    at, informed = np.unique(table.concept), found.informed
    numbers = np.array(
        [
            informed.unknown,
            informed.known,
            informed.weight,
            informed.prior,
            np.full_like(informed.prior, informed.prior_slope),
            logit(informed.learn),
            logit(informed.forget),
        ]
    )[:, at]
    return InformedParameters(
        float(informed.unknown[at].mean()),
        float(informed.known[at].mean()),
        float(informed.weight[at].mean()),
        float(informed.prior[at].mean()),
        informed.prior_slope,
        float(informed.learn[at].mean()),
        float(informed.forget[at].mean()),
        covariance=_rows(around_mean(numbers, found.covariance[at])),
    )


def _warnings(table: Table, told: Floats | None = None) -> list[str]:
    answers = np.bincount(table.concept, minlength=len(table.concepts))
    right = summed(table.concept, table.score[table.link], len(table.concepts))
    found = []
    for at, name in _seen(table):
        if answers[at] < _RARE:
            found.append(
                f"concept {name!r}: {answers[at]} answers, so its parameters are mostly those "
                "of the others"
            )
        if right[at] in (0.0, answers[at]):
            found.append(
                f"concept {name!r}: all {answers[at]} answers are alike, so only what is usual "
                "keeps its parameters from running off"
            )
        if told is not None and told[at] < _DULL:
            found.append(
                f"concept {name!r}: guess + slip is {1.0 - told[at]:.2f}, so answers say next to "
                "nothing of mastery"
            )
    return found
