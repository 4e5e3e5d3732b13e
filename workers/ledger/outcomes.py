"""The stored form of an outcome: what the events about a response are made from, for ever."""

from typing import Any

from workers.estimation.learner import Outcome, Response
from workers.moments import iso


def outcome_document(response: Response, outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON: named as in `practice.mastery.changed.v1`, one item per concept."""
    estimate, previous_theta = outcome.ability
    return {
        "concepts": [
            {
                "concept_id": change.concept_id,
                "mastery": change.mastery,
                "previous_mastery": change.previous_mastery,
                "mastered": change.mastered,
                "transition": change.transition,
                "attempts": change.attempts,
                "probability_correct": change.probability_correct,
                "last_answered_at": iso(change.last_answered_at_us),
            }
            for change in outcome.concepts
        ],
        "ability": {
            "scale": response.scale,
            "theta": estimate.theta,
            "standard_error": estimate.standard_error,
            "previous_theta": previous_theta,
        },
        "session": None
        if outcome.session is None
        else {"responses": outcome.session.responses, "correct": outcome.session.correct},
        "parameters_version": outcome.parameters_version,
    }
