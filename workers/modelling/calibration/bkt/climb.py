"""From places to start from up to the best parameters of each concept, all side by side.

EM's steps are combined by Anderson's rule: the next place is where the steps so far, were they
linear in the parameters, would come to rest. A place that is lower than the last is left for the
plain step. Whoever is at rest, or has no hope, leaves the tree.

Source: Walker & Ni (2011), SIAM Journal on Numerical Analysis 49, 1715-1735; the guarded form for
EM of Henderson & Varadhan (2019), Journal of Computational and Graphical Statistics 28, 834-846;
where only one step is known, SQUAREM, Varadhan & Roland (2008), Scandinavian Journal of Statistics
35, 335-353, which goes forward where the likelihood is not concave.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from workers.modelling.calibration.bkt.prefixes import Prefixes
from workers.modelling.calibration.bkt.step import FORGET, em, inside
from workers.modelling.calibration.table import Bools, Floats, Ints

_MEMORY: Final = 4
_SHRINK: Final = 0.05
"""The least share of a probability, or of its complement, that one jump leaves."""
_LOOK: Final = 4
"""Steps between looks at who has no hope."""
_REACH: Final = 1024.0
"""Largest factor of a step where only one is known."""
_HOPE: Final = 200.0
"""Steps as good as the last that a place may be behind the best of its concept."""
_SAME: Final = 1e-3
"""Distance of places that climb the same hill."""


@dataclass
class _Climbers:
    """What is known of each place that climbs; the last axis of all arrays is the climber."""

    number: Ints
    here: Floats
    last: Floats
    step: Floats
    plain: Floats
    value: Floats
    gain: Floats
    calm: Ints
    fell: Bools
    reach: Floats
    moved: Floats
    turned: Floats

    def of(self, kept: Bools) -> "_Climbers":
        return _Climbers(*(getattr(self, field.name)[..., kept] for field in fields(self)))


@dataclass(frozen=True)
class Climb:
    """Where the climbers came.

    Args:
        parameters: of each, shape (5, climbers).
        objective: of each, nats.
        settled: whether each came to rest.
        rounds: steps taken.
    """

    parameters: Floats
    objective: Floats
    settled: Bools
    rounds: int


def climb(
    tree: Prefixes,
    start: Floats,
    counts: Floats,
    *,
    hills: int,
    crowd: int,
    enough: float,
    most: int,
    reach: bool = False,
) -> Climb:
    """Climb until two steps in a row win less than `enough`.

    Args:
        tree: the answers, each concept as often as there are places to start from.
        start: the places, shape (5, climbers).
        counts: as of `em`.
        hills: number of concepts; climber n is on hill `n % hills`.
        crowd: how many go on on each hill after the first steps.
        enough: nats.
        most: steps.
        reach: as of `bkt_step.inside`.
    """
    n = start.shape[1]
    found, objective = start.copy(), np.full(n, -np.inf)
    settled = np.zeros(n, dtype=np.bool_)
    history = np.zeros((_MEMORY, *start.shape))
    team = _Climbers(
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
        _advance(tree, team, counts, rounds, enough, reach=reach)
        rounds += 1
        found[:, team.number], objective[team.number] = team.last, team.value
        rest = team.calm > 1
        settled[team.number[rest]] = True
        look = rounds % _LOOK == 0
        leaves = rest | _hopeless(team, objective, found, (hills, crowd)) if look else rest
        if leaves.all():
            break
        if look or leaves.mean() > 0.1:
            tree, team = tree.of(np.flatnonzero(~leaves)), team.of(~leaves)
    return Climb(found, objective, settled, rounds)


def _advance(
    tree: Prefixes, team: _Climbers, counts: Floats, number: int, enough: float, *, reach: bool
) -> None:
    stepped = em(tree, team.here, counts, reach=reach)
    # Rounding alone makes no place a lower one.
    good = stepped.objective >= team.value - 2e-12 * np.abs(team.value)
    step = stepped.parameters - team.here
    moved, turned = team.here - team.last, step - team.step
    at = number % _MEMORY
    used = good & (number > 0)
    team.moved[at], team.turned[at] = np.where(used, moved, 0.0), np.where(used, turned, 0.0)
    team.moved[:, :, ~good] = 0.0
    team.turned[:, :, ~good] = 0.0
    low, high = _SHRINK * stepped.parameters, 1.0 - _SHRINK * (1.0 - stepped.parameters)
    forward = (np.abs(team.moved).sum(axis=1) > 0.0).sum(axis=0) == 1
    forward &= team.fell
    jump = np.where(forward, _squared(team, turned), _combined(team, stepped.parameters, step))
    jump = inside(np.clip(jump, low, high), team.here[FORGET], reach=reach)
    team.last = np.where(good, team.here, team.last)
    team.here = np.where(good, jump, team.plain)
    team.plain = np.where(good, stepped.parameters, team.plain)
    gain = stepped.objective - team.value
    team.calm = np.where(good, np.where(gain < enough, team.calm + 1, 0), team.calm)
    team.gain = np.where(good, gain, team.gain)
    team.step = np.where(good, step, team.step)
    team.value = np.maximum(team.value, stepped.objective)
    team.fell = ~good
    # What fell goes half as far after the plain step that follows.
    team.reach = np.clip(np.where(good, 2.0, 0.25) * team.reach, 1.0, _REACH)


def _squared(team: _Climbers, turned: Floats) -> Floats:
    size = np.maximum((turned**2).sum(axis=0), 1e-300)
    far = np.clip(np.sqrt((team.step**2).sum(axis=0) / size), 1.0, team.reach)
    return np.asarray(team.last + 2.0 * far * team.step + far**2 * turned)


def _combined(team: _Climbers, stepped: Floats, step: Floats) -> Floats:
    gram = np.einsum("ikc,jkc->cij", team.turned, team.turned)
    trace = np.einsum("cii->c", gram)
    gram[:, range(_MEMORY), range(_MEMORY)] += (1e-9 * trace + 1e-300)[:, None]
    along = np.einsum("ikc,kc->ci", team.turned, step)
    weight = np.linalg.solve(gram, along[:, :, None])[:, :, 0]
    return np.asarray(stepped - np.einsum("ikc,ci->kc", team.moved + team.turned, weight))


def _hopeless(team: _Climbers, objective: Floats, found: Floats, room: tuple[int, int]) -> Bools:
    """Who climbs beside a higher one, is too far behind the highest, or finds no room."""
    hills, crowd = room
    hill = team.number % hills
    values = objective.reshape(-1, hills)
    rank = np.argsort(np.argsort(-values, axis=0), axis=0).ravel()[team.number]
    best = values.argmax(axis=0)[hill] * hills + hill
    behind = objective[best] - team.value
    near = np.abs(found[:, best] - team.last).max(axis=0) < _SAME
    other = best != team.number
    return np.asarray(other & (near | (behind > _HOPE * team.gain) | (rank >= crowd)))
