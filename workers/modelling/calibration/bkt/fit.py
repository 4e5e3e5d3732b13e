"""Classical knowledge tracing, with or without forgetting, of all concepts at once by EM.

Guess and slip stay below 1 together: a step that would carry them past it ends there.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from workers.modelling.calibration.bkt.curvature import newton_polish
from workers.modelling.calibration.bkt.em import FORGET, constrained, em
from workers.modelling.calibration.bkt.optimiser import Optimum, optimise
from workers.modelling.calibration.bkt.prefix_tree import PrefixTree, prefix_tree_of
from workers.modelling.calibration.table import Floats, Ints, Table

_MOST_ROUNDS: Final = 200
_LOOKED_AT: Final = 2
"""Places looked at for each that is climbed from, where there are several."""
_FEW: Final = 60
"""Distinct prefixes up to which a concept has many hills, and looking costs next to nothing."""
_OF_FEW: Final = 4
"""Times as many places for these."""
_PLACES: Final = (
    (0.4, 0.15, 0.2, 0.1, 0.03),
    (0.5, 0.5, 0.02, 0.5, 0.03),
    (0.3, 0.03, 0.6, 0.05, 0.03),
    (0.05, 0.8, 0.45, 0.2, 0.03),
    (0.9, 0.01, 0.02, 0.7, 0.03),
)
"""What is usual; whoever is right knows; most are right without knowing; all learn at once; most
know and yet are wrong."""


class BetaPriors(NamedTuple):
    """Imagined counts (of events, of chances without one) added to each concept's, by parameter."""

    prior: tuple[float, float] = (0.0, 0.0)
    learn: tuple[float, float] = (0.0, 0.0)
    guess: tuple[float, float] = (0.0, 0.0)
    slip: tuple[float, float] = (0.0, 0.0)
    forget: tuple[float, float] = (0.0, 0.0)


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
    reachable: bool = False,
    priors: BetaPriors = WEAK_PRIORS,
    restarts: int = 5,
    tolerance: float = 1e-8,
    seed: int = 0,
) -> BktFit:
    """Fit all concepts of a table of at least one response.

    Args:
        table: the responses.
        forgets: whether knowledge may be lost after an answer.
        reachable: whether mastery must be within reach of 15 right answers in a row; only without
            forgetting.
        priors: of the parameters.
        restarts: how many places to climb from, 1 or more; the best of twice as many.
        tolerance: a concept is at rest once two steps in a row win less than that, nats.
        seed: of the places to start from.
    """
    tree, counts = prefix_tree_of(table), np.array(priors)
    places = _LOOKED_AT * restarts if restarts > 1 else 1

    def optimised(tree: PrefixTree, places: int, survivors: int, seed: int) -> tuple[Optimum, Ints]:
        problems = tree.concepts
        done = optimise(
            tree.repeated(places),
            constrained(
                np.hstack(_starts(problems, forgets, places, seed)),
                np.full(problems * places, float(forgets)),
                reachable=reachable,
            ),
            counts,
            problems=problems,
            survivors=survivors,
            enough=tolerance,
            most=_MOST_ROUNDS,
            reachable=reachable,
        )
        best = done.objective.reshape(places, problems).argmax(axis=0) * problems + np.arange(
            problems
        )
        return done, best

    done, best = optimised(tree, places, restarts, seed)
    found, objective = done.parameters[:, best], done.objective[best]
    settled, rounds = done.settled[best], done.rounds
    few = np.flatnonzero(np.bincount(tree.concept, minlength=tree.concepts) <= _FEW)
    if restarts > 1 and few.size:
        again, of = optimised(tree.of(few), _OF_FEW * places, _OF_FEW * restarts, seed + 1)
        higher = again.objective[of] > objective[few]
        found[:, few[higher]] = again.parameters[:, of[higher]]
        settled[few[higher]] = again.settled[of[higher]]
        rounds = max(rounds, again.rounds)
    found = newton_polish(tree, found, counts, reachable=reachable)
    return BktFit(found, em(tree, found, counts).log_likelihood, rounds, settled)


def _starts(concepts: int, forgets: bool, places: int, seed: int) -> list[Floats]:
    draw = np.random.default_rng(seed)
    found = []
    for number in range(places):
        if number < len(_PLACES):
            start = np.tile(np.array(_PLACES[number])[:, None], concepts)
        else:
            start = draw.uniform(0.02, [[0.95], [0.5], [0.48], [0.48], [0.3]], (5, concepts))
        if not forgets:
            start[FORGET] = 0.0
        found.append(start)
    return found
