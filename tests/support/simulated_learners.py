"""Simulate learners with known or unknown concepts and different abilities on various items."""

import numpy as np

from tests.support.factories import answer
from workers.estimation.learner import Response


def simulated(
    learners: int, seed: int = 0, *, concepts: int = 2, most: int = 24, several: bool = False
) -> list[list[Response]]:
    draw = np.random.default_rng(seed)
    difficulty = draw.normal(0.0, 1.0, (concepts, 6))
    logs = []
    for _ in range(learners):
        theta = draw.normal()
        known = draw.random(concepts) < 1.0 / (1.0 + np.exp(-theta))
        log = []
        for k in range(int(draw.integers(1, most + 1))):
            concept, item = int(draw.integers(concepts)), int(draw.integers(6))
            x = theta - difficulty[concept, item] + (1.2 if known[concept] else -0.8)
            right = draw.random() < 1.0 / (1.0 + np.exp(-x))
            names = [f"c{concept}"]
            if several and item == 0 and concepts > 1:
                names.append(f"c{(concept + 1) % concepts}")
            log.append(answer(k, score=float(right), concepts=names, item=f"q{concept}-{item}"))
            known[concept] |= draw.random() < 0.15
        logs.append(log)
    return logs
