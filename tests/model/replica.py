"""A replica that lags behind: what it has, and a failover to it."""

import asyncio
from typing import Any, Final

from redis.asyncio import Redis

_APART_S: Final = 0.002
"""No entry added later has the id of a lost one, which clocks of real servers also ensure."""


class Replica:
    """The keys of a Redis as they were when the replica was last in step.

    Args:
        client: a logical database of its own.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._dumps: dict[bytes, bytes] = {}

    async def catch_up(self) -> None:
        """Take all that the master has."""
        keys: list[Any] = await self._client.keys("*")
        async with self._client.pipeline(transaction=True) as pipeline:
            for key in keys:
                pipeline.dump(key)
            self._dumps = dict(zip(keys, await pipeline.execute(), strict=True))

    async def promote(self) -> None:
        """Take the master's place: what came since the replica was in step is lost."""
        await asyncio.sleep(_APART_S)
        async with self._client.pipeline(transaction=True) as pipeline:
            pipeline.flushdb()
            for key, dump in self._dumps.items():
                pipeline.restore(key, 0, dump)
            await pipeline.execute()
