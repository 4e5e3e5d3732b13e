"""Fit of concepts and items on held-out learners."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workers.modelling.calibration.facts import Facts
from workers.modelling.calibration.table import Floats, Ints
from workers.modelling.judging.predicted import Predicted, log_losses


@dataclass(frozen=True)
class Fit:
    """Fit of the answers on one concept or item.

    Args:
        answers: number of answers.
        infit: squared errors over expected squared errors: 1 for right predictions, above 1 for
            noisier answers. Source: Wright & Masters (1982), "Rating scale analysis".
        residual: mean of score minus prediction, in [-1, 1].
        log_loss: mean over answers, nats.
    """

    answers: int
    infit: float
    residual: float
    log_loss: float


def fit_of_items(facts: Facts, predicted: Predicted) -> dict[str, Fit]:
    """Compute the fit of each item that held-out learners answered, under the new parameters."""
    return _fits(facts.items, predicted.item, predicted.score, predicted.new)


def fit_of_concepts(facts: Facts, predicted: Predicted) -> dict[str, Fit]:
    """Compute the fit of each concept; an answer counts for each of its concepts."""
    of = predicted.linked_answer
    return _fits(facts.concepts, predicted.linked_concept, predicted.score[of], predicted.new[of])


def _fits(names: Sequence[str], of: Ints, score: Floats, expected: Floats) -> dict[str, Fit]:
    count = np.bincount(of, minlength=len(names))
    left = score - expected
    squares = np.bincount(of, left * left, len(names))
    variance = np.bincount(of, expected * (1.0 - expected), len(names))
    residual = np.bincount(of, left, len(names))
    loss = np.bincount(of, log_losses(score, expected), len(names))
    return {
        names[at]: Fit(
            int(count[at]),
            float(squares[at] / variance[at]),
            float(residual[at] / count[at]),
            float(loss[at] / count[at]),
        )
        for at in np.flatnonzero(count).tolist()
    }
