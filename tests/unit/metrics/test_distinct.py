"""Counting distinct things."""

import pytest

from workers.metrics.distinct import DistinctCount


@pytest.mark.parametrize("many", [0, 1, 10, 200, 5_000, 20_000, 200_000])
def test_given_distinct_things_when_counted_then_the_count_is_near(many: int) -> None:
    counter = DistinctCount()

    for n in range(many):
        counter.add(("school-7", f"student-{n}"))

    # Five standard errors.
    assert counter.count() == pytest.approx(many, rel=0.04, abs=1)


def test_given_things_again_when_counted_then_nothing_changes() -> None:
    counter = DistinctCount()
    for n in range(1_000):
        counter.add(("school-7", f"student-{n}"))
    before = counter.count()

    for n in [*range(1_000)] * 3:
        counter.add(("school-7", f"student-{n}"))

    assert counter.count() == before
