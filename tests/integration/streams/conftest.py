"""A client of a real Redis, empty, and what works on its streams."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from workers.streams.trimming import Trimmer


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def trimmer(redis: Redis) -> Trimmer:
    return Trimmer(redis)
