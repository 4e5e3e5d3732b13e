"""Tries of entries, on a real Redis: they outlive the process, and a repeat counts nothing."""

import pytest
from redis.asyncio import Redis

from contracts.streams import RESPONSES
from workers.common.errors import RedisUnavailable, StreamRefused
from workers.streams.tries import Tries, tries_key

ENTRY = "1795253400123-0"


async def test_given_tries_when_noted_then_another_process_sees_them(
    redis: Redis, redis_url: str
) -> None:
    assert await Tries(redis).made(RESPONSES, ENTRY) == 0
    for _ in range(2):
        await Tries(redis).note(RESPONSES, ENTRY, 3)

    async with Redis.from_url(redis_url) as other:
        assert await Tries(other).made(RESPONSES, ENTRY) == 3
        assert 0 < await other.ttl(tries_key(RESPONSES)) <= 7 * 24 * 3600
        await Tries(other).forget(RESPONSES, ENTRY)

    assert await Tries(redis).made(RESPONSES, ENTRY) == 0
    assert not await redis.exists(tries_key(RESPONSES))


async def test_given_a_key_of_another_kind_then_it_is_refused(redis: Redis) -> None:
    await redis.set(tries_key(RESPONSES), "x")
    with pytest.raises(StreamRefused):
        await Tries(redis).made(RESPONSES, ENTRY)
    with pytest.raises(StreamRefused):
        await Tries(redis).note(RESPONSES, ENTRY, 1)


async def test_given_no_redis_then_it_is_unavailable() -> None:
    async with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1) as client:
        tries = Tries(client)
        with pytest.raises(RedisUnavailable):
            await tries.made(RESPONSES, ENTRY)
        with pytest.raises(RedisUnavailable):
            await tries.note(RESPONSES, ENTRY, 1)
        with pytest.raises(RedisUnavailable):
            await tries.forget(RESPONSES, ENTRY)
