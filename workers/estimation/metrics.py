"""Measure the accuracy of predicted probabilities.

An outcome is a score in [0, 1]: 1 for right, 0 for wrong, between them for partial credit. Nothing
is clamped: a wrong prediction of exactly 0 or 1 has an infinite log loss.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.responses import CORRECT_FROM

Floats = NDArray[np.float64]

BINS: Final = 10
"""Equal-width bins of a calibration curve."""


class CalibrationBins(NamedTuple):
    """A calibration curve, one entry per equal-width bin; NaN for an empty bin."""

    size: NDArray[np.int64]
    """Number of predictions in the bin."""
    prediction: Floats
    """Mean prediction of the bin, in [0, 1]."""
    outcome: Floats
    """Mean outcome of the bin, in [0, 1]."""


def auc(outcomes: Floats, predictions: Floats) -> float:
    """Compute the area under the ROC curve, counting ties half.

    It equals P(a right answer has the higher prediction than a wrong one), the Mann-Whitney
    statistic on midranks. An outcome counts as right from 0.5 on.

    Source: Hanley & McNeil (1982), "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143, 29-36.

    Returns:
        The area in [0, 1]; NaN if all outcomes are alike.

    Raises:
        ValueError: see `calibration_bins`.
    """
    _check(outcomes, predictions)
    right = outcomes >= CORRECT_FROM
    positives = int(right.sum())
    negatives = right.size - positives
    if not positives or not negatives:
        return float("nan")
    _, place, count = np.unique(predictions, return_inverse=True, return_counts=True)
    midrank = np.cumsum(count) - (count - 1) / 2.0
    wins = float(midrank[place][right].sum()) - positives * (positives + 1) / 2.0
    return wins / (positives * negatives)


def log_loss(outcomes: Floats, predictions: Floats) -> float:
    """Compute the mean cross-entropy -s·ln(p) - (1 - s)·ln(1 - p) in nats, 0 or more.

    Source: Good (1952), "Rational decisions", Journal of the Royal Statistical Society B 14,
    107-114.

    Raises:
        ValueError: see `calibration_bins`.
    """
    _check(outcomes, predictions)
    with np.errstate(divide="ignore", invalid="ignore"):
        # 0 · ln(0) is 0 here: an outcome predicted impossible costs nothing if it does not happen.
        of_right = np.where(outcomes > 0.0, outcomes * np.log(predictions), 0.0)
        of_wrong = np.where(outcomes < 1.0, (1.0 - outcomes) * np.log1p(-predictions), 0.0)
    return float(-(of_right + of_wrong).mean())


def brier(outcomes: Floats, predictions: Floats) -> float:
    """Compute the mean squared difference of prediction and outcome, in [0, 1].

    Source: Brier (1950), "Verification of forecasts expressed in terms of probability", Monthly
    Weather Review 78, 1-3, in the form for two outcomes (half of the original).

    Raises:
        ValueError: see `calibration_bins`.
    """
    _check(outcomes, predictions)
    return float(np.square(predictions - outcomes).mean())


def rmse(outcomes: Floats, predictions: Floats) -> float:
    """Compute the root of `brier`, in [0, 1]."""
    return float(np.sqrt(brier(outcomes, predictions)))


def calibration_bins(outcomes: Floats, predictions: Floats, bins: int = BINS) -> CalibrationBins:
    """Group predictions into equal-width bins of [0, 1].

    Each bin is closed below; the last one contains 1.0 too.

    Args:
        outcomes: scores in [0, 1], shape (n,), n > 0.
        predictions: probabilities in [0, 1], shape (n,).
        bins: number of bins, 1 or more.

    Raises:
        ValueError: there is no outcome, shapes differ, or a value is not a number in [0, 1].
    """
    _check(outcomes, predictions)
    of = np.minimum((predictions * bins).astype(np.int64), bins - 1)
    count = np.bincount(of, minlength=bins)
    with np.errstate(invalid="ignore"):
        return CalibrationBins(
            count,
            np.bincount(of, weights=predictions, minlength=bins) / count,
            np.bincount(of, weights=outcomes, minlength=bins) / count,
        )


def ece(outcomes: Floats, predictions: Floats, bins: int = BINS) -> float:
    """Compute the expected calibration error, in [0, 1].

    It is the mean |outcome - prediction| of the bins, weighted by their counts.

    Source: Naeini, Cooper & Hauskrecht (2015), "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI 29, 2901-2907.

    Raises:
        ValueError: see `calibration_bins`.
    """
    curve = calibration_bins(outcomes, predictions, bins)
    gap = np.abs(curve.outcome - curve.prediction)
    return float(np.nansum(gap * curve.size) / curve.size.sum())


def wilson_interval(
    mean: Floats, count: Floats, z: float = 1.959963984540054
) -> tuple[Floats, Floats]:
    """Compute the interval of a proportion; it is wide for partial credit.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22, 209-212.

    Args:
        mean: observed proportions, in [0, 1].
        count: number of observations of each, above 0.
        z: normal quantile; the default gives 95 %.

    Returns:
        Lower and upper ends, in [0, 1].
    """
    shrink = 1.0 + z**2 / count
    centre = (mean + z**2 / (2.0 * count)) / shrink
    half = z * np.sqrt(mean * (1.0 - mean) / count + z**2 / (4.0 * count**2)) / shrink
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def _check(outcomes: Floats, predictions: Floats) -> None:
    if outcomes.shape != predictions.shape or outcomes.ndim != 1:
        raise ValueError(
            f"shapes differ: {outcomes.shape} outcomes, {predictions.shape} predictions"
        )
    if not outcomes.size:
        raise ValueError("there is nothing to measure: no outcome is given")
    for name, values in (("outcomes", outcomes), ("predictions", predictions)):
        if not bool(((values >= 0.0) & (values <= 1.0)).all()):
            raise ValueError(f"{name} must be numbers in [0, 1]")
