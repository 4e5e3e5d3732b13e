"""Groups are there before anybody reads, and begin at the beginning."""

from collections.abc import AsyncIterator
from typing import Any

import fakeredis
import pytest
from redis.asyncio import Redis

from workers.common.errors import RedisUnavailable, StreamRefused
from workers.streams.subscribers import ensure_groups


@pytest.fixture
async def client() -> AsyncIterator[Redis]:
    client = fakeredis.FakeAsyncRedis()
    yield client
    await client.aclose()


async def test_given_entries_before_the_group_when_ensured_then_it_reads_them(
    client: Redis,
) -> None:
    await client.xadd("s", {"event": "early"})

    await ensure_groups(client, [("s", "g"), ("empty", "g")])

    read: Any = await client.xreadgroup("g", "c", {"s": ">"})
    assert [fields for _, fields in read[0][1]] == [{b"event": b"early"}]
    assert await client.xlen("empty") == 0
    assert await client.exists("empty") == 1


async def test_given_a_group_that_has_read_when_ensured_then_it_keeps_its_place(
    client: Redis,
) -> None:
    await client.xadd("s", {"event": "1"})
    await ensure_groups(client, [("s", "g")])
    await client.xreadgroup("g", "c", {"s": ">"})

    await ensure_groups(client, [("s", "g")])

    assert not await client.xreadgroup("g", "c", {"s": ">"})


async def test_given_a_key_that_is_no_stream_when_ensured_then_it_is_refused(
    client: Redis,
) -> None:
    await client.set("s", "text")

    with pytest.raises(StreamRefused, match="WRONGTYPE"):
        await ensure_groups(client, [("s", "g")])


async def test_given_no_server_when_ensured_then_redis_is_unavailable() -> None:
    async with Redis.from_url("redis://127.0.0.1:1") as away:
        with pytest.raises(RedisUnavailable):
            await ensure_groups(away, [("s", "g")])
