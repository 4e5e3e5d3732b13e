"""One EM step of knowledge tracing, with or without forgetting, for all concepts.

Source: Baum, Petrie, Soules & Weiss (1970) as in Rabiner (1989), "A tutorial on hidden Markov
models", Proceedings of the IEEE 77, 257-286.
"""

from typing import Final, NamedTuple

import numpy as np

from workers.modelling.calibration.bkt.forest import Forest
from workers.modelling.calibration.bkt.prefix_tree import PrefixTree
from workers.modelling.calibration.table import Floats, summed

PRIOR, LEARN, GUESS, SLIP, FORGET = range(5)
_LEAST: Final = 1e-12
_MOST_TOGETHER: Final = 1.0 - 1e-9
"""Largest sum of guess and slip."""
LEAST_PRIOR: Final = 0.05
"""Least prior within reach. With `LEAST_RATIO` and without forgetting, 15 right answers in a row
bring mastery above 0.95 for any other parameters: 0.05 / 0.95 · 1.5^15 is 23, 0.95 / 0.05 is 19."""
LEAST_RATIO: Final = 1.5
"""Least P(right | known) / P(right | unknown) within reach."""


class Step(NamedTuple):
    """Result of one step.

    Args:
        parameters: parameters after the step, shape (5, concepts).
        log_likelihood: log likelihood of each concept's answers before the step, nats.
        objective: log likelihood plus log prior density before the step, nats.
    """

    parameters: Floats
    log_likelihood: Floats
    objective: Floats


def constrained(parameters: Floats, forget: Floats, *, reachable: bool = False) -> Floats:
    """Move parameters into their ranges; a `forget` of 0 stays 0.

    Args:
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
        forget: forget of each concept before the step.
        reachable: True if 15 right answers in a row must bring mastery within reach.
    """
    inside = np.clip(parameters, _LEAST, 1.0 - _LEAST)
    shrink = np.minimum(1.0, _MOST_TOGETHER / (inside[GUESS] + inside[SLIP]))
    inside[GUESS] *= shrink
    inside[SLIP] *= shrink
    if reachable:
        inside[PRIOR] = np.maximum(inside[PRIOR], LEAST_PRIOR)
        inside[GUESS] = np.minimum(inside[GUESS], (1.0 - inside[SLIP]) / LEAST_RATIO)
    inside[FORGET] = np.where(forget == 0.0, 0.0, inside[FORGET])
    return inside


def em(forest: Forest, parameters: Floats, counts: Floats, *, reachable: bool = False) -> Step:
    """Take one step of expectation and maximisation.

    Args:
        forest: the answers.
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
        counts: imagined events, and chances without one, of each parameter, shape (5, 2).
        reachable: see `constrained`.
    """
    likely, events, others = expected(forest, parameters)
    forget = parameters[FORGET]
    a, b = counts[:, :1], counts[:, 1:]
    total = events + others + a + b
    moved = np.where(total > 0.0, (events + a) / np.where(total > 0.0, total, 1.0), parameters)
    if not counts.any():
        return Step(constrained(moved, forget, reachable=reachable), likely, likely)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(a > 0.0, a * np.log(parameters), 0.0)
        density += np.where(b > 0.0, b * np.log1p(-parameters), 0.0)
    density[FORGET] = np.where(forget == 0.0, 0.0, density[FORGET])
    return Step(
        constrained(moved, forget, reachable=reachable), likely, likely + density.sum(axis=0)
    )


def expected(forest: Forest, parameters: Floats) -> tuple[Floats, Floats, Floats]:
    """Compute log likelihoods and expected counts.

    Returns:
        Log likelihood of each concept, nats, shape (concepts,). Expected number of events of each
        parameter, and of chances without one, shape (5, concepts) each.
    """
    value = forest.values[:, None]
    likely = np.zeros(forest.concepts)
    at_first = np.zeros((2, forest.concepts))
    moves = np.zeros((4, forest.concepts))
    answers = np.zeros((2, forest.values.size, forest.concepts))
    for tree, number in forest.trees():
        likely[number], at_first[:, number], moves[:, number], answers[:, :, number] = _counts(
            tree, parameters[:, number]
        )
    learned, forgot, stayed_known, stayed_unknown = moves
    answers_known, answers_unknown = answers
    events = [
        at_first[0],
        learned,
        (value * answers_unknown).sum(axis=0),
        ((1.0 - value) * answers_known).sum(axis=0),
        forgot,
    ]
    others = [
        at_first[1],
        stayed_unknown,
        ((1.0 - value) * answers_unknown).sum(axis=0),
        (value * answers_known).sum(axis=0),
        stayed_known,
    ]
    return likely, np.array(events), np.array(others)


