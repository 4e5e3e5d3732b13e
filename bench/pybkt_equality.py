"""Compare predictions under the same parameters: the engine's, pyBKT's, and exact ones.

Run: ``uv run python -m bench.pybkt_equality PYTHON [--learners N] [--answers N]``, PYTHON an
interpreter with pyBKT: ``uv venv V && uv pip install -p V pyBKT==1.4.3 'scikit-learn<1.5'
'numpy<2'``, then V/bin/python.

Parameters are drawn, with and without forgetting, and given to pyBKT's Model. Answers are
simulated, and both sides predict them one step ahead without fitting. The exact predictions use the
textbook's formulas in rational arithmetic, for the first learners of each concept.
"""

import argparse
import json
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import BktParameters, ConceptParameters, Parameters

Floats = NDArray[np.float64]

CONCEPTS = 12
EXACT = 5

_PYBKT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import numpy as np, pandas as pd
from pyBKT.models import Model
given = json.load(open(sys.argv[1]))
rows = pd.DataFrame(given["rows"], columns=["skill_name", "user_id", "order_id", "correct"])
model = Model(seed=1, num_fits=1, parallel=False)
# What predicting needs beside the parameters is known to pyBKT only after a fit: of two learners.
model.fit(data=rows[rows.user_id < 2], forgets=True)
for name, (p, t, g, s, f) in given["parameters"].items():
    one = model.fit_model[name]
    one["prior"] = p
    for key, value in (("learns", t), ("guesses", g), ("slips", s), ("forgets", f)):
        one[key] = np.array([value])
told = model.predict(data=rows).sort_index()
json.dump(told.correct_predictions.tolist(), open(sys.argv[2], "w"))
"""


def drawn(draw: np.random.Generator) -> dict[str, BktParameters]:
    """Draw parameters of concepts; the first half does not forget."""
    models = {}
    for c in range(CONCEPTS):
        prior, learn, guess, slip, forget = draw.uniform(
            [0.02, 0.01, 0.02, 0.02, 0.005], [0.9, 0.5, 0.45, 0.45, 0.3]
        ).tolist()
        models[f"c{c}"] = BktParameters(
            prior, learn, guess, slip, 0.0 if 2 * c < CONCEPTS else forget
        )
    return models


def simulated(
    draw: np.random.Generator, models: dict[str, BktParameters], learners: int, answers: int
) -> list[tuple[str, int, int, int]]:
    """Draw rows of concept, learner, place and score, learner by learner."""
    rows = []
    for name, model in models.items():
        for learner in range(learners):
            known = draw.random() < model.prior
            for k in range(answers):
                right = draw.random() < (1.0 - model.slip if known else model.guess)
                rows.append((name, learner, k, int(right)))
                chance = draw.random()
                known = chance >= model.forget if known else chance < model.learn
    return rows


def ours(models: dict[str, BktParameters], rows: list[tuple[str, int, int, int]]) -> Floats:
    parameters = Parameters(concepts={n: ConceptParameters(m) for n, m in models.items()})
    learners: dict[tuple[str, int], Learner] = {}
    predictions = []
    for name, learner, k, score in rows:
        response = Response(f"{k:05}", None, "x", (name,), "s", float(score), k)
        state = learners.setdefault((name, learner), Learner())
        predictions.append(apply(state, response, parameters).probability_correct)
    return np.array(predictions)


def pybkts(
    python: str, models: dict[str, BktParameters], rows: list[tuple[str, int, int, int]]
) -> Floats:
    given: dict[str, Any] = {
        "rows": rows,
        "parameters": {n: [m.prior, m.learn, m.guess, m.slip, m.forget] for n, m in models.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "asked.json", Path(folder) / "told.json"
        asked.write_text(json.dumps(given))
        subprocess.run([python, "-c", _PYBKT, str(asked), str(answer)], check=True)
        return np.array(json.loads(answer.read_text()))


def exact_error(
    models: dict[str, BktParameters], rows: list[tuple[str, int, int, int]], predictions: Floats
) -> float:
    """Return the largest distance from exact predictions."""
    worst, known = Fraction(0), Fraction(0)
    for (name, learner, k, score), prediction in zip(rows, predictions.tolist(), strict=True):
        if learner >= EXACT:
            continue
        model = models[name]
        slip, guess = Fraction(model.slip), Fraction(model.guess)
        if k == 0:
            known = Fraction(model.prior)
        right = known * (1 - slip) + (1 - known) * guess
        worst = max(worst, abs(Fraction(prediction) - right))
        known = known * (1 - slip) / right if score else known * slip / (1 - right)
        known = known * (1 - Fraction(model.forget)) + (1 - known) * Fraction(model.learn)
    return float(worst)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("python", help="interpreter that has pyBKT")
    parser.add_argument("--learners", type=int, default=40)
    parser.add_argument("--answers", type=int, default=40)
    given = parser.parse_args()
    draw = np.random.default_rng(3)
    models = drawn(draw)
    rows = simulated(draw, models, given.learners, given.answers)
    engine, pybkt = ours(models, rows), pybkts(given.python, models, rows)
    apart = float(np.abs(engine - pybkt).max())
    print(f"{len(rows):,} predictions of {CONCEPTS} concepts under the same parameters")
    print(f"  engine and pyBKT: at most {apart:.1e} apart")
    print(f"  engine and exact: at most {exact_error(models, rows, engine):.1e} apart")
    print(f"  pyBKT and exact:  at most {exact_error(models, rows, pybkt):.1e} apart")
    if apart > 1e-12:
        raise SystemExit("they differ by more than 1e-12")


if __name__ == "__main__":
    main()
