"""Consuming a stream of a real Redis: what is published arrives, whatever becomes of anybody."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, RESPONSES
from tests.support.stream_reader import Open, Reader, add, until
from workers.streams.subscribers import POLLING_MS


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


async def test_given_events_before_the_first_start_then_they_are_consumed(
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


async def _destroy_group(redis: Redis) -> None:
    await redis.xgroup_destroy(RESPONSES, ENGINE_GROUP)


async def _delete_stream(redis: Redis) -> None:
    await redis.delete(RESPONSES)


async def _flush(redis: Redis) -> None:
    await redis.flushdb()


@pytest.mark.parametrize("lose", [_destroy_group, _delete_stream, _flush])
async def test_given_a_lost_group_then_it_is_remade_and_nothing_new_is_missed(
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
    first, other = (
        await opened(consumer="a", batch_size=1),
        await opened(consumer="b", batch_size=1),
    )
    await add(redis, *map(str, range(60)))

    await until(lambda: len(first.events) + len(other.events) >= 60)

    assert sorted(first.events + other.events) == sorted(b"%d" % number for number in range(60))
    assert first.events
    assert other.events