def _counts(tree: PrefixTree, parameters: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Compute log likelihood and expected counts of the concepts of a tree.

    Returns:
        Log likelihood, shape (concepts,); learners who know and do not know the concept at their
        first answer, shape (2, concepts); transitions, in the order of `_Moves`, shape (4,
        concepts); answers of each score if known and if unknown, shape (2, values, concepts).
    """
    of, answer = tree.concept, tree.answer
    _, learn, guess, slip, forget = parameters
    value = tree.values[:, None]
    known = (np.power(1.0 - slip, value) * np.power(slip, 1.0 - value)).ravel()[answer]
    unknown = (np.power(guess, value) * np.power(1.0 - guess, 1.0 - value)).ravel()[answer]
    t, f = learn[of], forget[of]
    chance, after = _forward(tree, parameters[PRIOR], (known, unknown), (t, f))
    moves = _backward(tree, after, t, f)
    ends = tree.ends
    at_known = ends * after + moves.forgot + moves.stayed_known
    at_unknown = ends * (1.0 - after) + moves.learned + moves.stayed_unknown
    first = slice(0, int(tree.level[1]))

    def sums(values: Floats, nodes: slice = slice(None)) -> Floats:
        return summed(of[nodes], values[nodes], tree.concepts)

    def by_value(values: Floats) -> Floats:
        return summed(answer, values, tree.values.size * tree.concepts).reshape(-1, tree.concepts)

    return (
        sums(tree.count * np.log(chance)),
        np.array([sums(at_known, first), sums(at_unknown, first)]),
        np.array([sums(values) for values in moves]),
        np.array([by_value(at_known), by_value(at_unknown)]),
    )


def _forward(
    tree: PrefixTree, prior: Floats, right: tuple[Floats, Floats], moves: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Compute the probability of each node's answer, and P(known) given it."""
    known, unknown = right
    t, f = moves
    stays = 1.0 - f - t
    chance, after = np.empty_like(known), np.empty_like(known)
    levels = tree.levels
    p = prior[tree.concept[levels[0]]]
    for k, nodes in enumerate(levels):
        if k:
            p = after[levels[k - 1]][tree.above[k - 1]]
            p *= stays[nodes]
            p += t[nodes]
        up = p * known[nodes]
        np.subtract(1.0, p, out=p)
        p *= unknown[nodes]
        p += up
        chance[nodes] = p
        np.divide(up, p, out=after[nodes])
    return chance, after


class _Moves(NamedTuple):
    """Expected transitions after each node, over all learners who answered again."""

    learned: Floats
    forgot: Floats
    stayed_known: Floats
    stayed_unknown: Floats


def _backward(tree: PrefixTree, after: Floats, t: Floats, f: Floats) -> _Moves:
    """Smooth from the newest answers back; all quotients are shares, and none overflows.

    Source: the two-state form of Rauch, Tung & Striebel (1965), AIAA Journal 3, 1445-1450.
    """
    q, u = after, 1.0 - after
    learned, forgot = u * t, q * f
    kept, stayed = q - forgot, u - learned
    # Shares of the states before, given the state after.
    by_known = 1.0 / np.maximum(kept + learned, 1e-300)
    by_unknown = 1.0 / np.maximum(forgot + stayed, 1e-300)
    kept *= by_known
    learned *= by_known
    forgot *= by_unknown
    stayed *= by_unknown
    known, unknown = tree.ends * q, tree.ends * u
    into_known, into_unknown = np.zeros_like(q), np.zeros_like(q)
    levels, above = tree.levels, tree.above
    for k in range(len(levels) - 1, 0, -1):
        nodes, parents, place = levels[k], levels[k - 1], above[k - 1]
        n = parents.stop - parents.start
        a = np.bincount(place, known[nodes], n)
        b = np.bincount(place, unknown[nodes], n)
        into_known[parents], into_unknown[parents] = a, b
        known[parents] += kept[parents] * a + forgot[parents] * b
        unknown[parents] += learned[parents] * a + stayed[parents] * b
    return _Moves(
        learned * into_known, forgot * into_unknown, kept * into_known, stayed * into_unknown
    )
