"""Priors of item parameters, and their estimation from the items.

Log slope and difficulties are normal, lower asymptote and slip are beta. The mode of likelihood
times priors is the estimate. Source: Mislevy (1986), "Bayes modal estimation in item response
models", Psychometrika 51, 177-195.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import expit, log_expit

from workers.modelling.calibration.irt.bank import Group, difficulties
from workers.modelling.calibration.irt.response_data import Bools, Floats

Pair = tuple[float, float]
_ENOUGH = 10
"""Number of estimates from which on their variance is estimated."""
_NARROWEST = 0.05


@dataclass(frozen=True)
class Priors:
    """Priors of an item's parameters; None: no prior.

    Args:
        discrimination: mean and standard deviation of log a.
        difficulty: mean and standard deviation of each b, logits.
        lower: both counts of the beta prior of the lower asymptote, 1 or more each.
        slip: both counts of the beta prior of 1 - upper, 1 or more each.

    Raises:
        ValueError: a number lies outside its range.
    """

    discrimination: Pair | None = None
    difficulty: Pair | None = None
    lower: Pair | None = None
    slip: Pair | None = None

    def __post_init__(self) -> None:
        for name in ("discrimination", "difficulty"):
            pair = getattr(self, name)
            if pair is not None and not (math.isfinite(pair[0]) and 0.0 < pair[1] < math.inf):
                raise ValueError(f"{name} must be a finite mean and a deviation above 0: {pair}")
        for name in ("lower", "slip"):
            pair = getattr(self, name)
            if pair is not None and not all(1.0 <= x < math.inf for x in pair):
                raise ValueError(f"{name} must be two finite numbers of 1 or more, not {pair}")


NO_PRIORS: Final = Priors()
WEAK_PRIORS: Final = Priors((0.0, 0.5), (0.0, 2.0), (2.0, 6.0), (2.0, 18.0))
"""Priors that most items of most tests agree with, for items without a finite estimate."""


@dataclass(frozen=True)
class GroupPriors:
    """The priors of one group's items.

    Args:
        usual: priors of all items.
        inestimable: True for items that take `WEAK_PRIORS` where `usual` has none, shape (n,).
    """

    usual: Priors
    inestimable: Bools

    def log_density(self, group: Group) -> Floats:
        """Compute the log density of each item's parameters up to a constant; may be -inf."""
        a, d = group.parameters[:, 0], group.parameters[:, 1 : 1 + group.steps]
        density = np.zeros(a.size)
        mean, weight = self._normal("discrimination")
        on = weight > 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            log_a = np.log(a)
            density += np.where(on, -0.5 * weight * (log_a - mean) ** 2, 0.0)
        density[on & ~(a > 0.0)] = -np.inf
        mean, weight = self._normal("difficulty")
        b = -d / _away(a)[:, None]
        density -= 0.5 * (weight[:, None] * (b - mean[:, None]) ** 2).sum(axis=1)
        for column, name in _asymptotes(group):
            alpha, beta = self._beta(name)
            density += alpha * log_expit(group.parameters[:, column])
            density += beta * log_expit(-group.parameters[:, column])
        return density

    def slope(self, group: Group) -> tuple[Floats, Floats]:
        """Differentiate `log_density`, and compute its non-negative share of the information.

        Returns:
            Shapes (n, parameters) and (n, parameters, parameters).
        """
        n, p = group.parameters.shape
        a, d = group.parameters[:, 0], group.parameters[:, 1 : 1 + group.steps]
        first, information = np.zeros((n, p)), np.zeros((n, p, p))
        mean, weight = self._normal("discrimination")
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = np.log(a) - mean
            on = weight > 0.0
            first[:, 0] += np.where(on, -weight * beyond / a, 0.0)
            information[:, 0, 0] += np.where(on, weight * np.maximum(1.0 - beyond, 0.1) / a**2, 0.0)
        mean, weight = self._normal("difficulty")
        slope = _away(a)
        for k in range(group.steps):
            b = -d[:, k] / slope
            by = np.zeros((n, p))
            by[:, 0], by[:, 1 + k] = -b / slope, -1.0 / slope
            first -= (weight * (b - mean))[:, None] * by
            information += weight[:, None, None] * by[:, :, None] * by[:, None, :]
        for column, name in _asymptotes(group):
            alpha, beta = self._beta(name)
            chance = expit(group.parameters[:, column])
            first[:, column] += alpha * (1.0 - chance) - beta * chance
            information[:, column, column] += (alpha + beta) * chance * (1.0 - chance)
        return first, information

    def _normal(self, name: str) -> tuple[Floats, Floats]:
        """Return mean and 1 / variance for each item, 0 without a prior."""
        (mean, deviation), present = self._prior(name)
        return np.where(present, mean, 0.0), np.where(present, deviation**-2.0, 0.0)

    def _beta(self, name: str) -> tuple[Floats, Floats]:
        """Return both counts minus 1 for each item, 0 without a prior."""
        (alpha, beta), present = self._prior(name)
        return np.where(present, alpha - 1.0, 0.0), np.where(present, beta - 1.0, 0.0)

    def _prior(self, name: str) -> tuple[Pair, Bools]:
        """Return a parameter's prior, and the items that have it."""
        usual: Pair | None = getattr(self.usual, name)
        if usual is not None:
            return usual, np.ones_like(self.inestimable)
        return getattr(WEAK_PRIORS, name), self.inestimable


def empirical_priors(prior: Priors, groups: Sequence[Group], errors: Sequence[Floats]) -> Priors:
    """Estimate means and standard deviations of log a and of b from the fitted items.

    One step of EM for a normal population whose members are known up to their errors: the mean of
    the estimates, and their variance plus the mean squared error. Source: Dempster, Laird & Rubin
    (1977), Journal of the Royal Statistical Society B 39, 1-38, section 4.6.

    Args:
        prior: priors under which the items were fitted.
        groups: the items.
        errors: standard errors of a and of b of each step, shape (n, 1 + steps) per group.
    """
    slopes, places = [], []
    for group, error in zip(groups, errors, strict=True):
        a = group.parameters[:, 0]
        if group.model != "1PL":
            slopes.append(np.array([np.log(a), error[:, 0] / a]))
        places.append(
            np.array([difficulties(group).ravel(), error[:, 1 : 1 + group.steps].ravel()])
        )
    return replace(
        prior,
        discrimination=_population(slopes, prior.discrimination),
        difficulty=_population(places, prior.difficulty),
    )


def _population(columns: list[Floats], otherwise: Pair | None) -> Pair | None:
    """Estimate mean and standard deviation of a population from values and errors."""
    values, errors = np.concatenate([np.empty((2, 0)), *columns], axis=1)
    known = np.isfinite(values) & np.isfinite(errors)
    if known.sum() < _ENOUGH:
        return otherwise
    mean = float(values[known].mean())
    variance = float(((values[known] - mean) ** 2 + errors[known] ** 2).mean())
    return mean, max(math.sqrt(variance), _NARROWEST)


def _asymptotes(group: Group) -> list[tuple[int, str]]:
    names = {"3PL": ["lower"], "4PL": ["lower", "slip"]}.get(group.model, [])
    return [(2 + number, name) for number, name in enumerate(names)]


def _away(a: Floats) -> Floats:
    """Keep slopes away from 0."""
    return np.where(np.abs(a) < 1e-9, np.copysign(1e-9, a), a)
