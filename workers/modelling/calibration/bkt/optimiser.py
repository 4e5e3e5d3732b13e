"""Optimise the parameters of many concepts at once, from several starting values each.

Anderson acceleration combines EM's steps: the next place is the fixed point of the steps so far if
they were linear in the parameters. A place with a lower objective than the last one is replaced by
the plain EM step. A run ends once it has converged or has no chance to become its problem's best.

Source: Walker & Ni (2011), SIAM Journal on Numerical Analysis 49, 1715-1735; the guarded form for
EM, Henderson & Varadhan (2019), Journal of Computational and Graphical Statistics 28, 834-846. With
only one known step it is SQUAREM, Varadhan & Roland (2008), Scandinavian Journal of Statistics 35,
335-353, which goes forward where the likelihood is not concave.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from workers.modelling.calibration.bkt.em import FORGET, constrained, em
from workers.modelling.calibration.bkt.forest import Forest
from workers.modelling.calibration.table import Bools, Floats, Ints

_MEMORY: Final = 4
_SHRINK: Final = 0.05
"""Smallest share of a probability, or of its complement, that one jump leaves."""
_LOOK: Final = 4
"""Number of steps between checks for runs without a chance."""
_LONGEST_FACTOR: Final = 1024.0
"""Largest factor of a step if only one step is known."""
_HOPE: Final = 200.0
"""Number of steps as good as the last one that a run may lag behind its problem's best."""
_SAME: Final = 1e-3
"""Distance of places below which two runs approach the same maximum."""


@dataclass
class _Runs:
    """State of the active runs; the last axis of all arrays is the run."""

    number: Ints
    here: Floats
    last: Floats
    step: Floats
    plain: Floats
    value: Floats
    gain: Floats
    calm: Ints
    fell: Bools
    factor: Floats
    moved: Floats
    turned: Floats

    def of(self, kept: Bools) -> "_Runs":
        return _Runs(*(getattr(self, field.name)[..., kept] for field in fields(self)))


@dataclass(frozen=True)
class Optimum:
    """Result of all runs.

    Args:
        parameters: best parameters of each run, shape (5, runs).
        objective: objective of each run, nats.
        settled: True for runs that converged.
        rounds: number of steps.
    """

    parameters: Floats
    objective: Floats
    settled: Bools
    rounds: int


def optimise(
    forest: Forest,
    start: Floats,
    counts: Floats,
    *,
    problems: int,
    survivors: int,
    enough: float,
    most: int,
    reachable: bool = False,
) -> Optimum:
    """Optimise until two steps in a row gain less than `enough`.

    Args:
        forest: the answers, each concept repeated once per starting place.
        start: starting parameters, shape (5, runs).
        counts: prior counts, see `em`.
        problems: number of concepts; run n belongs to problem `n % problems`.
        survivors: number of runs of each problem that go on after the first steps.
        enough: gain in nats.
        most: largest number of steps.
        reachable: see `em.constrained`.
    """
    n = start.shape[1]
    parameters, objective = start.copy(), np.full(n, -np.inf)
    settled = np.zeros(n, dtype=np.bool_)
    history = np.zeros((_MEMORY, *start.shape))
    runs = _Runs(
        np.arange(n),
        start,
        start,
        np.zeros_like(start),
        start,
        objective.copy(),
        np.full(n, np.inf),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.bool_),
        np.full(n, 32.0),
        history,
        history.copy(),
    )
    rounds = 0
    while rounds < most:
        _advance(forest, runs, counts, rounds, enough, reachable=reachable)
        rounds += 1
        parameters[:, runs.number], objective[runs.number] = runs.last, runs.value
        rest = runs.calm > 1
        settled[runs.number[rest]] = True
        look = rounds % _LOOK == 0
        leaves = (
            rest | _hopeless(runs, objective, parameters, (problems, survivors)) if look else rest
        )
        if leaves.all():
            break
        if look or leaves.mean() > 0.1:
            forest, runs = forest.of(np.flatnonzero(~leaves)), runs.of(~leaves)
    return Optimum(parameters, objective, settled, rounds)


def _advance(
    forest: Forest, runs: _Runs, counts: Floats, number: int, enough: float, *, reachable: bool
) -> None:
    stepped = em(forest, runs.here, counts, reachable=reachable)
    # Ignore differences within rounding.
    good = stepped.objective >= runs.value - 2e-12 * np.abs(runs.value)
    step = stepped.parameters - runs.here
    moved, turned = runs.here - runs.last, step - runs.step
    at = number % _MEMORY
    used = good & (number > 0)
    runs.moved[at], runs.turned[at] = np.where(used, moved, 0.0), np.where(used, turned, 0.0)
    runs.moved[:, :, ~good] = 0.0
    runs.turned[:, :, ~good] = 0.0
    low, high = _SHRINK * stepped.parameters, 1.0 - _SHRINK * (1.0 - stepped.parameters)
    forward = (np.abs(runs.moved).sum(axis=1) > 0.0).sum(axis=0) == 1
    forward &= runs.fell
    jump = np.where(forward, _squarem(runs, turned), _anderson(runs, stepped.parameters, step))
    jump = constrained(np.clip(jump, low, high), runs.here[FORGET], reachable=reachable)
    runs.last = np.where(good, runs.here, runs.last)
    runs.here = np.where(good, jump, runs.plain)
    runs.plain = np.where(good, stepped.parameters, runs.plain)
    gain = stepped.objective - runs.value
    runs.calm = np.where(good, np.where(gain < enough, runs.calm + 1, 0), runs.calm)
    runs.gain = np.where(good, gain, runs.gain)
    runs.step = np.where(good, step, runs.step)
    runs.value = np.maximum(runs.value, stepped.objective)
    runs.fell = ~good
    # After a fall the next jump, which follows a plain step, is shorter.
    runs.factor = np.clip(np.where(good, 2.0, 0.25) * runs.factor, 1.0, _LONGEST_FACTOR)


def _squarem(runs: _Runs, turned: Floats) -> Floats:
    size = np.maximum((turned**2).sum(axis=0), 1e-300)
    far = np.clip(np.sqrt((runs.step**2).sum(axis=0) / size), 1.0, runs.factor)
    return np.asarray(runs.last + 2.0 * far * runs.step + far**2 * turned)


def _anderson(runs: _Runs, stepped: Floats, step: Floats) -> Floats:
    gram = np.einsum("ikc,jkc->cij", runs.turned, runs.turned)
    trace = np.einsum("cii->c", gram)
    gram[:, range(_MEMORY), range(_MEMORY)] += (1e-9 * trace + 1e-300)[:, None]
    along = np.einsum("ikc,kc->ci", runs.turned, step)
    weight = np.linalg.solve(gram, along[:, :, None])[:, :, 0]
    return np.asarray(stepped - np.einsum("ikc,ci->kc", runs.moved + runs.turned, weight))


def _hopeless(runs: _Runs, objective: Floats, parameters: Floats, room: tuple[int, int]) -> Bools:
    """Find the runs to end: near a better one, far behind the best, or beyond the survivors."""
    problems, survivors = room
    problem = runs.number % problems
    values = objective.reshape(-1, problems)
    rank = np.argsort(np.argsort(-values, axis=0), axis=0).ravel()[runs.number]
    best = values.argmax(axis=0)[problem] * problems + problem
    behind = objective[best] - runs.value
    near = np.abs(parameters[:, best] - runs.last).max(axis=0) < _SAME
    not_best = best != runs.number
    return np.asarray(not_best & (near | (behind > _HOPE * runs.gain) | (rank >= survivors)))
