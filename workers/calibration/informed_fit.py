"""Ability-informed knowledge tracing, fitted by EM over all chains at once.

Each number of a concept is drawn to its mean over concepts: a concept of few answers has that of
the others, one of many its own. The weight of ability is shared by both states and the intercept of
"known" stays above that of "unknown", so that P(known) goes on meaning mastery.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import expit, logit

from workers.calibration.chains import Chains, Smoothed, chains_of, expected_states
from workers.calibration.information import information, inverse
from workers.calibration.table import Floats, Ints, Table, summed

_ROUNDS: Final = 40
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
_LOGIT: Final = 30.0
_SLOPE: Final = 4
"""Place of the slope of the prior among a concept's numbers."""


@dataclass(frozen=True)
class Informed:
    """Parameters of all concepts as arrays; see `InformedParameters`."""

    unknown: Floats
    gap: Floats
    weight: Floats
    prior: Floats
    prior_slope: float
    learn: Floats
    forget: Floats

    @property
    def known(self) -> Floats:
        """Intercept of "known"."""
        return self.unknown + self.gap


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
    chains = chains_of(table)
    concept = chains.concept_of_place
    data = _Data(
        chains,
        concept,
        table.score[chains.row],
        np.clip(z[chains.row], -_LOGIT, _LOGIT),
        theta[chains.row[: chains.concept.size]],
        len(table.concepts),
    )
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
        states = _states(data, fitted)
        fitted = _emissions(data, _priors(data, _transitions(data, fitted, states), states), states)
    return InformedFit(
        fitted, data.by_concept(_log_likelihoods(data, fitted)), _covariance(data, fitted)
    )


@dataclass(frozen=True)
class _Data:
    chains: Chains
    concept: Ints
    score: Floats
    z: Floats
    theta: Floats
    """At the first place of each chain."""
    concepts: int

    def by_concept(self, each: Floats) -> Floats:
        return summed(self.concept, each, self.concepts)


def _chances(data: _Data, fitted: Informed) -> tuple[Floats, Floats]:
    of = data.concept
    low = fitted.unknown[of] + fitted.weight[of] * data.z
    return (
        expit(np.clip(low, -_LOGIT, _LOGIT)),
        expit(np.clip(low + fitted.gap[of], -_LOGIT, _LOGIT)),
    )


def _states(data: _Data, fitted: Informed) -> Smoothed:
    unknown, known = _chances(data, fitted)
    of, score = data.concept, data.score
    whole = bool(((score == 0.0) | (score == 1.0)).all())

    def likelihood(p: Floats) -> Floats:
        if whole:
            return np.where(score == 1.0, p, 1.0 - p)
        weighted: Floats = np.power(p, score) * np.power(1.0 - p, 1.0 - score)
        return weighted

    return expected_states(
        data.chains,
        (likelihood(unknown), likelihood(known)),
        _known_at_first(data, fitted),
        fitted.learn[of],
        fitted.forget[of],
    )


def _known_at_first(data: _Data, fitted: Informed) -> Floats:
    x = fitted.prior[data.chains.concept] + fitted.prior_slope * data.theta
    p: Floats = expit(np.clip(x, -_LOGIT, _LOGIT))
    return p


