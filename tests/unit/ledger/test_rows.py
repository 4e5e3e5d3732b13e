"""Rows give back the states they were made of."""

import pytest

from workers.estimation.ability import AbilityEstimate, AbilityState
from workers.estimation.learner import ConceptState, SessionState
from workers.ledger.rows import AbilityRow, ConceptRow, SessionRow

CONCEPTS = [
    ConceptState(0.75, -3, 2, 5),
    ConceptState(0.75, 4, 2, 5, 0.25, 0.5, (1.0, -2.0), 0.125, -0.375),
]


@pytest.mark.parametrize("state", CONCEPTS)
@pytest.mark.parametrize("interval", [None, (0.25, 0.5)])
def test_given_a_concept_then_its_row_has_state_and_interval(
    state: ConceptState, interval: tuple[float, float] | None
) -> None:
    row = ConceptRow.of(
        "c", state, mastery=0.5, mastered=True, interval=interval, version=7, parameters_version=3
    )

    assert (row.state, row.interval) == (state, interval)
    assert (row.concept_id, row.mastery, row.mastered) == ("c", 0.5, True)
    assert (row.version, row.parameters_version) == (7, 3)


@pytest.mark.parametrize(
    "state", [AbilityState(3, 2.5), AbilityState(3, 2.5, 0.625, 0.25, -1.5, 2.0)]
)
def test_given_an_ability_then_its_row_has_the_state(state: AbilityState) -> None:
    estimate = AbilityEstimate(0.625, 0.5)

    row = AbilityRow.of("math", state, estimate, version=7, parameters_version=3)

    assert row.state == state
    assert (row.theta, row.standard_error) == estimate
    assert (row.scale, row.version, row.parameters_version) == ("math", 7, 3)


def test_given_a_session_then_its_row_has_the_state() -> None:
    state = SessionState(3, 2, 10, 20)

    row = SessionRow.of("s", state, version=7)

    assert row.state == state
    assert (row.session_id, row.version) == ("s", 7)
