"""Area under the ROC curve over a moving window, from bins with few ranks each."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BINS: Final = 1_000
"""Number of bins; about as many answers wait before they are sorted in."""


class MovingAuc:
    """Weighted predictions of right and of wrong answers, sorted by prediction.

    Each bin holds about a thousandth of the weight, wherever predictions lie: knowledge tracing
    crowds them just below 1 - slip, closer than bins of equal width could separate. Predictions of
    one bin count as ties, so the area is off by less than half a thousandth, usually far less.
    Equal predictions share a bin. Idea: Dunning (2021), "The t-digest: efficient estimates of
    distributions", Software Impacts 7, with bins of one size.

    Args:
        decay: factor on the weight of an answer for each answer after it.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._values = np.empty(0)
        self._weights = np.empty((2, 0))
        self._waiting: list[tuple[Floats, NDArray[np.bool_]]] = []
        self._count = 0

    def add(self, predictions: Floats, right: NDArray[np.bool_]) -> None:
        """Add answers, oldest first.

        Args:
            predictions: finite numbers, on any scale that keeps their order, shape (n,).
            right: True for right answers, shape (n,).
        """
        self._waiting.append((predictions, right))
        self._count += predictions.size
        if self._count >= _BINS:
            self._sort_in()

    def clear(self) -> None:
        """Forget all answers."""
        self._values, self._weights = np.empty(0), np.empty((2, 0))
        self._waiting, self._count = [], 0

    def area(self) -> float:
        """Compute P(a right answer has the higher prediction than a wrong one), ties counting half.

        Returns:
            The area in [0, 1]; NaN without right or without wrong answers.
        """
        self._sort_in()
        wrong, right = self._weights
        pairs = float(wrong.sum() * right.sum())
        if pairs == 0.0:
            return float("nan")
        # Rounding could carry it past 1.
        return min(float(right @ (np.cumsum(wrong) - wrong / 2.0)) / pairs, 1.0)

    def _sort_in(self) -> None:
        if not self._count:
            return
        values = np.concatenate([self._values, *(predictions for predictions, _ in self._waiting)])
        right = np.concatenate([answered_right for _, answered_right in self._waiting])
        weight = self._decay ** np.arange(self._count)[::-1]
        weights = np.concatenate(
            [self._weights * self._decay**self._count, [weight * ~right, weight * right]], axis=1
        )
        self._waiting, self._count = [], 0
        order = np.argsort(values, kind="stable")
        values, weights = values[order], weights[:, order]
        values, weights = _joined(values, weights, np.append(True, np.diff(values) > 0.0))
        mass = weights.sum(axis=0)
        middle = np.cumsum(mass) - mass / 2.0
        of_bin = np.floor(middle * (_BINS / mass.sum()))
        self._values, self._weights = _joined(
            values, weights, np.append(True, np.diff(of_bin) > 0.0)
        )


def _joined(values: Floats, weights: Floats, begins: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Join neighbours: mean of their values, sums of their weights.

    Args:
        values: rising values, shape (n,).
        weights: weights of wrong and right answers, shape (2, n).
        begins: True where a group of neighbours begins, shape (n,).
    """
    at = np.flatnonzero(begins)
    if at.size == values.size:
        return values, weights
    mass = weights.sum(axis=0)
    sums = np.add.reduceat(weights, at, axis=1)
    mean = np.add.reduceat(values * mass, at) / sums.sum(axis=0)
    # Rounding could carry a mean past its neighbours, or move equal values.
    ends = np.append(at[1:], values.size) - 1
    return np.clip(mean, values[at], values[ends]), sums
