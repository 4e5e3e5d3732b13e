"""The pipeline: one batch's steps in order, and each step by itself."""

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import cast

import pytest

from tests.support.doubles import (
    ROUTE,
    STREAM,
    FakePublisher,
    HookedLedger,
    admission,
    admitted,
    batch,
    entry_id,
    fast_retrying,
    key_of,
    raw,
    record,
    recorder,
)
from tests.support.factories import event_json
from workers.common.errors import LedgerUnavailable
from workers.engine.group import grouped
from workers.engine.pipeline import Pipeline, Step
from workers.ledger.exchange import Commit
from workers.metrics.engine_metrics import EngineMetrics
from workers.publishing.publisher import Publisher
from workers.streams.batch import RawBatch

GOOD = [raw(event_json("s1", number), number) for number in range(4)]
BAD = raw(b"no JSON", 20)


def pipeline(ledger: HookedLedger, publisher: FakePublisher) -> Pipeline:
    return Pipeline(
        admission=admission(),
        recorder=recorder(ledger),
        publisher=cast("Publisher", publisher),
        retrying=fast_retrying(),
        meter=EngineMetrics("0"),
    )


async def steps_of(work: Pipeline, entries: RawBatch) -> list[Step]:
    return [step async for step in work.run(ROUTE, entries)]


async def test_given_a_batch_when_run_then_its_steps_come_in_order() -> None:
    ledger, publisher = HookedLedger(), FakePublisher(*map(entry_id, (0, 1, 20)))
    steps = pipeline(ledger, publisher).run(ROUTE, batch(BAD, *GOOD[:2]))

    seen = [
        (step, ledger.loads, ledger.commits, len(publisher.acknowledged)) async for step in steps
    ]

    assert seen == [(Step.LOAD, 0, 0, 0), (Step.COMMIT, 1, 0, 0), (Step.PUBLISH, 1, 1, 0)]
    assert publisher.pending == set()
    assert (len(publisher.published), len(publisher.rejected)) == (2, 1)


async def test_given_refused_entries_when_run_then_nothing_is_committed() -> None:
    ledger, publisher = HookedLedger(), FakePublisher(entry_id(20))

    assert await steps_of(pipeline(ledger, publisher), batch(BAD)) == [Step.LOAD, Step.PUBLISH]

    assert (ledger.loads, len(publisher.rejected)) == (0, 1)


async def test_given_a_conflict_when_run_then_it_is_folded_and_committed_again() -> None:
    ledger, publisher = HookedLedger(), FakePublisher(entry_id(0))
    theirs = iter([admitted("s1", 9, entry=19)])

    async def interfere(_: Sequence[Commit]) -> None:
        for rival in theirs:
            await record(recorder(ledger.inner), [rival])

    ledger.before_commit = interfere

    steps = await steps_of(pipeline(ledger, publisher), batch(GOOD[0]))

    assert steps == [Step.LOAD, Step.COMMIT, Step.COMMIT, Step.PUBLISH]
    assert len(publisher.published) == 1


async def test_given_a_run_when_closed_before_commit_then_nothing_is_stored() -> None:
    ledger, publisher = HookedLedger(), FakePublisher(entry_id(0))

    async with aclosing(pipeline(ledger, publisher).run(ROUTE, batch(GOOD[0]))) as run:
        async for step in run:
            if step is Step.COMMIT:
                break

    assert (ledger.commits, publisher.pending) == (0, {entry_id(0)})
    assert (await ledger.inner.stored([key_of("s1")]))[0].version == 0


async def test_given_a_ledger_away_when_not_to_wait_then_the_run_says_so() -> None:
    ledger, publisher = HookedLedger(), FakePublisher(entry_id(0))

    async def away(_: object) -> None:
        raise LedgerUnavailable("gone")

    ledger.before_load = away
    run = pipeline(ledger, publisher).run(ROUTE, batch(GOOD[0]), wait_for_ledger=False)

    with pytest.raises(LedgerUnavailable):
        async for _ in run:
            pass

    assert publisher.pending == {entry_id(0)}


async def test_given_each_step_by_itself_then_the_events_are_those_of_a_run() -> None:
    publisher = FakePublisher(*map(entry_id, (0, 1, 20)))
    entries = batch(GOOD[1], BAD, GOOD[0])
    work = pipeline(HookedLedger(), FakePublisher())

    ready, settled, deferred = work.admit(entries)
    groups = grouped(ready)
    parameters = await work.recorder.load(groups)
    commits = await work.recorder.fold(STREAM, groups, parameters)
    answers = await work.recorder.commit(commits)
    done, again = work.recorder.settling.committed(STREAM, groups, commits, answers)
    settled += done
    work.make_events(ROUTE, settled, entries.deliveries)

    await steps_of(pipeline(HookedLedger(), publisher), entries)
    assert (deferred, again) == ([], [])
    events = [
        json.loads(event)
        for settled_entry in settled
        if settled_entry.recorded
        for event in settled_entry.events
    ]
    assert events == publisher.published
    assert [settled_entry.entry.entry_id for settled_entry in settled] == publisher.acknowledged
