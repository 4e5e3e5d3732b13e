"""Fit knowledge tracing with or without forgetting to all concepts at once, by EM.

Guess + slip stays below 1: a step beyond that ends at the bound.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from workers.modelling.calibration.bkt.curvature import newton_polish
from workers.modelling.calibration.bkt.em import FORGET, constrained, em
from workers.modelling.calibration.bkt.forest import Forest, forest_of
from workers.modelling.calibration.bkt.optimiser import Optimum, optimise
from workers.modelling.calibration.table import Floats, Ints, Table

_MOST_ROUNDS: Final = 200
_LOOKED_AT: Final = 2
"""Number of starting places per restart, if there are several restarts."""
_FEW: Final = 60
"""Number of distinct prefixes up to which a concept has many local maxima, and a search is cheap.
"""
_OF_FEW: Final = 4
"""Factor on the starting places of such concepts."""
_PLACES: Final = (
    (0.4, 0.15, 0.2, 0.1, 0.03),
    (0.5, 0.5, 0.02, 0.5, 0.03),
    (0.3, 0.03, 0.6, 0.05, 0.03),
    (0.05, 0.8, 0.45, 0.2, 0.03),
    (0.9, 0.01, 0.02, 0.7, 0.03),
)
"""Starting values of prior, learn, guess, slip and forget: usual; a right answer means knowing;
most are right without knowing; all learn at once; most know and yet answer wrong."""


class BetaPriors(NamedTuple):
    """Beta priors as imagined counts: events, and chances without an event."""

    prior: tuple[float, float] = (0.0, 0.0)
    learn: tuple[float, float] = (0.0, 0.0)
    guess: tuple[float, float] = (0.0, 0.0)
    slip: tuple[float, float] = (0.0, 0.0)
    forget: tuple[float, float] = (0.0, 0.0)


WEAK_PRIORS: Final = BetaPriors((1.0, 1.0), (0.5, 4.5), (1.0, 4.0), (0.5, 4.5), (0.1, 4.9))
"""Priors worth about ten answers, around usual values."""


@dataclass(frozen=True)
class BktFit:
    """Result of a fit.

    Args:
        parameters: prior, learn, guess, slip and forget of each concept, shape (5, concepts).
        log_likelihood: log likelihood of each concept's answers without the priors, nats.
        rounds: number of EM steps.
        converged: True for concepts whose likelihood converged, shape (concepts,).
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
    """Fit all concepts of a table with at least one response.

    Args:
        table: the responses.
        forgets: True if knowledge may be lost after an answer.
        reachable: True if 15 right answers in a row must bring mastery within reach; requires no
            forgetting.
        priors: priors of the parameters.
        restarts: number of optimisations per concept, 1 or more; they start from the best of twice
            as many places.
        tolerance: gain of two steps in a row, in nats, below which a concept has converged.
        seed: seed of the starting places.
    """
    forest, counts = forest_of(table), np.array(priors)
    places = _LOOKED_AT * restarts if restarts > 1 else 1

    def optimised(forest: Forest, places: int, survivors: int, seed: int) -> tuple[Optimum, Ints]:
        problems = forest.concepts
        done = optimise(
            forest.repeated(places),
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

    done, best = optimised(forest, places, restarts, seed)
    parameters, objective = done.parameters[:, best], done.objective[best]
    settled, rounds = done.settled[best], done.rounds
    few = np.flatnonzero(forest.nodes_of <= _FEW)
    if restarts > 1 and few.size:
        again, of = optimised(forest.of(few), _OF_FEW * places, _OF_FEW * restarts, seed + 1)
        higher = again.objective[of] > objective[few]
        parameters[:, few[higher]] = again.parameters[:, of[higher]]
        settled[few[higher]] = again.settled[of[higher]]
        rounds = max(rounds, again.rounds)
    parameters = newton_polish(forest, parameters, counts, reachable=reachable)
    return BktFit(parameters, em(forest, parameters, counts).log_likelihood, rounds, settled)


def _starts(concepts: int, forgets: bool, places: int, seed: int) -> list[Floats]:
    draw = np.random.default_rng(seed)
    starts = []
    for number in range(places):
        if number < len(_PLACES):
            start = np.tile(np.array(_PLACES[number])[:, None], concepts)
        else:
            start = draw.uniform(0.02, [[0.95], [0.5], [0.48], [0.48], [0.3]], (5, concepts))
        if not forgets:
            start[FORGET] = 0.0
        starts.append(start)
    return starts
