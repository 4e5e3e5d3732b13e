"""How often 95 % intervals hold the truth, by number of answers: of mastery and of ability.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.intervals [--repeats N] [--learners N] [WHAT ...]``,
WHAT any of bkt, bkt-forgets, informed, irt.

Mastery: answers of learners on 8 concepts are simulated under true parameters, the project's own
fit finds parameters and their covariance, and new learners answer. The truth is P(known | answers)
under the true parameters, computed by the engine; what is counted is whether it lies in the
interval that the engine gives under the fitted ones. All learners of a fit share its errors, so
each line's standard error is over fits and concepts. Compared as log-odds: as numbers near 1 both
would round to 1, which always counts as held.

True parameters are drawn anew for each fit, of ability-informed concepts as far apart as the fit's
priors say. There items and scale are the true ones, for the covariance is that of the concepts'
parameters, ability taken as known.

Ability: abilities and deviations on concepts are normal, items have two parameters, items and scale
are fitted, and mean ± 1.96 deviations of new learners is to hold the ability on the scale with
which they were simulated.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.recovery import table_of_rows
from workers.calibration.ability_kernel import AbilityModel, logits, walk
from workers.calibration.fitting import MODELS, informed_parameters
from workers.calibration.informed_fit import fit_informed
from workers.calibration.table import table_of
from workers.estimation.answering import apply
from workers.estimation.informed import InformedParameters
from workers.estimation.items import ItemParameters
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters
from workers.estimation.scales import Deviation, ScaleParameters
from workers.estimation.uncertainty import log_odds, log_odds_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CONCEPTS: Final = 8
ITEMS: Final = 10
AT: Final = (1, 2, 3, 5, 8, 12, 20, 40)
SCALE: Final = ScaleParameters(0.0, 1.0, 0.005)
AROUND: Final = Deviation(0.15, 0.004, 0.02)
NEW: Final = 60


class Tally:
    """Held or not, by number of answers; one share for each fit and concept."""

    def __init__(self) -> None:
        self._shares: dict[int, list[float]] = {n: [] for n in AT}

    def add(self, held: dict[int, list[bool]]) -> None:
        for n, each in held.items():
            if each:
                self._shares[n].append(float(np.mean(each)))

    def show(self, title: str, seconds: float) -> None:
        print(f"\n{title} ({seconds:,.0f} s)")
        for n, shares in self._shares.items():
            if shares:
                error = np.std(shares) / np.sqrt(len(shares))
                print(f"  {n:4} answers: {100 * np.mean(shares):5.1f} % ± {100 * error:.1f}")
        every = [one for shares in self._shares.values() for one in shares]
        print(f"   all of these: {100 * np.mean(every):5.1f} %", flush=True)


def classical_answers(draw: np.random.Generator, truth: Floats, learners: int, n: int) -> Floats:
    """Shape (concepts, learners, n)."""
    prior, learn, guess, slip, forget = (column[:, None] for column in truth)
    known = draw.random((CONCEPTS, learners)) < prior
    found = np.empty((CONCEPTS, learners, n))
    for k in range(n):
        found[:, :, k] = draw.random(known.shape) < np.where(known, 1.0 - slip, guess)
        chance = draw.random(known.shape)
        known = np.where(known, chance >= forget, chance < learn)
    return found


def classical(model: str, repeats: int, learners: int) -> None:
    tally, begin = Tally(), time.monotonic()
    for seed in range(repeats):
        draw = np.random.default_rng(seed)
        low, high = [0.2, 0.08, 0.1, 0.05, 0.01], [0.6, 0.3, 0.25, 0.15, 0.08]
        truth = draw.uniform(np.array(low)[:, None], np.array(high)[:, None], (5, CONCEPTS))
        truth[4] *= model == "bkt-forgets"
        answers = classical_answers(draw, truth, learners, 12)
        table = table_of_rows(
            np.repeat(np.tile(np.arange(learners), CONCEPTS), 12),
            np.repeat(np.arange(CONCEPTS), learners * 12),
            answers.ravel(),
        )
        fitted = MODELS[model](table).parameters
        true = Parameters(
            concepts={
                str(c): ConceptParameters(BktParameters(*truth[:, c].tolist()))
                for c in range(CONCEPTS)
            }
        )
        for c, rows in enumerate(classical_answers(draw, truth, NEW, max(AT))):
            logs = [[_answer(k, str(c), "x", s) for k, s in enumerate(row)] for row in rows]
            for held in held_by_concept(fitted, true, logs).values():
                tally.add(held)
    tally.show(
        f"{model}: mastery, {repeats} fits to {learners:,} learners", time.monotonic() - begin
    )


def held_by_concept(
    fitted: Parameters, true: Parameters, logs: list[list[Response]]
) -> dict[str, dict[int, list[bool]]]:
    """Of each concept and number of answers on it, whether the interval held the truth."""
    found: dict[str, dict[int, list[bool]]] = {}
    for log in logs:
        one, other = Learner(), Learner()
        for response in log:
            apply(one, response, fitted)
            apply(other, response, true)
            (name,) = response.concept_ids
            state = one.concepts[name]
            if state.attempts in AT:
                interval = log_odds_interval(state, fitted.of_concept(name))
                if interval is None:
                    raise RuntimeError(f"the fit gave concept {name} no covariance")
                held = found.setdefault(name, {n: [] for n in AT})
                held[state.attempts].append(
                    interval[0] <= log_odds(other.concepts[name]) <= interval[1]
                )
    return found


def _answer(number: int, concept: str, item: str, score: float) -> Response:
    return Response(f"{number:05}", None, item, (concept,), "s", float(score), number)


def drawn_world(draw: np.random.Generator) -> Parameters:
    """Concepts and items as different from each other as the fit's priors take them to be."""
    concepts = {}
    for c in range(CONCEPTS):
        unknown = draw.normal(-0.7, 0.5)
        concepts[str(c)] = ConceptParameters(
            InformedParameters(
                unknown,
                unknown + max(0.3, draw.normal(1.6, 0.5)),
                max(0.1, draw.normal(1.0, 0.22)),
                draw.normal(-0.3, 0.7),
                0.4,
                float(np.clip(draw.beta(2.0, 18.0), 0.005, 0.9)),
                float(np.clip(draw.beta(0.8, 19.2), 0.002, 0.9)),
            ),
            ItemParameters(),
            AROUND,
        )
    items = {
        f"{c}-{i}": ItemParameters(draw.normal(0.0, 0.8), float(np.exp(draw.normal(0.0, 0.2))))
        for c in range(CONCEPTS)
        for i in range(ITEMS)
    }
    return Parameters(concepts=concepts, items=items, any_scale=SCALE)


