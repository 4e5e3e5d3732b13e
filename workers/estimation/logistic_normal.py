"""The logistic-normal integral: the logistic function averaged over a normal ability.

With x the mean of the logit a·(θ - b) and w its variance,

    P(x, w) = E[1 / (1 + exp(-x - √w·ε))],  ε ~ N(0, 1).

A mixture of three normal distribution functions approximates the logistic function to 5e-5. Its
average over a normal variable is exact: F(x) = Σ weight · Φ(c·x) with c = scale / √(1 + scale²·w).
A mixture of normals falls too fast far from 0. Tilting the normal variable, exp(s·x) · N(x; m, w) ∝
N(x; m + s·w, w), moves the argument to a place where F is accurate:

    P(x, w) = exp(x + w / 2) · P(-x - w, w)

P satisfies ∂P/∂w = ½ · ∂²P/∂x².

Source: Monahan & Stefanski (1992), "Normal scale mixture approximations to F*(z) and computation of
the logistic-normal integral", in Balakrishnan, "Handbook of the logistic distribution", 529-540.
The weights and scales here minimise the squared error over [0, 40].
"""

from math import erfc, exp, pi, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

_WEIGHTS: Final = (0.16107536, 0.58313601, 0.25578863)
_SCALE_1, _SCALE_2, _SCALE_3 = _SCALES = (0.36361791, 0.57636842, 0.90542123)
_SQUARE_1, _SQUARE_2, _SQUARE_3 = (scale * scale for scale in _SCALES)
_HALF_1, _HALF_2, _HALF_3 = (0.5 * weight for weight in _WEIGHTS)
_ROOT_HALF: Final = sqrt(0.5)
_DENSITY: Final = 1.0 / sqrt(2.0 * pi)
_DENSITY_1, _DENSITY_2, _DENSITY_3 = (_DENSITY * weight for weight in _WEIGHTS)
_P: Final[Floats] = np.array(_WEIGHTS)
_S: Final[Floats] = np.array(_SCALES)[:, None]


class LogisticNormal(NamedTuple):
    """Probability of a right answer and its derivatives by x."""

    right: float
    """P, in (0, 1)."""
    wrong: float
    """1 - P without cancellation, in (0, 1)."""
    slope: float
    """dP/dx, above 0."""
    bend: float
    """d²P/dx²."""


class LogisticNormalMany(NamedTuple):
    """`LogisticNormal` of many answers, each field of shape (n,)."""

    right: Floats
    wrong: Floats
    slope: Floats
    bend: Floats


def chances(x: float, w: float) -> tuple[float, float]:
    """Compute the probabilities of a right and of a wrong answer, without cancellation.

    Args:
        x: mean of the logit, within ±300.
        w: variance of the logit, in [0, 5000].

    Returns:
        P and 1 - P, each in (0, 1).
    """
    below = -abs(x)
    tail = below < -0.5 * w
    at = _ROOT_HALF * (below + w if tail else -below)
    value = (
        _HALF_1 * erfc(at * _SCALE_1 / sqrt(1.0 + _SQUARE_1 * w))
        + _HALF_2 * erfc(at * _SCALE_2 / sqrt(1.0 + _SQUARE_2 * w))
        + _HALF_3 * erfc(at * _SCALE_3 / sqrt(1.0 + _SQUARE_3 * w))
    )
    if tail:
        value *= exp(below + 0.5 * w)
    return (value, 1.0 - value) if x < 0.0 else (1.0 - value, value)


def logistic_normal(x: float, w: float) -> LogisticNormal:
    """Average the logistic function over a normal variable.

    Args:
        x: mean of the logit, within ±300.
        w: variance of the logit, in [0, 5000].
    """
    below = -abs(x)
    if below < -0.5 * w:
        value, hazard, bend = _mixture(-below - w, w)
        value *= exp(below + 0.5 * w)
        slope = value * (1.0 - hazard)
        bend = value * (1.0 - 2.0 * hazard + bend)
    else:
        value, slope, bend = _mixture(below, w)
        slope *= value
        bend *= value
    if x < 0.0:
        return LogisticNormal(value, 1.0 - value, slope, bend)
    return LogisticNormal(1.0 - value, value, slope, -bend)


