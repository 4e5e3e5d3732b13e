"""Format numbers for people."""

import math
from typing import Final

DASH: Final = "\N{EN DASH}"
"""Shown where a number is not defined."""


def percent(value: float, digits: int = 0) -> str:
    """Write a share in [0, 1] as a percentage; a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:.{digits}%}"


def signed(value: float, digits: int = 2) -> str:
    """Write a number as `decimal` does, with a typographic minus sign."""
    return decimal(value, digits).replace("-", "\N{MINUS SIGN}")


def decimal(value: float, digits: int = 3) -> str:
    """Write a number with this many decimals; a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:,.{digits}f}"


def thousands(value: float) -> str:
    """Write a whole number with separators of thousands."""
    return f"{value:,.0f}"
