"""Running measures of predictions over moving windows, in constant work and memory.

A window weighs an answer by (1 - 1/n)^k, with k the number of answers after it, so about the last n
answers count. All measures are exact for these weights, except the area under the ROC curve, see
`workers.metrics.drift.moving_auc`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.responses import CORRECT_FROM
from workers.estimation.metrics import BINS
from workers.metrics.drift.moving_auc import MovingAuc
from workers.metrics.drift.residuals import residuals

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_WEIGHT, _LOSS, _SQUARE, _BIAS, _EXCESS = range(5)


class Measures(NamedTuple):
    """Measures of a window's predictions; NaN where undefined."""

    answers: float
    """Sum of the weights."""
    auc: float
    log_loss: float
    """Nats."""
    brier: float
    ece: float
    """Over ten equal-width bins."""


class CurveBin(NamedTuple):
    """One bin of a calibration curve, with one answer or more."""

    answers: float
    """Sum of the weights."""
    predicted: float
    """Mean prediction."""
    observed: float
    """Mean score."""


class Misfits(NamedTuple):
    """Misfit of each window; all of shape (windows,)."""

    answers: Floats
    """Sum of the weights."""
    bias: Floats
    """Sum of the weighted biases."""
    excess: Floats
    """Sum of the weighted excesses, nats."""
    bias_variance: Floats
    """Variance of the sum of biases if the predictions are right."""
    excess_variance: Floats
    """Variance of the sum of excesses if the predictions are right."""


class Windows:
    """Several windows side by side, each with its own answers.

    Args:
        sizes: approximate number of answers of each window, above 1.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._decay = 1.0 - 1.0 / np.array(sizes, dtype=np.float64)
        many = len(sizes)
        self._ranks = [MovingAuc(decay) for decay in self._decay.tolist()]
        # Weight, sum of predictions and sum of scores in each of the bins of a calibration curve.
        self._curve = np.zeros((3, many, BINS))
        self._sums = np.zeros((5, many))
        self._variances = np.zeros((2, many))

    def add(self, windows: Places, scores: Floats, predictions: Floats) -> None:
        """Add answers, oldest first.

        Args:
            windows: window of each answer, shape (n,).
            scores: scores in [0, 1], shape (n,).
            predictions: expected scores in [0, 1], shape (n,).
        """
        if not windows.size:
            return
        many = self._decay.size
        added = np.bincount(windows, minlength=many)
        order = np.argsort(windows, kind="stable")
        ends = np.cumsum(added)
        followers = np.empty_like(order)
        followers[order] = ends[windows[order]] - 1 - np.arange(order.size)
        weight = self._decay[windows] ** followers
        residual = residuals(scores, predictions)
        faded = self._decay**added
        self._curve *= faded[:, None]
        self._sums *= faded
        self._variances *= faded * faded

        sorted_predictions, right = predictions[order], scores[order] >= CORRECT_FROM
        for window in np.flatnonzero(added).tolist():
            span = slice(ends[window] - added[window], ends[window])
            self._ranks[window].add(sorted_predictions[span], right[span])
        ones = np.ones_like(scores)
        in_bin = windows * BINS + np.minimum((predictions * BINS).astype(np.int64), BINS - 1)
        curve = _summed(in_bin, weight, (ones, predictions, scores), many * BINS)
        self._curve += curve.reshape(self._curve.shape)
        square = np.square(predictions - scores)
        self._sums += _summed(
            windows, weight, (ones, residual.loss, square, residual.bias, residual.excess), many
        )
        self._variances += _summed(
            windows, weight * weight, (residual.bias_variance, residual.excess_variance), many
        )

    def clear(self, window: int) -> None:
        """Empty a window."""
        self._ranks[window].clear()
        self._curve[:, window] = 0.0
        self._sums[:, window] = 0.0
        self._variances[:, window] = 0.0

    def measures(self) -> list[Measures]:
        """Compute the measures of each window."""
        weight = self._sums[_WEIGHT]
        of_curve, predicted, happened = self._curve
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = (
                weight,
                np.array([ranks.area() for ranks in self._ranks]),
                self._sums[_LOSS] / weight,
                self._sums[_SQUARE] / weight,
                # Weight times the gap of a bin's means, over all weight.
                np.abs(happened - predicted).sum(axis=1) / of_curve.sum(axis=1),
            )
        return [Measures(*row) for row in np.stack(columns, axis=1).tolist()]

    def curve(self, window: int) -> list[CurveBin]:
        """Return the calibration curve of a window, without its empty bins."""
        return [
            CurveBin(weight, predicted / weight, observed / weight)
            for weight, predicted, observed in self._curve[:, window].T.tolist()
            if weight > 0
        ]

    def misfits(self) -> Misfits:
        """Compute the misfit of each window."""
        sums = self._sums
        return Misfits(sums[_WEIGHT], sums[_BIAS], sums[_EXCESS], *self._variances)


def _summed(places: Places, weight: Floats, columns: Sequence[Floats], many: int) -> Floats:
    """Sum weighted columns by place, shape (columns, places)."""
    return np.stack(
        [
            np.bincount(places, weights=weight * column, minlength=many).astype(np.float64)
            for column in columns
        ]
    )
