"""From the logs of many learners to parameters: one recipe for each model, for any data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.special import log_expit

from workers.estimation.items import ItemParameters
from workers.estimation.learner import Response
from workers.estimation.parameters import ConceptParameters, Parameters
from workers.estimation.scales import ScaleParameters
from workers.modelling.calibration.ability.fit import AbilityFit, fit_ability
from workers.modelling.calibration.bkt.em import GUESS, SLIP
from workers.modelling.calibration.bkt.fit import BktFit, fit_bkt
from workers.modelling.calibration.bkt.kt_idem import fit_item_guesses
from workers.modelling.calibration.combined.fit import (
    PartFit,
    fit_combined,
    fit_mastery,
    fit_without_part,
    part_count,
)
from workers.modelling.calibration.engine_parameters import (
    bkt_of,
    concepts_of,
    items_of,
    mastery_parameters,
    mean_item,
    scale_of,
    seen,
)
from workers.modelling.calibration.irt.bank import Model
from workers.modelling.calibration.irt.marginal_fit import fit_marginal
from workers.modelling.calibration.table import Floats, Table, summed, table_of

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
    return _of_bkt(table, fit_bkt(table, forgets=False, reachable=True))


def _bkt_forgets(table: Table) -> Fitted:
    return _of_bkt(table, fit_bkt(table, forgets=True))


def _of_bkt(table: Table, found: BktFit) -> Fitted:
    mastery = mastery_parameters(table, found.parameters)
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts={name: ConceptParameters(own) for name, own in mastery.own.items()},
        ),
        _named(table, found.log_likelihood),
        [
            *_warnings(table, found.parameters),
            *(
                f"concept {name!r}: the fit did not come to rest"
                for at, name in seen(table)
                if not found.converged[at]
            ),
        ],
    )


def _kt_idem(table: Table) -> Fitted:
    found = fit_item_guesses(table, fit_bkt(table, forgets=True))
    items = {
        table.items[at]: ItemParameters(guess=float(found.guess[at]), slip=float(found.slip[at]))
        for at in np.flatnonzero(table.responses_of_item).tolist()
    }
    return Fitted(
        Parameters(
            default=bkt_of(found.parameters.mean(axis=1)),
            concepts={
                name: ConceptParameters(bkt_of(found.parameters[:, at])) for at, name in seen(table)
            },
            items=items,
        ),
        _named(table, found.log_likelihood),
        _warnings(table, found.parameters),
    )


def _marginal(table: Table, model: Model) -> Fitted:
    found = fit_marginal(table, model)
    parameters = fit_mastery(table)
    mastery = mastery_parameters(table, parameters)
    answered = np.flatnonzero(table.responses_of_item).tolist()
    concept_of_item = table.concept_of_item
    by_concept: dict[int, list[int]] = {}
    for at in answered:
        by_concept.setdefault(int(concept_of_item[at]), []).append(at)
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts={
                name: ConceptParameters(
                    mastery.own[name],
                    mean_item([found.items[one] for one in by_concept[at]])
                    if at in by_concept
                    else None,
                )
                for at, name in seen(table)
            },
            items={table.items[at]: found.items[at] for at in answered},
            any_scale=ScaleParameters(
                item=mean_item([found.items[at] for at in answered]), predicts=True
            ),
        ),
        _named(table, found.log_likelihood),
        _warnings(table, parameters)
        + ([] if found.converged else ["the fit did not come to rest"]),
        {table.items[at]: found.errors[at] for at in answered},
    )


def _irt(table: Table) -> Fitted:
    ability, parameters = fit_ability(table), fit_mastery(table)
    mastery = mastery_parameters(table, parameters)
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts=concepts_of(table, ability, mastery, None),
            items=items_of(table, ability),
            any_scale=scale_of(ability, None),
        ),
        _named(table, ability.log_likelihood),
        _warnings(table, parameters) + _unrested(ability),
    )


def _combined(table: Table) -> Fitted:
    ability = fit_ability(table)
    parts = range(part_count(table.learners))
    return combined_by(table, ability, [fit_without_part(table, ability, part) for part in parts])


def combined_by(table: Table, ability: AbilityFit, parts: Sequence[PartFit | None]) -> Fitted:
    """Fit the recipe `bkt-irt` whose ability and parts are fitted already.

    Args:
        table: all.
        ability: fitted on all.
        parts: what `fit_without_part` found for each part.
    """
    parameters = fit_mastery(table)
    mastery = mastery_parameters(table, parameters)
    found = fit_combined(table, ability, parameters, parts)
    likely = table.score * found.logit + log_expit(-found.logit)
    return Fitted(
        Parameters(
            default=mastery.default,
            concepts=concepts_of(table, ability, mastery, found),
            items=items_of(table, ability),
            any_scale=scale_of(ability, found),
        ),
        _named(table, summed(table.concept, likely[table.link], len(table.concepts))),
        _warnings(table, parameters)
        + _unrested(ability)
        + ([] if found.converged else ["the last step did not come to rest"]),
    )


IN_STEPS: Final = frozenset({"graded", "partial-credit"})
"""Models that are the 2PL where each score is 0 or 1."""
COMBINED: Final = "bkt-irt"
"""The default recipe: mastery by knowledge tracing, ability by IRT, predictions by both."""

MODELS: Final[Mapping[str, Callable[[Table], Fitted]]] = MappingProxyType(
    {
        COMBINED: _combined,
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
    }
)
"""The models by name: the default recipe first, then from the plainest to the best."""


def _named(table: Table, values: Floats) -> dict[str, float]:
    return {name: float(values[at]) for at, name in seen(table)}


def _unrested(ability: AbilityFit) -> list[str]:
    return [] if ability.converged else ["the fit of ability did not come to rest"]


def _warnings(table: Table, mastery: Floats) -> list[str]:
    """Warn of concepts; mastery holds the parameters of each, shape (5, concepts)."""
    told = 1.0 - mastery[GUESS] - mastery[SLIP]
    answers = np.bincount(table.concept, minlength=len(table.concepts))
    right = summed(table.concept, table.score[table.link], len(table.concepts))
    found = []
    for at, name in seen(table):
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
        if told[at] < _DULL:
            found.append(
                f"concept {name!r}: guess + slip is {1.0 - told[at]:.2f}, so answers say next to "
                "nothing of mastery"
            )
    return found
