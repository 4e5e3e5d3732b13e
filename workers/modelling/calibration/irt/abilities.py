"""Abilities from whole histories on a calibrated scale, each on a grid of its own.

A grid of fixed steps is too coarse once a history is long. Here a coarse grid finds where a
person's posterior lies, and grids of the same number of points close in on it until they fit it:
right at any length, and wherever a record of nothing but right or wrong answers leads.

Sources: EAP, Bock & Mislevy (1982), Applied Psychological Measurement 6, 431-444; WLE, Warm (1989),
"Weighted likelihood estimation of ability in item response theory", Psychometrika 54, 427-450,
for items with steps after Samejima (1993).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from workers.modelling.calibration.irt.bank import Bank
from workers.modelling.calibration.irt.curves import derivatives, log_curves
from workers.modelling.calibration.irt.response_data import Floats, Ints, ResponseData

Method = Literal["EAP", "MAP", "WLE"]
_POINTS = 97
_REACH = 10.0
"""Standard deviations of the prior that the coarse grid spans, and logits that a WLE may take."""
_NEGLIGIBLE = 30.0
"""Log density below the top from which on nothing counts."""
_ZOOMS = 12
_STEP = 1e-4
_FINER = 16
_NEAR = 1e-6


class Abilities(NamedTuple):
    """Abilities of all persons, logits, shape (persons,) each."""

    theta: Floats
    """The estimate."""
    standard_error: Floats
    """EAP: posterior deviation; MAP: from the posterior's curvature; WLE: from the information."""
    lower: Floats
    """Of the 95 % interval; EAP: the posterior's own, else by the normal distribution."""
    upper: Floats


def abilities(
    bank: Bank,
    answers: ResponseData,
    method: Method = "EAP",
    mean: float = 0.0,
    deviation: float = 1.0,
) -> Abilities:
    """Estimate the ability of every person.

    Args:
        bank: the items.
        answers: persons without any get the prior (WLE: 0 with an infinite error).
        method: posterior mean, posterior mode, or weighted likelihood.
        mean: of the prior, logits.
        deviation: of the prior, above 0.

    Raises:
        ValueError: if the deviation is not above 0.
    """
    if not deviation > 0.0:
        raise ValueError(f"deviation must be above 0, not {deviation}")
    prior = _Prior(mean, deviation)
    order = np.argsort(answers.person, kind="stable")
    ends = np.searchsorted(answers.person[order], np.arange(answers.persons + 1)).tolist()
    found = np.empty((answers.persons, 4))
    places = _places(bank)
    for person in range(answers.persons):
        rows = order[ends[person] : ends[person + 1]]
        record = _Record(bank, places, answers.item[rows], answers.score[rows])
        if method == "EAP":
            found[person] = _eap(record, prior)
        else:
            theta, error = _mode(record, prior) if method == "MAP" else _wle(record)
            found[person] = theta, error, theta - 1.959964 * error, theta + 1.959964 * error
    return Abilities(*found.T)


@dataclass(frozen=True)
class _Prior:
    mean: float
    deviation: float

    def log_density(self, theta: Floats) -> Floats:
        return -0.5 * ((theta - self.mean) / self.deviation) ** 2


class _Record:
    """One person's answers, group by group, equal ones together."""

    def __init__(self, bank: Bank, places: tuple[Ints, Ints], item: Ints, score: Floats) -> None:
        self.parts = []
        of, at = places[0][item], places[1][item]
        for number, group in enumerate(bank.groups):
            here = of == number
            if not here.any():
                continue
            distinct, place = np.unique(at[here], return_inverse=True)
            weight = np.zeros((distinct.size, group.steps + 1))
            given = score[here]
            if group.model in {"graded", "partial_credit"}:
                np.add.at(weight, (place, np.rint(given * group.steps).astype(np.int64)), 1.0)
            else:
                weight[:, 1] = np.bincount(place, given)
                weight[:, 0] = np.bincount(place, 1.0 - given)
            self.parts.append((group, group.parameters[distinct], weight))

    def log_likelihood(self, theta: Floats) -> Floats:
        """At each ability."""
        found = np.zeros(theta.size)
        for group, parameters, weight in self.parts:
            logs = _curves(group.model, group.steps, parameters, theta)
            found += np.einsum("jk,jkq->q", weight, logs)
        return found

    def warm(self, theta: Floats) -> tuple[Floats, Floats]:
        """Warm's equation, 0 at the estimate, and the information, at each ability."""
        score, information, bias = (np.zeros(theta.size) for _ in range(3))
        for group, parameters, weight in self.parts:
            chance, first, second = _rates(group.model, group.steps, parameters, theta)
            answers = weight.sum(axis=1)[:, None]
            score += np.einsum("jk,jkq->q", weight, first / chance)
            information += (answers * (first**2 / chance).sum(axis=1)).sum(axis=0)
            bias += (answers * (first * second / chance).sum(axis=1)).sum(axis=0)
        return score + 0.5 * bias / np.maximum(information, 1e-300), information


