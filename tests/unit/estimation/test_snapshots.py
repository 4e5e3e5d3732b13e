"""Snapshots: few of them, and one close before every answer that may be late."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from workers.estimation.learner import Learner, Position
from workers.estimation.snapshots import EVERY, Snapshot, SnapshotTaker, crosses, thinned


def snapshot(responses: int) -> Snapshot:
    return Snapshot(Position(responses, "r"), responses, {}, {})


def test_given_an_interval_ends_between_when_asked_then_it_crosses() -> None:
    assert crosses(EVERY - 1, EVERY)
    assert crosses(0, 5 * EVERY)
    assert not crosses(EVERY, 2 * EVERY - 1)


@given(st.integers(1, 3_000))
def test_given_every_interval_taken_when_thinned_then_few_stay_and_near(intervals: int) -> None:
    taken: list[Snapshot] = []
    for number in range(1, intervals + 1):
        taken = thinned([*taken, snapshot(number * EVERY)], number * EVERY)
    assert len(taken) <= 8 * intervals.bit_length()
    places = [0, *(one.responses for one in taken), intervals * EVERY]
    for earlier, later in pairwise(places):
        distance = intervals * EVERY - later
        assert later - earlier <= 2 * EVERY + distance


def test_given_a_replay_then_snapshots_stand_at_whole_intervals() -> None:
    taker = SnapshotTaker(EVERY - 2)
    learner = Learner()
    for number in range(2 * EVERY):
        learner.last = Position(number, "r")
        taker.note(learner)
    assert [one.responses for one in taker.taken()] == [EVERY, 2 * EVERY]
    assert [one.position.answered_at_us for one in taker.taken()] == [1, EVERY + 1]
