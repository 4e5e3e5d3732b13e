"""Redis users of a test's own, with few permissions."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis


@asynccontextmanager
async def redis_user(redis: Redis, redis_url: str, *rules: str) -> AsyncIterator[Redis]:
    """Connect as a new user with these rules of ACL SETUSER; delete the user afterwards."""
    name = f"test-{uuid.uuid4().hex}"
    server: Any = redis  # redis-py leaves its general command untyped
    await server.execute_command("ACL", "SETUSER", name, "on", ">secret", *rules)
    try:
        async with Redis.from_url(redis_url, username=name, password="secret") as client:
            yield client
    finally:
        await server.execute_command("ACL", "DELUSER", name)
