"""An issuer whose key set can be rotated and switched off, and a real Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from tests.support.issuer import KeyServer, SigningKey


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def issuer() -> Iterator[KeyServer]:
    with KeyServer(SigningKey("old")) as server:
        yield server
