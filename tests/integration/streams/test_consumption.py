"""Consuming a stream of a real Redis: what is published arrives, whatever becomes of anybody."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from faststream.redis import RedisBroker
from redis.asyncio import Redis

from contracts.responses import ResponseRecorded
from contracts.streams import ENGINE_GROUP, RESPONSES
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.consumption import Consumption
from workers.streams.subscribers import POLLING_MS

START_S = 30.0
"""A watchdog's second, and what a slow and busy machine needs."""


class Reader:
    """A worker that keeps what it reads, and acknowledges it if it is told to."""

    def __init__(self, redis: Redis, *, acks: bool) -> None:
        self._redis = redis
        self.acks = acks
        self.held: set[str] = set()
        self.waiting = False
        self.batches: list[RawBatch] = []
        self.entered = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.consumption: Consumption
        self.broker: RedisBroker

    @property
    def events(self) -> list[bytes]:
        return [entry.fields[b"event"] for batch in self.batches for entry in batch]

    async def take(self, batch: RawBatch) -> None:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        self.batches.append(batch)
        if self.acks:
            await self.ack(batch)
        else:
            self.held.update(entry.entry_id for entry in batch)

    async def ack(self, batch: list[RawEntry]) -> None:
        await self._redis.xack(RESPONSES, ENGINE_GROUP, *(entry.entry_id for entry in batch))

    async def read(self, count: int, within_s: float = START_S) -> list[bytes]:
        """Wait until at least so many events have come."""
        await until(lambda: len(self.events) >= count, within_s)
        return self.events


Open = Callable[..., Awaitable[Reader]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def opened(redis_url: str, redis: Redis) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_(**options: Any) -> Reader:
            return await stack.enter_async_context(reading(redis_url, redis, **options))

        yield open_


@asynccontextmanager
async def reading(
    url: str,
    redis: Redis,
    *,
    consumer: str = "a",
    acks: bool = True,
    batch_size: int = 100,
    reclaim_after_ms: int = 60_000,
) -> AsyncIterator[Reader]:
    reader = Reader(redis, acks=acks)
    reader.broker = RedisBroker(url, logger=logging.getLogger("faststream"))
    reader.consumption = Consumption(
        broker=reader.broker,
        client=redis,
        stream=RESPONSES,
        group=ENGINE_GROUP,
        consumer=consumer,
        batch_size=batch_size,
        reclaim_after_ms=reclaim_after_ms,
        event=ResponseRecorded,
        handler=reader.take,
        held=lambda: reader.held,
        waiting=lambda: reader.waiting,
    )
    await reader.consumption.prepare()
    await reader.broker.start()
    reader.consumption.start()
    try:
        yield reader
    finally:
        await reader.consumption.stop()
        await reader.broker.stop()


async def add(redis: Redis, *events: str) -> None:
    for event in events:
        await redis.xadd(RESPONSES, {"event": event})


async def until(condition: Callable[[], bool | Awaitable[bool]], within_s: float = START_S) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(within_s):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


async def test_given_a_plain_xadd_then_it_is_consumed_byte_by_byte(
    opened: Open, redis: Redis
) -> None:
    reader = await opened()
    await redis.xadd(RESPONSES, {"event": b'{"a": 1}', "more": b"\xff"})
    await redis.xadd(RESPONSES, {"data": '{"data": "{}", "headers": {}}'})
    await redis.xadd(RESPONSES, {"event": b"\xff\x00"})

    await until(lambda: sum(map(len, reader.batches)) >= 3)

    assert [entry.fields for batch in reader.batches for entry in batch] == [
        {b"event": b'{"a": 1}', b"more": b"\xff"},
        {b"data": b'{"data": "{}", "headers": {}}'},
        {b"event": b"\xff\x00"},
    ]
    await until(reader.consumption.drained)


async def test_given_events_published_before_the_first_start_then_they_are_consumed(
    opened: Open, redis: Redis
) -> None:
    await add(redis, "1", "2", "3")
    reader = await opened()
    await add(redis, "4")
    assert await reader.read(4) == [b"1", b"2", b"3", b"4"]


async def test_given_more_than_a_batch_then_batches_are_bounded(opened: Open, redis: Redis) -> None:
    await add(redis, *map(str, range(25)))
    reader = await opened(batch_size=10)
    assert await reader.read(25) == [b"%d" % number for number in range(25)]
    assert [len(batch) for batch in reader.batches] == [10, 10, 5]


async def test_given_what_a_predecessor_of_the_same_name_left_then_it_is_inherited_at_start(
    opened: Open, redis: Redis
) -> None:
    await add(redis, *map(str, range(7)))
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"}, count=5)

    reader = await opened(consumer="a", batch_size=2)

    assert sorted(await reader.read(7)) == [b"%d" % number for number in range(7)]
    await until(reader.consumption.drained)


async def test_given_what_a_dead_consumer_left_then_it_is_claimed_once_it_is_idle_for_long(
    opened: Open, redis: Redis
) -> None:
    await add(redis, *map(str, range(7)))
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "dead", {RESPONSES: ">"}, count=7)

    reader = await opened(consumer="b", batch_size=3, reclaim_after_ms=400)
    await asyncio.sleep(0.2)
    assert reader.events == []

    assert sorted(await reader.read(7)) == [b"%d" % number for number in range(7)]
    await until(reader.consumption.drained)


