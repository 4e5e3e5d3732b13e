"""Measure the coverage of 95 % intervals of mastery and of ability, by number of answers.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.intervals [--repeats N] [--learners N] [WHAT ...]``,
WHAT any of bkt, bkt-forgets, bkt-irt, irt.

Mastery (bkt, bkt-forgets, bkt-irt): learners on 8 concepts are simulated under true parameters, the
project's fit estimates parameters with their covariance, and new learners answer. The truth is
P(known | answers) under the true parameters, computed by the engine. The bench counts how often the
engine's interval under the fitted parameters contains it. All learners of a fit share its errors,
so standard errors are taken over fits and concepts. Both are compared as log-odds: near 1 both
numbers would round to 1 and always agree.

True parameters are drawn anew for each fit, within the bounds of the recipe: mastery is within
reach of 15 right answers.

Ability (bkt-irt, irt): abilities and concept offsets are normal, items have two parameters, items
and scale are fitted. The bench counts how often mean ± 1.96 standard errors of new learners
contains the simulated ability on the scale.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.recovery import table_of_rows
from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.uncertainty import log_odds, log_odds_interval
from workers.modelling.calibration.bkt.em import LEAST_PRIOR, LEAST_RATIO
from workers.modelling.calibration.fitting import COMBINED, MODELS
from workers.modelling.calibration.log_tables import table_of
from workers.modelling.calibration.table import Table

Floats = NDArray[np.float64]

CONCEPTS: Final = 8
ITEMS: Final = 10
AT: Final = (1, 2, 3, 5, 8, 12, 20, 40)
LOW: Final = (LEAST_PRIOR, 0.05, 0.05, 0.03, 0.01)
HIGH: Final = (0.7, 0.3, 0.45, 0.3, 0.08)
"""Bounds of true prior, learn, guess, slip and forget."""
NEW: Final = 60


class Tally:
    """Coverage by number of answers, one share for each fit and concept."""

    def __init__(self) -> None:
        self._shares: dict[int, list[float]] = {n: [] for n in AT}

    def add(self, covered: dict[int, list[bool]]) -> None:
        for n, hits in covered.items():
            if hits:
                self._shares[n].append(float(np.mean(hits)))

    def show(self, title: str, seconds: float) -> None:
        print(f"\n{title} ({seconds:,.0f} s)")
        for n, shares in self._shares.items():
            if shares:
                error = np.std(shares) / np.sqrt(len(shares))
                print(f"  {n:4} answers: {100 * np.mean(shares):5.1f} % ± {100 * error:.1f}")
        every = [share for shares in self._shares.values() for share in shares]
        print(f"   all of these: {100 * np.mean(every):5.1f} %", flush=True)


def drawn_truth(draw: np.random.Generator, *, forgets: bool) -> Floats:
    """Draw prior, learn, guess, slip and forget of each concept, shape (5, concepts)."""
    drawn: list[Floats] = []
    while len(drawn) < CONCEPTS:
        parameters = draw.uniform(LOW, HIGH)
        parameters[4] *= forgets
        _, _, guess, slip, _ = parameters
        if (1.0 - slip) / guess >= LEAST_RATIO:
            drawn.append(parameters)
    return np.array(drawn).T


def simulated(
    draw: np.random.Generator, truth: Floats, learners: int, n: int
) -> tuple[Floats, NDArray[np.bool_]]:
    """Draw scores, and the state before each answer, shape (concepts, learners, n) each."""
    prior, learn, guess, slip, forget = (column[:, None] for column in truth)
    known = draw.random((CONCEPTS, learners)) < prior
    scores = np.empty((CONCEPTS, learners, n))
    knew = np.empty(scores.shape, dtype=np.bool_)
    for k in range(n):
        knew[:, :, k] = known
        scores[:, :, k] = draw.random(known.shape) < np.where(known, 1.0 - slip, guess)
        chance = draw.random(known.shape)
        known = np.where(known, chance >= forget, chance < learn)
    return scores, knew


def table_of_scores(scores: Floats) -> Table:
    """Turn scores of shape (concepts, learners, n) into a table; each concept is its own item."""
    concepts, learners, n = scores.shape
    return table_of_rows(
        np.repeat(np.tile(np.arange(learners), concepts), n),
        np.repeat(np.arange(concepts), learners * n),
        scores.ravel(),
    )


def true_parameters(truth: Floats) -> Parameters:
    return Parameters(
        concepts={
            str(c): ConceptParameters(BktParameters(*column))
            for c, column in enumerate(truth.T.tolist())
        }
    )


def mastery(model: str, repeats: int, learners: int) -> None:
    tally, begin = Tally(), time.monotonic()
    for seed in range(repeats):
        draw = np.random.default_rng(seed)
        truth = drawn_truth(draw, forgets=model == "bkt-forgets")
        table = table_of_scores(simulated(draw, truth, learners, 12)[0])
        fitted, true = MODELS[model](table).parameters, true_parameters(truth)
        for c, rows in enumerate(simulated(draw, truth, NEW, max(AT))[0]):
            logs = [[_answer(k, str(c), str(c), s) for k, s in enumerate(row)] for row in rows]
            for covered in held_by_concept(fitted, true, logs).values():
                tally.add(covered)
    tally.show(
        f"{model}: mastery, {repeats} fits to {learners:,} learners", time.monotonic() - begin
    )


def held_by_concept(
    fitted: Parameters, true: Parameters, logs: list[list[Response]]
) -> dict[str, dict[int, list[bool]]]:
    """Return for each concept and number of answers if the interval contained the truth."""
    covered: dict[str, dict[int, list[bool]]] = {}
    for log in logs:
        learner, true_learner = Learner(), Learner()
        for response in log:
            apply(learner, response, fitted)
            apply(true_learner, response, true)
            (name,) = response.concept_ids
            state = learner.concepts[name]
            if state.attempts in AT:
                interval = log_odds_interval(state, fitted.of_concept(name))
                if interval is None:
                    raise RuntimeError(f"the fit gave concept {name} no covariance")
                by_count = covered.setdefault(name, {n: [] for n in AT})
                by_count[state.attempts].append(
                    interval[0] <= log_odds(true_learner.concepts[name]) <= interval[1]
                )
    return covered


def _answer(number: int, concept: str, item: str, score: float) -> Response:
    return Response(f"{number:05}", None, item, (concept,), "s", float(score), number)


def ability_logs(
    draw: np.random.Generator, b: Floats, a: Floats, count: int, n: int
) -> tuple[Floats, list[list[Response]]]:
    """Draw abilities on the scale, and answers of learners with an offset on each concept."""
    theta = draw.normal(0.0, 1.2, count)
    deviation = draw.normal(0.0, 0.5, (count, CONCEPTS))
    item = draw.integers(b.size, size=(count, n))
    ability = theta[:, None] + np.take_along_axis(deviation, item // ITEMS, axis=1)
    chance = 1.0 / (1.0 + np.exp(-a[item] * (ability - b[item])))
    score = (draw.random(chance.shape) < chance).astype(np.float64)
    return theta, [
        [_answer(k, str(i // ITEMS), f"q{i}", s) for k, (i, s) in enumerate(zip(*row, strict=True))]
        for row in zip(item.tolist(), score.tolist(), strict=True)
    ]


def ability(model: str, repeats: int, learners: int) -> None:
    tally, begin = Tally(), time.monotonic()
    for seed in range(repeats):
        draw = np.random.default_rng(seed)
        b = draw.normal(0.0, 1.0, CONCEPTS * ITEMS)
        a = np.exp(draw.normal(0.0, 0.25, b.size))
        fitted = MODELS[model](table_of(ability_logs(draw, b, a, learners, 60)[1])[0]).parameters
        covered: dict[int, list[bool]] = {n: [] for n in AT}
        truths, new = ability_logs(draw, b, a, 10 * NEW, max(AT))
        for theta, log in zip(truths.tolist(), new, strict=True):
            learner = Learner()
            for n, response in enumerate(log, 1):
                apply(learner, response, fitted)
                if n in AT:
                    state = learner.abilities["s"]
                    covered[n].append(abs(theta - state.mean) <= 1.96 * np.sqrt(state.variance))
        tally.add(covered)
    tally.show(
        f"{model}: ability, {repeats} fits to {learners:,} learners", time.monotonic() - begin
    )


def both(repeats: int, learners: int) -> None:
    mastery(COMBINED, repeats, learners)
    ability(COMBINED, repeats, learners)


WHAT: Final[dict[str, Callable[[int, int], None]]] = {
    "bkt": partial(mastery, "bkt"),
    "bkt-forgets": partial(mastery, "bkt-forgets"),
    COMBINED: both,
    "irt": partial(ability, "irt"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(WHAT)}")
    parser.add_argument("--repeats", type=int, default=40, help="fits, each to other answers")
    parser.add_argument("--learners", type=int, default=1500, help="whose answers are fitted")
    given = parser.parse_args()
    for kind in given.what or WHAT:
        WHAT[kind](given.repeats, given.learners)


if __name__ == "__main__":
    main()
