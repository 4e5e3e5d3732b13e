"""Ability-informed knowledge tracing, fitted by EM over all chains at once.

Each number of a concept is drawn to its mean over concepts: a concept of few answers has that of
the others, one of many its own. The weight of ability is shared by both states and the intercept of
"known" stays above that of "unknown", so that P(known) goes on meaning mastery.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import expit

from workers.calibration.chains import Smoothed
from workers.calibration.informed_chains import (
    Informed,
    InformedAnswers,
    chances,
    informed_answers,
    log_likelihoods,
    states_of,
)
from workers.calibration.informed_curvature import (
    Draw,
    informed_covariance,
    informed_of,
    newton,
    numbers_of,
)
from workers.calibration.table import Floats, Table

_ROUNDS: Final = 25
_FINISHES: Final = 8
"""Newton steps, each followed by one of EM, for where EM creeps."""
_MOST_STEP: Final = 0.7
_AT_REST: Final = 3e-3
"""Largest change of a number, logits, with which a fit is done."""
_NEWTON: Final = 2
_TRANSITIONS: Final = 20.0
"""As many transitions at the common rate are added to those of a concept."""
_INTERCEPT: Final = 4.0
"""Precision of a concept's intercepts around their mean."""
_WEIGHT: Final = 20.0
_PRIOR: Final = 2.0
_LEAST_GAP: Final = 0.05
"""Least difference of the states' intercepts, logits."""
_LEAST_CHANCE: Final = 1e-4
_MOST_CHANCE: Final = 0.999
_DRAW: Final = Draw((_INTERCEPT, _INTERCEPT, _WEIGHT, _PRIOR), _TRANSITIONS)


@dataclass(frozen=True)
class InformedFit:
    """What a fit found.

    Args:
        informed: the parameters.
        log_likelihood: of each concept's answers, nats.
        covariance: of each concept's unknown, known, weight, prior, prior_slope and logits of
            learn and forget, ability taken as known; shape (concepts, 7, 7).
    """

    informed: Informed
    log_likelihood: Floats
    covariance: Floats


def fit_informed(table: Table, z: Floats, theta: Floats) -> InformedFit:
    """Fit all concepts of a table.

    Args:
        table: the responses, at least one.
        z: the filter's logit before each of them, by a filter fitted on other learners.
        theta: ability before each of them, by the same.
    """
    data = informed_answers(table, z, theta)
    count = data.concepts
    fitted = Informed(
        np.full(count, -0.7),
        np.full(count, 1.4),
        np.ones(count),
        np.zeros(count),
        0.3,
        np.full(count, 0.08),
        np.full(count, 0.02),
    )
    for _ in range(_ROUNDS):
        fitted = _round(data, fitted)
    for _ in range(_FINISHES):
        before = numbers_of(fitted)
        numbers = newton(data, fitted, _DRAW, _MOST_STEP)
        fitted = _round(data, _inside(informed_of(numbers)))
        if np.abs(numbers_of(fitted) - before).max() < _AT_REST:
            break
    return InformedFit(
        fitted, log_likelihoods(data, fitted), informed_covariance(data, fitted, _DRAW)
    )


def _round(data: InformedAnswers, fitted: Informed) -> Informed:
    """One step of EM."""
    states = states_of(data, fitted)
    return _emissions(data, _priors(data, _transitions(data, fitted, states), states), states)


def _inside(fitted: Informed) -> Informed:
    return replace(
        fitted,
        gap=np.maximum(fitted.gap, _LEAST_GAP),
        learn=np.clip(fitted.learn, _LEAST_CHANCE, _MOST_CHANCE),
        forget=np.clip(fitted.forget, _LEAST_CHANCE, _MOST_CHANCE),
    )


def _transitions(data: InformedAnswers, fitted: Informed, states: Smoothed) -> Informed:
    learned, forgot = data.by_concept(states.learned), data.by_concept(states.forgot)
    unknown = learned + data.by_concept(states.stayed_unknown)
    known = forgot + data.by_concept(states.stayed_known)

    def rate(events: Floats, chances: Floats) -> Floats:
        everywhere = events.sum() / max(chances.sum(), 1e-9)
        own = (events + _TRANSITIONS * everywhere) / (chances + _TRANSITIONS)
        inside: Floats = np.clip(own, _LEAST_CHANCE, _MOST_CHANCE)
        return inside

    return replace(fitted, learn=rate(learned, unknown), forget=rate(forgot, known))


def _priors(data: InformedAnswers, fitted: Informed, states: Smoothed) -> Informed:
    of, count = data.chains.concept, data.concepts
    known = states.known[: of.size]
    prior, slope = fitted.prior, fitted.prior_slope
    for _ in range(_NEWTON):
        p = expit(prior[of] + slope * data.theta)
        gradient = np.bincount(of, known - p, count) - _PRIOR * (prior - prior.mean())
        bend = np.bincount(of, p * (1.0 - p), count) + _PRIOR
        prior = prior + np.clip(gradient / bend, -1.0, 1.0)
        p = expit(prior[of] + slope * data.theta)
        along = float(((known - p) * data.theta).sum())
        bend_of_slope = float((p * (1.0 - p) * data.theta**2).sum()) + 1.0
        slope = max(0.0, slope + min(max(along / bend_of_slope, -0.3), 0.3))
    return replace(fitted, prior=prior, prior_slope=slope)


def _emissions(data: InformedAnswers, fitted: Informed, states: Smoothed) -> Informed:
    """Newton steps on the expected likelihood: intercepts of both states, then the weight."""
    known, z, sums = states.known, data.z, data.by_concept
    for _ in range(_NEWTON):
        low, high = chances(data, fitted)
        of_low, of_high = (1.0 - known) * (data.score - low), known * (data.score - high)
        w_low, w_high = (1.0 - known) * low * (1.0 - low), known * high * (1.0 - high)
        g_a = sums(of_low + of_high) - _INTERCEPT * (fitted.unknown - fitted.unknown.mean())
        g_d = sums(of_high) - _INTERCEPT * (fitted.gap - fitted.gap.mean())
        cross = sums(w_high)
        h_a, h_d = sums(w_low) + cross + _INTERCEPT, cross + _INTERCEPT
        determinant = h_a * h_d - cross**2
        by_a = (g_a * h_d - g_d * cross) / determinant
        by_d = (h_a * g_d - cross * g_a) / determinant
        fitted = replace(
            fitted,
            unknown=fitted.unknown + np.clip(by_a, -0.5, 0.5),
            gap=np.maximum(_LEAST_GAP, fitted.gap + np.clip(by_d, -0.5, 0.5)),
        )
        low, high = chances(data, fitted)
        residual = (1.0 - known) * (data.score - low) + known * (data.score - high)
        spread = (1.0 - known) * low * (1.0 - low) + known * high * (1.0 - high)
        g_w = sums(residual * z) - _WEIGHT * (fitted.weight - fitted.weight.mean())
        h_w = sums(spread * z * z) + _WEIGHT
        weight = fitted.weight + np.clip(g_w / h_w, -0.3, 0.3)
        fitted = replace(fitted, weight=np.maximum(0.0, weight))
    return fitted
