"""Count the tries of each entry alone, in Redis, so that the counts survive the process."""

from datetime import timedelta
from typing import Final

from redis.asyncio import Redis

from workers.streams.redis_errors import redis_errors

_KEPT: Final = timedelta(days=7)
"""Counts left behind by a crash expire after this time."""


def tries_key(stream: str) -> str:
    """Return the key of the hash from entry id to number of tries, in the stream's slot."""
    return f"{stream}:tries"


class Tries:
    """Count the tries of entries.

    Counts are set, never incremented: a command that is repeated because its answer was lost then
    counts once, although the server may have executed it twice.

    Args:
        client: a connection to the Redis of the streams.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def made(self, stream: str, entry_id: str) -> int:
        """Return the number of tries of an entry that were begun and not taken back.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            tries = await self._client.hget(tries_key(stream), entry_id)
        return int(tries or 0)

    async def note(self, stream: str, entry_id: str, made: int) -> None:
        """Set the number of tries of an entry.

        Raises:
            RedisUnavailable: try again.
        """
        key = tries_key(stream)
        with redis_errors():
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hset(key, entry_id, str(made))
                pipeline.expire(key, _KEPT)
                await pipeline.execute()

    async def forget(self, stream: str, entry_id: str) -> None:
        """Forget the tries of an entry that is done.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            await self._client.hdel(tries_key(stream), entry_id)
