"""Measure how well mastery detects knowing: AUC against the hidden state of simulated learners.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.hidden_state [--repeats N] [--learners N]``.

Simulated classical learners answer on 8 concepts under true parameters, drawn anew for each repeat.
The recipe and `bkt` are fitted to them, and new learners answer. The AUC of mastery before each
answer is compared with the AUC of P(known) under the true parameters, which no estimate from the
answers alone can exceed. The bench ends with 1 if the recipe's AUC differs from the one of `bkt` by
more than .003.
"""

import argparse
from typing import Final

import numpy as np

from bench.intervals import Floats, drawn_truth, simulated, table_of_scores, true_parameters
from workers.estimation.answering import apply, unseen
from workers.estimation.learner import Learner, Response
from workers.estimation.metrics import auc
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.fitting import COMBINED, MODELS

FITTED: Final = (COMBINED, "bkt")
TRUTH: Final = "truth"
ANSWERS: Final = 12
NEW: Final = 200
LIMIT: Final = 0.003


def mastery_before(scores: Floats, parameters: Parameters) -> Floats:
    """Compute mastery before each answer, shape (concepts, learners, answers)."""
    mastery = np.empty_like(scores)
    for c, rows in enumerate(scores.tolist()):
        name = str(c)
        first = unseen(name, parameters)
        for learner_number, row in enumerate(rows):
            learner = Learner()
            for k, score in enumerate(row):
                mastery[c, learner_number, k] = learner.concepts.get(name, first).mastery
                apply(
                    learner,
                    Response(f"{k:05}", None, name, (name,), "s", score, k),
                    parameters,
                )
    return mastery


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--learners", type=int, default=800, help="whose answers are fitted")
    given = parser.parse_args()
    by_model: dict[str, list[float]] = {name: [] for name in (*FITTED, TRUTH)}
    for seed in range(given.repeats):
        draw = np.random.default_rng(seed)
        truth = drawn_truth(draw, forgets=False)
        table = table_of_scores(simulated(draw, truth, given.learners, ANSWERS)[0])
        parameters = {name: MODELS[name](table).parameters for name in FITTED}
        parameters[TRUTH] = true_parameters(truth)
        scores, knew = simulated(draw, truth, NEW, ANSWERS)
        for name, fitted in parameters.items():
            mastery = mastery_before(scores, fitted)
            by_model[name].append(auc(knew.ravel().astype(np.float64), mastery.ravel()))
    for name, areas in by_model.items():
        print(f"{name:8} AUC {np.mean(areas):.4f}")
    apart = max(abs(a - b) for a, b in zip(*(by_model[name] for name in FITTED), strict=True))
    print(f"{' and '.join(FITTED)} are at most {apart:.2g} apart")
    return int(apart > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
