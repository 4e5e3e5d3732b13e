"""Detect when predictions stop fitting: one report at the begin, one at the end."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.metrics.drift.windows import Misfits

Floats = NDArray[np.float64]

KINDS: Final = ("bias", "excess")
"""Kinds of misfit, see `workers.metrics.drift.residuals`."""
_NORMAL: Final = NormalDist()


@dataclass(frozen=True)
class Limits:
    """Limits beyond which predictions do not fit.

    A real but small misfit is tolerated. `alarm` applies to the number of standard errors by which
    the mean misfit exceeds the tolerated one. At the very edge of the tolerance a window of n
    answers gives a false report once in about n · √(2π) · exp(alarm²/2) / alarm answers (first
    passage of an Ornstein-Uhlenbeck process, the limit of the sum); within the tolerance
    practically never.

    Args:
        alarm: number of standard errors over the tolerance from which on a drift is reported.
        bias: tolerated mean bias, a probability.
        excess: tolerated mean excess, nats.
        evidence: sum of the variances of the biases from which on a window is judged. A window of n
            answers, all predicted p, reaches about n/2 · p·(1 - p).
    """

    alarm: float = 4.5
    bias: float = 0.02
    excess: float = 0.01
    evidence: float = 15.0

    def of_many(self, windows: int) -> "Limits":
        """Return the limits of each of several windows, so that all of them err as seldom as one.

        Source: Bonferroni's inequality.
        """
        chance = _NORMAL.cdf(-self.alarm) / windows
        return Limits(-_NORMAL.inv_cdf(chance), self.bias, self.excess, self.evidence)


class Misfit(NamedTuple):
    """Misfit of the predictions of a window."""

    mean: float
    """Mean bias or excess."""
    over: float
    """Number of standard errors over the tolerance; NaN: too few answers."""


def over_allowed(sums: Floats, variances: Floats, allowed: Floats) -> Floats:
    """Compute by how many standard errors sums exceed their allowed size.

    Args:
        sums: sums of biases or excesses, any shape.
        variances: variances of the sums if the predictions are right, same shape.
        allowed: allowed distance from 0, same shape.

    Returns:
        Same shape; NaN where a variance is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        over = (np.abs(sums) - allowed) / np.sqrt(variances)
    return np.where(np.isfinite(over), over, np.nan)


class Change(NamedTuple):
    """A begin or an end of a misfit in a window."""

    window: int
    kind: str
    """One of `KINDS`."""
    began: bool
    misfit: Misfit


class DriftDetector:
    """Follows windows and reports when the predictions of one stop fitting or fit again.

    A drift ends when the mean misfit is within the tolerance, not at its first dip below the alarm.

    Args:
        limits: limits of each window.
    """

    def __init__(self, limits: list[Limits]) -> None:
        def column(name: str) -> Floats:
            return np.array([getattr(limit, name) for limit in limits])

        self._alarm = column("alarm")
        self._tolerated = np.stack([column(kind) for kind in KINDS])
        self._evidence = column("evidence")
        self._on = np.zeros((len(KINDS), len(limits)), dtype=np.bool_)
        self._mean = np.full(self._on.shape, np.nan)
        self._over = np.full(self._on.shape, np.nan)

    def look(self, misfits: Misfits) -> list[Change]:
        """Compare windows with their limits.

        Returns:
            Changes since the last call.
        """
        enough = misfits.bias_variance >= self._evidence
        sums = np.stack([misfits.bias, misfits.excess])
        variances = np.stack([misfits.bias_variance, misfits.excess_variance])
        with np.errstate(divide="ignore", invalid="ignore"):
            self._mean = sums / misfits.answers
        allowed = self._tolerated * misfits.answers
        self._over = np.where(enough, over_allowed(sums, variances, allowed), np.nan)
        # Without enough evidence the last report stands.
        began = ~self._on & (self._over > self._alarm)
        ended = self._on & (self._over < 0.0)
        self._on ^= began | ended
        return [
            Change(int(window), KINDS[kind], bool(began[kind, window]), self.misfit(kind, window))
            for kind, window in np.argwhere(began | ended)
        ]

    def clear(self, window: int) -> None:
        """Forget the reports of a window."""
        self._on[:, window] = False

    def misfit(self, kind: int, window: int) -> Misfit:
        """Return a window's misfit at the last look."""
        return Misfit(float(self._mean[kind, window]), float(self._over[kind, window]))

    def drifting(self, kind: int, window: int) -> bool:
        """Return True if a window's predictions do not fit."""
        return bool(self._on[kind, window])