def _curves(model: str, steps: int, parameters: Floats, theta: Floats) -> Floats:
    return np.maximum(log_curves(model, steps, parameters, theta), -1e6)


def _rates(
    model: str, steps: int, parameters: Floats, theta: Floats
) -> tuple[Floats, Floats, Floats]:
    """Chance of each step, and its first and second derivative by ability."""

    def slope(at: Floats) -> tuple[Floats, Floats]:
        logs = _curves(model, steps, parameters, at)
        chance = np.maximum(np.exp(logs), 1e-300)
        # What moves the intercepts together moves as ability does, times the slope.
        by = derivatives(model, steps, parameters, at, logs)[:, 1 : 1 + steps].sum(axis=1)
        return chance, chance * by * parameters[:, :1, None]

    chance, first = slope(theta)
    second = (slope(theta + _STEP)[1] - slope(theta - _STEP)[1]) / (2.0 * _STEP)
    return chance, first, second


def _eap(record: _Record, prior: _Prior) -> tuple[float, float, float, float]:
    theta, log_density = _zoomed(record, prior)
    weight = np.exp(log_density)
    weight /= weight.sum()
    mean = float(weight @ theta)
    error = float(np.sqrt(weight @ (theta - mean) ** 2))
    # Quantiles need a finer grid than moments do.
    fine = np.linspace(theta[0], theta[-1], _FINER * _POINTS)
    density = np.exp(CubicSpline(theta, log_density)(fine))
    below = np.cumsum(density) - 0.5 * density
    low, high = np.interp([0.025, 0.975], below / density.sum(), fine).tolist()
    return mean, error, low, high


def _zoomed(record: _Record, prior: _Prior) -> tuple[Floats, Floats]:
    """A grid that fits the posterior, and the log density on it, its top 0."""
    low = prior.mean - _REACH * prior.deviation
    high = prior.mean + _REACH * prior.deviation
    for _ in range(_ZOOMS):
        theta = np.linspace(low, high, _POINTS)
        log_density = record.log_likelihood(theta) + prior.log_density(theta)
        log_density -= log_density.max()
        inside = np.flatnonzero(log_density > -_NEGLIGIBLE)
        first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, _POINTS - 1)
        if last - first > _POINTS // 2:
            break
        low, high = theta[first], theta[last]
    return theta, log_density


def _mode(record: _Record, prior: _Prior) -> tuple[float, float]:
    theta, log_density = _zoomed(record, prior)
    while theta[1] - theta[0] > _NEAR:
        top = int(np.clip(log_density.argmax(), 1, _POINTS - 2))
        theta = np.linspace(theta[top - 1], theta[top + 1], _POINTS)
        log_density = record.log_likelihood(theta) + prior.log_density(theta)
    mode = float(theta[log_density.argmax()])
    near = mode + np.array([-1.0, 0.0, 1.0]) * 1e-3 * prior.deviation
    value = record.log_likelihood(near) + prior.log_density(near)
    curvature = -(value[0] - 2.0 * value[1] + value[2]) / (1e-3 * prior.deviation) ** 2
    return mode, 1.0 / float(np.sqrt(max(curvature, prior.deviation**-2 * 1e-6)))


def _wle(record: _Record) -> tuple[float, float]:
    if not record.parts:
        return 0.0, float("inf")
    low, high = -_REACH, _REACH
    theta = np.linspace(low, high, 4 * _POINTS)
    for _ in range(_ZOOMS):
        value, _information = record.warm(theta)
        # A top of the weighted likelihood: from rising to falling; the highest if there are more.
        turns = np.flatnonzero((value[:-1] > 0.0) & (value[1:] <= 0.0))
        if not turns.size:
            theta = theta[[0 if value[0] <= 0.0 else -1]]
            break
        height = np.cumsum(0.5 * (value[:-1] + value[1:]) * np.diff(theta))
        turn = int(turns[height[turns].argmax()])
        low, high = theta[turn], theta[turn + 1]
        theta = np.linspace(low, high, 9)
        if high - low < 1e-10:
            break
    at = theta[[theta.size // 2]]
    information = float(record.warm(at)[1][0])
    return float(at[0]), 1.0 / float(np.sqrt(max(information, 1e-300)))


def _places(bank: Bank) -> tuple[Ints, Ints]:
    """Of each item its group and its place in it."""
    count = sum(g.items.size for g in bank.groups)
    group, place = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for number, g in enumerate(bank.groups):
        group[g.items], place[g.items] = number, np.arange(g.items.size)
    return group, place
