"""Each fault at each step of a batch, without chance."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.model.machine import Interleavings
from tests.model.publishing import CHANGES, REFUSED, Answer
from tests.model.strand import Point
from tests.model.world import World
from tests.support.factories import uuid_of

_NOON_US = 1_772_452_800_000_000
steps = pytest.mark.parametrize("step", list(Point))


@pytest.fixture
def scene(world: World) -> Iterator[Interleavings]:
    """A run that a test conducts; drained and audited at its end."""
    conducted = Interleavings(world)
    yield conducted
    conducted.teardown()


def answer(second: int, concepts: str = "a", score: float = 1.0, scale: str = "math") -> Answer:
    """One of the same learner, so many seconds after noon."""
    at = _NOON_US + second * 1_000_000
    return Answer("school-a", "s1", "", "x", "i1", tuple(concepts), scale, score, at)


def finish(scene: Interleavings) -> None:
    """Resume all workers; a worker that knows the learner stands at no load."""
    while scene.held:
        scene.go_on(0, None)


@steps
@pytest.mark.parametrize("how", ["killed", "killed, its request on the way", "given up"])
def test_given_a_worker_ending_at_any_step_then_none_is_lost_or_doubled(
    scene: Interleavings, step: Point, how: str
) -> None:
    scene.publish([answer(1), answer(3, "ab"), answer(2, "bc", 0.25)], delegated=False)
    scene.read("w1", 3, step)
    scene.crash(0, how)


@steps
def test_given_an_entry_claimed_from_a_live_worker_then_each_event_is_once(
    scene: Interleavings, step: Point
) -> None:
    scene.publish([answer(1), answer(2, "ab")], delegated=True)
    scene.read("w1", 2, step)
    scene.claim_from_all("w2", None)
    scene.go_on(0, None)


@steps
@pytest.mark.parametrize("second", [1, 9], ids=["late", "in order"])
def test_given_two_workers_on_one_learner_then_both_answers_count_once(
    scene: Interleavings, step: Point, second: int
) -> None:
    scene.publish([answer(5, "ab"), answer(second, "bc", 0.5)], delegated=False)
    scene.read("w1", 1, step)
    scene.read("w2", 1, None)
    scene.go_on(0, None)


@steps
@pytest.mark.parametrize("surprise", [False, True], ids=["away", "unexpected"])
def test_given_a_failure_at_any_step_then_the_outcome_is_as_without_it(
    scene: Interleavings, step: Point, surprise: bool
) -> None:
    scene.publish([answer(1), answer(3, "ab"), answer(2, "a", 0.0)], delegated=False)
    scene.read("w1", 2, step)
    scene.read("w1", 1, step)
    if surprise:
        scene.something_unexpected(0)
    else:
        scene.server_is_away(0)
    scene.go_on(0, None)


@steps
def test_given_a_handover_during_a_batch_then_the_next_reader_comes_after(
    scene: Interleavings, step: Point
) -> None:
    scene.publish([answer(1), answer(3, "ab"), answer(2, "bc")], delegated=False)
    scene.adjust_leases("w1", None)
    scene.read("w1", 2, step)
    scene.hand_over(0)
    scene.adjust_leases("w2", None)
    assert scene.reading == []
    scene.go_on(0, None)
    scene.adjust_leases("w2", None)
    assert scene.reading == ["w2"]
    scene.read("w2", 2, None)


@steps
@pytest.mark.parametrize("again", [False, True], ids=["lost", "published again"])
def test_given_a_failover_during_a_batch_then_what_survives_counts_once(
    scene: Interleavings, step: Point, again: bool
) -> None:
    scene.publish([answer(1), answer(3, "ab")], delegated=False)
    scene.replica_catches_up()
    scene.publish([answer(2, "bc")], delegated=False)
    scene.adjust_leases("w1", None)
    scene.read("w1", 3, step)
    scene.fail_over(again)
    scene.adjust_leases("w2", None)
    scene.read("w2", 3, None)
    finish(scene)


@steps
@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 3), (3, 0)])
def test_given_another_number_of_shards_then_no_answer_is_lost_or_doubled(
    scene: Interleavings, step: Point, before: int, after: int
) -> None:
    scene.change_the_number_of_shards(before)
    first, *_ = scene.publish([answer(1), answer(3, "ab")], delegated=False).values
    scene.adjust_leases("w1", None)
    scene.read("w1", 2, step)
    scene.change_the_number_of_shards(after)
    scene.publish_again(first, None, delegated=False)
    scene.publish([answer(2, "b", 0.5)], delegated=False)
    scene.adjust_leases("w2", None)
    scene.read("w2", 2, None, which=1)
    finish(scene)


@pytest.mark.parametrize(("before", "after"), [(0, 2), (2, 0), (3, 2)])
def test_given_unread_answers_of_old_shards_then_leases_find_them(
    scene: Interleavings, before: int, after: int
) -> None:
    scene.choose_the_end(finishing=True, by_leases=True)
    scene.change_the_number_of_shards(before)
    learners = [replace(answer(n), student_id=f"s{n}") for n in range(6)]
    scene.publish(learners, delegated=False)
    scene.change_the_number_of_shards(after)


def test_given_a_batch_held_before_its_script_then_none_overtakes_it(
    scene: Interleavings,
) -> None:
    scene.publish([answer(1), answer(2)], delegated=False)
    scene.read("w1", 1, Point.PUBLISH)
    scene.read("w1", 1, None)


@pytest.mark.parametrize("how", sorted(REFUSED))
def test_given_an_entry_refused_for_itself_then_it_alone_is_rejected(
    scene: Interleavings, how: str
) -> None:
    (entry,) = scene.publish([answer(1)], delegated=False).values
    scene.publish_what_is_refused(entry, how)
    scene.publish_what_is_refused(replace(entry, response_id=uuid_of("never applied")), how)
    scene.read("w1", 3, None)


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_given_a_known_id_with_other_content_then_the_first_commit_decides(
    scene: Interleavings, change: str
) -> None:
    (entry,) = scene.publish([answer(1, "ab")], delegated=False).values
    scene.publish_again(entry, change, delegated=False)
    scene.publish_again(entry, None, delegated=True)
    scene.read("w1", 1, Point.COMMIT)
    scene.read("w2", 2, None)
    scene.go_on(0, None)


@steps
def test_given_new_parameters_when_next_seen_then_the_whole_state_is_new(
    scene: Interleavings, step: Point
) -> None:
    scene.publish([answer(1, "ab"), answer(2, "c", 0.0, "verbal")], delegated=False)
    scene.read("w1", 2, None)
    scene.publish([answer(3)], delegated=False)
    scene.read("w1", 1, step)  # still under the old ones, as is its request on the way
    scene.new_parameters()
    scene.publish([answer(4, "b", 0.5)], delegated=False)
    scene.read("w2", 1, None)
    finish(scene)


@steps
def test_given_parameters_back_and_forth_then_no_row_is_half_of_each(
    scene: Interleavings, step: Point
) -> None:
    scene.publish([answer(1, "ab"), answer(2, "c", 0.0, "verbal")], delegated=False)
    scene.read("w1", 2, None)
    scene.new_parameters()
    scene.publish([answer(3), answer(4, "b", 0.5)], delegated=False)
    scene.read("w1", 1, step)
    scene.read("w2", 1, step)
    scene.new_parameters(1)
    finish(scene)


def test_given_new_parameters_and_mixed_learners_then_each_row_is_right(
    scene: Interleavings,
) -> None:
    (first,) = scene.publish([answer(5, "ab")], delegated=False).values
    scene.publish_again(first, "student of another tenant", delegated=False)
    scene.read("w1", 2, None)
    scene.new_parameters()
    scene.publish([answer(1, "b")], delegated=False)
    scene.publish_again(first, "another student", delegated=False)
    scene.publish([answer(8, "c")], delegated=False)
    scene.read("w2", 3, None)


def test_given_a_failure_behind_a_commit_then_the_next_does_not_overtake(
    scene: Interleavings,
) -> None:
    scene.publish([answer(1)], delegated=False)
    scene.read("w2", 1, None, dies=True)
    scene.publish([answer(2)], delegated=False)
    scene.read("w1", 1, Point.COMMITTED)
    scene.claim_from_all("w1", None)
    scene.something_unexpected(0)


def test_given_a_failure_behind_a_commit_then_the_learner_order_is_kept(
    scene: Interleavings,
) -> None:
    scene.publish([answer(2), answer(1)], delegated=False)
    scene.read("w1", 2, Point.COMMITTED)
    scene.something_unexpected(0)
