import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.mastery import MasteryData
from tests.support.factories import START
from tests.support.graph_events import DictGraph, histories, mastery_data
from workers.graph.changes import (
    AbilityChange,
    AttendanceChange,
    MasteryChange,
    PractisedChange,
    changes_of,
    newest,
)


def test_given_an_event_then_its_changes_include_each_relationship() -> None:
    event = mastery_data(version=6)

    assert changes_of([event]) == [
        MasteryChange(
            "school-7",
            "student-42",
            "fractions.add",
            1 / 7,
            6,
            True,
            START + timedelta(seconds=6, microseconds=400_123),
            6,
        ),
        AbilityChange("school-7", "student-42", "math", 6 / 7, 1 / 6, 6),
        AttendanceChange("school-7", "student-42", "s-9", 6, 3, 6),
        PractisedChange("school-7", "s-9", "fractions.add"),
    ]


def test_given_a_response_outside_any_session_then_no_session_changes() -> None:
    changes = changes_of([mastery_data(session_id=None)])

    assert [type(change) for change in changes] == [MasteryChange, AbilityChange]


def test_given_no_events_then_nothing_changes() -> None:
    assert changes_of([]) == []


def test_given_a_late_response_then_the_newest_answer_on_a_concept_counts() -> None:
    newest_answer = START + timedelta(days=3)
    event = mastery_data(answered_at=START, last_answered_at=newest_answer)

    (mastery, *_) = changes_of([event])

    assert isinstance(mastery, MasteryChange)
    assert mastery.answered_at == newest_answer


def test_given_versions_of_one_relationship_then_only_the_newest_stays() -> None:
    events = [mastery_data(version=v) for v in (3, 7, 5)]

    versions = [
        change.version for change in changes_of(events) if not isinstance(change, PractisedChange)
    ]

    assert versions == [7, 7, 7]


def test_given_any_order_of_events_then_the_changes_come_in_one_order() -> None:
    events = [
        mastery_data(student, concept, tenant_id=tenant)
        for tenant in ("t2", "t1")
        for student in ("b", "a")
        for concept in ("y", "x")
    ]
    shuffled = random.Random(7).sample(events, len(events))

    mastery = [c for c in changes_of(shuffled) if isinstance(c, MasteryChange)]

    assert changes_of(shuffled) == changes_of(events)
    assert [c[:3] for c in mastery] == sorted(c[:3] for c in mastery)


@given(histories(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_given_any_order_batches_and_repeats_then_the_graph_is_as_in_order(
    history: list[MasteryData], draw: random.Random, batch: int
) -> None:
    in_order, shuffled = DictGraph(), DictGraph()
    for event in history:
        in_order.apply(changes_of([event]))
    arriving = history + draw.choices(history, k=len(history))
    draw.shuffle(arriving)

    for start in range(0, len(arriving), batch):
        shuffled.apply(changes_of(arriving[start : start + batch]))

    assert shuffled.held == in_order.held


@given(histories())
def test_given_changes_when_the_newest_are_taken_twice_then_none_is_added(
    history: list[MasteryData],
) -> None:
    changes = changes_of(history)

    assert newest(changes) == changes
    assert newest(reversed(changes)) == changes
