"""Redis's clock, whose milliseconds begin each entry id."""

from typing import Any

from redis.asyncio import Redis

from workers.streams.redis_errors import redis_errors


async def redis_now_ms(client: Redis) -> int:
    """Return Redis's time in milliseconds since 1970, rounded down as in entry ids.

    Raises:
        RedisUnavailable: try again.
    """
    with redis_errors():
        seconds, microseconds = await _time(client)
    return int(seconds) * 1000 + int(microseconds) // 1000


async def _time(client: Redis) -> Any:
    return await client.time()