def informed_answers(
    world: Parameters, learners: int, n: int, draw: np.random.Generator
) -> tuple[Ints, Ints, Floats]:
    """Concept, item and score of each answer of learners who are what the world says they are."""
    scale = world.any_scale
    models = [world.concepts[str(c)] for c in range(CONCEPTS)]
    mastery = [one.mastery for one in models]
    around = [one.deviation for one in models]
    if scale is None:
        raise RuntimeError("the world has no scale")

    def column(values: Iterator[float]) -> Floats:
        return np.array(list(values))

    informed = [one for one in mastery if isinstance(one, InformedParameters)]
    low, high = column(m.unknown for m in informed), column(m.known for m in informed)
    weight, prior = column(m.weight for m in informed), column(m.prior for m in informed)
    learn, forget = column(m.learn for m in informed), column(m.forget for m in informed)
    deviations = [one for one in around if one is not None]
    loose, walk = column(d.variance for d in deviations), column(d.walk for d in deviations)
    drift = column(d.drift for d in deviations)
    items = [world.items[f"{c}-{i}"] for c in range(CONCEPTS) for i in range(ITEMS)]
    b, a = column(i.difficulty for i in items), column(i.discrimination for i in items)
    theta, spread = np.full(learners, scale.mean), np.full(learners, scale.variance)
    shift, looseness = np.zeros((learners, CONCEPTS)), np.tile(loose, (learners, 1))
    known = np.zeros((learners, CONCEPTS), dtype=np.bool_)
    met = np.zeros_like(known)
    who = np.arange(learners)
    concepts, items_of = np.empty((learners, n), dtype=np.int64), np.empty((learners, n), dtype=int)
    scores = np.empty((learners, n))
    for k in range(n):
        c = draw.integers(CONCEPTS, size=learners)
        item = c * ITEMS + draw.integers(ITEMS, size=learners)
        at_first = 1.0 / (1.0 + np.exp(-(prior[c] + informed[0].prior_slope * theta)))
        known[who, c] = np.where(met[who, c], known[who, c], draw.random(learners) < at_first)
        met[who, c] = True
        m, v = theta + shift[who, c], spread + looseness[who, c]
        slope = a[item] / np.sqrt(1.0 + np.pi / 8.0 * a[item] ** 2 * v)
        z = slope * (m - b[item])
        x = np.where(known[who, c], high[c], low[c]) + weight[c] * z
        score = (draw.random(learners) < 1.0 / (1.0 + np.exp(-x))).astype(np.float64)
        chance = draw.random(learners)
        known[who, c] = np.where(known[who, c], chance >= forget[c], chance < learn[c])
        p = 1.0 / (1.0 + np.exp(-z))
        gradient, curvature = slope * (score - p), slope**2 * p * (1.0 - p)
        theta = theta + spread * gradient
        spread = spread * (1.0 - curvature * spread) + scale.walk
        own = looseness[who, c]
        shift[who, c] += own * gradient + drift[c]
        looseness[who, c] = own * (1.0 - curvature * own) + walk[c]
        concepts[:, k], items_of[:, k], scores[:, k] = c, item, score
    return concepts, items_of, scores


