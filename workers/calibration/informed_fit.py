"""Ability-informed knowledge tracing, fitted by EM over all chains at once.

Each number of a concept is drawn to its mean over concepts, the harder the nearer concepts lie to
each other (empirical Bayes): a concept of few answers has that of the others, one of many its own.
The mean itself is that of the concepts and of one more that is as usual. The weight of ability is
shared by both states and the intercept of "known" stays above that of "unknown", so that P(known)
goes on meaning mastery.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import expit

from workers.calibration.chains import Chains, Smoothed, chains_of, expected_states
from workers.calibration.table import Floats, Ints, Table, summed

_ROUNDS: Final = 40
_NEWTON: Final = 2
_TRANSITIONS: Final = 20.0
"""As many transitions at the common rate are added to those of a concept."""
_LOOSEST: Final = np.array([4.0, 4.0, 20.0, 2.0])
"""Least precision of concepts around their mean: of intercept, gap, weight and prior."""
_TIGHTEST: Final = 400.0
_UNKNOWN, _GAP, _WEIGHT, _PRIOR = range(4)
_USUAL: Final = (-0.7, 1.4, 1.0, 0.0)
_STARTS: Final = (_USUAL, (-1.5, 3.0, 0.1, 0.0))
"""Ability tells most of an answer; knowing does."""
_LEARN: Final = 0.08
_FORGET: Final = 0.02
_LEAST_GAP: Final = 0.05
"""Least difference of the states' intercepts, logits."""
_LEAST_CHANCE: Final = 1e-4
_MOST_CHANCE: Final = 0.999
_LOGIT: Final = 30.0


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
    precision: Floats
    """Of concepts around their mean, of the first four."""

    def drawn(self, what: int) -> Floats:
        """How far each concept lies from the mean of one of the first four."""
        own = (self.unknown, self.gap, self.weight, self.prior)[what]
        off: Floats = own - (own.sum() + _USUAL[what]) / (own.size + 1.0)
        return off

    def looked_at(self, what: int, variance: Floats) -> "Informed":
        """With the precision that concepts so far apart, each so well known, have."""
        spread = float((self.drawn(what) ** 2 + variance).mean())
        precision = self.precision.copy()
        precision[what] = min(max(1.0 / spread, _LOOSEST[what]), _TIGHTEST)
        return replace(self, precision=precision)

    @property
    def known(self) -> Floats:
        """Intercept of "known"."""
        return self.unknown + self.gap


@dataclass(frozen=True)
class InformedFit:
    """What a fit found: the parameters, and the log likelihood of each concept's answers, nats."""

    informed: Informed
    log_likelihood: Floats


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
    found = [_climb(data, start) for start in _STARTS]
    return max(found, key=lambda one: float(one.log_likelihood.sum()))


def _climb(data: "_Data", start: tuple[float, float, float, float]) -> InformedFit:
    count = data.concepts
    fitted = Informed(
        np.full(count, start[_UNKNOWN]),
        np.full(count, start[_GAP]),
        np.full(count, start[_WEIGHT]),
        np.full(count, start[_PRIOR]),
        0.3,
        np.full(count, _LEARN),
        np.full(count, _FORGET),
        _LOOSEST,
    )
    for _ in range(_ROUNDS):
        states = _states(data, fitted)
        fitted = _emissions(data, _priors(data, _transitions(data, fitted, states), states), states)
    return InformedFit(fitted, data.by_concept(_log_likelihoods(data, fitted)))


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

    def rate(events: Floats, chances: Floats, usual: float) -> Floats:
        everywhere = (events.sum() + _TRANSITIONS * usual) / (chances.sum() + _TRANSITIONS)
        own = (events + _TRANSITIONS * everywhere) / (chances + _TRANSITIONS)
        inside: Floats = np.clip(own, _LEAST_CHANCE, _MOST_CHANCE)
        return inside

    return replace(
        fitted, learn=rate(learned, unknown, _LEARN), forget=rate(forgot, known, _FORGET)
    )


def _priors(data: _Data, fitted: Informed, states: Smoothed) -> Informed:
    of, count = data.chains.concept, data.concepts
    known = states.known[: of.size]
    for _ in range(_NEWTON):
        hold, slope = fitted.precision[_PRIOR], fitted.prior_slope
        p = expit(fitted.prior[of] + slope * data.theta)
        gradient = np.bincount(of, known - p, count) - hold * fitted.drawn(_PRIOR)
        bend = np.bincount(of, p * (1.0 - p), count) + hold
        prior = fitted.prior + np.clip(gradient / bend, -1.0, 1.0)
        p = expit(prior[of] + slope * data.theta)
        along = float(((known - p) * data.theta).sum())
        bend_of_slope = float((p * (1.0 - p) * data.theta**2).sum()) + 1.0
        slope = max(0.0, slope + min(max(along / bend_of_slope, -0.3), 0.3))
        fitted = replace(fitted, prior=prior, prior_slope=slope).looked_at(_PRIOR, 1.0 / bend)
    return fitted


def _emissions(data: _Data, fitted: Informed, states: Smoothed) -> Informed:
    """Newton steps on the expected likelihood: intercepts of both states, then the weight."""
    known, z, sums = states.known, data.z, data.by_concept
    for _ in range(_NEWTON):
        low, high = _chances(data, fitted)
        of_low, of_high = (1.0 - known) * (data.score - low), known * (data.score - high)
        w_low, w_high = (1.0 - known) * low * (1.0 - low), known * high * (1.0 - high)
        hold = fitted.precision
        g_a = sums(of_low + of_high) - hold[_UNKNOWN] * fitted.drawn(_UNKNOWN)
        g_d = sums(of_high) - hold[_GAP] * fitted.drawn(_GAP)
        cross = sums(w_high)
        h_a, h_d = sums(w_low) + cross + hold[_UNKNOWN], cross + hold[_GAP]
        determinant = h_a * h_d - cross**2
        by_a = (g_a * h_d - g_d * cross) / determinant
        by_d = (h_a * g_d - cross * g_a) / determinant
        fitted = replace(
            fitted,
            unknown=fitted.unknown + np.clip(by_a, -0.5, 0.5),
            gap=np.maximum(_LEAST_GAP, fitted.gap + np.clip(by_d, -0.5, 0.5)),
        )
        fitted = fitted.looked_at(_UNKNOWN, h_d / determinant).looked_at(_GAP, h_a / determinant)
        low, high = _chances(data, fitted)
        residual = (1.0 - known) * (data.score - low) + known * (data.score - high)
        spread = (1.0 - known) * low * (1.0 - low) + known * high * (1.0 - high)
        g_w = sums(residual * z) - hold[_WEIGHT] * fitted.drawn(_WEIGHT)
        h_w = sums(spread * z * z) + hold[_WEIGHT]
        weight = fitted.weight + np.clip(g_w / h_w, -0.3, 0.3)
        fitted = replace(fitted, weight=np.maximum(0.0, weight)).looked_at(_WEIGHT, 1.0 / h_w)
    return fitted
