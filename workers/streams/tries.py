"""How often each entry was tried alone: kept in Redis, so that it outlives the process."""

from datetime import timedelta
from typing import Final

from redis.asyncio import Redis

from workers.streams.redis_errors import redis_errors

_KEPT: Final = timedelta(days=7)
"""What a crash leaves of an entry that is done with is gone after this time."""


def tries_key(stream: str) -> str:
    """The hash that holds the tries of a stream's entries, by entry id; in the stream's slot."""
    return f"{stream}:tries"


class Tries:
    """Counts tries of entries.

    Numbers are written, never added to: a command whose answer was lost, and which the server may
    have carried out all the same, counts once however often it is repeated.

    Args:
        client: a connection to the Redis of the streams.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def made(self, stream: str, entry_id: str) -> int:
        """How many tries of an entry were begun and not taken back.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            found = await self._client.hget(tries_key(stream), entry_id)
        return int(found or 0)

    async def note(self, stream: str, entry_id: str, made: int) -> None:
        """Say how many tries were made.

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
        """Forget an entry that is done with.

        Raises:
            RedisUnavailable: try again.
        """
        with redis_errors():
            await self._client.hdel(tries_key(stream), entry_id)