def informed_logs(
    world: Parameters, learners: int, n: int, draw: np.random.Generator
) -> list[list[Response]]:
    concept, item, score = informed_answers(world, learners, n, draw)
    return [
        [
            _answer(k, str(c), f"{c}-{i % ITEMS}", s)
            for k, (c, i, s) in enumerate(zip(*rows, strict=True))
        ]
        for rows in zip(concept.tolist(), item.tolist(), score.tolist(), strict=True)
    ]


def informed(repeats: int, learners: int) -> None:
    tally, begin = Tally(), time.monotonic()
    for seed in range(repeats):
        draw = np.random.default_rng(seed)
        world = drawn_world(draw)
        table, _ = table_of(informed_logs(world, learners, 60, draw))
        items = [world.items[name] for name in table.items]
        model = AbilityModel(
            SCALE.mean,
            SCALE.variance,
            SCALE.walk,
            np.full(CONCEPTS, AROUND.variance),
            np.full(CONCEPTS, AROUND.walk),
            np.full(CONCEPTS, AROUND.drift),
            np.array([one.difficulty for one in items]),
            np.array([one.discrimination for one in items]),
        )
        walked = walk(table, model)
        found = fit_informed(table, logits(table, model, walked), walked.theta)
        fitted = replace(
            world,
            concepts={
                name: replace(world.concepts[name], mastery=informed_parameters(found, at))
                for at, name in enumerate(table.concepts)
            },
        )
        for held in held_by_concept(fitted, world, informed_logs(world, NEW, 160, draw)).values():
            tally.add(held)
    tally.show(
        f"informed: mastery, {repeats} fits to {learners:,} learners", time.monotonic() - begin
    )


def ability_logs(
    draw: np.random.Generator, b: Floats, a: Floats, count: int, n: int
) -> tuple[Floats, list[list[Response]]]:
    """Abilities on the scale, and answers given with them and with a deviation on each concept."""
    theta = draw.normal(0.0, 1.2, count)
    deviation = draw.normal(0.0, 0.5, (count, CONCEPTS))
    item = draw.integers(b.size, size=(count, n))
    own = theta[:, None] + np.take_along_axis(deviation, item // ITEMS, axis=1)
    chance = 1.0 / (1.0 + np.exp(-a[item] * (own - b[item])))
    score = (draw.random(chance.shape) < chance).astype(np.float64)
    return theta, [
        [_answer(k, str(i // ITEMS), f"q{i}", s) for k, (i, s) in enumerate(zip(*row, strict=True))]
        for row in zip(item.tolist(), score.tolist(), strict=True)
    ]


def ability(repeats: int, learners: int) -> None:
    tally, begin = Tally(), time.monotonic()
    for seed in range(repeats):
        draw = np.random.default_rng(seed)
        b = draw.normal(0.0, 1.0, CONCEPTS * ITEMS)
        a = np.exp(draw.normal(0.0, 0.25, b.size))
        fitted = MODELS["irt"](table_of(ability_logs(draw, b, a, learners, 60)[1])[0]).parameters
        held: dict[int, list[bool]] = {n: [] for n in AT}
        truths, new = ability_logs(draw, b, a, 10 * NEW, max(AT))
        for theta, log in zip(truths.tolist(), new, strict=True):
            learner = Learner()
            for n, response in enumerate(log, 1):
                apply(learner, response, fitted)
                if n in AT:
                    state = learner.abilities["s"]
                    held[n].append(abs(theta - state.mean) <= 1.96 * np.sqrt(state.variance))
        tally.add(held)
    tally.show(f"irt: ability, {repeats} fits to {learners:,} learners", time.monotonic() - begin)


WHAT: Final[dict[str, Callable[[int, int], None]]] = {
    "bkt": lambda repeats, learners: classical("bkt", repeats, learners),
    "bkt-forgets": lambda repeats, learners: classical("bkt-forgets", repeats, learners),
    "informed": informed,
    "irt": ability,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(WHAT)}")
    parser.add_argument("--repeats", type=int, default=40, help="fits, each to other answers")
    parser.add_argument("--learners", type=int, default=1500, help="whose answers are fitted")
    given = parser.parse_args()
    for what in given.what or WHAT:
        WHAT[what](given.repeats, given.learners)


if __name__ == "__main__":
    main()
