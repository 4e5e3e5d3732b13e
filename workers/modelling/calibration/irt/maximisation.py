"""The M step: parameters that fit expected counts better, by Fisher scoring of all items at once.

An item takes a full step if its expected log likelihood rises, otherwise a shorter one or none. So
the likelihood of the answers never falls. Source: Bock & Aitkin (1981), "Marginal maximum
likelihood estimation of item parameters: application of an EM algorithm", Psychometrika 46,
443-459.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from workers.modelling.calibration.irt.bank import Group
from workers.modelling.calibration.irt.curves import derivatives
from workers.modelling.calibration.irt.priors import GroupPriors
from workers.modelling.calibration.irt.response_data import Bools, Floats

_ROUNDS = 2
_HALVINGS = 12
_LONGEST = 2.0
"""Longest step of a parameter in one round."""
_FLOOR = 1e-9
"""Added to the diagonal, so that a matrix without information can be inverted."""


class Slope(NamedTuple):
    """Gradient of a group's objective, and the expected information."""

    gradient: Floats
    information: Floats


class _Target(NamedTuple):
    """Expected counts and priors to fit parameters to."""

    counts: Floats
    theta: Floats
    priors_of_group: GroupPriors

    def of(self, chosen: Bools) -> "_Target":
        """Select some of the items."""
        if chosen.all():
            return self
        return _Target(
            self.counts[chosen],
            self.theta,
            replace(self.priors_of_group, inestimable=self.priors_of_group.inestimable[chosen]),
        )


def _value(group: Group, target: _Target) -> Floats:
    """Compute expected log likelihood plus log prior, shape (n,); -inf if impossible."""
    counts = target.counts
    logs = group.log_curves(target.theta)
    with np.errstate(invalid="ignore"):
        value = np.where(counts > 0.0, counts * logs, 0.0).sum(axis=(1, 2))
    value += target.priors_of_group.log_density(group)
    impossible = ~np.isfinite(logs).all(axis=(1, 2)) | ~np.isfinite(value)
    return np.where(impossible, -np.inf, value)


def slope_of(group: Group, counts: Floats, theta: Floats, priors_of_group: GroupPriors) -> Slope:
    """Differentiate the expected log likelihood plus log prior at a group's parameters."""
    logs = group.log_curves(theta)
    by = derivatives(group.model, group.steps, group.parameters, theta, logs)
    n, p = group.parameters.shape
    total = counts.sum(axis=1, keepdims=True)
    flat = by.reshape(n, p, -1)
    gradient = np.matmul(flat, counts.reshape(n, -1, 1))[:, :, 0]
    expected = (total * np.exp(logs)).reshape(n, 1, -1)
    information = np.matmul(flat * expected, flat.transpose(0, 2, 1))
    first, more = priors_of_group.slope(group)
    return Slope(gradient + first, information + more)


def maximise(
    group: Group, counts: Floats, theta: Floats, priors_of_group: GroupPriors, enough: float
) -> Group:
    """Improve a group's parameters; no item's objective falls.

    Args:
        group: the current parameters.
        counts: expected counts, shape (n, steps + 1, abilities).
        theta: the abilities.
        priors_of_group: the priors.
        enough: length of a step below which the rounds end.
    """
    target = _Target(counts, theta, priors_of_group)
    value = _value(group, target)
    for _ in range(_ROUNDS):
        step = _step(group, slope_of(group, counts, theta, priors_of_group))
        step[~np.isfinite(step)] = 0.0
        length = np.abs(step).max(axis=1, keepdims=True)
        if group.model == "1PL":
            # The common slope takes one step for all items.
            length[:] = length.max()
        step *= np.minimum(1.0, _LONGEST / np.maximum(length, _LONGEST))
        group, value, moved = _line_search(group, step, value, target)
        if moved <= enough:
            break
    return group


def _line_search(
    group: Group, step: Floats, value: Floats, target: _Target
) -> tuple[Group, Floats, float]:
    """Go along a step as far as the objective rises.

    Returns:
        The new group, its objective, and the longest step taken.
    """
    together = group.model == "1PL"
    scale = np.ones((step.shape[0], 1))
    reached = np.full_like(value, -np.inf)
    worse = np.ones(value.shape, dtype=np.bool_)
    for _ in range(_HALVINGS):
        reached[worse] = _value(
            _some(group, group.parameters + scale * step, worse), target.of(worse)
        )
        worse = (
            np.full(value.shape, not reached.sum() >= value.sum())
            if together
            else worse & ~(reached >= value)
        )
        if not worse.any():
            break
        scale[worse] *= 0.25
    scale[worse] = 0.0
    reached[worse] = value[worse]
    tried = replace(group, parameters=group.parameters + scale * step)
    return tried, reached, float(np.abs(scale * step).max(initial=0.0))


def _some(group: Group, parameters: Floats, chosen: Bools) -> Group:
    """Select items of a group, with other parameters."""
    return replace(group, items=group.items[chosen], parameters=parameters[chosen])


def _step(group: Group, slope: Slope) -> Floats:
    """Compute the scoring step of each item; 1PL items share their slope."""
    n, p = group.parameters.shape
    information = slope.information + _FLOOR * np.eye(p)
    if group.model != "1PL":
        return np.asarray(np.linalg.solve(information, slope.gradient[:, :, None])[:, :, 0])
    # One slope and an intercept per item: eliminate the intercepts first.
    cross, intercept = information[:, 0, 1], information[:, 1, 1]
    left = (information[:, 0, 0] - cross**2 / intercept).sum()
    shared = (slope.gradient[:, 0] - cross / intercept * slope.gradient[:, 1]).sum() / left
    return np.column_stack(
        [np.full(n, shared), (slope.gradient[:, 1] - cross * shared) / intercept]
    )
