"""What the curvature at the mode leaves out of how uncertain a concept's numbers are.

How far concepts lie apart is itself estimated, from few of them where they are few; and a rate near
0 is skew as a logit, with a long tail to where nothing happens at all.
"""

from typing import Final

import numpy as np
from scipy.special import digamma, logit, polygamma

from workers.calibration.informed_chains import Informed
from workers.calibration.informed_draw import IMAGINED, Draw
from workers.calibration.table import Floats

_LEARN: Final = 5
_FORGET: Final = 6
_MOST: Final = 25.0
"""Mean square error of a logit of which nothing is known."""


def widened(covariance: Floats, fitted: Informed, draw: Draw) -> Floats:
    """Covariances with the precisions of the prior uncertain too, and with skew rates.

    Args:
        covariance: of unknown, known, weight, prior, slope and the logits of learn and forget,
            shape (concepts, 7, 7).
        fitted: the mode.
        draw: the prior.
    """
    return _with_tails(_with_spreads(covariance, fitted, draw), fitted)


def _with_spreads(covariance: Floats, fitted: Informed, draw: Draw) -> Floats:
    """With what the mode moves as the precisions do that draw concepts together.

    Source: Kass & Steffey (1989), "Approximate Bayesian inference in conditionally independent
    hierarchical models", Journal of the American Statistical Association 84, 717-726: the variance
    given the precision, and that of the mean as the precision varies.
    """
    found = covariance.copy()
    numbers = (fitted.unknown, fitted.gap, fitted.weight, fitted.prior)
    for what, own in enumerate(numbers):
        along = np.zeros(covariance.shape[1])
        along[what] = 1.0
        if own is fitted.gap:
            along[0] = -1.0
        precision = draw.precision[what]
        by_log = (covariance @ along) * draw.pull(what, own)[:, None]
        told = np.clip(1.0 - precision * (covariance @ along @ along), 0.0, 1.0)
        variance = 2.0 / (float((told**2).sum()) + IMAGINED)
        found += variance * by_log[:, :, None] * by_log[:, None, :]
    return found


def _with_tails(covariance: Floats, fitted: Informed) -> Floats:
    """With the mean square error of the logits of rates that are beta, not normal as logits.

    The beta distribution is the one with the mode, as a logit, and the curvature there that were
    found: of a + b = 1 / (v·p·(1 - p)) events and others.
    """
    scale = np.ones(covariance.shape[:2])
    for at, p in ((_LEARN, fitted.learn), (_FORGET, fitted.forget)):
        variance = covariance[:, at, at]
        a, b = 1.0 / (variance * (1.0 - p)), 1.0 / (variance * p)
        off = digamma(a) - digamma(b) - logit(p)
        error = np.minimum(polygamma(1, a) + polygamma(1, b) + off**2, _MOST)
        scale[:, at] = np.sqrt(np.maximum(error / variance, 1.0))
    found = covariance * (scale[:, :, None] * scale[:, None, :])
    return np.asarray((found + found.swapaxes(1, 2)) / 2.0)