async def test_given_our_own_entries_on_their_way_then_they_are_left_alone(
    opened: Open, redis: Redis
) -> None:
    reader = await opened(acks=False, reclaim_after_ms=100)
    await add(redis, "1", "2")
    await reader.read(2)

    await asyncio.sleep(0.6)

    assert reader.events == [b"1", b"2"]
    assert not await reader.consumption.drained()
    reader.held.clear()  # given up: now they are anybody's
    reader.acks = True
    assert sorted(await reader.read(4)) == [b"1", b"1", b"2", b"2"]
    await until(reader.consumption.drained)


async def test_given_entries_deleted_while_pending_then_they_do_not_stay_pending(
    opened: Open, redis: Redis
) -> None:
    await add(redis, "1", "2")
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"}, count=1)
    await redis.xreadgroup(ENGINE_GROUP, "dead", {RESPONSES: ">"}, count=1)
    await redis.xtrim(RESPONSES, maxlen=0, approximate=False)

    reader = await opened(consumer="a", reclaim_after_ms=200)

    await until(reader.consumption.drained)
    assert reader.batches == []


async def _destroy_group(redis: Redis) -> None:
    await redis.xgroup_destroy(RESPONSES, ENGINE_GROUP)


async def _delete_stream(redis: Redis) -> None:
    await redis.delete(RESPONSES)


async def _flush(redis: Redis) -> None:
    await redis.flushdb()


@pytest.mark.parametrize("lose", [_destroy_group, _delete_stream, _flush])
async def test_given_the_group_is_lost_then_it_is_made_again_and_nothing_new_is_missed(
    opened: Open, redis: Redis, lose: Callable[[Redis], Awaitable[None]]
) -> None:
    reader = await opened(reclaim_after_ms=200)
    await add(redis, "before")
    await reader.read(1)

    await lose(redis)
    await until(lambda: not reader.consumption.alive)
    assert not await reader.consumption.drained()
    await add(redis, "after")

    await until(lambda: b"after" in reader.events, 4)
    assert reader.consumption.alive
    await until(reader.consumption.drained)
    await add(redis, "later")
    await until(lambda: b"later" in reader.events)
    assert reader.events.count(b"later") == reader.events.count(b"after") == 1


async def test_given_unread_or_pending_entries_then_it_is_not_drained(
    opened: Open, redis: Redis
) -> None:
    reader = await opened()
    assert await reader.consumption.drained()

    reader.acks = False
    await add(redis, "1")
    assert not await reader.consumption.drained()
    await reader.read(1)
    assert not await reader.consumption.drained()
    await reader.ack(reader.batches[0])
    assert await reader.consumption.drained()

    await redis.xreadgroup(ENGINE_GROUP, "another", {RESPONSES: ">"})
    await _stopped(reader)
    await add(redis, "2")
    assert not await reader.consumption.drained()
    await redis.xreadgroup(ENGINE_GROUP, "another", {RESPONSES: ">"})
    assert not await reader.consumption.drained()
    await redis.xack(RESPONSES, ENGINE_GROUP, *await _pending(redis))
    assert await reader.consumption.drained()


async def test_given_entries_deleted_before_they_were_read_then_it_is_drained(
    opened: Open, redis: Redis
) -> None:
    reader = await opened()
    await _stopped(reader)
    await add(redis, "1", "2")
    assert not await reader.consumption.drained()
    await redis.xtrim(RESPONSES, maxlen=0, approximate=False)
    assert await reader.consumption.drained()


