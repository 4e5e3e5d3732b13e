"""Predict the answers of a log for comparisons in tests."""

from collections.abc import Sequence

from workers.estimation.learner import Response
from workers.estimation.parameters import Parameters
from workers.estimation.predicting import predict_log


def predict(log: Sequence[Response], parameters: Parameters) -> list[tuple[Response, float, int]]:
    """Stream one learner's answers through the engine, without mastery.

    Returns:
        Each answer, its expected score before it, and its number on its first concept.
    """
    streamed = predict_log(log, parameters)
    return list(zip(log, streamed.expected.tolist(), streamed.attempts.tolist(), strict=True))
