"""The state of a concept is read from columns of this schema and of newer ones."""

import pytest

from workers.estimation.learner import ConceptState
from workers.ledger.sql.calibrated_columns import concept_state


@pytest.mark.parametrize("newer", [(), (None,), (0.5, "text")])
def test_given_columns_of_a_newer_schema_then_they_are_skipped(newer: tuple[object, ...]) -> None:
    state = concept_state(0.75, -3, 2, 5, 0.25, 0.5, [1.0, -2.0], 0.125, "-Infinity", *newer)

    assert state == ConceptState(0.75, -3, 2, 5, 0.25, 0.5, (1.0, -2.0), 0.125, float("-inf"))
