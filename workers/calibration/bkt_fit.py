"""Classical knowledge tracing, with or without forgetting, of all concepts at once by EM.

Guess and slip stay below 1 together: a step that would carry them past it ends there. Each start
climbs a little; of each concept the best goes on until nothing moves.

Source: Baum et al. (1970) as in Rabiner (1989), Proceedings of the IEEE 77, 257-286; steps are
extrapolated by SQUAREM, Varadhan & Roland (2008), Scandinavian Journal of Statistics 35, 335-353.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from workers.calibration.prefixes import Prefixes, prefixes_of
from workers.calibration.table import Floats, Table, summed

PRIOR, LEARN, GUESS, SLIP, FORGET = range(5)
_LEAST: Final = 1e-6
_MOST_TOGETHER: Final = 1.0 - 1e-3
"""Largest sum of guess and slip."""
_MOST_ROUNDS: Final = 600
_FIRST_ROUNDS: Final = 18
"""EM steps after which of several starts the best is known."""


class BetaPriors(NamedTuple):
    """Imagined counts (of events, of chances without one) added to each concept's, by parameter."""

    prior: tuple[float, float] = (0.0, 0.0)
    learn: tuple[float, float] = (0.0, 0.0)
    guess: tuple[float, float] = (0.0, 0.0)
    slip: tuple[float, float] = (0.0, 0.0)
    forget: tuple[float, float] = (0.0, 0.0)


NO_PRIORS: Final = BetaPriors()
WEAK_PRIORS: Final = BetaPriors((1.0, 1.0), (0.5, 4.5), (1.0, 4.0), (0.5, 4.5), (0.1, 4.9))
"""As much as some ten answers say, about what is usual."""


@dataclass(frozen=True)
class BktFit:
    """What a fit found.

    Args:
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
        log_likelihood: of each concept's answers, nats, without the priors.
        rounds: EM steps until nothing moved.
        converged: of each concept, whether its likelihood came to rest.
    """

    parameters: Floats
    log_likelihood: Floats
    rounds: int
    converged: np.ndarray[tuple[int], np.dtype[np.bool_]]


def fit_bkt(
    table: Table,
    *,
    forgets: bool,
    priors: BetaPriors = WEAK_PRIORS,
    restarts: int = 5,
    tolerance: float = 1e-7,
    seed: int = 0,
) -> BktFit:
    """Fit all concepts of a table of at least one response.

    Args:
        table: the responses.
        forgets: whether knowledge may be lost after an answer.
        priors: of the parameters.
        restarts: how many places to start from, 1 or more.
        tolerance: a concept is at rest once a step wins less than that, nats an answer.
        seed: of the places to start from.
    """
    tree = prefixes_of(table)
    counts = np.array(priors)
    answers = np.maximum(np.bincount(tree.concept, tree.count, len(table.concepts)), 1.0)
    starts = _starts(len(table.concepts), forgets, restarts, seed)
    best, best_value = starts[0], np.full(len(table.concepts), -np.inf)
    rounds = 0
    for start in starts:
        found, value, _, used = _climb(tree, start, counts, tolerance * answers, _FIRST_ROUNDS)
        better = value > best_value
        best, best_value = np.where(better, found, best), np.where(better, value, best_value)
        rounds += used
    found, _, settled, used = _climb(tree, best, counts, tolerance * answers, _MOST_ROUNDS)
    return BktFit(found, _em(tree, found, counts).log_likelihood, rounds + used, settled)


def _starts(concepts: int, forgets: bool, restarts: int, seed: int) -> list[Floats]:
    draw = np.random.default_rng(seed)
    usual = np.array([0.4, 0.15, 0.2, 0.1, 0.03])
    found = []
    for number in range(restarts):
        start = np.tile(usual[:, None], concepts)
        if number:
            start = draw.uniform(0.02, [[0.95], [0.5], [0.48], [0.48], [0.3]], (5, concepts))
        if not forgets:
            start[FORGET] = 0.0
        found.append(start)
    return found


class _Step(NamedTuple):
    parameters: Floats
    log_likelihood: Floats
    objective: Floats
    """Log likelihood and log prior density of each concept, of the parameters before the step."""


def _climb(
    tree: Prefixes, start: Floats, counts: Floats, enough: Floats, most: int
) -> tuple[Floats, Floats, np.ndarray[tuple[int], np.dtype[np.bool_]], int]:
    """EM with extrapolated steps until every concept wins less than `enough` by a step."""
    here = start
    value = np.full(start.shape[1], -np.inf)
    at_rest = np.zeros(start.shape[1], dtype=np.bool_)
    used = 0
    while used < most and not at_rest.all():
        first = _em(tree, here, counts)
        at_rest = first.objective - value < enough
        value = first.objective
        second = _em(tree, first.parameters, counts)
        r = first.parameters - here
        v = second.parameters - first.parameters - r
        length = np.sqrt((r**2).sum(axis=0) / np.maximum((v**2).sum(axis=0), 1e-300))
        far = np.clip(length, 1.0, 32.0)
        jumped = _inside(here + 2.0 * far * r + far**2 * v, here[FORGET])
        landed = _em(tree, jumped, counts)
        # A jump that lands lower than the plain step is not taken.
        lower = landed.objective < second.objective
        here = np.where(lower, second.parameters, landed.parameters)
        used += 3
    last = _em(tree, here, counts)
    return here, last.objective, at_rest, used


