"""Publishes events over redis-py's asyncio client."""

from collections.abc import Iterable
from typing import Any

from contracts.client.publishing import Publishable, Published, Routed, fields_of, published
from contracts.client.routing import DEFAULT_TENANT_CLAIM


class Publisher(Routed):
    """Publishes answers and requests for jobs. It needs the right to XADD and no other.

    Args:
        redis: an asyncio client of the engine's Redis, ``Redis`` or ``RedisCluster``.
        shards: the engine's ``STREAM_SHARDS``.
        tenant_claim: the engine's ``JWT_TENANT_CLAIM``.

    Raises:
        ValueError: `shards` is out of range.
    """

    def __init__(
        self, redis: Any, *, shards: int = 0, tenant_claim: str = DEFAULT_TENANT_CLAIM
    ) -> None:
        super().__init__(shards, tenant_claim)
        self._redis = redis

    async def publish(self, event: Publishable) -> Published:
        """Add an event to its stream.

        Raises:
            redis.RedisError: it is not known whether Redis has the event: publish it again.
        """
        stream = self.stream_of(event)
        return published(stream, await self._redis.xadd(stream, fields_of(event)))

    async def publish_all(self, events: Iterable[Publishable]) -> list[Published]:
        """Add events in one round trip, in their order.

        Raises:
            redis.RedisError: it is not known which events Redis has: publish all of them again.
        """
        routed = [(self.stream_of(event), fields_of(event)) for event in events]
        if not routed:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for stream, fields in routed:
                pipeline.xadd(stream, fields)
            ids = await pipeline.execute()
        return [published(stream, id_) for (stream, _), id_ in zip(routed, ids, strict=True)]
