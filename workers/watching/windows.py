"""Running measures of predictions over moving windows, in constant work and memory.

A window weighs answers by (1 - 1/n)^k, k being how many came after: about its last n answers
count. All measures but one are exact for these weights. The area under the ROC curve is that of
histograms of the predictions, in bins on the logit scale that are too fine for it to matter (a test
measures by how much).
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from contracts.responses import CORRECT_FROM
from workers.estimation.metrics import BINS
from workers.watching.residuals import residuals

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_FINE: Final = 1_000
_FURTHEST: Final = 8.0
"""Log odds beyond which predictions share a bin."""
_WEIGHT, _LOSS, _SQUARE, _BIAS, _EXCESS = range(5)


class Measures(NamedTuple):
    """What a window says of its predictions; NaN where it has none, or has nothing to say."""

    answers: float
    """Sum of the weights."""
    auc: float
    log_loss: float
    """Nats."""
    brier: float
    ece: float
    """Over ten equal-width bins."""


class Misfits(NamedTuple):
    """Of each window how far answers are from what was predicted; all of shape (windows,)."""

    answers: Floats
    """Sum of the weights."""
    bias: Floats
    """Sum of the weighted biases."""
    excess: Floats
    """Sum of the weighted excesses, nats."""
    bias_variance: Floats
    """Of that sum, if answers happen as predicted."""
    excess_variance: Floats
    """Of that sum alike."""


class Windows:
    """Several windows side by side, each with answers of its own.

    Args:
        sizes: how many answers each of them is about, above 1.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._decay = 1.0 - 1.0 / np.array(sizes, dtype=np.float64)
        many = len(sizes)
        self._right = np.zeros((many, _FINE))
        self._wrong = np.zeros((many, _FINE))
        # Weight, sum of predictions and sum of scores in each of the bins of a calibration curve.
        self._curve = np.zeros((3, many, BINS))
        self._sums = np.zeros((5, many))
        self._variances = np.zeros((2, many))

    def add(self, windows: Places, scores: Floats, predictions: Floats) -> None:
        """Add answers, the oldest first.

        Args:
            windows: in which window each of them is, shape (n,).
            scores: in [0, 1], shape (n,).
            predictions: expected scores, in [0, 1], shape (n,).
        """
        if not windows.size:
            return
        many = self._decay.size
        added = np.bincount(windows, minlength=many)
        weight = self._decay[windows] ** _followers(windows, added)
        told = residuals(scores, predictions)
        held = self._decay**added
        touched = np.flatnonzero(added)
        for histogram in (self._right, self._wrong):
            histogram[touched] *= held[touched, None]
        self._curve *= held[:, None]
        self._sums *= held
        self._variances *= held * held

        place = np.clip((told.logit / _FURTHEST + 1.0) * (_FINE / 2), 0, _FINE - 1).astype(np.int64)
        right = scores >= CORRECT_FROM
        for histogram, of in ((self._right, right), (self._wrong, ~right)):
            np.add.at(histogram, (windows[of], place[of]), weight[of])
        one = np.ones_like(scores)
        in_bin = windows * BINS + np.minimum((predictions * BINS).astype(np.int64), BINS - 1)
        curve = _summed(in_bin, weight, (one, predictions, scores), many * BINS)
        self._curve += curve.reshape(self._curve.shape)
        square = np.square(predictions - scores)
        self._sums += _summed(
            windows, weight, (one, told.loss, square, told.bias, told.excess), many
        )
        self._variances += _summed(
            windows, weight * weight, (told.bias_variance, told.excess_variance), many
        )

    def clear(self, window: int) -> None:
        """Let one of them begin anew."""
        for sums in (self._right, self._wrong):
            sums[window] = 0.0
        self._curve[:, window] = 0.0
        self._sums[:, window] = 0.0
        self._variances[:, window] = 0.0

    def measures(self) -> list[Measures]:
        """What each of them says."""
        weight = self._sums[_WEIGHT]
        of_curve, predicted, happened = self._curve
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = (
                weight,
                self._areas(),
                self._sums[_LOSS] / weight,
                self._sums[_SQUARE] / weight,
                # Weight times the gap of a bin's means, over all weight.
                np.abs(happened - predicted).sum(axis=1) / of_curve.sum(axis=1),
            )
        return [Measures(*row) for row in np.stack(columns, axis=1).tolist()]

    def misfits(self) -> Misfits:
        """How far each of them is from what was predicted."""
        sums = self._sums
        return Misfits(sums[_WEIGHT], sums[_BIAS], sums[_EXCESS], *self._variances)

    def _areas(self) -> Floats:
        right, wrong = self._right, self._wrong
        below = np.cumsum(wrong, axis=1) - wrong / 2.0
        wins = np.einsum("ij,ij->i", right, below)
        return np.asarray(wins / (right.sum(axis=1) * wrong.sum(axis=1)))


def _followers(windows: Places, added: Places) -> Places:
    """How many answers of the same window follow each."""
    order = np.argsort(windows, kind="stable")
    ends = np.cumsum(added)
    followers = np.empty_like(order)
    followers[order] = ends[windows[order]] - 1 - np.arange(order.size)
    return followers


def _summed(places: Places, weight: Floats, columns: Sequence[Floats], many: int) -> Floats:
    """Of each column the weighted sum in each of many places."""
    return np.stack(
        [
            np.bincount(places, weights=weight * column, minlength=many).astype(np.float64)
            for column in columns
        ]
    )
