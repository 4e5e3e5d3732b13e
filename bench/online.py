"""Online updates on one core: BKT and ability together, compared with pyBKT's Roster and catsim.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.online [--pybkt PYTHON] [--catsim PYTHON]``. Each
PYTHON is an interpreter with that package: ``uv venv V && uv pip install -p V pyBKT==1.4.3
'scikit-learn<1.5' 'numpy<2'``, and another with ``catsim``. The sides alternate, seconds are CPU
seconds of one process, and medians are compared.

Own side: batches of 500 learners. Each answer looks up state and parameters by index and does all
work of `bkt-irt`: ability and concept offset by exact moments (`evidence_of_logits`), mastery
(`update_many`), and the prediction by the last step. `ability alone` is `evidence_of_logits`
without the look-up. All concepts share their parameters, which does not reduce the work.

pyBKT: `Roster.update_states` of 500 students with one answer each, after a fit of one skill.

catsim: `NumericalSearchEstimator.estimate` after an answer of a learner with 20 answers on a bank
of 500 items.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable

import numpy as np

from workers.estimation.bkt import update_many
from workers.estimation.last_step import FEATURES, FeatureSources, features, sums_after
from workers.estimation.logistic_normal import evidence_of_logits, logistic_normal_many

LEARNERS, CONCEPTS, ITEMS, BATCHES, ROUNDS = 500, 50, 1_000, 400, 5
POPULATION = 5_000
WALK, RATIO = 0.001, 0.95

_PYBKT = """
import time, warnings
warnings.filterwarnings("ignore")
import numpy as np
import pandas as pd
from pyBKT.models import Model, Roster
model = Model(seed=1, num_fits=1, parallel=False)
draw = np.random.default_rng(1)
model.fit(data=pd.DataFrame({
    "order_id": range(4000), "user_id": [k // 8 for k in range(4000)], "skill_name": "s",
    "correct": draw.integers(0, 2, 4000)}))
names = list(range(500))
roster = Roster(names, "s", model=model)
rate = []
for _ in range(2):
    answers = dict(zip(names, draw.integers(0, 2, 500).tolist()))
    start = time.process_time()
    roster.update_states("s", answers)
    rate.append(500 / (time.process_time() - start))
print(rate[-1])
"""

_CATSIM = """
import time
import numpy as np
from catsim.estimation import NumericalSearchEstimator
from catsim.item_bank import ItemBank
draw = np.random.default_rng(1)
n = 500
bank = ItemBank(np.column_stack([draw.lognormal(0, .3, n), draw.normal(0, 1, n), np.zeros(n),
                                 np.ones(n)]))
estimator = NumericalSearchEstimator()
answers = [bool(x) for x in draw.integers(0, 2, 20)]
given = draw.permutation(n)[:20].tolist()
start = time.process_time()
for _ in range(200):
    estimator.estimate(item_bank=bank, administered_items=given, response_vector=answers,
                       est_theta=0.0)
print(200 / (time.process_time() - start))
"""


def ours() -> float:
    """Count answers per second, with state and parameters looked up by index."""
    draw = np.random.default_rng(1)
    a, b = draw.lognormal(0.0, 0.3, ITEMS), draw.normal(0.0, 1.0, ITEMS)
    prior, learn, guess, slip, loose, drift = (
        np.full(CONCEPTS, x) for x in (0.3, 0.1, 0.2, 0.1, 0.2, 0.02)
    )
    weights = draw.normal(0.0, 0.1, (CONCEPTS, len(FEATURES)))
    mantissa, exponent = np.frexp(np.full(POPULATION, prior[0] / (1.0 - prior[0])))
    exponent = exponent.astype(np.int64)
    theta, variance = np.zeros(POPULATION), np.ones(POPULATION)
    deviation, spread = np.zeros(POPULATION), np.full(POPULATION, loose[0])
    recent, lasting, attempts = np.zeros((3, POPULATION))
    batches = [
        (
            draw.permutation(POPULATION)[:LEARNERS],
            draw.integers(0, ITEMS, LEARNERS),
            draw.integers(0, CONCEPTS, LEARNERS),
            draw.integers(0, 2, LEARNERS).astype(np.float64),
        )
        for _ in range(BATCHES)
    ]
    begin = time.process_time()
    for learner, item, concept, score in batches:
        steep, v1, v2 = a[item], variance[learner], spread[learner]
        x = steep * (theta[learner] + deviation[learner] - b[item])
        w = steep * steep * (v1 + v2)
        expected = logistic_normal_many(x, w)
        z = np.log(expected.right) - np.log(expected.wrong)
        odds = np.ldexp(mantissa[learner], exponent[learner])
        known = odds / (1.0 + odds)
        right = known * (1.0 - slip[concept]) + (1.0 - known) * guess[concept]
        sums, n = (recent[learner], lasting[learner]), attempts[learner]
        again = (n > 0).astype(np.float64)
        eta = np.einsum(
            "ij,ij->i",
            features(FeatureSources(z, (right, 1.0 - right), known, sums, n, again)),
            weights[concept],
        )
        _prediction = 1.0 / (1.0 + np.exp(-eta))
        gradient, curvature = evidence_of_logits(x, w, score)
        gradient, curvature = steep * gradient, steep * steep * curvature
        theta[learner] += v1 * gradient
        variance[learner] = v1 * (1.0 - curvature * v1) + WALK
        deviation[learner] += v2 * gradient + drift[concept] * RATIO**n
        spread[learner] = v2 * (1.0 - curvature * v2) + WALK
        ratio = np.where(
            score == 1.0,
            (1.0 - slip[concept]) / guess[concept],
            slip[concept] / (1.0 - guess[concept]),
        )
        mantissa[learner], exponent[learner] = update_many(
            mantissa[learner], exponent[learner], ratio, learn[concept], np.zeros(LEARNERS)
        )
        recent[learner], lasting[learner] = sums_after(sums, score)
        attempts[learner] = n + 1.0
    return BATCHES * LEARNERS / (time.process_time() - begin)


def ability_alone() -> float:
    """Count ability updates per second."""
    draw = np.random.default_rng(1)
    a, b = draw.lognormal(0.0, 0.3, LEARNERS), draw.normal(0.0, 1.0, LEARNERS)
    scores = draw.integers(0, 2, (BATCHES, LEARNERS)).astype(np.float64)
    mean, variance = np.zeros(LEARNERS), np.ones(LEARNERS)
    begin = time.process_time()
    for score in scores:
        gradient, curvature = evidence_of_logits(a * (mean - b), a * a * variance, score)
        mean = mean + variance * a * gradient
        variance = variance * (1.0 - a * a * curvature * variance) + WALK
    return BATCHES * LEARNERS / (time.process_time() - begin)


def beside(python: str, script: str) -> Callable[[], float]:
    def run() -> float:
        done = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pybkt", help="interpreter that has pyBKT")
    parser.add_argument("--catsim", help="interpreter that has catsim")
    given = parser.parse_args()
    sides = {"bkt-irt": ours, "ability alone": ability_alone}
    for name, python, script in (
        ("pyBKT Roster", given.pybkt, _PYBKT),
        ("catsim", given.catsim, _CATSIM),
    ):
        if python:
            sides[name] = beside(python, script)
        else:
            print(f"{name}: no interpreter given, left out")
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            rates[name].append(side())
    first = statistics.median(rates["bkt-irt"])
    print(f"{'':18} {'updates/s':>12} {'lowest':>12} {'highest':>12} {'ours is':>10}")
    for name, measured in rates.items():
        middle = statistics.median(measured)
        print(
            f"{name:18} {middle:12,.0f} {min(measured):12,.0f} {max(measured):12,.0f} "
            f"{first / middle:9,.0f}x"
        )


if __name__ == "__main__":
    main()
