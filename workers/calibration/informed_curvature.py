"""The log posterior of ability-informed knowledge tracing near its mode: Newton steps, covariance.

A concept's numbers are its intercept of "unknown", the gap up to "known", the weight, the prior,
the slope of the prior (the same for all) and the logits of learn and forget, in that order: rows
of arrays of shape (7, concepts). The score is exact, by Fisher's identity.
"""

from typing import Final

import numpy as np
from scipy.special import expit, log_expit, logit

from workers.calibration.information import information, inverse
from workers.calibration.informed_chains import (
    Informed,
    InformedAnswers,
    chances,
    known_at_first,
    log_likelihoods,
    states_of,
)
from workers.calibration.informed_draw import (
    USUAL_FORGET,
    USUAL_LEARN,
    Draw,
    common_rate,
)
from workers.calibration.table import Floats, summed

SLOPE: Final = 4
OWN: Final = (0, 1, 2, 3, 5, 6)
DRAWN: Final = slice(0, 4)
CHANCES: Final = slice(5, 7)
_LEAST_SLOPE: Final = 1.0
_SHARES: Final = (1.0, 0.3, 0.1, 0.02)
"""Of a step, the first of which that does not get lower is taken."""


def numbers_of(fitted: Informed) -> Floats:
    """All numbers of all concepts, shape (7, concepts)."""
    return np.array(
        [
            fitted.unknown,
            fitted.gap,
            fitted.weight,
            fitted.prior,
            np.full_like(fitted.prior, fitted.prior_slope),
            logit(fitted.learn),
            logit(fitted.forget),
        ]
    )


def informed_of(numbers: Floats) -> Informed:
    """The parameters that have these numbers."""
    unknown, gap, weight, prior, slope, learn, forget = numbers
    return Informed(unknown, gap, weight, prior, float(slope[0]), expit(learn), expit(forget))


class Posterior:
    """The log posterior of each concept's numbers, means and common rates as they are at a fit.

    Args:
        data: the answers.
        fitted: where the prior is looked at.
        draw: the prior.
    """

    def __init__(self, data: InformedAnswers, fitted: Informed, draw: Draw) -> None:
        self.here = numbers_of(fitted)
        self._data, self._draw = data, draw
        drawn = enumerate(self.here[DRAWN])
        self._centre = np.array([[draw.centre(what, own)] for what, own in drawn])
        self._rate, self._precision = _rates(data, fitted), draw.precision[:, None]

    def value(self, numbers: Floats) -> Floats:
        """Up to a constant, nats, shape (concepts,)."""
        x = numbers[CHANCES]
        drawn = -0.5 * (self._precision * (numbers[DRAWN] - self._centre) ** 2).sum(axis=0)
        counted = self._rate * log_expit(x) + (1.0 - self._rate) * log_expit(-x)
        of_prior = drawn + self._draw.transitions * counted.sum(axis=0)
        return np.asarray(log_likelihoods(self._data, informed_of(numbers)) + of_prior)

    def score(self, numbers: Floats) -> Floats:
        """Its derivatives, shape (7, concepts)."""
        found = _score(self._data, numbers)
        found[DRAWN] -= self._precision * (numbers[DRAWN] - self._centre)
        found[CHANCES] += self._draw.transitions * (self._rate - expit(numbers[CHANCES]))
        return found

    def held(self, *, hill: bool = False) -> Floats:
        """`_held` at the fit."""
        return _held(self._data, self.here, self._draw, hill=hill)


def inverse_of(observed: Floats, which: list[int]) -> Floats:
    """Covariance of some of the numbers, the others as they are."""
    fixed = np.zeros((len(which), observed.shape[0]), dtype=np.bool_)
    return inverse(observed[:, which][:, :, which], fixed)


def newton(
    data: InformedAnswers, fitted: Informed, draw: Draw, most: float
) -> tuple[Floats, Floats]:
    """Numbers one Newton step on, of each concept that it does not lower; variances before it.

    Args:
        data: the answers.
        fitted: from where.
        draw: the prior.
        most: how far a number may go.
    """
    posterior, own = Posterior(data, fitted, draw), list(OWN)
    here = posterior.here
    covariance = inverse_of(posterior.held(), own)
    move = np.zeros_like(here)
    move[own] = np.einsum("cij,jc->ic", covariance, posterior.score(here)[own])
    move *= np.minimum(1.0, most / np.maximum(np.abs(move).max(axis=0), most))
    least, found = posterior.value(here), here
    better = np.zeros(data.concepts, dtype=np.bool_)
    for share in _SHARES:
        there = here + share * move
        inside = ~better & (there[1] > 0.0) & (there[2] >= 0.0)
        higher = inside & (posterior.value(np.where(inside, there, here)) >= least)
        found, better = np.where(higher, there, found), better | higher
        if better.all():
            break
    return found, np.diagonal(covariance, axis1=1, axis2=2).T


