"""The engine: every entry of a batch is acknowledged once, in order, or left for another try."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from contracts.mastery import MasteryChanged
from contracts.rejections import ResponseRejected
from tests.support.doubles import (
    ROUTE,
    STREAM,
    FakePublisher,
    HookedLedger,
    batch,
    counted,
    engine,
    entry_id,
    raw,
)
from tests.support.factories import event_json
from tests.support.submissions import BAD, GOOD, until
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics


async def test_given_good_and_bad_entries_when_submitted_then_each_ends_right() -> None:
    publisher, meter = FakePublisher(*map(entry_id, (0, 1, 20, 21))), EngineMetrics("0")
    work = engine(MemoryLedger(), publisher, meter)
    foreign = raw(event_json("s2", claim_changes={"sub": "s3"}), 21)

    await work.submit(ROUTE, batch(BAD, GOOD[1], foreign, GOOD[0], deliveries=2))
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


async def test_given_only_bad_entries_then_the_ledger_is_not_asked() -> None:
    publisher, ledger = FakePublisher(entry_id(20)), HookedLedger()
    work = engine(ledger, publisher)

    await work.submit(ROUTE, batch(BAD))
    await work.drain()

    assert (ledger.loads, len(publisher.rejected)) == (0, 1)


async def test_given_overlapping_batches_then_versions_are_published_in_order() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work, gate = engine(ledger, publisher), asyncio.Event()

    async def first_waits() -> None:
        publisher.gate = None
        await gate.wait()

    publisher.gate = first_waits
    for at in (0, 4, 8):
        await work.submit(ROUTE, batch(*GOOD[at : at + 4]))

    await until(lambda: ledger.committed == 2)
    await asyncio.sleep(0.05)
    # The second is committed while the first is in the publisher, and the third is only folded.
    assert (ledger.committed, ledger.commits, publisher.published) == (2, 2, [])
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
        await work.submit(ROUTE, batch(GOOD[at]))

    fourth = asyncio.create_task(work.submit(ROUTE, batch(GOOD[3])))
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
        await work.submit(ROUTE, batch(GOOD[at]))
    fourth = asyncio.create_task(work.submit(ROUTE, batch(GOOD[3])))
    await asyncio.sleep(0)
    assert entry_id(3) in work.in_flight(STREAM)

    fourth.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fourth

    assert entry_id(3) not in work.in_flight(STREAM)
    gate.set()
    await work.submit(ROUTE, batch(GOOD[3]))
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
    await work.submit(ROUTE, batch(GOOD[0]))
    assert entry_id(0) in work.in_flight(STREAM)
    assert entry_id(0) not in work.in_flight("another stream")

    await work.submit(ROUTE, batch(GOOD[0]))
    await work.submit(ROUTE, batch(GOOD[0], GOOD[1]))
    gate.set()
    await work.drain()

    assert ledger.commits == 2
    assert entry_id(0) not in work.in_flight(STREAM)
    assert publisher.acknowledged == [entry_id(0), entry_id(1)]


async def test_given_batches_in_flight_when_abandoned_then_entries_stay_pending() -> None:
    publisher, ledger = FakePublisher(entry_id(0), entry_id(1)), HookedLedger()

    async def hang(_: Sequence[object]) -> None:
        await asyncio.Event().wait()

    ledger.before_commit = hang
    work = engine(ledger, publisher)
    await work.submit(ROUTE, batch(GOOD[0]))
    await work.submit(ROUTE, batch(GOOD[1]))
    await until(lambda: ledger.commits == 1)

    await work.abandon()

    assert publisher.pending == {entry_id(0), entry_id(1)}
    assert entry_id(0) not in work.in_flight(STREAM)
    await work.drain()


async def test_given_an_entry_to_be_tried_alone_then_nothing_else_is_on_its_way() -> None:
    publisher, ledger = FakePublisher(*(e.entry_id for e in GOOD)), HookedLedger()
    work, gate, begun = engine(ledger, publisher), asyncio.Event(), asyncio.Event()

    async def wait(_: Sequence[object]) -> None:
        begun.set()
        await gate.wait()

    ledger.before_commit = wait
    await work.submit(ROUTE, batch(GOOD[0]))
    alone = asyncio.create_task(work.submit(ROUTE, batch(GOOD[1], deliveries=4, alone=True)))
    await begun.wait()
    beside = [asyncio.create_task(work.submit(ROUTE, batch(GOOD[n]))) for n in (2, 3, 4)]
    await asyncio.sleep(0.01)
    assert ledger.loads == 1
    assert not alone.done()

    gate.set()
    await alone
    await asyncio.gather(*beside)
    await work.drain()

    assert publisher.pending == {e.entry_id for e in GOOD[5:]}
    assert publisher.acknowledged[0] == entry_id(0)


async def test_given_a_try_alone_when_its_reader_stops_then_the_try_is_finished() -> None:
    publisher, ledger = FakePublisher(entry_id(0)), HookedLedger()
    work, gate, begun = engine(ledger, publisher), asyncio.Event(), asyncio.Event()

    async def wait(_: Sequence[object]) -> None:
        begun.set()
        await gate.wait()

    ledger.after_commit = wait
    reader = asyncio.create_task(work.submit(ROUTE, batch(GOOD[0], deliveries=4, alone=True)))
    await begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    gate.set()
    await work.drain()

    assert (len(publisher.published), publisher.pending) == (1, set())


async def test_given_a_waiting_entry_with_its_batch_in_flight_then_it_is_kept() -> None:
    publisher, ledger, gate = (
        FakePublisher(*(e.entry_id for e in GOOD)),
        HookedLedger(),
        asyncio.Event(),
    )
    publisher.gate = gate.wait  # type: ignore[assignment]  # what it returns is not looked at
    work = engine(ledger, publisher)
    await work.submit(ROUTE, batch(GOOD[0], GOOD[1]))
    await until(lambda: ledger.committed == 1)

    again = asyncio.create_task(work._resubmit(ROUTE, batch(GOOD[1])))
    await asyncio.sleep(0.02)
    assert not again.done()
    gate.set()
    await again
    await work.drain()

    assert ledger.loads == 2
