"""The kernel: `update_many` and `estimate_many` for 500 learners beside the scalar functions.

Run: ``uv run python bench/update.py``. Absolute rates are this machine's of this moment; scalar
and vector rounds alternate, so the ratio holds where the rates swing.
"""

import random
import statistics
import time
from collections.abc import Callable

import numpy as np

from workers.estimation.ability import AbilityState, estimate_many, estimates
from workers.estimation.bkt import likelihood_ratio, update, update_many
from workers.estimation.parameters import CLASSICAL

LEARNERS = 500
ROUNDS = 60

Kernel = Callable[[], object]


def updates() -> tuple[Kernel, Kernel]:
    """One answer of each learner: Bayes' rule and transition."""
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
    """One estimate of each learner."""
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


def seconds(kernel: Kernel) -> float:
    start = time.process_time()
    kernel()
    return time.process_time() - start


def main() -> None:
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


if __name__ == "__main__":
    main()
