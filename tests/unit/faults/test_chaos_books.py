"""How often each event must be there, after faults that lose or repeat events."""

from collections import Counter
from typing import Any

import pytest

from tests.faults.chaos.books import Books, Event

_EVENT: Event = ("s1", "r1", "c1")
_OTHER: Event = ("s1", "r2", "c1")


def _row(response_id: str) -> dict[str, Any]:
    return {"student_id": "s1", "response_id": response_id, "concept_ids": ["c1"]}


@pytest.fixture
def books() -> Books:
    books = Books()
    books.add([_row("r1"), _row("r2")])
    return books


def test_given_each_event_once_then_nothing_differs(books: Books) -> None:
    assert books.differences(Counter({_EVENT: 1, _OTHER: 1})) == []


@pytest.mark.parametrize("times", [0, 2])
def test_given_an_event_missing_or_doubled_then_it_is_named(books: Books, times: int) -> None:
    (wrong,) = books.differences(Counter({_EVENT: times, _OTHER: 1}))

    assert "r1" in wrong


def test_given_an_event_of_nobody_then_it_is_named(books: Books) -> None:
    (wrong,) = books.differences(Counter({_EVENT: 1, _OTHER: 1, ("s2", "r9", "c1"): 1}))

    assert "r9" in wrong


def test_given_a_loss_then_only_what_was_owned_before_may_be_missing(books: Books) -> None:
    books.note_loss({("s1", "r1"): 10, ("s1", "r2"): 30}, lost_at=20)

    assert books.differences(Counter({_EVENT: 0, _OTHER: 2})) == []
    assert len(books.differences(Counter({_EVENT: 0, _OTHER: 0}))) == 1
    assert len(books.differences(Counter({_EVENT: 3, _OTHER: 1}))) == 1


def test_given_repeats_then_each_may_come_once_more_and_none_is_missing(books: Books) -> None:
    books.note_repeats()

    assert books.differences(Counter({_EVENT: 1, _OTHER: 2})) == []
    assert len(books.differences(Counter({_EVENT: 0, _OTHER: 3}))) == 2


def test_given_settled_events_then_no_later_one_comes_or_goes(books: Books) -> None:
    books.note_repeats()
    books.settle(Counter({_EVENT: 2, _OTHER: 1}))

    assert books.differences(Counter({_EVENT: 2, _OTHER: 1})) == []
    assert len(books.differences(Counter({_EVENT: 1, _OTHER: 2}))) == 2
