"""What the engine predicts of a log, answer by answer."""

from collections.abc import Sequence

from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters


def predict(log: Sequence[Response], parameters: Parameters) -> list[tuple[Response, float, int]]:
    """Stream one learner's answers through the engine.

    Returns:
        Each answer, its expected score before it, and its number on the concept it names first.
    """
    learner = Learner(parameters_version=parameters.version)
    told = []
    for response in log:
        expected = apply(learner, response, parameters).probability_correct
        told.append((response, expected, learner.concepts[response.concept_ids[0]].attempts))
    return told
