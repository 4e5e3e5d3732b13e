"""The documents of an outcome have the fields of the mastery event, each in one place."""

from contracts.mastery import Ability, MasteryData, SessionCounts
from tests.support.factories import answer
from workers.estimation.ability import AbilityEstimate
from workers.estimation.learner import (
    AbilityOutcome,
    ConceptOutcome,
    Outcome,
    ScaleOutcome,
    SessionState,
)
from workers.ledger.outcomes import concept_document, outcome_document, response_document

ABILITY = AbilityOutcome(AbilityEstimate(0.5, 0.25), 0.25, -1.5)
CONCEPT = ConceptOutcome(
    concept_id="c",
    mastery=0.75,
    previous_mastery=0.5,
    mastered=False,
    transition="none",
    attempts=2,
    probability_correct=0.625,
    last_answered_at_us=1_000_000,
    interval=(0.5, 0.875),
    ability=ScaleOutcome("verbal", ABILITY),
)


def test_given_all_is_known_then_every_field_is_one_of_the_event() -> None:
    response = answer(1)
    outcome = Outcome((CONCEPT,), ABILITY, SessionState(3, 2, 0, 9), 1, 0.6)

    document = outcome_document(response, outcome)
    (concept,) = document["concepts"]

    assert {*concept, *response_document(response)} <= MasteryData.model_fields.keys()
    assert document["ability"].keys() <= Ability.model_fields.keys()
    assert document["session"].keys() == SessionCounts.model_fields.keys()
    assert concept["ability"]["scale"] == "verbal"
    assert concept["mastery_interval"] == {"low": 0.5, "high": 0.875}
    assert concept["last_answered_at"] == "1970-01-01T00:00:01.000000Z"


def test_given_unknown_values_then_their_fields_are_left_out() -> None:
    document = concept_document(CONCEPT._replace(interval=None, ability=None))

    assert document.keys().isdisjoint({"mastery_interval", "ability"})
