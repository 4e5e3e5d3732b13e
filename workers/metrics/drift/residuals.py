"""What an answer says of the prediction before it, in two numbers whose expectation is 0.

If answers happen as they were predicted, s - p (score minus expected score) has expectation 0, and
so has its product with anything that was known before the answer. Two of these are watched:

- bias, s - p: answers are righter, or less right, than predicted.
- excess, -(s - p) · logit(p): log loss minus the entropy that the prediction itself expects, in
  nats. Above 0 predictions are too bold, below 0 too timid.

They are the score tests of intercept and slope of a recalibration of the logits (Cox 1958, "Two
further applications of a model for binary regression", Biometrika 45, 562-565). Sums of them over
the root of the sum of their variances, p·(1 - p) and p·(1 - p)·logit(p)², are standard normal in
the limit, whatever process made the answers: Seillier-Moiseiwitsch & Dawid (1993), "On testing the
validity of sequential probability forecasts", Journal of the American Statistical Association 88,
355-359. With partial credit the variances are bounds.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST: Final = 2.0**-53
"""Nearest to 0 or 1 that a prediction is taken to be: no single answer weighs infinitely."""


class Residuals(NamedTuple):
    """Of each prediction; all of shape (n,)."""

    loss: Floats
    """Log loss, nats."""
    bias: Floats
    """Score minus prediction."""
    excess: Floats
    """Log loss minus its expectation, nats."""
    bias_variance: Floats
    """Of the bias, if answers happen as predicted."""
    excess_variance: Floats
    """Of the excess alike."""


def residuals(scores: Floats, predictions: Floats) -> Residuals:
    """What answers say of the predictions before them.

    Args:
        scores: in [0, 1], shape (n,).
        predictions: expected scores, in [0, 1], shape (n,).
    """
    p = np.clip(predictions, _LEAST, 1.0 - _LEAST)
    of_right, of_wrong = np.log(p), np.log1p(-p)
    logit = of_right - of_wrong
    bias = scores - p
    variance = p * (1.0 - p)
    return Residuals(
        -(scores * of_right + (1.0 - scores) * of_wrong),
        bias,
        -bias * logit,
        variance,
        variance * logit * logit,
    )
