"""A client of a real Redis, empty, and the dead letters that it holds."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from workers.operations.dead_letters.reading import DeadLetters


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def letters(redis: Redis) -> DeadLetters:
    return DeadLetters(redis, 0, "tenant_id")
