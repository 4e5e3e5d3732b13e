"""The engine: every entry of a batch is acknowledged once, in order, or left for another try."""

import asyncio
import json
from collections.abc import Callable, Sequence

import pytest

from contracts.mastery import MasteryChanged
from contracts.rejections import ResponseRejected
from tests.support.doubles import (
    SHARD,
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
from workers.common.errors import LedgerRefused, LedgerUnavailable, RedisUnavailable, StreamRefused
from workers.engine.engine import Engine
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.streams.batch import RawEntry

GOOD = [raw(event_json("s1", number), number) for number in range(12)]
BAD = raw(b"no JSON", 20)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # nothing announces it
            await asyncio.sleep(0.001)


async def test_given_good_and_bad_entries_when_submitted_then_each_ends_as_it_should() -> None:
    publisher, meter = FakePublisher(*map(entry_id, (0, 1, 20, 21))), EngineMetrics("0")
    work = engine(MemoryLedger(), publisher, meter)
    foreign = raw(event_json("s2", claim_changes={"sub": "s3"}), 21)

    await work.submit(SHARD, batch(BAD, GOOD[1], foreign, GOOD[0], deliveries=2))
    await work.drain()

    assert publisher.pending == set()
    assert [MasteryChanged.model_validate_json(json.dumps(e)).data.attempts for e in
            publisher.published] == [1, 2]  # fmt: skip
    rejected = [ResponseRejected.model_validate_json(json.dumps(e)) for e in publisher.rejected]
    assert [(r.data.code.value, r.data.status, r.data.entry_id) for r in rejected] == [
        ("invalid", 422, entry_id(20)),
        ("forbidden", 403, entry_id(21)),
    ]
    assert {(r.data.stream, r.data.deliveries) for r in rejected} == {(STREAM, 2)}
    assert rejected[0].data.event == "no JSON"
    assert counted(meter, "responses_applied") == 2
    assert counted(meter, "responses_rejected", code="forbidden") == 1


async def test_given_only_bad_entries_when_submitted_then_the_ledger_is_not_asked() -> None:
    publisher, ledger = FakePublisher(entry_id(20)), HookedLedger()
    work = engine(ledger, publisher)

    await work.submit(SHARD, batch(BAD))
    await work.drain()

    assert (ledger.loads, len(publisher.rejected)) == (0, 1)


async def test_given_batches_that_overlap_then_versions_are_published_in_their_order() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work, gate = engine(ledger, publisher), asyncio.Event()

    async def first_waits() -> None:
        publisher.gate = None
        await gate.wait()

    publisher.gate = first_waits
    for at in (0, 4, 8):
        await work.submit(SHARD, batch(*GOOD[at : at + 4]))

    await until(lambda: ledger.loads == 2)
    await asyncio.sleep(0.01)
    # The second is folded while the first is in the publisher, and committed only then.
    assert (ledger.committed, ledger.commits, publisher.published) == (1, 1, [])
    gate.set()
    await work.drain()

    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)
    assert len(versions) == 12


async def test_given_no_room_when_submitted_then_it_waits_until_a_batch_is_done() -> None:
    publisher, gate = FakePublisher(*(e.entry_id for e in GOOD)), asyncio.Event()
    publisher.gate = gate.wait  # type: ignore[assignment]  # what it returns is not looked at
    work = engine(MemoryLedger(), publisher)
    for at in range(3):
        await work.submit(SHARD, batch(GOOD[at]))

    fourth = asyncio.create_task(work.submit(SHARD, batch(GOOD[3])))
    await asyncio.sleep(0.02)
    assert not fourth.done()
    gate.set()
    await fourth
    await work.drain()

    assert publisher.acknowledged == [entry_id(n) for n in range(4)]


