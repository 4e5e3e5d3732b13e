"""The clock that decides: Redis's own, whose milliseconds begin each entry's id."""

from typing import Any

from redis.asyncio import Redis

from workers.streams.redis_errors import redis_errors


async def redis_now_ms(client: Redis) -> int:
    """Milliseconds since 1970 by Redis's clock, rounded down as in the ids of entries.

    Raises:
        RedisUnavailable: try again.
    """
    with redis_errors():
        seconds, microseconds = await _time(client)
    return int(seconds) * 1000 + int(microseconds) // 1000


async def _time(client: Redis) -> Any:
    return await client.time()
