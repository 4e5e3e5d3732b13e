"""The logistic function, and the bound on its argument."""

import math
from typing import Final

LOGIT_LIMIT: Final = 30.0
"""Largest logit of a probability: within 1e-13 of 0 or 1, and never equal to either."""


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)), in (0, 1) for |x| up to 700."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def bounded(x: float) -> float:
    """Clip a logit to ±`LOGIT_LIMIT`."""
    return min(max(x, -LOGIT_LIMIT), LOGIT_LIMIT)
