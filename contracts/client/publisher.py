"""Publishes events over redis-py's plain client."""

from collections.abc import Iterable
from typing import Any

from contracts.client.confirmation import Confirmation
from contracts.client.confirming import add_confirmed
from contracts.client.publishing import (
    Publishable,
    Published,
    Routed,
    by_stream,
    fields_of,
    published,
)
from contracts.client.routing import DEFAULT_TENANT_CLAIM, of_cluster


class Publisher(Routed):
    """Publishes answers and requests for jobs. It needs the right to XADD and no other.

    With a confirmation it also needs the right to WAIT (or WAITAOF).

    Args:
        redis: a client of the engine's Redis, ``Redis`` or ``RedisCluster``.
        shards: the engine's ``STREAM_SHARDS``.
        tenant_claim: the engine's ``JWT_TENANT_CLAIM``.
        confirmation: what must have an event before it counts as published; None: the server
            that takes it.

    Raises:
        ValueError: `shards` is out of range: on a Redis Cluster it is 1 or more.
    """

    def __init__(
        self,
        redis: Any,
        *,
        shards: int = 0,
        tenant_claim: str = DEFAULT_TENANT_CLAIM,
        confirmation: Confirmation | None = None,
    ) -> None:
        super().__init__(shards, tenant_claim, cluster=of_cluster(redis))
        self._redis = redis
        self._confirmation = confirmation

    def publish(self, event: Publishable) -> Published:
        """Add an event to its stream.

        Raises:
            NotConfirmedError: too few replicas have it: publish it again. It is a `RedisError`.
            redis.RedisError: it is not known whether Redis has the event: publish it again.
        """
        stream = self.stream_of(event)
        if self._confirmation is not None:
            (entry_id,) = add_confirmed(self._redis, stream, [fields_of(event)], self._confirmation)
            return published(stream, entry_id)
        return published(stream, self._redis.xadd(stream, fields_of(event)))

    def publish_all(self, events: Iterable[Publishable]) -> list[Published]:
        """Add events in one round trip, in their order; with a confirmation in one per stream.

        Raises:
            redis.RedisError: it is not known which events Redis has: publish all of them again.
        """
        routed = [(self.stream_of(event), fields_of(event)) for event in events]
        if not routed:
            return []
        if self._confirmation is not None:
            ids: dict[int, Any] = {}
            for stream, places in by_stream(routed).items():
                each = [routed[place][1] for place in places]
                added = add_confirmed(self._redis, stream, each, self._confirmation)
                ids |= dict(zip(places, added, strict=True))
            return [published(stream, ids[place]) for place, (stream, _) in enumerate(routed)]
        with self._redis.pipeline(transaction=False) as pipeline:
            for stream, fields in routed:
                pipeline.xadd(stream, fields)
            answers = pipeline.execute()
        return [published(stream, id_) for (stream, _), id_ in zip(routed, answers, strict=True)]
