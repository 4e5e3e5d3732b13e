"""Filters: what they take, and the range of entry ids that they read."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.rejections import RejectionCode
from tests.support.dead_letters import letter
from tests.support.factories import START
from workers.operations.dead_letters.selection import Selection

START_MS = int(START.timestamp() * 1000)


@pytest.mark.parametrize(
    ("selection", "taken"),
    [
        (Selection(), True),
        (Selection.of(codes=frozenset({RejectionCode.CONFLICT, RejectionCode.POISON})), True),
        (Selection.of(codes=frozenset({RejectionCode.POISON})), False),
        (Selection.of(tenant_id="school-7", student_id="student-42"), True),
        (Selection.of(tenant_id="school-8"), False),
        (Selection.of(student_id="student-4"), False),
    ],
)
def test_given_a_filter_then_it_takes_what_it_names(selection: Selection, taken: bool) -> None:
    assert selection.takes(letter()) is taken


def test_given_a_letter_that_says_nothing_then_only_a_time_filter_takes_it() -> None:
    silent = letter(b"?")
    assert Selection.of(since=START).takes(silent)
    assert not Selection.of(tenant_id="default").takes(silent)


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        (None, None, "-", "+"),
        (START, None, f"{START_MS}-0", "+"),
        (None, START, "-", f"{START_MS - 1}"),
        (START + timedelta(microseconds=1), None, f"{START_MS + 1}-0", "+"),
        (None, START + timedelta(microseconds=1), "-", f"{START_MS}"),
        (None, datetime(1960, 1, 1, tzinfo=UTC), "-", None),
        (datetime(1960, 1, 1, tzinfo=UTC), None, "0-0", "+"),
    ],
)
def test_given_times_then_since_is_within_and_until_is_not(
    since: datetime | None, until: datetime | None, first: str, last: str | None
) -> None:
    selection = Selection.of(since=since, until=until)
    assert (selection.first, selection.last) == (first, last)


def test_given_any_filter_then_it_is_not_everything() -> None:
    assert Selection().everything
    assert not Selection.of(since=START).everything
    assert not Selection.of(student_id="s").everything
