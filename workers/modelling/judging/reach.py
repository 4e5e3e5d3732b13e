"""Find concepts on which mastery is out of reach even with only right answers."""

from typing import Final

from workers.estimation.answering import apply
from workers.estimation.learner import Learner, Response
from workers.estimation.parameters import Parameters
from workers.modelling.calibration.ceilings import LOWEST, ceiling, ceilings_of, lowest_of
from workers.modelling.judging.validity import MASTERED

IN_A_ROW: Final = 15
"""Number of right answers in a row that must bring an average new learner to `validity.MASTERED`.
"""
UNSEEN: Final = ""
"""Stands for every concept without own parameters; no concept has an empty id."""

_NAMED: Final = 20


def out_of_reach(parameters: Parameters) -> list[str]:
    """List the concepts on which mastery cannot be reached or kept.

    Returns:
        Ids of the concepts whose ceiling lies below `ceilings.LOWEST`, or that an average new
        learner does not master by `IN_A_ROW` right answers in a row to items without own
        parameters. `UNSEEN` is among them if this holds for concepts without own parameters.
    """
    return [
        concept
        for concept in (*parameters.concepts, UNSEEN)
        if ceiling(parameters.of_concept(concept)) < LOWEST or not _reaches(parameters, concept)
    ]


def lowest_ceiling(parameters: Parameters) -> float:
    """Find the lowest ceiling over all concepts, unseen ones included, in (0, 1]."""
    return lowest_of(ceilings_of(parameters, (*parameters.concepts, UNSEEN)))


def slow_warning(parameters: Parameters, unreachable: list[str]) -> str | None:
    """Warn of concepts with a sufficient ceiling that are mastered too slowly.

    Args:
        parameters: the parameters.
        unreachable: result of `out_of_reach`.

    Returns:
        A sentence with the concepts and a remedy; None if there is no such concept.
    """
    slow = [
        concept
        for concept in unreachable
        if concept != UNSEEN and ceiling(parameters.of_concept(concept)) >= LOWEST
    ]
    if not slow:
        return None
    more = f" and {len(slow) - _NAMED:,} more" if len(slow) > _NAMED else ""
    return (
        f"{IN_A_ROW} right answers in a row of an average new learner do not reach mastery "
        f"{MASTERED} on {', '.join(map(repr, slow[:_NAMED]))}{more}: fit a model of mastery alone, "
        "such as bkt, or look at the items of these concepts"
    )


def _reaches(parameters: Parameters, concept: str) -> bool:
    learner = Learner(parameters_version=parameters.version)
    scale = next(iter(parameters.scales), "default")
    # All answers at the same time, so that nothing decays.
    answer = Response("", None, "", (concept,), scale, 1.0, 0)
    for _ in range(IN_A_ROW):
        apply(learner, answer, parameters)
        if learner.concepts[concept].mastery >= MASTERED:
            return True
    return False
