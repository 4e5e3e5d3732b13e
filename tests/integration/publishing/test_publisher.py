"""Ack-and-publish on a real Redis: an entry's events enter the stream with its ack, once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.rejections import RejectionCode
from contracts.streams import ENGINE_GROUP, Shard, shards
from workers.common.errors import RedisUnavailable, Refused, StreamRefused
from workers.publishing.publisher import Publisher
from workers.publishing.settled import Settled
from workers.streams.batch import RawEntry
from workers.streams.route import Route

SHARD: Shard = shards(0)[0]
ROUTE = Route.of_responses(SHARD)


def settled(entry_id: str, events: list[bytes]) -> Settled:
    return Settled(RawEntry(entry_id, {}), events)


def refused(entry_id: str, events: list[bytes]) -> Settled:
    refusal = Refused(RejectionCode.INVALID, "no JSON")
    return Settled(RawEntry(entry_id, {}), events, refusal)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.xgroup_create(SHARD.responses, ENGINE_GROUP, id="0", mkstream=True)
        yield client


@pytest.fixture
def publisher(redis: Redis) -> Publisher:
    return Publisher(redis, ENGINE_GROUP)


async def publish(redis: Redis, count: int) -> list[str]:
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xadd(SHARD.responses, {"event": f"{number}"})
        return [entry_id.decode() for entry_id in await pipeline.execute()]


async def deliver(redis: Redis, count: int, consumer: str = "a") -> list[str]:
    """Publish entries and let a consumer read them; returns their ids."""
    ids = await publish(redis, count)
    await redis.xreadgroup(ENGINE_GROUP, consumer, {SHARD.responses: ">"}, count=count)
    return ids


async def events(redis: Redis, stream: str) -> list[bytes]:
    entries: Any = await redis.xrange(stream)
    assert all(list(fields) == [b"event"] for _, fields in entries)
    return [fields[b"event"] for _, fields in entries]


async def pending(redis: Redis) -> int:
    return int((await redis.xpending(SHARD.responses, ENGINE_GROUP))["pending"])


async def test_given_pending_entries_then_each_is_acked_and_its_events_added(
    redis: Redis, publisher: Publisher
) -> None:
    first, second, third, fourth = await deliver(redis, 4)

    acknowledged = await publisher.publish(
        ROUTE,
        [
            settled(third, [b"3a", b"3b"]),
            refused(second, [b"refused"]),
            settled(first, [b"1"]),
            settled(fourth, []),
        ],
    )

    assert acknowledged == 4
    assert await pending(redis) == 0
    assert await events(redis, SHARD.mastery) == [b"3a", b"3b", b"1"]
    assert await events(redis, SHARD.rejected) == [b"refused"]


async def test_given_a_repeat_when_published_then_nothing_is_added(
    redis: Redis, publisher: Publisher
) -> None:
    first, second = await deliver(redis, 2)
    batch = [settled(first, [b"1"]), refused(second, [b"no"])]
    await publisher.publish(ROUTE, batch)

    assert await publisher.publish(ROUTE, batch) == 0
    assert await Publisher(redis, ENGINE_GROUP).publish(ROUTE, batch[::-1]) == 0

    assert await events(redis, SHARD.mastery) == [b"1"]
    assert await events(redis, SHARD.rejected) == [b"no"]


async def test_given_an_entry_another_consumer_acked_then_nothing_is_added(
    redis: Redis, publisher: Publisher
) -> None:
    first, second = await deliver(redis, 2)
    await redis.xclaim(SHARD.responses, ENGINE_GROUP, "b", 0, [first])
    await Publisher(redis, ENGINE_GROUP).publish(ROUTE, [settled(first, [b"of b"])])

    acknowledged = await publisher.publish(
        ROUTE, [settled(first, [b"of a"]), settled(second, [b"2"])]
    )

    assert acknowledged == 1
    assert await events(redis, SHARD.mastery) == [b"of b", b"2"]


async def test_given_an_entry_claimed_but_not_acked_then_the_first_ack_publishes(
    redis: Redis, publisher: Publisher
) -> None:
    (first,) = await deliver(redis, 1)
    await redis.xclaim(SHARD.responses, ENGINE_GROUP, "b", 0, [first])

    assert await publisher.publish(ROUTE, [settled(first, [b"of a"])]) == 1
    assert await publisher.publish(ROUTE, [settled(first, [b"of b"])]) == 0

    assert await events(redis, SHARD.mastery) == [b"of a"]


async def test_given_entries_never_delivered_or_unknown_then_nothing_is_added(
    redis: Redis, publisher: Publisher
) -> None:
    (unread,) = await publish(redis, 1)

    assert await publisher.publish(ROUTE, [settled(unread, [b"1"]), settled("1-1", [b"2"])]) == 0

    assert not await redis.exists(SHARD.mastery)


@pytest.mark.parametrize("key", [SHARD.mastery, SHARD.rejected])
async def test_given_a_key_that_is_no_stream_then_nothing_is_acked(
    redis: Redis, publisher: Publisher, key: str
) -> None:
    first, second = await deliver(redis, 2)
    await redis.set(key, "a string")

    with pytest.raises(StreamRefused, match=rf"WRONGTYPE {key} is a string"):
        await publisher.publish(ROUTE, [settled(first, [b"1"]), settled(second, [b"2"])])

    assert await pending(redis) == 2
    await redis.delete(key)
    assert await publisher.publish(ROUTE, [settled(first, [b"1"]), settled(second, [b"2"])]) == 2
    assert await events(redis, SHARD.mastery) == [b"1", b"2"]


@pytest.mark.parametrize("lost", ["stream", "group", "all"])
async def test_given_redis_lost_its_data_then_nothing_is_added_and_nothing_fails(
    redis: Redis, publisher: Publisher, lost: str
) -> None:
    (first,) = await deliver(redis, 1)
    if lost == "stream":
        await redis.delete(SHARD.responses)
    elif lost == "group":
        await redis.xgroup_destroy(SHARD.responses, ENGINE_GROUP)
    else:
        await redis.flushdb()

    assert await publisher.publish(ROUTE, [settled(first, [b"1"])]) == 0
    assert not await redis.exists(SHARD.mastery)


async def test_given_more_than_a_chunk_then_all_is_published_in_order(
    redis: Redis, publisher: Publisher
) -> None:
    ids = await deliver(redis, 1203)

    acknowledged = await publisher.publish(
        ROUTE, [settled(id_, [b"%d" % number]) for number, id_ in enumerate(ids)]
    )

    assert acknowledged == 1203
    assert await events(redis, SHARD.mastery) == [b"%d" % number for number in range(1203)]


async def test_given_entries_of_ten_megabytes_then_they_go_through_one_by_one(
    redis: Redis, publisher: Publisher
) -> None:
    ids = await deliver(redis, 3)
    large = [bytes([65 + number]) * 10_000_000 for number in range(3)]
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {"calls": 0})["calls"]

    batch = [refused(id_, [text]) for id_, text in zip(ids, large, strict=True)]
    assert await publisher.publish(ROUTE, batch) == 3

    assert await events(redis, SHARD.rejected) == large
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert after - before >= 3


async def test_given_two_workers_with_the_same_entries_then_each_goes_out_once(
    redis: Redis,
) -> None:
    ids = await deliver(redis, 400)

    async def work(worker: bytes, order: int) -> int:
        publisher = Publisher(redis, ENGINE_GROUP)
        acknowledged = 0
        for id_ in ids[::order]:
            acknowledged += await publisher.publish(ROUTE, [settled(id_, [id_.encode(), worker])])
        return acknowledged

    assert sum(await asyncio.gather(work(b"a", 1), work(b"b", -1))) == 400

    published = await events(redis, SHARD.mastery)
    assert sorted(published[::2]) == sorted(id_.encode() for id_ in ids)
    assert set(published[1::2]) == {b"a", b"b"}


async def test_given_scripts_flushed_then_it_is_loaded_again(
    redis: Redis, publisher: Publisher
) -> None:
    first, second = await deliver(redis, 2)
    await publisher.publish(ROUTE, [settled(first, [b"1"])])
    await redis.script_flush()

    assert await publisher.publish(ROUTE, [settled(second, [b"2"])]) == 1


async def test_given_shards_then_each_has_streams_of_its_own(
    redis: Redis, publisher: Publisher
) -> None:
    first, other = shards(2)
    for shard in (first, other):
        await redis.xgroup_create(shard.responses, ENGINE_GROUP, id="0", mkstream=True)
        await redis.xadd(shard.responses, {"event": "x"}, id="5-0")
        await redis.xreadgroup(ENGINE_GROUP, "a", {shard.responses: ">"})

    await publisher.publish(Route.of_responses(other), [settled("5-0", [b"of the other"])])

    assert await events(redis, "practice.mastery.v1.{1}") == [b"of the other"]
    assert not await redis.exists("practice.mastery.v1.{0}")


async def test_given_no_redis_then_it_is_unavailable() -> None:
    async with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1) as client:
        publisher = Publisher(client, ENGINE_GROUP)
        with pytest.raises(RedisUnavailable):
            await publisher.publish(ROUTE, [settled("1-1", [b"1"])])
