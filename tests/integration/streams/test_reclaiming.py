"""Reclaiming on a real Redis: what others left is claimed, and what is on its way stays."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, RESPONSES
from tests.support.stream_reader import Open, add, until


async def test_given_entries_of_a_namesake_predecessor_then_start_inherits_them(
    opened: Open, redis: Redis
) -> None:
    await add(redis, *map(str, range(7)))
    await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
    await redis.xreadgroup(ENGINE_GROUP, "a", {RESPONSES: ">"}, count=5)

    reader = await opened(consumer="a", batch_size=2)

    assert sorted(await reader.read(7)) == [b"%d" % number for number in range(7)]
    await until(reader.consumption.drained)


async def test_given_entries_of_a_dead_consumer_then_they_are_claimed_once_idle(
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


@pytest.mark.parametrize("page", [5_000, 7])
async def test_given_entries_delivered_repeatedly_then_their_batches_shrink(
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
    inherited = [batch for batch in reader.batches if batch.deliveries]
    assert [
        (len(batch), batch.alone) for batch in inherited if batch[0].fields[b"event"] < b"10"
    ] == [(1, True)] * 2
    alone = [batch for batch in inherited if batch.alone]
    assert sorted(int(batch[0].fields[b"event"]) for batch in alone) == list(range(10))
    few = [
        batch for batch in inherited if not batch.alone and batch.deliveries[batch[0].entry_id] == 3
    ]
    assert [len(batch) for batch in few] == [4] * 12 + [2]
    rest = [batch for batch in inherited if batch.deliveries[batch[0].entry_id] == 2]
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
    pending: Any = await redis.xpending_range(RESPONSES, ENGINE_GROUP, "-", "+", 10)
    assert [(row["consumer"], row["times_delivered"]) for row in pending] == [(b"a", 1)] * 2
