"""Simulate very long practice of one concept: ability, its standard error, and predictions.

Run: ``OMP_NUM_THREADS=1 uv run python -m bench.long_practice FILE [--model NAME] [--right SHARE]``.

The model is fitted to the file's responses. For each concept a new learner then answers it alone,
on an item that the fit never saw, with wrong answers at even intervals: with 90 % right every tenth
answer is wrong. The bench prints, over all concepts, median and extremes of ability, its standard
error, the expected score on a concept never answered, and mastery.

The bench ends with 1 if θ after 1,000 answers is lower than after 20 by more than .5, if the
expected score on a concept never answered is lower by more than .1, or if a figure leaves its
range.
"""

import argparse
import math
from copy import deepcopy
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters
from workers.importing.csv_responses import CsvResponses
from workers.modelling.calibration.fitting import COMBINED, MODELS, fit
from workers.modelling.evaluation.reading import logs_of

Floats = NDArray[np.float64]

AT: Final = (20, 1_000, 10_000, 100_000)
FEW: Final = 5
"""Concepts that are practised for longer than `LONG` answers: each such answer costs as any."""
LONG: Final = 1_000
UNSEEN: Final = "a concept without parameters"
NAMES: Final = ("theta", "error", "unseen", "mastery")
MOST_LOST: Final = (0.5, math.inf, 0.1, math.inf)
SPREAD_US: Final = 60_000_000


def practised(parameters: Parameters, concept: str, right: float, count: int) -> list[Floats]:
    """Compute the figures of `NAMES` after each number of answers of `AT` up to `count`."""
    learner, figures_of_answers = Learner(), []
    done, wrong = 0, 0.0
    for n in range(1, count + 1):
        wrong += 1.0 - right
        score = 0.0 if wrong >= 1.0 - 1e-9 else 1.0
        wrong -= 1.0 - score
        response = Response(f"{n:09}", None, "q", (concept,), "s", score, n * SPREAD_US)
        apply(learner, response, parameters)
        if n == AT[done]:
            state = learner.abilities["s"]
            asked = response._replace(concept_ids=(UNSEEN,), answered_at_us=(n + 1) * SPREAD_US)
            unseen = apply(deepcopy(learner), asked, parameters).probability_correct
            figures = (
                state.mean,
                math.sqrt(state.variance),
                unseen,
                learner.concepts[concept].mastery,
            )
            figures_of_answers.append(np.array(figures))
            done += 1
    return figures_of_answers


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", choices=list(MODELS), default=COMBINED)
    parser.add_argument("--right", type=float, default=0.9)
    parser.add_argument("--most", type=int, choices=AT, default=AT[-1])
    given = parser.parse_args()
    logs = logs_of(CsvResponses(given.file))
    parameters = fit(given.model, list(logs.values())).parameters
    if parameters.any_scale is None:
        raise SystemExit(f"{given.model} has no calibrated ability")
    answers: dict[str, int] = {}
    for log in logs.values():
        for response in log:
            for name in response.concept_ids:
                answers[name] = answers.get(name, 0) + 1
    frequent = sorted(answers, key=lambda name: -answers[name])
    figures: dict[int, list[Floats]] = {n: [] for n in AT}
    for place, name in enumerate(frequent):
        count = given.most if place < FEW else min(given.most, LONG)
        for n, measured in zip(AT, practised(parameters, name, given.right, count), strict=False):
            figures[n].append(measured)
    print(f"{given.model}, {given.right:.0%} right; median (lowest to highest) over concepts")
    for n, of_concepts in figures.items():
        if of_concepts:
            columns = np.array(of_concepts).T
            columns_text = "  ".join(
                f"{name} {np.median(measured):.3f} ({measured.min():.3f} to {measured.max():.3f})"
                for name, measured in zip(NAMES, columns, strict=True)
            )
            print(f"{n:7,} answers, {len(of_concepts):3} concepts: {columns_text}")
    every = np.array([measured for of in figures.values() for measured in of])
    lost = np.array(figures[AT[0]]) - np.array(figures[AT[1]])
    print("lost from 20 to 1,000 answers, most of any concept: ", end="")
    print("  ".join(f"{n} {x:+.3f}" for n, x in zip(NAMES, lost.max(axis=0), strict=True)))
    in_range = (
        np.isfinite(every).all() and (every[:, 1:] >= 0.0).all() and (every[:, 2:] <= 1.0).all()
    )
    return int(not in_range or (lost > MOST_LOST).any())


if __name__ == "__main__":
    raise SystemExit(main())
