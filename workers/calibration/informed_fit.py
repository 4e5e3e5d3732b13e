"""Ability-informed knowledge tracing, fitted by EM over all chains at once.

Each number of a concept is drawn to its mean over concepts, the harder the nearer concepts lie to
each other (`workers.calibration.informed_draw`): a concept of few answers has that of the others,
one of many its own. The weight of ability is shared by both states and the intercept of "known"
stays above that of "unknown", so that P(known) goes on meaning mastery.
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
    DRAWN,
    informed_of,
    newton,
    numbers_of,
)
from workers.calibration.informed_draw import (
    GAP,
    PRIOR,
    TRANSITIONS,
    UNKNOWN,
    USUAL,
    USUAL_FORGET,
    USUAL_LEARN,
    WEIGHT,
    Draw,
    common_rate,
)
from workers.calibration.informed_spread import whole_covariance
from workers.calibration.table import Floats, Table

_ROUNDS: Final = 25
_FINISHES: Final = 20
"""Newton steps, each followed by one of EM, for where EM creeps."""
_MOST_STEP: Final = 0.7
_AT_REST: Final = 3e-3
"""Largest change of a number, logits, with which a fit is done."""
_NEWTON: Final = 2
_STARTS: Final = (USUAL, (-1.5, 3.0, 0.1, 0.0))
"""Ability tells most of an answer; knowing does."""
_LEAST_GAP: Final = 0.05
"""Least difference of the states' intercepts, logits."""
_LEAST_CHANCE: Final = 1e-4
_MOST_CHANCE: Final = 0.999


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
    draw = Draw()
    ends = [_climb(data, start, draw) for start in _STARTS]
    fitted = max(ends, key=lambda one: float(log_likelihoods(data, one).sum()))
    for _ in range(_FINISHES):
        before = numbers_of(fitted)
        numbers, variance = newton(data, fitted, draw, _MOST_STEP)
        draw = draw.looked_at(before[DRAWN], variance[DRAWN])
        fitted = _round(data, _inside(informed_of(numbers)), draw)
        if np.abs(numbers_of(fitted) - before).max() < _AT_REST:
            break
    return InformedFit(fitted, log_likelihoods(data, fitted), whole_covariance(data, fitted, draw))


def _climb(data: InformedAnswers, start: tuple[float, float, float, float], draw: Draw) -> Informed:
    unknown, gap, weight, prior, learn, forget = (
        np.full(data.concepts, one) for one in (*start, USUAL_LEARN, USUAL_FORGET)
    )
    end = Informed(unknown, gap, weight, prior, 0.3, learn, forget)
    for _ in range(_ROUNDS):
        end = _round(data, end, draw)
    return end


def _round(data: InformedAnswers, fitted: Informed, draw: Draw) -> Informed:
    """One step of EM."""
    states = states_of(data, fitted)
    fitted = _priors(data, _transitions(data, fitted, states), draw, states)
    return _emissions(data, fitted, draw, states)


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

    def rate(events: Floats, chances: Floats, usual: float) -> Floats:
        everywhere = common_rate(events, chances, usual)
        own = (events + TRANSITIONS * everywhere) / (chances + TRANSITIONS)
        inside: Floats = np.clip(own, _LEAST_CHANCE, _MOST_CHANCE)
        return inside

    return replace(
        fitted,
        learn=rate(learned, unknown, USUAL_LEARN),
        forget=rate(forgot, known, USUAL_FORGET),
    )


def _priors(data: InformedAnswers, fitted: Informed, draw: Draw, states: Smoothed) -> Informed:
    of, count = data.chains.concept, data.concepts
    known = states.known[: of.size]
    prior, slope = fitted.prior, fitted.prior_slope
    for _ in range(_NEWTON):
        p = expit(prior[of] + slope * data.theta)
        gradient = np.bincount(of, known - p, count) + draw.pull(PRIOR, prior)
        bend = np.bincount(of, p * (1.0 - p), count) + draw.precision[PRIOR]
        prior = prior + np.clip(gradient / bend, -1.0, 1.0)
        p = expit(prior[of] + slope * data.theta)
        along = float(((known - p) * data.theta).sum())
        bend_of_slope = float((p * (1.0 - p) * data.theta**2).sum()) + 1.0
        slope = max(0.0, slope + min(max(along / bend_of_slope, -0.3), 0.3))
    return replace(fitted, prior=prior, prior_slope=slope)


def _emissions(data: InformedAnswers, fitted: Informed, draw: Draw, states: Smoothed) -> Informed:
    """Newton steps on the expected likelihood: intercepts of both states, then the weight."""
    known, z, sums = states.known, data.z, data.by_concept
    for _ in range(_NEWTON):
        low, high = chances(data, fitted)
        of_low, of_high = (1.0 - known) * (data.score - low), known * (data.score - high)
        w_low, w_high = (1.0 - known) * low * (1.0 - low), known * high * (1.0 - high)
        g_a = sums(of_low + of_high) + draw.pull(UNKNOWN, fitted.unknown)
        g_d = sums(of_high) + draw.pull(GAP, fitted.gap)
        cross = sums(w_high)
        h_a = sums(w_low) + cross + draw.precision[UNKNOWN]
        h_d = cross + draw.precision[GAP]
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
        g_w = sums(residual * z) + draw.pull(WEIGHT, fitted.weight)
        h_w = sums(spread * z * z) + draw.precision[WEIGHT]
        weight = fitted.weight + np.clip(g_w / h_w, -0.3, 0.3)
        fitted = replace(fitted, weight=np.maximum(0.0, weight))
    return fitted
