"""A client of a real Redis, empty, and what works on its streams."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.stream_reader import Open, Reader, reading
from workers.streams.trimming import Trimmer


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def trimmer(redis: Redis) -> Trimmer:
    return Trimmer(redis)


@pytest.fixture
async def opened(redis_url: str, redis: Redis) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_(**options: Any) -> Reader:
            return await stack.enter_async_context(reading(redis_url, redis, **options))

        yield open_
