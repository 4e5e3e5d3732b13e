"""Counts of responses by window: part of the learner's state, the same in every ledger."""

import asyncio

import pytest

from tests.integration.ledger.conftest import OpenLedger
from tests.support.factories import answer
from tests.support.ledger_steps import PARAMETERS, commit_of, folded, load, record, stored
from workers.common.rate_limit import KEPT_WINDOWS, Counts
from workers.estimation.fold import FoldTask, fold
from workers.estimation.learner import LearnerKey, Response
from workers.ledger.exchange import Arrival, Commit, Committed, Conflict, Loaded, Touched
from workers.ledger.protocol import Ledger
from workers.operations.repair.rebuilding import Rebuilder
from workers.operations.repair.verifying import verify

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = 60


async def load_at(ledger: Ledger, key: LearnerKey, response: Response, window: int) -> Loaded:
    (loaded,) = await ledger.load(
        [Touched(key, [response], arrivals=[Arrival(window * 1000, window)])]
    )
    return loaded


def commit_at(key: LearnerKey, state: Loaded, response: Response, window: int) -> Commit:
    task = FoldTask(key, state.learner, [response], state.log, state.base)
    (learner_fold,) = fold([task], PARAMETERS)
    kept = state.counts.after({window: 1})
    return Commit(learner_fold, [f"s/{window * 1000}-0"], [Arrival(window * 1000, window)], kept)


async def record_at(ledger: Ledger, key: LearnerKey, number: int, window: int) -> None:
    response = answer(number)
    state = await load_at(ledger, key, response, window)
    (done,) = await ledger.commit([commit_at(key, state, response, window)])
    assert isinstance(done, Committed)


async def test_given_more_windows_than_are_kept_then_the_log_has_older_ones(
    ledger: Ledger, key: LearnerKey
) -> None:
    windows = [MINUTE * n for n in range(1, KEPT_WINDOWS + 4)]
    number = 0
    for window in windows:
        for _ in range(2):
            await record_at(ledger, key, number, window)
            number += 1

    newest = await load_at(ledger, key, answer(99), windows[-1])
    oldest = await load_at(ledger, key, answer(99), windows[0])
    never = await load_at(ledger, key, answer(99), windows[0] - MINUTE)

    assert newest.kept == dict.fromkeys(windows[-KEPT_WINDOWS:], 2)
    assert newest.older == {}
    assert (oldest.older, oldest.counts.of(windows[0])) == ({windows[0]: 2}, 2)
    assert never.counts.of(windows[0] - MINUTE) == 0

    await record_at(ledger, key, number, windows[0])

    again = await load_at(ledger, key, answer(99), windows[0])
    assert again.kept == newest.kept
    assert again.counts.of(windows[0]) == 3
    learner = await stored(ledger, key)
    assert (learner.kept, learner.windows[windows[0]]) == (newest.kept, 3)
    assert [page.differences async for page in verify(ledger, PARAMETERS, only=key)] == [[]]


async def test_given_two_who_count_at_once_then_a_commit_tells_the_other(
    open_ledger: OpenLedger, key: LearnerKey
) -> None:
    first, other = open_ledger(), open_ledger()
    await record_at(first, key, 0, MINUTE)
    states = await asyncio.gather(
        load_at(first, key, answer(1), MINUTE), load_at(other, key, answer(2), MINUTE)
    )
    await first.commit([commit_at(key, states[0], answer(1), MINUTE)])

    (conflict,) = await other.commit([commit_at(key, states[1], answer(2), MINUTE)])

    assert isinstance(conflict, Conflict)
    assert (await load_at(other, key, answer(2), MINUTE)).kept == {MINUTE: 2}


async def test_given_requests_of_an_older_worker_then_counts_stay_and_are_sealed(
    ledger: Ledger, key: LearnerKey
) -> None:
    await record(ledger, key, [answer(0)])
    before = (await stored(ledger, key)).kept
    assert before is not None

    (loaded,) = await ledger.load([Touched(key, [answer(1)])])
    (learner_fold,) = fold([FoldTask(key, loaded.learner, [answer(1)], loaded.log)], PARAMETERS)
    (done,) = await ledger.commit([commit_of(learner_fold)])

    assert isinstance(done, Committed)
    assert (loaded.kept, loaded.older) == ({}, {})
    after = await stored(ledger, key)
    assert (after.kept, after.windows) == (before, before)
    assert (after.altered, after.unsealed) == ([], 0)


async def test_given_exempt_responses_then_nothing_is_counted_or_noted(
    ledger: Ledger, key: LearnerKey
) -> None:
    state = await load(ledger, key, [answer(0)])
    (learner_fold,) = fold([FoldTask(key, state.learner, [answer(0)], state.log)], PARAMETERS)
    (done,) = await ledger.commit([Commit(learner_fold, ["s/1-0"], [Arrival(1, None)], None)])

    assert isinstance(done, Committed)
    loaded = await load(ledger, key, [answer(0)])
    assert "window" not in loaded.recorded[answer(0).response_id].outcome
    assert (await stored(ledger, key)).kept is None


async def test_given_wrong_counts_then_verify_reports_and_rebuild_mends_them(
    ledger: Ledger, key: LearnerKey
) -> None:
    state = await load(ledger, key, [answer(0)])
    wrong = folded(key, state, [answer(0)])
    assert wrong.kept is not None
    right = dict(wrong.kept)
    wrong.kept = Counts(wrong.kept, {}).after({0: 7})
    await ledger.commit([wrong])
    (page,) = [page async for page in verify(ledger, PARAMETERS, only=key)]
    assert [difference.what for difference in page.differences] == ["learners.rate_counts"]

    rebuilder = Rebuilder(ledger=ledger, parameters=PARAMETERS)
    assert [page.repaired async for page in rebuilder.rebuild(key)] == [[key]]

    assert (await stored(ledger, key)).kept == right
    assert [page.differences async for page in verify(ledger, PARAMETERS, only=key)] == [[]]