def informed_covariance(data: InformedAnswers, fitted: Informed, draw: Draw) -> Floats:
    """Covariance of unknown, known, weight, prior, slope and the logits of learn and forget.

    The slope belongs to all concepts: it is eliminated from each one's information and put back
    with the variance that all of them leave it.

    Returns:
        Shape (concepts, 7, 7).
    """
    count, own = data.concepts, list(OWN)
    observed = _held(data, numbers_of(fitted), draw, hill=True)
    alone = inverse_of(observed, own)
    alone = _with_means(alone, fitted, draw)
    along = np.einsum("cij,cj->ci", alone, observed[:, own, SLOPE])
    left = observed[:, SLOPE, SLOPE] - np.einsum("ci,ci->c", along, observed[:, own, SLOPE])
    variance = 1.0 / max(float(left.sum()), _LEAST_SLOPE)
    # How the others follow the slope, the slope itself among them.
    follows = np.insert(-along, SLOPE, 1.0, axis=1)
    found = variance * follows[:, :, None] * follows[:, None, :]
    found[np.ix_(range(count), own, own)] += alone
    to = np.eye(len(own) + 1)
    to[1, 0] = 1.0
    known = to @ found @ to.T
    return np.asarray((known + known.swapaxes(1, 2)) / 2.0)


def _with_means(alone: Floats, fitted: Informed, draw: Draw) -> Floats:
    """Covariances with the means uncertain too that draw concepts together.

    Source: Lindley & Smith (1972), "Bayes estimates for the linear model", Journal of the Royal
    Statistical Society B 34, 1-41: a mean is known as well as what concepts say of it beside each
    other, and one more that is as usual.
    """
    chances = np.array([fitted.learn, fitted.forget])
    of_chances = draw.transitions * chances * (1.0 - chances)
    drawn = np.repeat(draw.precision[:, None], chances.shape[1], axis=1)
    pull = np.vstack([drawn, of_chances]).T
    follows = alone * pull[:, None, :]
    each = pull[:, :, None] * (np.eye(pull.shape[1]) - follows)
    told = each.sum(axis=0) + np.diag(pull.mean(axis=0))
    mean = np.linalg.inv((told + told.T) / 2.0)
    return np.asarray(alone + follows @ mean @ follows.swapaxes(1, 2))


def _held(data: InformedAnswers, numbers: Floats, draw: Draw, *, hill: bool = False) -> Floats:
    """Information with that of the prior.

    Args:
        data: the answers.
        numbers: where.
        draw: the prior.
        hill: answers tell no less than nothing, be the likelihood no hill: no concept is then less
            well known than the prior knows it.
    """
    observed = information(lambda x: _score(data, x), numbers)
    if hill:
        value, vector = np.linalg.eigh(observed)
        observed = (vector * np.maximum(value, 0.0)[:, None, :]) @ vector.swapaxes(1, 2)
    p = expit(numbers[CHANCES])
    observed[:, range(4), range(4)] += draw.precision
    observed[:, range(5, 7), range(5, 7)] += (draw.transitions * p * (1.0 - p)).T
    return observed


def _rates(data: InformedAnswers, fitted: Informed) -> Floats:
    """How often the unknown is learned and the known forgotten, over all concepts."""
    states = states_of(data, fitted)
    learned, forgot = states.learned, states.forgot
    return np.array(
        [
            [common_rate(learned, learned + states.stayed_unknown, USUAL_LEARN)],
            [common_rate(forgot, forgot + states.stayed_known, USUAL_FORGET)],
        ]
    )


def _score(data: InformedAnswers, numbers: Floats) -> Floats:
    """Derivatives of each concept's log likelihood by its numbers."""
    here, sums = informed_of(numbers), data.by_concept
    states = states_of(data, here)
    low, high = chances(data, here)
    of_low = (1.0 - states.known) * (data.score - low)
    of_high = states.known * (data.score - high)
    of = data.chains.concept
    first = states.known[: of.size] - known_at_first(data, here)
    learned, forgot = sums(states.learned), sums(states.forgot)
    return np.array(
        [
            sums(of_low + of_high),
            sums(of_high),
            sums((of_low + of_high) * data.z),
            summed(of, first, data.concepts),
            summed(of, first * data.theta, data.concepts),
            learned - here.learn * (learned + sums(states.stayed_unknown)),
            forgot - here.forget * (forgot + sums(states.stayed_known)),
        ]
    )
