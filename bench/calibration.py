"""Calibrate the 2PL on simulated answers, 5,000 persons on 60 items, and compare with girth.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.calibration [PYTHON]``. PYTHON is an interpreter
with girth 0.8.0 (``uv venv V && uv pip install -p V girth==0.8.0``, then ``V/bin/python``). Without
it only the own fit runs. Answers are simulated from each seed: a lognormal(0, .3), b and θ standard
normal; 70 % are missing completely at random. The two sides alternate.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.support.item_banks import data_of_table
from workers.modelling.calibration.irt.mml import calibrate
from workers.modelling.calibration.irt.priors import NO_PRIORS, WEAK_PRIORS
from workers.modelling.calibration.irt.response_data import Floats

PERSONS, ITEMS, MISSING = 5_000, 60, 0.7
SEEDS = range(1, 6)

_GIRTH = """
import sys, time
import numpy as np
from girth import INVALID_RESPONSE, twopl_mml
table = np.load(sys.argv[1])
answers = np.where(np.isnan(table), INVALID_RESPONSE, table).astype(int).T
start = time.perf_counter()
found = twopl_mml(answers)
seconds = time.perf_counter() - start
np.save(sys.argv[2], np.array([found["Discrimination"], found["Difficulty"]]))
print(seconds)
"""


def simulated(seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Draw a, b, the complete table of answers and a table with gaps."""
    draw = np.random.default_rng(seed)
    a, b = draw.lognormal(0.0, 0.3, ITEMS), draw.normal(0.0, 1.0, ITEMS)
    theta = draw.normal(0.0, 1.0, PERSONS)
    chance = 1.0 / (1.0 + np.exp(-a * (theta[:, None] - b)))
    table = (draw.random((PERSONS, ITEMS)) < chance).astype(np.float64)
    return a, b, table, np.where(draw.random(table.shape) < MISSING, np.nan, table)


def ours(table: Floats, variant: str) -> tuple[Floats, float]:
    """Return a and b, and the seconds of the fit from the table on."""
    start = time.perf_counter()
    result = calibrate(
        data_of_table(table),
        "2PL",
        priors=WEAK_PRIORS if variant == "weak priors" else NO_PRIORS,
        learn_priors=variant == "learnt priors",
        errors=variant == "with errors",
    )
    seconds = time.perf_counter() - start
    return np.array([result.discrimination, result.difficulty]), seconds


def theirs(table: Floats, python: str) -> tuple[Floats, float]:
    with tempfile.TemporaryDirectory() as folder:
        put, got = str(Path(folder) / "table.npy"), str(Path(folder) / "found.npy")
        np.save(put, table)
        done = subprocess.run(
            [python, "-c", _GIRTH, put, got], check=True, capture_output=True, text=True
        )
        return np.asarray(np.load(got)), float(done.stdout.split()[-1])


def main(arguments: Sequence[str]) -> None:
    names = ["girth"] if arguments else []
    names += ["no priors", "with errors", "weak priors", "learnt priors"]
    if not arguments:
        print("no interpreter with girth given: ours alone")
    for title in ("complete", f"{MISSING:.0%} missing"):
        rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
        for seed in SEEDS:
            a, b, *tables = simulated(seed)
            table = tables[title != "complete"]
            for name in names:
                estimates, seconds = (
                    theirs(table, arguments[0]) if name == "girth" else ours(table, name)
                )
                rmse = np.sqrt(((estimates - [a, b]) ** 2).mean(axis=1))
                rows[name].append((float(rmse[0]), float(rmse[1]), seconds))
        print(f"\n{title}, seeds {SEEDS.start} to {SEEDS.stop - 1}: mean (each seed)")
        for name, runs in rows.items():
            columns = zip(
                ("RMSE of a", "RMSE of b", "seconds"), zip(*runs, strict=True), strict=True
            )
            print(f"  {name:14}", end="")
            for measure, values in columns:
                listed = " ".join(
                    f"{v:.4f}" if measure != "seconds" else f"{v:.2f}" for v in values
                )
                print(f"  {measure} {np.mean(values):.4f} ({listed})", end="")
            print()


if __name__ == "__main__":
    main(sys.argv[1:])
