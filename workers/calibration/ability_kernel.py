"""The ability filter for many learners at once: `workers.estimation.scales` in arrays.

Equal to `workers.estimation.answering.apply` to 1e-12, for items of two parameters; a test says so.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from scipy.special import expit

from workers.calibration.table import Floats, Table

_PI_8: Final = np.pi / 8.0


@dataclass(frozen=True)
class AbilityModel:
    """Parameters of one scale as arrays over items and concepts; see `ScaleParameters`.

    Args:
        mean, variance, walk: of ability.
        deviation: variance of each concept's deviation before the first answer.
        deviation_walk: of each concept.
        drift: of each concept.
        difficulty: of each item.
        discrimination: of each item.
    """

    mean: float
    variance: float
    walk: float
    deviation: Floats
    deviation_walk: Floats
    drift: Floats
    difficulty: Floats
    discrimination: Floats

    def with_items(self, difficulty: Floats, discrimination: Floats) -> "AbilityModel":
        """The same with other items."""
        return replace(self, difficulty=difficulty, discrimination=discrimination)


class Walk(NamedTuple):
    """What the filter held before each response of a table."""

    mean: Floats
    """Of ability with deviations, logits."""
    variance: Floats
    """Of the same."""
    theta: Floats
    """Mean of ability alone, logits."""


def walk(table: Table, model: AbilityModel) -> Walk:
    """Run the filter over all learners of a table."""
    of_rows, theta_of = np.empty_like(table.score), np.empty_like(table.score)
    variance_of = np.empty_like(table.score)
    pair, concept_of = table.pairs
    theta = np.full(table.learners, model.mean)
    spread = np.full(table.learners, model.variance)
    shift = np.zeros(concept_of.size)
    loose = model.deviation[concept_of]
    drift, step_walk = model.drift[table.concept], model.deviation_walk[table.concept]
    a = model.discrimination[table.item]
    b = model.difficulty[table.item]
    flat = 0.125 * np.pi * a * a
    begins, link_begins = table.step.tolist(), table.link_step.tolist()
    for k in range(len(begins) - 1):
        rows, links = slice(begins[k], begins[k + 1]), slice(link_begins[k], link_begins[k + 1])
        n = begins[k + 1] - begins[k]
        own = pair[links]
        m1, v1, m2, v2 = theta[:n], spread[:n], shift[own], loose[own]
        if table.single:
            mean, variance = m1 + m2, v1 + v2
        else:
            of = table.link[links] - begins[k]
            share = table.share[links]
            mean = m1 + np.bincount(of, share * m2, n)
            variance = v1 + np.bincount(of, share * share * v2, n)
        of_rows[rows], variance_of[rows], theta_of[rows] = mean, variance, m1
        slope = a[rows] / np.sqrt(1.0 + flat[rows] * variance)
        p = expit(slope * (mean - b[rows]))
        gradient = slope * (table.score[rows] - p)
        curvature = slope * slope * p * (1.0 - p)
        theta[:n] = m1 + v1 * gradient
        spread[:n] = v1 * (1.0 - curvature * v1) + model.walk
        if not table.single:
            gradient, curvature = share * gradient[of], share * share * curvature[of]
        shift[own] = m2 + v2 * gradient + drift[links]
        loose[own] = v2 * (1.0 - curvature * v2) + step_walk[links]
    return Walk(of_rows, variance_of, theta_of)


def logits(table: Table, model: AbilityModel, walked: Walk) -> Floats:
    """The filter's logit of a right answer before each response."""
    a, b = model.discrimination[table.item], model.difficulty[table.item]
    return a * (walked.mean - b) / np.sqrt(1.0 + _PI_8 * a * a * walked.variance)


def loss(score: Floats, z: Floats) -> float:
    """Mean cross-entropy of scores whose logits were predicted, nats."""
    return float((np.logaddexp(0.0, z) - score * z).mean())
