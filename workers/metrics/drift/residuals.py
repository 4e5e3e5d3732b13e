"""Residuals of predictions: two numbers per answer with expectation 0.

If the predictions are right, s - p (score minus expected score) has expectation 0, and so has its
product with anything known before the answer. Two such products are monitored:

- bias, s - p: positive if answers are right more often than predicted.
- excess, -(s - p) · logit(p): log loss minus the entropy of the prediction, in nats. Positive if
  predictions are too extreme, negative if they are too cautious.

They are the score tests of intercept and slope of a recalibration of the logits: Cox (1958), "Two
further applications of a model for binary regression", Biometrika 45, 562-565. Their sums over the
root of the summed variances, p·(1 - p) and p·(1 - p)·logit(p)², are standard normal in the limit
for any process of answers: Seillier-Moiseiwitsch & Dawid (1993), "On testing the validity of
sequential probability forecasts", Journal of the American Statistical Association 88, 355-359. For
partial credit the variances are upper bounds.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST: Final = 2.0**-53
"""Least distance of a prediction from 0 and 1, so that no answer weighs infinitely."""


class Residuals(NamedTuple):
    """Residuals of each prediction; all of shape (n,)."""

    loss: Floats
    """Log loss, nats."""
    bias: Floats
    """Score minus prediction."""
    excess: Floats
    """Log loss minus its expectation, nats."""
    bias_variance: Floats
    """Variance of the bias if the predictions are right."""
    excess_variance: Floats
    """Variance of the excess if the predictions are right."""


def residuals(scores: Floats, predictions: Floats) -> Residuals:
    """Compute the residuals of predictions.

    Args:
        scores: scores in [0, 1], shape (n,).
        predictions: expected scores in [0, 1], shape (n,).
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
