"""The logistic function and what keeps it finite."""

import math
from typing import Final

LOGIT_LIMIT: Final = 30.0
"""Largest logit that a probability is made of: within 1e-13 of 0 or 1, and never either."""


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), in (0, 1) for any |x| up to 700."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


def bounded(x: float) -> float:
    """The logit, within ±`LOGIT_LIMIT`."""
    return min(max(x, -LOGIT_LIMIT), LOGIT_LIMIT)
