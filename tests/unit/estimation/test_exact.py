"""Predictions against exact rational arithmetic, by the textbook's formulas, step for step."""

import random
from fractions import Fraction

import pytest

from tests.support.factories import answer
from workers.estimation.answering import apply
from workers.estimation.learner import Learner
from workers.estimation.parameters import BktParameters, Parameters


def exact(model: BktParameters, scores: list[int]) -> list[Fraction]:
    """P(correct) before each answer. Source: Corbett & Anderson (1995), equations 1 to 4."""
    known, learn, guess, slip, forget = (
        Fraction(getattr(model, name)) for name in ("prior", "learn", "guess", "slip", "forget")
    )
    predictions = []
    for score in scores:
        right = known * (1 - slip) + (1 - known) * guess
        predictions.append(right)
        posterior = known * (1 - slip) / right if score else known * slip / (1 - right)
        known = posterior * (1 - forget) + (1 - posterior) * learn
    return predictions


@pytest.mark.parametrize("kind", ["mixed", "right", "wrong", "right then wrong"])
@pytest.mark.parametrize(
    "model",
    [
        BktParameters(0.25, 0.1, 0.2, 0.1),
        BktParameters(0.6, 0.02, 0.35, 0.3, 0.05),
        BktParameters(1e-9, 1e-6, 1e-7, 1e-5, 1e-6),
        BktParameters(0.999, 0.9, 0.5, 0.49, 0.8),
    ],
)
def test_given_answers_when_predicted_then_it_is_exact_to_1e_14(
    model: BktParameters, kind: str
) -> None:
    draw = random.Random(7)
    scores = {
        "mixed": [int(draw.random() < 0.6) for _ in range(48)],
        "right": [1] * 48,
        "wrong": [0] * 48,
        "right then wrong": [1] * 24 + [0] * 24,
    }[kind]
    learner, parameters = Learner(), Parameters(default=model)
    for k, (score, expected) in enumerate(zip(scores, exact(model, scores), strict=True)):
        probability = apply(learner, answer(k, score=score), parameters).probability_correct
        assert abs(Fraction(probability) - expected) <= Fraction(1, 10**14)
