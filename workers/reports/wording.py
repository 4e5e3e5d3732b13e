"""Numbers as people read them."""

import math
from typing import Final

DASH: Final = "\N{EN DASH}"
"""Where there is no number."""


def percent(value: float, digits: int = 0) -> str:
    """A share in [0, 1] as a percentage; a dash where it is not a number."""
    return DASH if math.isnan(value) else f"{value:.{digits}%}"


def signed(value: float, digits: int = 2) -> str:
    """As `decimal`, with a minus sign that is as wide as a digit."""
    return decimal(value, digits).replace("-", "\N{MINUS SIGN}")


def decimal(value: float, digits: int = 3) -> str:
    """A number with so many decimals; a dash where it is not a number."""
    return DASH if math.isnan(value) else f"{value:,.{digits}f}"


def thousands(value: float) -> str:
    """Write a whole number with separators of thousands."""
    return f"{value:,.0f}"
