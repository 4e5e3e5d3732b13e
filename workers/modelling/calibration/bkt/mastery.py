"""The mastery part of every recipe: fit, parameters of the engine, warnings."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import logit

from workers.estimation.parameters import BktParameters
from workers.estimation.ranges import Covariance
from workers.modelling.calibration.bkt.curvature import bkt_covariance
from workers.modelling.calibration.bkt.em import FORGET, GUESS, LEARN, PRIOR, SLIP
from workers.modelling.calibration.bkt.fit import WEAK_PRIORS, fit_bkt
from workers.modelling.calibration.bkt.forest import forest_of
from workers.modelling.calibration.information import around_mean
from workers.modelling.calibration.table import Floats, Table, answered_concepts

_LEAST_EVIDENCE: Final = 0.1
"""Value of 1 - guess - slip below which answers say almost nothing about mastery."""
_FEW_ANSWERS: Final = 30
"""Number of answers below which a concept's parameters mostly come from the other concepts."""


@dataclass(frozen=True)
class MasteryParameters:
    """Knowledge tracing parameters of a table's concepts.

    Args:
        default: parameters of a concept without its own.
        own: parameters of each answered concept by id.
    """

    default: BktParameters
    own: dict[str, BktParameters]


def fit_mastery(table: Table) -> Floats:
    """Fit knowledge tracing without forgetting, with mastery within reach.

    Returns:
        Prior, learn, guess, slip and forget of each concept, shape (5, concepts). A concept without
        an answer has the mean of the others.
    """
    return over_all(table, fit_bkt(table, forgets=False, reachable=True).parameters)


def over_all(table: Table, parameters: Floats) -> Floats:
    """Give concepts without an answer the mean parameters of those with answers."""
    answered = table.links_of_concept > 0
    mean = parameters[:, answered].mean(axis=1, keepdims=True)
    return np.where(answered, parameters, mean)


def mastery_parameters(table: Table, parameters: Floats) -> MasteryParameters:
    """Turn fitted probabilities into parameters of the engine, with their covariances.

    Args:
        table: the responses that were fitted, with `WEAK_PRIORS`.
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
    """
    covariance = bkt_covariance(forest_of(table), parameters, np.array(WEAK_PRIORS))
    answered = answered_concepts(table)
    at = [number for number, _ in answered]
    return MasteryParameters(
        bkt_of(
            parameters[:, at].mean(axis=1), around_mean(_logits(parameters[:, at]), covariance[at])
        ),
        {name: bkt_of(parameters[:, at], covariance[at]) for at, name in answered},
    )


def bkt_of(column: Floats, covariance: Floats | None = None) -> BktParameters:
    """Turn one concept's fitted probabilities into parameters of the engine.

    Args:
        column: prior, learn, guess, slip and forget, shape (5,).
        covariance: covariance of their logits, shape (5, 5); None if unknown.
    """
    prior, learn, guess, slip, forget = (
        float(column[at]) for at in (PRIOR, LEARN, GUESS, SLIP, FORGET)
    )
    return BktParameters(prior, learn, guess, slip, forget, covariance=_rows(covariance))


def mastery_warnings(table: Table, parameters: Floats) -> list[str]:
    """Warn of concepts whose answers say too little about mastery.

    Args:
        table: the fitted responses.
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
    """
    evidence = 1.0 - parameters[GUESS] - parameters[SLIP]
    answers = table.links_of_concept
    right = table.sum_by_concept(lambda _, response: table.score[response])
    warnings = []
    for at, name in answered_concepts(table):
        if answers[at] < _FEW_ANSWERS:
            warnings.append(
                f"concept {name!r}: {answers[at]} answers, so its parameters are mostly those "
                "of the others"
            )
        if right[at] in (0.0, answers[at]):
            warnings.append(
                f"concept {name!r}: all {answers[at]} answers are alike, so only the prior keeps "
                "its parameters finite"
            )
        if evidence[at] < _LEAST_EVIDENCE:
            warnings.append(
                f"concept {name!r}: guess + slip is {1.0 - evidence[at]:.2f}, so answers say "
                "almost nothing about mastery"
            )
    return warnings


def _rows(covariance: Floats | None) -> Covariance:
    return () if covariance is None else tuple(map(tuple, covariance.tolist()))


def _logits(probabilities: Floats) -> Floats:
    """Take logits; a probability of 0 was not fitted and stays 0."""
    fitted = probabilities > 0.0
    return np.where(fitted, logit(np.where(fitted, probabilities, 0.5)), 0.0)
