"""Fits as parameters of the engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from workers.estimation.items import ItemParameters
from workers.estimation.last_step import PredictionWeights
from workers.estimation.parameters import BktParameters, ConceptParameters
from workers.estimation.ranges import Covariance
from workers.estimation.scales import PRACTICE_RATIO, ConceptOffset, ScaleParameters
from workers.modelling.calibration.ability.fit import AbilityFit
from workers.modelling.calibration.bkt.curvature import bkt_covariance
from workers.modelling.calibration.bkt.em import FORGET, GUESS, LEARN, PRIOR, SLIP
from workers.modelling.calibration.bkt.fit import WEAK_PRIORS
from workers.modelling.calibration.bkt.prefix_tree import prefix_tree_of
from workers.modelling.calibration.combined.last_step_fit import LastStepFit
from workers.modelling.calibration.information import around_mean
from workers.modelling.calibration.table import Floats, Table


@dataclass(frozen=True)
class MasteryParameters:
    """Knowledge tracing of a table's concepts.

    Args:
        default: of a concept that has none of its own.
        own: of each concept with an answer.
    """

    default: BktParameters
    own: dict[str, BktParameters]


def mastery_parameters(table: Table, parameters: Floats) -> MasteryParameters:
    """Knowledge tracing with the covariance of its parameters.

    Args:
        table: the responses that it was fitted to, with `WEAK_PRIORS`.
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
    """
    covariance = bkt_covariance(prefix_tree_of(table), parameters, np.array(WEAK_PRIORS))
    at = [number for number, _ in seen(table)]
    return MasteryParameters(
        bkt_of(
            parameters[:, at].mean(axis=1), around_mean(_logits(parameters[:, at]), covariance[at])
        ),
        {name: bkt_of(parameters[:, at], covariance[at]) for at, name in seen(table)},
    )


def bkt_of(column: Floats, covariance: Floats | None = None) -> BktParameters:
    """Knowledge tracing of one concept.

    Args:
        column: prior, learn, guess, slip and forget.
        covariance: of their logits, shape (5, 5).
    """
    prior, learn, guess, slip, forget = (
        float(column[at]) for at in (PRIOR, LEARN, GUESS, SLIP, FORGET)
    )
    return BktParameters(prior, learn, guess, slip, forget, covariance=_rows(covariance))


def _rows(covariance: Floats | None) -> Covariance:
    return () if covariance is None else tuple(map(tuple, covariance.tolist()))


def _logits(chances: Floats) -> Floats:
    """Take logits; a chance of 0 was not fitted and stays 0."""
    fitted = chances > 0.0
    return np.where(fitted, logit(np.where(fitted, chances, 0.5)), 0.0)


def scale_of(found: AbilityFit, last_step: LastStepFit | None) -> ScaleParameters:
    """A scale; without a last step it predicts by ability alone."""
    model = found.model
    _, _, offset_variance, step = np.exp(found.shared[:4])
    return ScaleParameters(
        model.mean,
        model.variance,
        model.walk,
        ItemParameters(float(found.items.of_concept.mean())),
        ConceptOffset(float(offset_variance), float(step), float(found.shared[4]), PRACTICE_RATIO),
        predicts=last_step is None,
        prediction=None if last_step is None else weights_of(last_step.common),
    )


def weights_of(numbers: Floats) -> PredictionWeights:
    """Weights of the last step, in the order of its features."""
    return PredictionWeights(*numbers.tolist())


def items_of(table: Table, found: AbilityFit) -> dict[str, ItemParameters]:
    """The items that have an answer."""
    model = found.model
    return {
        table.items[at]: ItemParameters(
            float(model.difficulty[at]), float(model.discrimination[at])
        )
        for at in np.flatnonzero(table.responses_of_item).tolist()
    }


def concepts_of(
    table: Table, found: AbilityFit, mastery: MasteryParameters, last_step: LastStepFit | None
) -> dict[str, ConceptParameters]:
    """The concepts that have an answer."""
    model = found.model
    return {
        name: ConceptParameters(
            mastery.own[name],
            ItemParameters(float(found.items.of_concept[at])),
            ConceptOffset(
                float(model.offset_variance[at]),
                float(model.offset_walk[at]),
                float(model.drift[at]),
                PRACTICE_RATIO,
            ),
            None if last_step is None else weights_of(last_step.own[at]),
        )
        for at, name in seen(table)
    }


def mean_item(items: Sequence[ItemParameters]) -> ItemParameters:
    """The mean of items, of discriminations the geometric one: an item never seen takes it."""
    numbers = np.array([(one.location, one.discrimination, one.lower, one.upper) for one in items])
    mean = numbers.mean(axis=0)
    mean[1] = np.exp(np.log(numbers[:, 1]).mean())
    # Where all items stand at a bound, rounding would put their mean beyond it.
    return ItemParameters(*np.clip(mean, numbers.min(axis=0), numbers.max(axis=0)).tolist())


def seen(table: Table) -> list[tuple[int, str]]:
    """Numbers and names of the concepts that have an answer."""
    answered = np.unique(table.concept).tolist()
    return [(at, table.concepts[at]) for at in answered]
