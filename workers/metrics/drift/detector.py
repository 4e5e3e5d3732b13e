"""When predictions no longer fit: told once where it begins, and once where it ends."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.metrics.drift.windows import Misfits

Floats = NDArray[np.float64]

KINDS: Final = ("bias", "excess")
"""What of predictions is watched, see `workers.metrics.drift.residuals`."""
_NORMAL: Final = NormalDist()


@dataclass(frozen=True)
class Limits:
    """From when on predictions don't fit.

    A misfit that is real but of no importance is none: what is compared with `alarm` is by how
    many standard errors the mean misfit exceeds what is tolerated. At the very edge of that a
    window of n answers is wrongly told of once in about n · √(2π) · exp(alarm²/2) / alarm answers
    (the first passage of an Ornstein-Uhlenbeck process, which the sum is in the limit); within it
    practically never.

    Args:
        alarm: standard errors over what is tolerated, from which on it is told.
        bias: mean of the biases that is tolerated, a probability.
        excess: mean of the excesses that is tolerated, nats.
        evidence: sum of the variances of the biases from which on there is enough to judge by. A
            window of n answers, all predicted p, never has more than about n/2 · p·(1 - p).
    """

    alarm: float = 4.5
    bias: float = 0.02
    excess: float = 0.01
    evidence: float = 15.0

    def of_many(self, windows: int) -> "Limits":
        """The limits of each of so many windows, so that all of them err as seldom as one.

        Source: Bonferroni's inequality.
        """
        chance = _NORMAL.cdf(-self.alarm) / windows
        return Limits(-_NORMAL.inv_cdf(chance), self.bias, self.excess, self.evidence)


class Misfit(NamedTuple):
    """How far the predictions of a window are from what happened."""

    mean: float
    """Of its biases or excesses."""
    over: float
    """By how many standard errors it exceeds what is tolerated; NaN: too little to judge by."""


def over_allowed(sums: Floats, variances: Floats, allowed: Floats) -> Floats:
    """By how many standard errors sums of biases or excesses exceed what is allowed them.

    Args:
        sums: of any shape.
        variances: of the sums, if answers happen as predicted.
        allowed: how far from 0 they may be.

    Returns:
        Of the same shape; NaN where a variance is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        over = (np.abs(sums) - allowed) / np.sqrt(variances)
    return np.where(np.isfinite(over), over, np.nan)


class Change(NamedTuple):
    """Predictions of a window stopped fitting, or fit again."""

    window: int
    kind: str
    """One of `KINDS`."""
    began: bool
    misfit: Misfit


class DriftDetector:
    """Follows windows, and tells when the predictions of one stop fitting or fit again.

    Once told, it is over when the mean misfit is within what is tolerated: not at the first dip.

    Args:
        limits: of each window.
    """

    def __init__(self, limits: list[Limits]) -> None:
        def column(name: str) -> Floats:
            return np.array([getattr(one, name) for one in limits])

        self._alarm = column("alarm")
        self._tolerated = np.stack([column(kind) for kind in KINDS])
        self._evidence = column("evidence")
        self._on = np.zeros((len(KINDS), len(limits)), dtype=np.bool_)
        self._mean = np.full(self._on.shape, np.nan)
        self._over = np.full(self._on.shape, np.nan)

    def look(self, misfits: Misfits) -> list[Change]:
        """Compare windows with their limits; what has changed since the last look."""
        enough = misfits.bias_variance >= self._evidence
        sums = np.stack([misfits.bias, misfits.excess])
        variances = np.stack([misfits.bias_variance, misfits.excess_variance])
        with np.errstate(divide="ignore", invalid="ignore"):
            self._mean = sums / misfits.answers
        allowed = self._tolerated * misfits.answers
        self._over = np.where(enough, over_allowed(sums, variances, allowed), np.nan)
        # Where there is nothing to judge by, what was told stands.
        began = ~self._on & (self._over > self._alarm)
        ended = self._on & (self._over < 0.0)
        self._on ^= began | ended
        return [
            Change(int(window), KINDS[kind], bool(began[kind, window]), self.misfit(kind, window))
            for kind, window in np.argwhere(began | ended)
        ]

    def clear(self, window: int) -> None:
        """Forget what was told of one of them."""
        self._on[:, window] = False

    def misfit(self, kind: int, window: int) -> Misfit:
        """How far a window's predictions were from what happened at the last look."""
        return Misfit(float(self._mean[kind, window]), float(self._over[kind, window]))

    def drifting(self, kind: int, window: int) -> bool:
        """Whether a window's predictions don't fit."""
        return bool(self._on[kind, window])
