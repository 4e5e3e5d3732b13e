"""Ranges of parameters, checked where they are made."""

from typing import Final

import numpy as np

Covariance = tuple[tuple[float, ...], ...]
"""Rows of a symmetric, positive semidefinite matrix; empty where it is not known."""

LEAST: Final = 1e-100
"""The smallest probability or rate of decay, other than 0, that a parameter may be."""
_MOST_VARIANCE: Final = 1e6
_ROUNDING: Final = 1e-9


def check_chance(name: str, value: float, *, zero: bool = False) -> None:
    """Refuse what is no probability below 1.

    Raises:
        ValueError: unless value lies in (0, 1), or is 0 and may be, and is not below `LEAST`.
    """
    if not (0.0 <= value < 1.0 if zero else 0.0 < value < 1.0):
        raise ValueError(f"{name} must lie in {'[' if zero else '('}0, 1), not {value}")
    if 0.0 < value < LEAST:
        raise ValueError(f"{name} must be {LEAST} or more, not {value}")


def check_evidence(guess: float, slip: float) -> None:
    """Refuse guess and slip under which a right answer speaks against knowing.

    Raises:
        ValueError: unless guess + slip < 1.
    """
    if guess + slip >= 1.0:
        raise ValueError(
            f"guess + slip must be below 1, not {guess + slip}: else a right answer "
            "speaks against knowing"
        )


def check_finite(name: str, value: float, low: float = -1e3, high: float = 1e3) -> None:
    """Refuse what is no number of a sensible size.

    Raises:
        ValueError: unless value lies in [low, high].
    """
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], not {value}")


def check_decay(value: float) -> None:
    """Refuse what is no rate of loss per day.

    Raises:
        ValueError: unless value lies in [0, 1000] and is not within (0, `LEAST`).
    """
    check_finite("decay_per_day", value, 0.0)
    if 0.0 < value < LEAST:
        raise ValueError(f"decay_per_day must be {LEAST} or more, not {value}")


def check_covariance(rows: Covariance, size: int) -> None:
    """Refuse what is no covariance of so many parameters.

    Raises:
        ValueError: unless there are no rows, or `size` rows of as many numbers of at most 1e6,
            symmetric and positive semidefinite but for rounding.
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
