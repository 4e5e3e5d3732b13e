"""Contract of every ledger: snapshots, and logs that are read in parts."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests.support.factories import answer, learner_log
from tests.support.ledger_steps import PARAMETERS, assert_stored, folded, load, record, stored
from tests.support.repair_steps import VOID
from workers.estimation.learner import LearnerKey, Position, Response
from workers.estimation.replay import replay
from workers.estimation.snapshots import EVERY
from workers.ledger.exchange import Committed, Conflict, Touched
from workers.ledger.protocol import Ledger
from workers.operations.repair.rewriting import rewriting

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEP = 30


async def record_in_steps(ledger: Ledger, key: LearnerKey, log: Sequence[Response]) -> None:
    for start in range(0, len(log), STEP):
        await record(ledger, key, log[start : start + STEP])


async def positions(ledger: Ledger, key: LearnerKey) -> list[Position]:
    return [row.snapshot.position for row in (await stored(ledger, key)).snapshots]


async def test_given_many_answers_when_committed_then_snapshots_stand_on_the_way(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(2 * EVERY + STEP, seed=1)

    await record_in_steps(ledger, key, log)

    learner = await assert_stored(ledger, key, log)
    assert [row.snapshot.responses for row in learner.snapshots] == [4 * STEP, 7 * STEP]
    assert [row.parameters_version for row in learner.snapshots] == [1, 1]


async def test_given_a_late_answer_when_loaded_then_the_log_begins_at_a_snapshot(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(2 * EVERY + STEP, seed=2)
    await record_in_steps(ledger, key, log)
    late = answer(9_000, at=5 * STEP)

    loaded = await load(ledger, key, [late])

    assert loaded.responses == len(log)
    assert loaded.base is not None
    assert loaded.base.position == log[4 * STEP - 1].position
    before = replay(log[: 4 * STEP], PARAMETERS)
    assert loaded.base.concepts == before.concepts
    assert loaded.base.abilities == before.abilities
    assert sorted(loaded.log or (), key=lambda r: r.position) == log[4 * STEP :]
    assert loaded.learner.sessions == {}


async def test_given_a_late_answer_when_committed_then_snapshots_behind_are_new(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(3 * EVERY + STEP, seed=3)
    await record_in_steps(ledger, key, log)
    early, late = await positions(ledger, key), answer(9_000, at=5 * STEP, session="s15")

    await record(ledger, key, [late])

    await assert_stored(ledger, key, [*log, late])
    now = await positions(ledger, key)
    assert now[0] == early[0]
    assert len(now) == len(early)
    assert now[1] == log[2 * EVERY - 2].position


async def test_given_late_answers_again_and_again_then_all_is_a_replay(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(2 * EVERY + 50, seed=4)
    await record_in_steps(ledger, key, log[::2])
    for start in range(1, len(log), 2 * STEP):
        await record(ledger, key, log[start : start + 2 * STEP : 2])
    await assert_stored(ledger, key, log)


async def test_given_logs_over_the_budget_when_loaded_then_some_are_left_out(
    ledger: Ledger, key: LearnerKey
) -> None:
    other = LearnerKey(key.tenant_id, "other")
    log = learner_log(60, seed=5)
    for one in (key, other):
        await record(ledger, one, log)
    late = [answer(9_000, at=-1)]
    touched = [Touched(one, late) for one in (key, other)]

    first, second = await ledger.load(touched, 100)
    (alone,) = await ledger.load(touched[:1], 59)

    assert len(first.log or ()) == 60
    assert second.replay is not None
    assert second.log is None
    assert alone.log is None
    # Enough to begin a replay with pages of the log.
    assert alone.learner.concepts == replay(log, PARAMETERS).concepts


async def test_given_a_log_when_read_in_pages_then_each_answer_comes_once(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(50, seed=6)
    await record(ledger, key, log)
    version = (await stored(ledger, key)).version

    read: list[Response] = []
    page = await ledger.log_page(key, None, 20)
    while True:
        assert page.version == version
        read += page.answers
        if page.last is None:
            break
        page = await ledger.log_page(key, page.last, 20)

    assert read == log
    unknown = await ledger.log_page(LearnerKey(key.tenant_id, "nobody"), None, 20)
    assert unknown == (0, [], None)


async def test_given_a_correction_when_rewritten_then_snapshots_and_pages_follow(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(2 * EVERY + STEP, seed=7)
    await record_in_steps(ledger, key, log)
    rewrite = rewriting(await stored(ledger, key), PARAMETERS, VOID.on(log[EVERY + 5]))
    assert rewrite is not None

    await ledger.rewrite([rewrite])

    counting = [one for one in log if one != log[EVERY + 5]]
    await assert_stored(ledger, key, counting)
    assert await positions(ledger, key) == [counting[n * EVERY - 1].position for n in (1, 2)]
    page = await ledger.log_page(key, log[EVERY].position, 10)
    assert page.answers == [one for one in log[EVERY + 1 : EVERY + 11] if one in counting]
    assert page.last == log[EVERY + 10].position


async def test_given_a_stale_commit_when_refused_then_no_snapshot_changes(
    ledger: Ledger, key: LearnerKey
) -> None:
    log = learner_log(EVERY + STEP, seed=8)
    await record_in_steps(ledger, key, log)
    late = answer(9_000, at=-1)
    stale = folded(key, await load(ledger, key, [late]), [late])
    await record(ledger, key, [answer(9_001)])

    (conflict,) = await ledger.commit([stale])

    assert not isinstance(conflict, Committed)
    await assert_stored(ledger, key, [*log, answer(9_001)])
    assert len(await positions(ledger, key)) == 1


async def test_given_an_erasure_then_no_snapshot_is_left(ledger: Ledger, key: LearnerKey) -> None:
    await record_in_steps(ledger, key, learner_log(EVERY + STEP, seed=9))
    (row,) = await ledger.rows_of(key, "snapshots")
    assert row["responses"] == 4 * STEP

    erased = await ledger.erase(key, 1, refuse=False)

    assert erased.rows["snapshots"] == 1
    assert await ledger.rows_of(key, "snapshots") == []
    assert await positions(ledger, key) == []


async def test_given_a_long_history_then_few_snapshots_are_kept(
    ledger: Ledger, key: LearnerKey
) -> None:
    length = 40
    log = [answer(number) for number in range(length * EVERY)]
    for start in range(0, len(log), EVERY):
        await record(ledger, key, log[start : start + EVERY])

    kept = [row.snapshot.responses // EVERY for row in (await stored(ledger, key)).snapshots]

    assert len(kept) <= 20
    gaps = [(later - earlier, length - later) for earlier, later in pairwise(kept)]
    assert all(gap <= max(1, (distance + 1) / 2) for gap, distance in gaps), gaps


async def test_given_an_unchecked_repeat_then_it_conflicts_and_others_go_on(
    ledger: Ledger, key: LearnerKey
) -> None:
    other = LearnerKey(key.tenant_id, "other")
    log = learner_log(6, seed=11)
    for learner in (key, other):
        await record(ledger, learner, log[:4])
    repeated = folded(key, await load(ledger, key, [log[4]]), [log[4]])
    fresh = folded(other, await load(ledger, other, [log[5]]), [log[5]])
    repeated.folded.responses[0] = log[5]._replace(response_id=log[0].response_id)
    repeated.unchecked = fresh.unchecked = True

    answers = await ledger.commit([repeated, fresh])

    assert [type(answer) for answer in answers] == [Conflict, Committed]
    await assert_stored(ledger, key, log[:4])
    await assert_stored(ledger, other, [*log[:4], log[5]])
