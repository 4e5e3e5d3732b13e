"""Fold one answer under each model, and compare vector kernels for 500 learners with scalar ones.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.update [MODEL ...]``. Absolute rates depend on the
machine. Rounds of all sides alternate, so ratios hold although rates vary.

`apply` is the processor time of one answer: look-up of state and parameters, prediction, mastery
with its gradient, ability. Parameters are fitted to simulated answers, whose learners are then
predicted. To compare with another commit, run this file in a work tree of it, in turns.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from workers.estimation.ability import AbilityState, estimate_many, estimates
from workers.estimation.answering import apply
from workers.estimation.bkt import likelihood_ratio, update, update_many
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import CLASSICAL, Parameters
from workers.modelling.calibration.fitting import MODELS, fit

LEARNERS = 500
ROUNDS = 60
ROUNDS_OF_MODELS = 15
STREAMED, ANSWERS, CONCEPTS, ITEMS = 150, 60, 8, 10
DEFAULT: Final = next(iter(MODELS))

Kernel = Callable[[], object]


def updates() -> tuple[Kernel, Kernel]:
    """Update mastery by one answer of each learner: Bayes' rule and transition."""
    draw = random.Random(7)
    mantissa = [draw.uniform(0.5, 0.999) for _ in range(LEARNERS)]
    exponent = [draw.randrange(-4, 30) for _ in range(LEARNERS)]
    ratio = [likelihood_ratio(CLASSICAL, draw.choice((0.0, 1.0))) for _ in range(LEARNERS)]
    learn, forget = CLASSICAL.learn, CLASSICAL.forget
    columns = (
        np.array(mantissa),
        np.array(exponent, dtype=np.int64),
        np.array(ratio),
        np.full(LEARNERS, learn),
        np.full(LEARNERS, forget),
    )

    def scalar() -> list[tuple[float, int]]:
        return [
            update(m, e, r, learn, forget)
            for m, e, r in zip(mantissa, exponent, ratio, strict=True)
        ]

    def vector() -> list[tuple[float, int]]:
        new_mantissa, new_exponent = update_many(*columns)
        return list(zip(new_mantissa.tolist(), new_exponent.tolist(), strict=True))

    if scalar() != vector():
        raise SystemExit("update and update_many disagree")
    return scalar, vector


def abilities() -> tuple[Kernel, Kernel]:
    """Estimate the ability of each learner once."""
    draw = random.Random(7)
    states = [AbilityState(n, float(draw.randint(0, n))) for n in range(1, LEARNERS + 1)]
    responses = np.array([float(s.responses) for s in states])
    score = np.array([s.score for s in states])

    def scalar() -> object:
        return [estimates([state])[0] for state in states]

    def vector() -> object:
        theta, error = estimate_many(responses, score)
        return list(zip(theta.tolist(), error.tolist(), strict=True))

    if scalar() != vector():
        raise SystemExit("estimates one by one and estimate_many disagree")
    return scalar, vector


def simulated_logs() -> list[list[Response]]:
    """Draw answers of learners of different abilities on items of different difficulties."""
    draw = np.random.default_rng(7)
    theta, difficulty = draw.normal(0.0, 1.2, STREAMED), draw.normal(0.0, 1.0, CONCEPTS * ITEMS)
    item = draw.integers(CONCEPTS * ITEMS, size=(STREAMED, ANSWERS))
    chance = 1.0 / (1.0 + np.exp(difficulty[item] - theta[:, None]))
    score = (draw.random(chance.shape) < chance).astype(np.float64)
    return [
        [
            Response(f"{k:05}", None, f"q{i}", (f"c{i // ITEMS}",), "s", s, k)
            for k, (i, s) in enumerate(zip(*row, strict=True))
        ]
        for row in zip(item.tolist(), score.tolist(), strict=True)
    ]


def streamed(logs: list[list[Response]], parameters: Parameters) -> Kernel:
    """Fold all answers of all learners."""

    def stream() -> None:
        for log in logs:
            learner = Learner()
            for response in log:
                apply(learner, response, parameters)

    return stream


def seconds(kernel: Kernel) -> float:
    start = time.process_time()
    kernel()
    return time.process_time() - start


def models(names: Sequence[str]) -> None:
    logs = simulated_logs()
    kernels = {name: streamed(logs, fit(name, logs).parameters) for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS_OF_MODELS):
        for name, kernel in kernels.items():
            taken[name].append(seconds(kernel))
    first = statistics.median(taken[names[0]])
    print(f"\napply: {STREAMED * ANSWERS:,} answers, median of {ROUNDS_OF_MODELS} rounds")
    print(f"{'':14} {'µs':>8} {'lowest':>8} {'of ' + names[0]:>14}")
    for name, durations in taken.items():
        middle = statistics.median(durations)
        answers = STREAMED * ANSWERS / 1e6
        print(
            f"{name:14} {middle / answers:8.2f} {min(durations) / answers:8.2f} "
            f"{middle / first:14.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="*", help=f"any of {', '.join(MODELS)}")
    given = parser.parse_args()
    print(f"{LEARNERS} learners at once, median of {ROUNDS} alternating rounds")
    print(f"{'':10} {'scalar/s':>12} {'vector/s':>12} {'ratio':>7} {'ratio, middle half':>20}")
    for name, (scalar, vector) in (("mastery", updates()), ("ability", abilities())):
        pairs = [(seconds(scalar), seconds(vector)) for _ in range(ROUNDS)]
        alone, together = (statistics.median(side) for side in zip(*pairs, strict=True))
        low, middle, high = statistics.quantiles([a / t for a, t in pairs])
        print(
            f"{name:10} {LEARNERS / alone:12,.0f} {LEARNERS / together:12,.0f} {middle:7.1f} "
            f"{low:12.1f} to {high:.1f}"
        )
    models(given.models or [DEFAULT, "bkt", "irt", "classical"])


if __name__ == "__main__":
    main()
