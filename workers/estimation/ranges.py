"""Check the ranges of parameters."""

from typing import Final

import numpy as np

Covariance = tuple[tuple[float, ...], ...]
"""Rows of a symmetric, positive semidefinite matrix; empty if unknown."""

LEAST: Final = 1e-100
"""Smallest positive probability or rate of decay that a parameter may have."""
_MOST_VARIANCE: Final = 1e6
_ROUNDING: Final = 1e-9


def check_chance(name: str, value: float, *, zero: bool = False) -> None:
    """Check that a value is a probability below 1.

    Raises:
        ValueError: the value lies outside (0, 1), or outside [0, 1) with `zero`, or within (0,
            `LEAST`).
    """
    if not (0.0 <= value < 1.0 if zero else 0.0 < value < 1.0):
        raise ValueError(f"{name} must lie in {'[' if zero else '('}0, 1), not {value}")
    if 0.0 < value < LEAST:
        raise ValueError(f"{name} must be {LEAST} or more, not {value}")


def check_evidence(guess: float, slip: float) -> None:
    """Check that a right answer speaks for knowing.

    Raises:
        ValueError: guess + slip is 1 or more.
    """
    if guess + slip >= 1.0:
        raise ValueError(
            f"guess + slip must be below 1, not {guess + slip}: else a right answer "
            "speaks against knowing"
        )


def check_finite(name: str, value: float, low: float = -1e3, high: float = 1e3) -> None:
    """Check that a value lies in [low, high].

    Raises:
        ValueError: it does not, or is NaN.
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], not {value}")


def check_decay(value: float) -> None:
    """Check a rate of loss per day.

    Raises:
        ValueError: the value lies outside [0, 1000] or within (0, `LEAST`).
    """
    check_finite("decay_per_day", value, 0.0)
    if 0.0 < value < LEAST:
        raise ValueError(f"decay_per_day must be {LEAST} or more, not {value}")


def check_covariance(rows: Covariance, size: int) -> None:
    """Check the covariance matrix of a number of parameters.

    Raises:
        ValueError: there are rows, and they are not `size` rows of `size` numbers within ±1e6,
            symmetric, and positive semidefinite up to rounding.
    """
    if not rows:
        return
    if len(rows) != size or any(len(row) != size for row in rows):
        raise ValueError(
            f"covariance must have {size} rows of {size} numbers, not rows of "
            f"{', '.join(str(len(row)) for row in rows)}"
        )
    for row in rows:
        for value in row:
            check_finite("covariance", value, -_MOST_VARIANCE, _MOST_VARIANCE)
    matrix = np.array(rows)
    if not np.array_equal(matrix, matrix.T):
        raise ValueError("covariance must be symmetric")
    least = float(np.linalg.eigvalsh(matrix)[0])
    if least < -_ROUNDING * max(1.0, float(np.trace(matrix))):
        raise ValueError(
            f"covariance must be positive semidefinite, but has the eigenvalue {least:g}"
        )
