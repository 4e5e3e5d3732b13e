"""Online updates on one core: BKT and ability together, beside pyBKT's Roster and catsim.

Run: ``OMP_NUM_THREADS=1 uv run python bench/online.py [--pybkt PYTHON] [--catsim PYTHON]``. Each
PYTHON is an interpreter that has that package: ``uv venv V && uv pip install -p V pyBKT==1.4.3
'scikit-learn<1.5' 'numpy<2'``, and another with ``catsim``. Sides alternate, seconds are CPU
seconds of one process, the medians are compared.

Ours: batches of 500 learners, each answer with the look-up of state and parameters by index, the
prediction, mastery and ability. `ability, moments` is `after_answers` alone, exact at each step.
pyBKT: `Roster.update_states` of 500 students with one answer each, after a fit of one skill.
catsim: `NumericalSearchEstimator.estimate` after an answer, of a learner with 20 answers on a bank
of 500 items.
"""

import argparse
import statistics
import subprocess
import time
from collections.abc import Callable

import numpy as np

from workers.estimation.moments import Curves, after_answers, start
from workers.estimation.online import Learners, Questions, answer_many

LEARNERS, CONCEPTS, ITEMS, BATCHES, ROUNDS = 500, 50, 1_000, 400, 5

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
    """Answers a second, state and parameters looked up by index."""
    draw = np.random.default_rng(1)
    population = 5_000
    states = [
        draw.uniform(0.5, 0.99, population),
        draw.integers(-3, 4, population),
        draw.normal(0.0, 1.0, population),
        np.full(population, 0.5),
        draw.normal(0.0, 0.1, population),
        np.full(population, 0.2),
    ]
    a, b = draw.lognormal(0.0, 0.3, ITEMS), draw.normal(0.0, 1.0, ITEMS)
    tables = [np.full(CONCEPTS, x) for x in (-1.0, 1.5, 0.8, 0.1, 0.02, 0.001, 0.001, 0.02)]
    batches = [
        (
            draw.permutation(population)[:LEARNERS],
            draw.integers(0, ITEMS, LEARNERS),
            draw.integers(0, CONCEPTS, LEARNERS),
            draw.integers(0, 2, LEARNERS).astype(np.float64),
        )
        for _ in range(BATCHES)
    ]
    begin = time.process_time()
    for who, item, concept, score in batches:
        answered = answer_many(
            Learners(*(column[who] for column in states)),
            Questions(a[item], b[item], *(table[concept] for table in tables)),
            score,
        )
        for column, new in zip(states, answered.learners, strict=True):
            column[who] = new
    return BATCHES * LEARNERS / (time.process_time() - begin)


def moments() -> float:
    """Ability updates a second with integrals in place of the closed form."""
    draw = np.random.default_rng(1)
    items = Curves(
        draw.lognormal(0.0, 0.3, LEARNERS),
        draw.normal(0.0, 1.0, LEARNERS),
        np.zeros(LEARNERS),
        np.ones(LEARNERS),
    )
    scores = draw.integers(0, 2, (BATCHES, LEARNERS)).astype(np.float64)
    state = start(LEARNERS)
    begin = time.process_time()
    for score in scores:
        state = after_answers(state, items, score)
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
    sides = {"BKT and ability": ours, "ability, moments": moments}
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
    first = statistics.median(rates["BKT and ability"])
    print(f"{'':18} {'updates/s':>12} {'lowest':>12} {'highest':>12} {'ours is':>10}")
    for name, found in rates.items():
        middle = statistics.median(found)
        print(
            f"{name:18} {middle:12,.0f} {min(found):12,.0f} {max(found):12,.0f} "
            f"{first / middle:9,.0f}x"
        )


if __name__ == "__main__":
    main()