def evidence_of_logit(x: float, w: float, score: float) -> tuple[float, float]:
    """Differentiate the log of a score's averaged likelihood by x.

    The likelihood is P(right)^score · P(wrong)^(1 - score) = exp(score·x) / (1 + exp(x)).

    Args:
        x: mean of the logit, within ±300.
        w: variance of the logit, in [0, 5000].
        score: score of the answer, in [0, 1].

    Returns:
        The first derivative, and the negative second one. The latter times w lies in (0, 1), and
        the posterior variance is w - w² · curvature.
    """
    if 2.0 * x < (1.0 - 2.0 * score) * w:
        _, hazard, bend = _mixture(-x - score * w, w)
        return score - hazard, hazard * hazard - bend
    _, hazard, bend = _mixture(x - (1.0 - score) * w, w)
    return hazard - (1.0 - score), hazard * hazard - bend


def _mixture(x: float, w: float) -> tuple[float, float, float]:
    """Compute F, F' / F and F'' / F; unrolled, since most of an answer's time is spent here."""
    c1 = _SCALE_1 / sqrt(1.0 + _SQUARE_1 * w)
    c2 = _SCALE_2 / sqrt(1.0 + _SQUARE_2 * w)
    c3 = _SCALE_3 / sqrt(1.0 + _SQUARE_3 * w)
    root, half = -_ROOT_HALF * x, -0.5 * x * x
    value = _HALF_1 * erfc(root * c1) + _HALF_2 * erfc(root * c2) + _HALF_3 * erfc(root * c3)
    c1_squared, c2_squared, c3_squared = c1 * c1, c2 * c2, c3 * c3
    d1 = _DENSITY_1 * c1 * exp(half * c1_squared)
    d2 = _DENSITY_2 * c2 * exp(half * c2_squared)
    d3 = _DENSITY_3 * c3 * exp(half * c3_squared)
    bend = -x * (c1_squared * d1 + c2_squared * d2 + c3_squared * d3)
    return value, (d1 + d2 + d3) / value, bend / value


def logistic_normal_many(x: Floats, w: Floats) -> LogisticNormalMany:
    """Vector form of `logistic_normal`, equal to it up to rounding.

    Args:
        x: means of the logits, within ±300, shape (n,).
        w: variances of the logits, in [0, 5000], shape (n,).
    """
    below = -np.abs(x)
    middle = below + 0.5 * w
    far = middle < 0.0
    value, hazard, bend = _mixture_many(np.where(far, -below - w, below), w)
    value *= np.exp(np.minimum(middle, 0.0), out=np.ones_like(value), where=far)
    slope = value * np.where(far, 1.0 - hazard, hazard)
    bend = value * np.where(far, 1.0 - 2.0 * hazard + bend, bend)
    negative = x < 0.0
    rest = 1.0 - value
    return LogisticNormalMany(
        np.where(negative, value, rest),
        np.where(negative, rest, value),
        slope,
        np.where(negative, bend, -bend),
    )


def evidence_of_logits(x: Floats, w: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Vector form of `evidence_of_logit`, equal to it up to rounding.

    Args:
        x: means of the logits, within ±300, shape (n,).
        w: variances of the logits, in [0, 5000], shape (n,).
        score: scores of the answers, in [0, 1], shape (n,).
    """
    sign = np.where(2.0 * x < (1.0 - 2.0 * score) * w, -1.0, 1.0)
    # score if the sign is -1, score - 1 if it is 1.
    tilt = score - 0.5 - 0.5 * sign
    _, hazard, bend = _mixture_many(sign * (x + tilt * w), w)
    return tilt + sign * hazard, hazard * hazard - bend


def _mixture_many(x: Floats, w: Floats) -> tuple[Floats, Floats, Floats]:
    c = _S / np.sqrt(1.0 + (_S * _S) * w)
    u = c * x
    value = _P @ ndtr(u)
    np.multiply(u, u, out=u)
    u *= -0.5
    np.exp(u, out=u)
    u *= c
    slope = _P @ u
    c *= c
    u *= c
    scale = _DENSITY / value
    return value, scale * slope, -scale * x * (_P @ u)
