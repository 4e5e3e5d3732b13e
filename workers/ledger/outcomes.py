"""The stored form of an outcome: what the events about a response are made from, for ever."""

from typing import Any

from workers.common.times import iso
from workers.estimation.learner import AbilityOutcome, ConceptOutcome, Outcome, Response


def outcome_document(response: Response, outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON: named as in `practice.mastery.changed.v1`, one item per concept.

    What is not known is left out. A concept that tells of another scale than the response's has an
    `ability` of its own.
    """
    return {
        "concepts": [_of_concept(change) for change in outcome.concepts],
        "ability": ability_document(response.scale, outcome.ability),
        "session": None
        if outcome.session is None
        else {"responses": outcome.session.responses, "correct": outcome.session.correct},
        "parameters_version": outcome.parameters_version,
        "probability_correct": outcome.probability_correct,
    }


def ability_document(scale: str, ability: AbilityOutcome) -> dict[str, Any]:
    """What was made of the ability on a scale, as events say it."""
    document: dict[str, Any] = {
        "scale": scale,
        "theta": ability.estimate.theta,
        "standard_error": ability.estimate.standard_error,
        "previous_theta": ability.previous_theta,
    }
    if ability.person_fit is not None:
        document["person_fit"] = ability.person_fit
    return document


def interval_document(interval: tuple[float, float]) -> dict[str, float]:
    """An interval as events say it."""
    low, high = interval
    return {"low": low, "high": high}


def _of_concept(change: ConceptOutcome) -> dict[str, Any]:
    document: dict[str, Any] = {
        "concept_id": change.concept_id,
        "mastery": change.mastery,
        "previous_mastery": change.previous_mastery,
        "mastered": change.mastered,
        "transition": change.transition,
        "attempts": change.attempts,
        "probability_correct": change.probability_correct,
        "last_answered_at": iso(change.last_answered_at_us),
    }
    if change.interval is not None:
        document["mastery_interval"] = interval_document(change.interval)
    if change.ability is not None:
        document["ability"] = ability_document(change.ability.scale, change.ability.ability)
    return document
