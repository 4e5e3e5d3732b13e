"""The outcome of a concept follows from its state and its mastery before."""

import pytest

from workers.estimation.answering import unseen
from workers.estimation.outcomes import concept_outcome
from workers.estimation.parameters import Parameters


@pytest.mark.parametrize(
    ("threshold", "before", "transition", "mastered"),
    [
        (0.2, 0.1, "mastered", True),
        (0.2, 0.2, "none", True),
        (0.3, 0.3, "lapsed", False),
        (0.3, 0.29, "none", False),
    ],
)
def test_given_mastery_before_then_the_threshold_decides_the_transition(
    threshold: float, before: float, transition: str, *, mastered: bool
) -> None:
    parameters = Parameters(mastery_threshold=threshold)
    state = unseen("c", parameters)._replace(attempts=3, answered_at_us=5)

    outcome = concept_outcome(
        "c", state, parameters, previous_mastery=before, probability_correct=0.4
    )

    assert (outcome.transition, outcome.mastered) == (transition, mastered)
    assert (outcome.mastery, outcome.previous_mastery) == (state.mastery, before)
    assert (outcome.attempts, outcome.last_answered_at_us) == (3, 5)
    assert outcome.probability_correct == 0.4
    assert outcome.interval is None
