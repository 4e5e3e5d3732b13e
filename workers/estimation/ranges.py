"""Ranges of parameters, checked where they are made."""

from typing import Final

LEAST: Final = 1e-100
"""The smallest probability, other than 0, that a parameter may be."""


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
        ValueError: unless value lies in [0, 1000].
    """
    check_finite("decay_per_day", value, 0.0)