async def test_given_a_submission_given_up_while_it_waits_then_none_is_in_flight() -> None:
    publisher, gate = FakePublisher(*(e.entry_id for e in GOOD)), asyncio.Event()
    publisher.gate = gate.wait  # type: ignore[assignment]  # what it returns is not looked at
    work = engine(MemoryLedger(), publisher)
    for at in range(3):
        await work.submit(SHARD, batch(GOOD[at]))
    fourth = asyncio.create_task(work.submit(SHARD, batch(GOOD[3])))
    await asyncio.sleep(0)
    assert entry_id(3) in work.in_flight(STREAM)

    fourth.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fourth

    assert entry_id(3) not in work.in_flight(STREAM)
    gate.set()
    await work.submit(SHARD, batch(GOOD[3]))
    await work.drain()
    assert entry_id(3) in publisher.acknowledged


async def test_given_an_entry_on_its_way_then_it_is_not_taken_again() -> None:
    publisher, ledger, gate = (
        FakePublisher(entry_id(0), entry_id(1)),
        HookedLedger(),
        asyncio.Event(),
    )
    publisher.gate = gate.wait  # type: ignore[assignment]  # what it returns is not looked at
    work = engine(ledger, publisher)
    await work.submit(SHARD, batch(GOOD[0]))
    assert entry_id(0) in work.in_flight(STREAM)
    assert entry_id(0) not in work.in_flight("another stream")

    await work.submit(SHARD, batch(GOOD[0]))
    await work.submit(SHARD, batch(GOOD[0], GOOD[1]))
    gate.set()
    await work.drain()

    assert ledger.loads == 2
    assert entry_id(0) not in work.in_flight(STREAM)
    assert publisher.acknowledged == [entry_id(0), entry_id(1)]


@pytest.mark.parametrize("failing", ["ledger", "publisher"])
async def test_given_what_nothing_will_cure_then_the_engine_says_so_and_acks_nothing(
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

    await work.submit(SHARD, batch(GOOD[0]))
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

    await work.submit(SHARD, batch(GOOD[0], BAD))
    await work.drain()

    assert (len(publisher.published), len(publisher.rejected), publisher.pending) == (1, 1, set())


async def test_given_batches_on_their_way_when_abandoned_then_their_entries_stay_pending() -> None:
    publisher, ledger = FakePublisher(entry_id(0), entry_id(1)), HookedLedger()

    async def hang(_: Sequence[object]) -> None:
        await asyncio.Event().wait()

    ledger.before_commit = hang
    work = engine(ledger, publisher)
    await work.submit(SHARD, batch(GOOD[0]))
    await work.submit(SHARD, batch(GOOD[1]))
    await until(lambda: ledger.commits == 1)

    await work.abandon()

    assert publisher.pending == {entry_id(0), entry_id(1)}
    assert entry_id(0) not in work.in_flight(STREAM)
    await work.drain()


async def test_given_a_crash_between_commit_and_ack_when_redelivered_then_the_events_are_the_same() -> (  # noqa: E501  # the name says it
    None
):
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
    await work.submit(SHARD, batch(*GOOD[:2]))
    await until(lambda: ledger.committed == 1)
    await work.abandon()

    async def nothing(_: Sequence[object]) -> None:
        return

    ledger.after_commit = nothing


async def _whole(work: Engine, entries: Sequence[RawEntry]) -> None:
    await work.submit(SHARD, batch(*entries))
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
        await work.submit(SHARD, batch(*GOOD[at : at + 4]))
    await work.drain()

    assert (publisher.pending, tries.kept) == (set(), {})
    assert len(publisher.published) == 11
    (letter,) = publisher.rejected
    assert (letter["data"]["code"], letter["data"]["entry_id"]) == ("poison", entry_id(2))
    assert letter["data"]["event"].encode() == GOOD[2].fields[b"event"]
    assert counted(meter, "responses_rejected", code="poison") == 1
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)


