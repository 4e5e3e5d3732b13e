"""The engine when servers, entries or the process fail: it waits, goes on, or says so and stops."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.doubles import (
    ROUTE,
    STREAM,
    FakePublisher,
    FakeTries,
    HookedLedger,
    batch,
    counted,
    engine,
    entry_id,
    raw,
)
from tests.support.factories import event_json
from tests.support.submissions import BAD, GOOD, until
from workers.common.errors import LedgerRefused, LedgerUnavailable, RedisUnavailable, StreamRefused
from workers.engine.engine import Engine
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.streams.batch import RawEntry


@pytest.mark.parametrize("failing", ["ledger", "publisher"])
async def test_given_an_incurable_failure_then_the_engine_says_so_without_ack(
    failing: str,
) -> None:
    publisher, ledger = FakePublisher(entry_id(0)), HookedLedger()
    work = engine(ledger, publisher)
    error: Exception

    async def fail(*_: object) -> None:
        raise error

    if failing == "ledger":
        error = LedgerRefused("no such function")
        ledger.before_load = fail
    else:
        error = StreamRefused("WRONGTYPE")
        publisher.gate = fail
    failed = asyncio.create_task(work.until_failed())

    await work.submit(ROUTE, batch(GOOD[0]))
    await work.drain()

    with pytest.raises(type(error), match=str(error)):
        await failed
    assert publisher.pending == {entry_id(0)}
    assert entry_id(0) not in work.in_flight(STREAM)


async def test_given_servers_that_are_away_then_the_engine_waits_and_goes_on() -> None:
    publisher, ledger = FakePublisher(entry_id(0), entry_id(20)), HookedLedger()
    away = iter([RedisUnavailable("gone")] * 3)
    down = iter([LedgerUnavailable("gone")] * 3)

    async def no_redis() -> None:
        for error in away:
            raise error

    async def no_ledger(_: Sequence[object]) -> None:
        for error in down:
            raise error

    publisher.gate = no_redis
    ledger.before_load = no_ledger
    work = engine(ledger, publisher)

    await work.submit(ROUTE, batch(GOOD[0], BAD))
    await work.drain()

    assert (len(publisher.published), len(publisher.rejected), publisher.pending) == (1, 1, set())


async def test_given_a_crash_between_commit_and_ack_then_the_events_are_the_same() -> None:
    ledger, lost = HookedLedger(), FakePublisher(entry_id(0), entry_id(1))
    await _record_and_die(engine(ledger, lost), ledger)
    later = FakePublisher(entry_id(5))
    await _whole(engine(ledger, later), [raw(event_json("s1", 5), 5)])
    again = raw(event_json("s1", 0), 30)  # published a second time, before the first was acked
    publisher = FakePublisher(entry_id(0), entry_id(1), entry_id(30))

    await _whole(engine(ledger, publisher), [GOOD[1], again, GOOD[0]])

    assert lost.published == []
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)
    assert versions[-1] < later.published[0]["data"]["version"]
    assert [event["data"]["attempts"] for event in publisher.published] == [1, 2]
    assert publisher.pending == set()


async def _record_and_die(work: Engine, ledger: HookedLedger) -> None:
    async def hang(_: Sequence[object]) -> None:
        await asyncio.Event().wait()

    ledger.after_commit = hang
    await work.submit(ROUTE, batch(*GOOD[:2]))
    await until(lambda: ledger.committed == 1)
    await work.abandon()

    async def nothing(_: Sequence[object]) -> None:
        return

    ledger.after_commit = nothing


async def _whole(work: Engine, entries: Sequence[RawEntry]) -> None:
    await work.submit(ROUTE, batch(*entries))
    await work.drain()


async def test_given_an_engine_that_works_then_it_does_not_fail() -> None:
    publisher = FakePublisher(entry_id(0))
    work = engine(MemoryLedger(), publisher)
    await _whole(work, [GOOD[0]])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(work.until_failed(), 0.01)


class Misjudging:
    """Admission that fails unexpectedly for some entries; notes with how many others each was."""

    def __init__(self, work: Engine, bad: set[str], error: Exception) -> None:
        self.together: list[int] = []
        pipeline = work._pipeline
        self._real, self._work, self._bad, self._error = pipeline.admission, work, bad, error
        pipeline.admission = self  # type: ignore[assignment]  # as a bug of ours would

    def judge(self, entry: RawEntry, now_ms: int | None = None) -> object:
        if entry.entry_id in self._bad:
            self.together.append(len(self._work._batches))
            raise self._error
        return self._real.judge(entry, now_ms)


async def test_given_an_entry_that_fails_unexpectedly_then_it_alone_is_poison() -> None:
    publisher, meter, tries = (
        FakePublisher(*(e.entry_id for e in GOOD)),
        EngineMetrics("0"),
        FakeTries(),
    )
    work = engine(MemoryLedger(), publisher, meter, tries)
    Misjudging(work, {entry_id(2)}, RuntimeError("a defect of ours"))

    for at in (0, 4, 8):
        await work.submit(ROUTE, batch(*GOOD[at : at + 4]))
    await work.drain()

    assert (publisher.pending, tries.kept) == (set(), {})
    assert len(publisher.published) == 11
    (letter,) = publisher.rejected
    assert (letter["data"]["code"], letter["data"]["entry_id"]) == ("poison", entry_id(2))
    assert letter["data"]["event"].encode() == GOOD[2].fields[b"event"]
    assert counted(meter, "responses_rejected", code="poison") == 1
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)


async def test_given_an_entry_that_often_ended_the_process_then_it_is_poison() -> None:
    publisher, ledger = FakePublisher(entry_id(0)), HookedLedger()
    work = engine(ledger, publisher, tries=FakeTries({entry_id(0): 3}))

    await work.submit(ROUTE, batch(GOOD[0], deliveries=9, alone=True))

    (letter,) = publisher.rejected
    assert (letter["data"]["code"], letter["data"]["deliveries"]) == ("poison", 9)
    assert (ledger.loads, publisher.pending) == (0, set())


async def test_given_a_server_that_is_away_then_the_engine_says_that_it_waits() -> None:
    publisher, ledger, back = FakePublisher(entry_id(0)), HookedLedger(), asyncio.Event()

    async def away(_: Sequence[object]) -> None:
        if not back.is_set():
            raise LedgerUnavailable("gone")

    ledger.before_load = away
    work = engine(ledger, publisher)
    assert work.waited_for() == {}
    await work.submit(ROUTE, batch(GOOD[0]))
    await until(lambda: "ledger" in work.waited_for())
    back.set()
    await work.drain()

    assert work.waited_for() == {}


async def test_given_a_batch_that_fails_after_its_commit_then_the_next_yields() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work, failures = engine(ledger, publisher), iter([RuntimeError("answer lost")])

    async def fail(_: Sequence[object]) -> None:
        for error in failures:
            await until(lambda: len(work._batches) == 3)
            raise error

    ledger.after_commit = fail
    for at in (0, 4, 8):
        await work.submit(ROUTE, batch(*GOOD[at : at + 4]))
    await work.drain()

    assert publisher.pending == set()
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)
    assert len(versions) == 12


async def test_given_foreign_records_of_acceptance_then_the_engine_stops() -> None:
    publisher = FakePublisher(entry_id(0))
    work = engine(MemoryLedger(), publisher)

    async def refuse(*_: object) -> list[RawEntry]:
        raise StreamRefused("no id of an entry")

    work._origins.resolve = refuse  # type: ignore[method-assign,assignment]  # as a meddler's hash would

    await work.submit(ROUTE, batch(GOOD[0]))

    with pytest.raises(StreamRefused):
        await work.until_failed()
    assert publisher.pending == {entry_id(0)}


async def test_given_a_failed_publish_then_a_batch_committed_after_it_waits() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work = engine(ledger, publisher)

    async def fails_once() -> None:
        publisher.gate = None
        await until(lambda: ledger.committed == 2)
        raise RuntimeError("not expected")

    publisher.gate = fails_once
    for at in (0, 4, 8):
        await work.submit(ROUTE, batch(*GOOD[at : at + 4]))
    await work.drain()

    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == list(range(1, 13))
    assert not publisher.rejected
