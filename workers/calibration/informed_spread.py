"""What the curvature at the mode leaves out of how uncertain a concept's numbers are.

How far concepts lie apart is itself estimated, from few of them where they are few; and the
posterior of a rate near 0 has a long tail to where nothing happens at all.
"""

from typing import Final

import numpy as np

from workers.calibration.informed_chains import Informed, InformedAnswers
from workers.calibration.informed_curvature import (
    CHANCES,
    DRAWN,
    OWN,
    Posterior,
    informed_covariance,
    inverse_of,
)
from workers.calibration.informed_draw import GAP, WEIGHT, Draw, Looser, looser
from workers.calibration.table import Floats

_LEARN: Final = 5
_FORGET: Final = 6
_REACH: Final = 1.96
_FARTHEST: Final = 5.0
"""Logits below its mode at which a rate is as good as none."""
_LOOKS: Final = 2
"""How often the distance is set by what the last one told."""
_STEPS: Final = 2
_MOST_STEP: Final = 0.5
_LEAST_FALL: Final = 0.05
_LEAST_GAP: Final = 0.05
_MOST_LOGIT: Final = 15.0


def whole_covariance(data: InformedAnswers, fitted: Informed, draw: Draw) -> Floats:
    """Covariances with the precisions of the prior uncertain too, and with the tails of rates.

    Args:
        data: the answers.
        fitted: the mode.
        draw: the prior, with the precisions that are likeliest.

    Returns:
        Of unknown, known, weight, prior, slope and the logits of learn and forget, shape
        (concepts, 7, 7).
    """
    posterior = Posterior(data, fitted, draw)
    observed = posterior.held(hill=True)
    variance = np.diagonal(inverse_of(observed, list(OWN)), axis1=1, axis2=2).T
    prior = looser(draw, variance[DRAWN])
    found = with_spreads(informed_covariance(data, fitted, prior.draw), fitted, prior)
    return with_tails(found, posterior, observed)


def with_spreads(covariance: Floats, fitted: Informed, prior: Looser) -> Floats:
    """With what the mode moves as the precisions do that draw concepts together.

    Source: Kass & Steffey (1989), "Approximate Bayesian inference in conditionally independent
    hierarchical models", Journal of the American Statistical Association 84, 717-726: the variance
    given the precision, and that of the mean as the precision varies.

    Args:
        covariance: as of `whole_covariance`, under the looser prior.
        fitted: the mode.
        prior: the looser one.
    """
    found = covariance.copy()
    numbers = (fitted.unknown, fitted.gap, fitted.weight, fitted.prior)
    for what, own in enumerate(numbers):
        along = np.zeros(covariance.shape[1])
        along[what] = 1.0
        if own is fitted.gap:
            along[0] = -1.0
        by_log = (covariance @ along) * prior.draw.pull(what, own)[:, None]
        found += prior.of_log[what] * by_log[:, :, None] * by_log[:, None, :]
    return found


def with_tails(covariance: Floats, posterior: Posterior, observed: Floats) -> Floats:
    """With the logits of rates as uncertain as their profile says.

    To where nothing happens the posterior of a rate near 0 falls much more slowly than its
    curvature at the mode says: how far it must go to be improbable, the other numbers the best
    for it, tells a deviation that is used where it is the larger.

    Source: Venzon & Moolgavkar (1988), "A method for computing profile-likelihood-based confidence
    intervals", Applied Statistics 37, 87-94.

    Args:
        covariance: as of `whole_covariance`.
        posterior: around the mode.
        observed: its information there.
    """
    scale = np.ones(covariance.shape[:2])
    for rate in (_LEARN, _FORGET):
        curved = np.sqrt(inverse_of(observed, list(OWN))[:, OWN.index(rate), OWN.index(rate)])
        deviation = curved
        for _ in range(_LOOKS):
            far = np.minimum(_REACH * deviation, _FARTHEST)
            fall = _fall(posterior, observed, rate, far)
            deviation = np.clip(far / np.sqrt(2.0 * fall), curved, _FARTHEST / _REACH)
        scale[:, rate] = np.maximum(deviation / curved, 1.0)
    found = covariance * (scale[:, :, None] * scale[:, None, :])
    return np.asarray((found + found.swapaxes(1, 2)) / 2.0)


def _fall(posterior: Posterior, observed: Floats, rate: int, far: Floats) -> Floats:
    """How far the log posterior falls if a rate's logit does, the others following, nats."""
    own, others = list(OWN), [one for one in OWN if one != rate]
    at = own.index(rate)
    covariance, given = inverse_of(observed, own), inverse_of(observed, others)
    there = posterior.here.copy()
    there[own] -= (covariance[:, :, at] / covariance[:, at, at, None] * far[:, None]).T
    there = _inside(there)
    best = posterior.value(there)
    for _ in range(_STEPS):
        moved = there.copy()
        step = np.einsum("cij,jc->ic", given, posterior.score(there)[others])
        moved[others] += np.clip(step, -_MOST_STEP, _MOST_STEP)
        moved = _inside(moved)
        value = posterior.value(moved)
        there, best = np.where(value > best, moved, there), np.maximum(value, best)
    return np.asarray(np.maximum(posterior.value(posterior.here) - best, _LEAST_FALL))


def _inside(numbers: Floats) -> Floats:
    found = numbers.copy()
    found[GAP] = np.maximum(found[GAP], _LEAST_GAP)
    found[WEIGHT] = np.maximum(found[WEIGHT], 0.0)
    found[CHANCES] = np.clip(found[CHANCES], -_MOST_LOGIT, _MOST_LOGIT)
    return found
