"""Predict a learner's log answer by answer, as the engine does."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters
from workers.estimation.uncertainty import log_odds

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class PredictedLog(NamedTuple):
    """Predictions and mastery of one learner's n answers."""

    expected: Floats
    """Expected score of each answer before it was seen, in [0, 1]; shape (n,)."""
    attempts: Ints
    """Number of each answer among those on its first concept, from 1; shape (n,)."""
    log_odds: Floats
    """Log-odds of mastery after each answer, natural logarithm: one entry per answer and concept,
    concepts in the answer's order. Mastery itself rounds to 1 where log-odds still differ."""


def predict_log(log: Sequence[Response], parameters: Parameters) -> PredictedLog:
    """Run one learner's answers through the engine.

    Args:
        log: answers in the learner's order.
        parameters: parameters of the states.
    """
    learner = Learner(parameters_version=parameters.version)
    expected: list[float] = []
    attempts: list[int] = []
    mastery: list[float] = []
    for response in log:
        expected.append(apply(learner, response, parameters).probability_correct)
        states = [learner.concepts[concept_id] for concept_id in response.concept_ids]
        attempts.append(states[0].attempts)
        mastery += map(log_odds, states)
    return PredictedLog(
        np.array(expected, dtype=np.float64),
        np.array(attempts, dtype=np.int64),
        np.array(mastery, dtype=np.float64),
    )