def _inside(parameters: Floats, forget: Floats) -> Floats:
    """The nearest parameters that are ones."""
    found = np.clip(parameters, _LEAST, 1.0 - _LEAST)
    together = found[GUESS] + found[SLIP]
    shrink = np.minimum(1.0, _MOST_TOGETHER / together)
    found[GUESS] *= shrink
    found[SLIP] *= shrink
    found[FORGET] = np.where(forget == 0.0, 0.0, found[FORGET])
    return found


def _em(tree: Prefixes, parameters: Floats, counts: Floats) -> _Step:
    """One step of expectation and maximisation for all concepts."""
    likely, events, others = _expected(tree, parameters)
    forget = parameters[FORGET]
    a, b = counts[:, :1], counts[:, 1:]
    total = events + others + a + b
    moved = np.where(total > 0.0, (events + a) / np.where(total > 0.0, total, 1.0), parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(a > 0.0, a * np.log(parameters), 0.0)
        density += np.where(b > 0.0, b * np.log1p(-parameters), 0.0)
    density[FORGET] = np.where(forget == 0.0, 0.0, density[FORGET])
    return _Step(_inside(moved, forget), likely, likely + density.sum(axis=0))


def _expected(tree: Prefixes, parameters: Floats) -> tuple[Floats, Floats, Floats]:
    """Log likelihood, and of each parameter how often its event came, and how often it did not."""
    of, score, concepts = tree.concept, tree.score, parameters.shape[1]
    _, learn, guess, slip, forget = parameters
    known = np.power(1.0 - slip[of], score) * np.power(slip[of], 1.0 - score)
    unknown = np.power(guess[of], score) * np.power(1.0 - guess[of], 1.0 - score)
    t, f = learn[of], forget[of]
    chance, after = _forward(tree, parameters, known, unknown)
    first = slice(0, int(tree.level[1]))
    moves = _backward(tree, after, t, f)
    ends = tree.ends
    at_known = ends * after + moves.forgot + moves.stayed_known
    at_unknown = ends * (1.0 - after) + moves.learned + moves.stayed_unknown

    def sums(each: Floats) -> Floats:
        return summed(of, each, concepts)

    events = [
        summed(of[first], at_known[first], concepts),
        sums(moves.learned),
        sums(at_unknown * score),
        sums(at_known * (1.0 - score)),
        sums(moves.forgot),
    ]
    others = [
        summed(of[first], at_unknown[first], concepts),
        sums(moves.stayed_unknown),
        sums(at_unknown * (1.0 - score)),
        sums(at_known * score),
        sums(moves.stayed_known),
    ]
    return sums(tree.count * np.log(chance)), np.array(events), np.array(others)


def _forward(
    tree: Prefixes, parameters: Floats, known: Floats, unknown: Floats
) -> tuple[Floats, Floats]:
    """Of each node the chance of its answer, and P(known) given it."""
    prior, learn, _, _, forget = parameters
    chance, after = np.empty_like(known), np.empty_like(known)
    for k, nodes in enumerate(tree.levels):
        of = tree.concept[nodes]
        if k:
            q = after[tree.parent[nodes]]
            p = q * (1.0 - forget[of]) + (1.0 - q) * learn[of]
        else:
            p = prior[of]
        up, down = p * known[nodes], (1.0 - p) * unknown[nodes]
        chance[nodes], after[nodes] = up + down, up / (up + down)
    return chance, after


class _Moves(NamedTuple):
    """Expected transitions after each node, of all learners who answered on."""

    learned: Floats
    forgot: Floats
    stayed_known: Floats
    stayed_unknown: Floats


def _backward(tree: Prefixes, after: Floats, t: Floats, f: Floats) -> _Moves:
    """Smooth from the newest answers back; all quotients are shares, and none overflows.

    Source: the two-state form of Rauch, Tung & Striebel (1965), AIAA Journal 3, 1445-1450.
    """
    q, u = after, 1.0 - after
    to_known = q * (1.0 - f) + u * t
    to_unknown = q * f + u * (1.0 - t)
    # Of those who know, or do not know, afterwards: the shares by what they were before.
    by_known = 1.0 / np.maximum(to_known, 1e-300)
    by_unknown = 1.0 / np.maximum(to_unknown, 1e-300)
    kept, learned = q * (1.0 - f) * by_known, u * t * by_known
    forgot, stayed = q * f * by_unknown, u * (1.0 - t) * by_unknown
    known, unknown = tree.ends * q, tree.ends * u
    into_known, into_unknown = np.zeros_like(q), np.zeros_like(q)
    levels = tree.levels
    for k in range(len(levels) - 1, 0, -1):
        nodes, parents = levels[k], levels[k - 1]
        place, n = tree.parent[nodes] - parents.start, parents.stop - parents.start
        a = summed(place, known[nodes], n)
        b = summed(place, unknown[nodes], n)
        into_known[parents], into_unknown[parents] = a, b
        known[parents] += kept[parents] * a + forgot[parents] * b
        unknown[parents] += learned[parents] * a + stayed[parents] * b
    return _Moves(
        learned * into_known, forgot * into_unknown, kept * into_known, stayed * into_unknown
    )