def _covariance(data: _Data, fitted: Informed) -> Floats:
    """From the score by Fisher's identity, and the precisions of what draws concepts together.

    The slope belongs to all concepts: it is eliminated from each one's information and put back
    with the variance that all of them leave it.
    """
    count = data.concepts
    # Around a mean that they make themselves, n numbers are held by n - 1 of the prior's.
    held = 1.0 - 1.0 / count
    drawn = np.array([_INTERCEPT, _INTERCEPT, _WEIGHT, _PRIOR]) * held
    chances = np.array([fitted.learn, fitted.forget])
    of = data.chains.concept

    def score(x: Floats) -> Floats:
        unknown, gap, weight, prior, slope, learn, forget = x
        # The slope is the same for all.
        common = float(slope[0])
        here = Informed(unknown, gap, weight, prior, common, expit(learn), expit(forget))
        states = _states(data, here)
        low, high = _chances(data, here)
        known, sums = states.known, data.by_concept
        of_low, of_high = (1.0 - known) * (data.score - low), known * (data.score - high)
        first = known[: of.size] - _known_at_first(data, here)
        learned, forgot = sums(states.learned), sums(states.forgot)
        return np.array(
            [
                sums(of_low + of_high),
                sums(of_high),
                sums((of_low + of_high) * data.z),
                summed(of, first, count),
                summed(of, first * data.theta, count),
                learned - here.learn * (learned + sums(states.stayed_unknown)),
                forgot - here.forget * (forgot + sums(states.stayed_known)),
            ]
        )

    slopes = np.full(count, fitted.prior_slope)
    at = np.array(
        [fitted.unknown, fitted.gap, fitted.weight, fitted.prior, slopes, *logit(chances)]
    )
    observed = information(score, at)
    observed[:, range(4), range(4)] += drawn
    observed[:, range(5, 7), range(5, 7)] += (_TRANSITIONS * chances * (1.0 - chances)).T
    own = [0, 1, 2, 3, 5, 6]
    alone = inverse(observed[:, own][:, :, own], np.zeros((6, count), dtype=np.bool_))
    along = np.einsum("cij,cj->ci", alone, observed[:, own, _SLOPE])
    left = observed[:, _SLOPE, _SLOPE] - np.einsum("ci,ci->c", along, observed[:, own, _SLOPE])
    variance = 1.0 / max(float(left.sum()), 1.0)
    # How the others follow the slope, the slope itself among them.
    follows = np.insert(-along, _SLOPE, 1.0, axis=1)
    found = variance * follows[:, :, None] * follows[:, None, :]
    found[np.ix_(range(count), own, own)] += alone
    # From unknown and the gap to unknown and known.
    to = np.eye(7)
    to[1, 0] = 1.0
    rotated = to @ found @ to.T
    return np.asarray((rotated + rotated.swapaxes(1, 2)) / 2.0)


def _log_likelihoods(data: _Data, fitted: Informed) -> Floats:
    states = _states(data, fitted)
    unknown, known = _chances(data, fitted)
    p = states.before * known + (1.0 - states.before) * unknown
    each: Floats = data.score * np.log(p) + (1.0 - data.score) * np.log1p(-p)
    return each


def _transitions(data: _Data, fitted: Informed, states: Smoothed) -> Informed:
    learned, forgot = data.by_concept(states.learned), data.by_concept(states.forgot)
    unknown = learned + data.by_concept(states.stayed_unknown)
    known = forgot + data.by_concept(states.stayed_known)

    def rate(events: Floats, chances: Floats) -> Floats:
        everywhere = events.sum() / max(chances.sum(), 1e-9)
        own = (events + _TRANSITIONS * everywhere) / (chances + _TRANSITIONS)
        inside: Floats = np.clip(own, _LEAST_CHANCE, _MOST_CHANCE)
        return inside

    return replace(fitted, learn=rate(learned, unknown), forget=rate(forgot, known))


def _priors(data: _Data, fitted: Informed, states: Smoothed) -> Informed:
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


def _emissions(data: _Data, fitted: Informed, states: Smoothed) -> Informed:
    """Newton steps on the expected likelihood: intercepts of both states, then the weight."""
    known, z, sums = states.known, data.z, data.by_concept
    for _ in range(_NEWTON):
        low, high = _chances(data, fitted)
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
        low, high = _chances(data, fitted)
        residual = (1.0 - known) * (data.score - low) + known * (data.score - high)
        spread = (1.0 - known) * low * (1.0 - low) + known * high * (1.0 - high)
        g_w = sums(residual * z) - _WEIGHT * (fitted.weight - fitted.weight.mean())
        h_w = sums(spread * z * z) + _WEIGHT
        weight = fitted.weight + np.clip(g_w / h_w, -0.3, 0.3)
        fitted = replace(fitted, weight=np.maximum(0.0, weight))
    return fitted
