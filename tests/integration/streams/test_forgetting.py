"""Forgetting silent consumers and the tries of entries that are gone, on a real Redis."""

import asyncio

from redis.asyncio import Redis

from tests.support.trimmed_stream import OURS, STREAM, add, group, read
from workers.streams.tries import tries_key
from workers.streams.trimming import Trimmer


async def consumers(redis: Redis, name: str = OURS) -> set[str]:
    return {info["name"].decode() for info in await redis.xinfo_consumers(STREAM, name)}


async def test_given_silent_consumers_then_own_and_pending_ones_are_kept(
    redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS, "foreign")
    (entry_id,) = await add(redis, 1)
    await read(redis, OURS, 1, consumer="holds")
    for name in ("me", "gone", "away"):
        await redis.xgroup_createconsumer(STREAM, OURS, name)
    await redis.xgroup_createconsumer(STREAM, "foreign", "theirs")
    await asyncio.sleep(0.06)
    await redis.xgroup_createconsumer(STREAM, OURS, "lively")

    removed = await trimmer.forget_consumers(STREAM, OURS, idle_ms=50, consumer="me")

    assert sorted(removed) == ["away", "gone"]
    assert await consumers(redis) == {"holds", "me", "lively"}
    assert await consumers(redis, "foreign") == {"theirs"}
    await redis.xclaim(STREAM, OURS, "me", 0, [entry_id])
    await asyncio.sleep(0.06)
    assert "holds" in await trimmer.forget_consumers(STREAM, OURS, idle_ms=50, consumer="me")
    (row,) = await redis.xpending_range(STREAM, OURS, "-", "+", 9)
    assert row["consumer"] == b"me"


async def test_given_a_forgotten_consumer_that_lives_then_it_reads_on(
    redis_url: str, redis: Redis, trimmer: Trimmer
) -> None:
    await group(redis, OURS)
    async with Redis.from_url(redis_url) as other:
        reading = asyncio.ensure_future(
            other.xreadgroup(OURS, "lives", {STREAM: ">"}, count=1, block=5_000)
        )
        await asyncio.sleep(0.06)
        await trimmer.forget_consumers(STREAM, OURS, idle_ms=0, consumer="me")
        await add(redis, 1)
        assert await reading
    assert await consumers(redis) == {"lives"}


async def test_given_neither_stream_nor_group_then_there_is_nothing_to_forget(
    redis: Redis, trimmer: Trimmer
) -> None:
    assert await trimmer.forget_consumers(STREAM, OURS, idle_ms=0, consumer="me") == []
    await group(redis, "foreign")
    assert await trimmer.forget_consumers(STREAM, OURS, idle_ms=0, consumer="me") == []


async def test_given_tries_when_forgotten_then_those_of_remaining_entries_stay(
    redis: Redis, trimmer: Trimmer
) -> None:
    assert await trimmer.forget_tries(STREAM, "5-0") == 0
    await redis.hset(tries_key(STREAM), mapping={f"4-{n}": "1" for n in range(1_200)})
    await redis.hset(tries_key(STREAM), mapping={"5-0": "2", "10-3": "1"})
    assert await trimmer.forget_tries(STREAM, "5-0") == 1_200
    assert await redis.hgetall(tries_key(STREAM)) == {b"5-0": b"2", b"10-3": b"1"}
