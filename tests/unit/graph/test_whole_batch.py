"""A whole batch as one row: nodes once and sorted, relationships by the places of their nodes."""

from datetime import datetime
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.graph_events import mastery_data
from workers.common.times import from_us
from workers.graph.changes import MasteryChange, changes_of
from workers.graph.statements import statement
from workers.graph.whole_batch import whole_batch


def _batch(*events: Any) -> dict[str, Any]:
    ((text, (batch,)),) = whole_batch(changes_of(events))
    assert text == statement("merge_all")
    return batch


def test_given_no_changes_then_there_is_no_statement() -> None:
    assert whole_batch([]) == []


def test_given_ids_that_recur_then_each_node_has_one_row_in_order() -> None:
    batch = _batch(
        *(
            mastery_data(student, concept, tenant_id=tenant)
            for tenant in ("t2", "t1")
            for student in ("b", "a")
            for concept in ("x", "b")
        )
    )

    nodes = [[0, "t1", "a"], [1, "t1", "b"], [2, "t2", "a"], [3, "t2", "b"]]
    assert batch["students"] == nodes
    assert batch["concepts"] == [[0, "t1", "b"], [1, "t1", "x"], [2, "t2", "b"], [3, "t2", "x"]]
    assert batch["scales"] == [[0, "t1", "math"], [1, "t2", "math"]]
    assert batch["sessions"] == [[0, "t1", "s-9"], [1, "t2", "s-9"]]
    assert [row[:2] for row in batch["mastery"]] == [
        [0, 0], [0, 1], [1, 0], [1, 1], [2, 2], [2, 3], [3, 2], [3, 3],
    ]  # fmt: skip
    assert [row[:2] for row in batch["ability"]] == [[0, 0], [1, 0], [2, 1], [3, 1]]
    assert [row[:2] for row in batch["attendance"]] == [[0, 0], [1, 0], [2, 1], [3, 1]]
    assert batch["practised"] == [[0, 0], [0, 1], [1, 2], [1, 3]]


def test_given_several_versions_then_the_newest_has_the_only_row() -> None:
    batch = _batch(*(mastery_data(version=version) for version in (2, 9, 4)))

    newest = mastery_data(version=9)
    (mastery,), (ability,), (attendance,) = (
        batch[name] for name in ("mastery", "ability", "attendance")
    )
    assert mastery[2:5] == [newest.mastery, newest.attempts, newest.mastered]
    assert ability[2:] == [newest.ability.theta, newest.ability.standard_error, 9]
    assert newest.session is not None
    assert attendance[2:] == [newest.session.responses, newest.session.correct, 9]
    assert mastery[-1] == 9


def test_given_no_session_then_its_lists_are_empty() -> None:
    batch = _batch(mastery_data(session_id=None))

    assert [batch[name] for name in ("sessions", "attendance", "practised")] == [[], [], []]
    assert len(batch["mastery"]) == 1


@given(st.integers(0, 250_000_000_000_000_000).map(from_us))
@example(from_us(-1))
def test_given_any_time_then_seconds_and_nanoseconds_are_exact(moment: datetime) -> None:
    ((_, (batch,)),) = whole_batch([MasteryChange("t", "s", "c", 0.5, 1, False, moment, 1)])

    ((_, _, _, _, _, seconds, nanoseconds, _),) = batch["mastery"]
    assert 0 <= nanoseconds < 10**9
    assert from_us(seconds * 10**6 + nanoseconds // 1_000) == moment
    assert nanoseconds % 1_000 == 0