async def _stopped(reader: Reader) -> None:
    """Stop, and wait until the server has given up the read that blocked at that moment."""
    await reader.consumption.stop()
    await asyncio.sleep(POLLING_MS / 1000 + 0.1)


async def _pending(redis: Redis) -> list[bytes]:
    rows: Any = await redis.xpending_range(RESPONSES, ENGINE_GROUP, "-", "+", 10)
    return [row["message_id"] for row in rows]


async def test_given_a_stop_then_nothing_is_read_and_nothing_left_running(
    opened: Open, redis: Redis
) -> None:
    before = asyncio.all_tasks()
    reader = await opened(reclaim_after_ms=100)
    assert len(asyncio.all_tasks()) > len(before)

    await reader.consumption.stop()
    await reader.broker.stop()
    await add(redis, "1")
    await asyncio.sleep(0.3)

    assert reader.batches == []
    assert asyncio.all_tasks() == before
    assert not reader.consumption.alive
    await reader.consumption.stop()


async def test_given_a_stop_while_the_handler_works_then_the_batch_is_finished(
    opened: Open, redis: Redis
) -> None:
    reader = await opened()
    reader.gate = asyncio.Event()
    await add(redis, "1")
    await reader.entered.wait()

    stopping = asyncio.create_task(reader.consumption.stop())
    await asyncio.sleep(0.1)
    assert not stopping.done()
    reader.gate.set()
    await stopping

    assert reader.events == [b"1"]
    assert await reader.consumption.drained()


async def test_given_two_workers_then_they_share_and_each_entry_goes_to_one(
    opened: Open, redis: Redis
) -> None:
    one, other = await opened(consumer="a", batch_size=1), await opened(consumer="b", batch_size=1)
    await add(redis, *map(str, range(60)))

    await until(lambda: len(one.events) + len(other.events) >= 60)

    assert sorted(one.events + other.events) == sorted(b"%d" % number for number in range(60))
    assert one.events
    assert other.events


@pytest.mark.parametrize("page", [5_000, 7])
async def test_given_entries_delivered_again_and_again_then_their_company_shrinks(
    opened: Open, redis: Redis, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr("workers.streams.reclaiming._PENDING_PAGE", page)
    await add(redis, *map(str, range(120)))
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"}, count=110)
    # Ten were delivered three times before, fifty twice; now comes the next delivery of each.
    for count in (60, 10):
        await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: "0"}, count=count)

    reader = await opened(consumer="a", batch_size=100)

    assert sorted(await reader.read(120)) == sorted(b"%d" % number for number in range(120))
    inherited = [one for one in reader.batches if one.deliveries]
    assert [(len(one), one.alone) for one in inherited if one[0].fields[b"event"] < b"10"] == [
        (1, True)
    ] * 2
    alone = [one for one in inherited if one.alone]
    assert sorted(int(one[0].fields[b"event"]) for one in alone) == list(range(10))
    few = [one for one in inherited if not one.alone and one.deliveries[one[0].entry_id] == 3]
    assert [len(one) for one in few] == [4] * 12 + [2]
    rest = [one for one in inherited if one.deliveries[one[0].entry_id] == 2]
    assert sum(map(len, rest)) == 50
    assert max(map(len, rest)) > 4


async def test_given_a_worker_that_waits_for_a_server_then_it_claims_nothing(
    opened: Open, redis: Redis
) -> None:
    await add(redis, "1", "2")
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "another", {RESPONSES: ">"})
    reader = await opened(reclaim_after_ms=100)
    reader.waiting = True
    await asyncio.sleep(0.5)
    assert reader.events == []

    reader.waiting = False

    assert await reader.read(2) == [b"1", b"2"]


@pytest.mark.parametrize("waits", [True, False], ids=["waits for a server", "is slow"])
async def test_given_a_batch_on_its_way_for_long_then_it_stays_its_workers_own(
    opened: Open, redis: Redis, *, waits: bool
) -> None:
    busy = await opened(consumer="a", acks=False, reclaim_after_ms=1500)
    await add(redis, "1", "2")
    await busy.read(2)
    busy.waiting = waits
    idle = await opened(consumer="b", reclaim_after_ms=1500)

    await asyncio.sleep(4.0)

    assert idle.events == []
    found: Any = await redis.xpending_range(RESPONSES, ENGINE_GROUP, "-", "+", 10)
    assert [(one["consumer"], one["times_delivered"]) for one in found] == [(b"a", 1)] * 2
