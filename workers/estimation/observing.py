"""Apply one new answer and note the states before and after it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from workers.estimation.ability import AbilityState
from workers.estimation.answering import (
    Prediction,
    apply,
    unseen,
    unseen_ability,
)
from workers.estimation.learner import ConceptState, Learner, Response, SessionState
from workers.estimation.parameters import Parameters


class ConceptChange(NamedTuple):
    """States of a concept before and after an answer."""

    concept_id: str
    before: ConceptState
    after: ConceptState
    expected: float
    """Score that the concept alone predicts for the answer, in [0, 1]."""


class ScaleChange(NamedTuple):
    """Ability on a scale that is not the answer's, before and after it."""

    scale: str
    concept_id: str | None
    """Concept whose event carries the ability; None if no concept is left."""
    before: AbilityState
    after: AbilityState


@dataclass(slots=True)
class AppliedAnswer:
    """States before and after a new answer.

    Args:
        before: states of the answer's concepts before it, in the answer's order.
        after: states of the same concepts after it.
        ability_before: ability on the answer's scale before it.
        ability_after: the same ability after it.
        session: the answer's session after it; None without a session.
        prediction: expected scores before the answer was seen.
        others: changed concepts that are not in the answer.
        scales: changed abilities of other scales.
    """

    before: list[ConceptState]
    after: list[ConceptState]
    ability_before: AbilityState
    ability_after: AbilityState
    session: SessionState | None
    prediction: Prediction
    others: list[ConceptChange] = field(default_factory=list)
    scales: list[ScaleChange] = field(default_factory=list)


def apply_observed(learner: Learner, response: Response, parameters: Parameters) -> AppliedAnswer:
    """Apply an answer to a learner, in place, and keep the states around it."""
    prediction = apply(learner, response, parameters)
    return AppliedAnswer(
        prediction.before,
        [learner.concepts[concept_id] for concept_id in response.concept_ids],
        prediction.ability,
        learner.abilities[response.scale],
        None if response.session_id is None else learner.sessions[response.session_id],
        prediction,
    )


def states_of(learner: Learner, response: Response, parameters: Parameters) -> list[ConceptState]:
    """Return the states of a response's concepts, unseen ones at their prior."""
    return [
        learner.concepts.get(concept_id) or unseen(concept_id, parameters)
        for concept_id in response.concept_ids
    ]


def ability_of(learner: Learner, scale: str, parameters: Parameters) -> AbilityState:
    """Return the ability on a scale, its prior before the first answer."""
    return learner.abilities.get(scale) or unseen_ability(scale, parameters)