async def test_given_an_entry_to_be_tried_alone_then_nothing_else_is_on_its_way() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work, gate, begun = engine(ledger, publisher), asyncio.Event(), asyncio.Event()

    async def wait(_: Sequence[object]) -> None:
        begun.set()
        await gate.wait()

    ledger.before_commit = wait
    await work.submit(SHARD, batch(GOOD[0]))
    alone = asyncio.create_task(work.submit(SHARD, batch(GOOD[1], deliveries=4, alone=True)))
    await begun.wait()
    beside = [asyncio.create_task(work.submit(SHARD, batch(GOOD[n]))) for n in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert ledger.loads == 1
    assert not alone.done()

    gate.set()
    await alone
    await asyncio.gather(*beside)
    await work.drain()

    assert publisher.pending == {e.entry_id for e in GOOD[5:]}
    assert publisher.acknowledged[0] == entry_id(0)


async def test_given_an_entry_that_brought_the_process_down_too_often_then_it_is_poison() -> None:
    publisher, ledger = FakePublisher(entry_id(0)), HookedLedger()
    work = engine(ledger, publisher, tries=FakeTries({entry_id(0): 3}))

    await work.submit(SHARD, batch(GOOD[0], deliveries=9, alone=True))

    (letter,) = publisher.rejected
    assert (letter["data"]["code"], letter["data"]["deliveries"]) == ("poison", 9)
    assert (ledger.loads, publisher.pending) == (0, set())


async def test_given_a_try_alone_when_its_reader_stops_then_the_try_is_finished() -> None:
    publisher, ledger = FakePublisher(entry_id(0)), HookedLedger()
    work, gate, begun = engine(ledger, publisher), asyncio.Event(), asyncio.Event()

    async def wait(_: Sequence[object]) -> None:
        begun.set()
        await gate.wait()

    ledger.after_commit = wait
    reader = asyncio.create_task(work.submit(SHARD, batch(GOOD[0], deliveries=4, alone=True)))
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    gate.set()
    await work.drain()

    assert (len(publisher.published), publisher.pending) == (1, set())


async def test_given_a_server_that_is_away_then_the_engine_says_that_it_waits() -> None:
    publisher, ledger, back = FakePublisher(entry_id(0)), HookedLedger(), asyncio.Event()

    async def away(_: Sequence[object]) -> None:
        if not back.is_set():
            raise LedgerUnavailable("gone")

    ledger.before_load = away
    work = engine(ledger, publisher)
    assert work.waited_for() == {}
    await work.submit(SHARD, batch(GOOD[0]))
    await until(lambda: "ledger" in work.waited_for())
    back.set()
    await work.drain()

    assert work.waited_for() == {}


async def test_given_a_batch_that_fails_after_its_commit_then_the_next_gives_way_to_it() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work, failures = engine(ledger, publisher), iter([RuntimeError("answer lost")])

    async def fail(_: Sequence[object]) -> None:
        for error in failures:
            await until(lambda: len(work._batches) == 3)
            raise error

    ledger.after_commit = fail
    for at in (0, 4, 8):
        await work.submit(SHARD, batch(*GOOD[at : at + 4]))
    await work.drain()

    assert publisher.pending == set()
    versions = [event["data"]["version"] for event in publisher.published]
    assert versions == sorted(versions)
    assert len(versions) == 12


async def test_given_records_of_acceptance_that_are_not_ours_then_the_engine_stops() -> None:
    publisher = FakePublisher(entry_id(0))
    work = engine(MemoryLedger(), publisher)

    async def refuse(*_: object) -> list[RawEntry]:
        raise StreamRefused("no id of an entry")

    work._origins.resolve = refuse  # type: ignore[method-assign,assignment]  # as a meddler's hash would

    await work.submit(SHARD, batch(GOOD[0]))

    with pytest.raises(StreamRefused):
        await work.until_failed()
    assert publisher.pending == {entry_id(0)}


async def test_given_an_entry_that_waited_when_its_batch_is_on_its_way_then_it_is_not_dropped() -> (
    None
):
    publisher, ledger, gate = (
        FakePublisher(*(e.entry_id for e in GOOD)),
        HookedLedger(),
        asyncio.Event(),
    )
    publisher.gate = gate.wait  # type: ignore[assignment]  # what it returns is not looked at
    work = engine(ledger, publisher)
    await work.submit(SHARD, batch(GOOD[0], GOOD[1]))
    await until(lambda: ledger.committed == 1)

    again = asyncio.create_task(work._resubmit(SHARD, batch(GOOD[1])))
    await asyncio.sleep(0.02)
    assert not again.done()
    gate.set()
    await again
    await work.drain()

    assert ledger.loads == 2
