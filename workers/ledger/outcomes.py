"""The data of a mastery event: each of its fields is written here and nowhere else.

The log stores the outcome of each response in this form. Events of a response are made from its
stored outcome; events of a correction, a rebuild or a current row are made with the same functions.
A field that is unknown is left out.
"""

from typing import Any, Protocol

from workers.common.times import iso
from workers.estimation.learner import (
    AbilityOutcome,
    ConceptOutcome,
    Outcome,
    Response,
)

Document = dict[str, Any]


def outcome_document(response: Response, outcome: Outcome) -> Document:
    """Write the outcome of a response, with one item per concept."""
    return {
        "concepts": [concept_document(concept) for concept in outcome.concepts],
        "ability": ability_document(response.scale, outcome.ability),
        "session": None if outcome.session is None else session_document(outcome.session),
        "parameters_version": outcome.parameters_version,
        "probability_correct": outcome.probability_correct,
    }


def concept_document(concept: ConceptOutcome) -> Document:
    """Write the fields of a concept.

    A concept that carries the ability of another scale than the response's has an `ability` of its
    own.
    """
    document: Document = {
        "concept_id": concept.concept_id,
        "mastery": concept.mastery,
        "previous_mastery": concept.previous_mastery,
        "mastered": concept.mastered,
        "transition": concept.transition,
        "attempts": concept.attempts,
        "probability_correct": concept.probability_correct,
        "last_answered_at": iso(concept.last_answered_at_us),
    }
    if concept.interval is not None:
        low, high = concept.interval
        document["mastery_interval"] = {"low": low, "high": high}
    if concept.ability is not None:
        document["ability"] = ability_document(concept.ability.scale, concept.ability.ability)
    return document


def ability_document(scale: str, ability: AbilityOutcome) -> Document:
    """Write the ability on a scale."""
    document: Document = {
        "scale": scale,
        "theta": ability.estimate.theta,
        "standard_error": ability.estimate.standard_error,
        "previous_theta": ability.previous_theta,
    }
    if ability.person_fit is not None:
        document["person_fit"] = ability.person_fit
    return document


class SessionCounts(Protocol):
    """Counts of a session's answers."""

    @property
    def responses(self) -> int:
        """Number of answers."""
        ...

    @property
    def correct(self) -> int:
        """Number of answers with a score of 0.5 or more."""
        ...


def session_document(session: SessionCounts) -> Document:
    """Write the counts of a session."""
    return {"responses": session.responses, "correct": session.correct}


def response_document(response: Response) -> Document:
    """Write the fields of the response that an event names."""
    return {
        "response_id": response.response_id,
        "item_id": response.item_id,
        "correct": response.correct,
        "score": response.score,
        "answered_at": iso(response.answered_at_us),
    }
