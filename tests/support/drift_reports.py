"""Make responses with predictions, for the tests of drift detection."""

import random
from collections.abc import Sequence

from tests.support.factories import answer
from workers.estimation.ability import AbilityEstimate
from workers.estimation.learner import AbilityOutcome, ConceptOutcome, Outcome, Response

_RESPONSE = answer(1)


def told(
    probability: float,
    score: float,
    concepts: Sequence[str] = ("c",),
    attempts: int = 1,
    version: int = 1,
) -> tuple[Response, Outcome]:
    """Make a response, and an outcome that predicted it."""
    changes = tuple(
        ConceptOutcome(name, 0.5, 0.4, False, "none", attempts, probability, 0) for name in concepts
    )
    ability = AbilityOutcome(AbilityEstimate(0.0, 1.0), 0.0)
    response = _RESPONSE._replace(concept_ids=tuple(concepts), score=score)
    return response, Outcome(changes, ability, None, version, probability)


def stream(
    count: int, seed: int, concepts: int = 3, shift: float = 0.0, version: int = 1
) -> list[tuple[Response, Outcome]]:
    """Make responses that follow their predictions except for the shift."""
    draw = random.Random(seed)
    reports = []
    for _ in range(count):
        probability = draw.uniform(0.15, 0.85)
        score = float(draw.random() < probability + shift)
        names = draw.sample(
            [f"c{k}" for k in range(concepts)], draw.choice((1, 1, min(2, concepts)))
        )
        reports.append(told(probability, score, names, draw.choice((1, 3, 8, 15, 30, 80)), version))
    return reports
