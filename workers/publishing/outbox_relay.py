"""The relay of the transactional outbox.

Corrections, rebuilds and replays change what subscribers know, yet answer no entry of a stream. The
ledger stores such a change and its pending event in one transaction; the relay publishes it.
"""

from typing import Any, Final

import structlog
from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD, shard_of, shards
from workers.common.jitter import jittered_sleep
from workers.common.retrying import Retrying
from workers.ledger.outbox import OutboxLedger, PendingChange
from workers.publishing.mastery_events import current_event
from workers.streams.redis_errors import redis_errors

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 500
_PERIOD_S: Final = 4.0


class OutboxRelay:
    """Publishes the pending events of the ledger, each at least once and always under one id.

    Safe without a lock: a row belongs to the relay that took it until its lease ends, and a row
    that is published twice has one id. A relay that dies leaves its rows to the next.

    Args:
        ledger: the system of record, with its pending events.
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
        retrying: waits for servers that are away; only `run` uses it.
        lease_s: seconds after which another relay may take the rows that this one took.
        period_s: the longest pause of `run` between two looks, seconds.
    """

    def __init__(
        self,
        *,
        ledger: OutboxLedger,
        client: Redis,
        shard_count: int,
        retrying: Retrying | None = None,
        lease_s: float = 30.0,
        period_s: float = _PERIOD_S,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._shards = shards(shard_count)
        self._shard_count = shard_count
        self._retrying = retrying or Retrying()
        self._lease_s = lease_s
        self._period_s = period_s

    async def run(self) -> None:
        """Publish pending events as they come, until cancelled.

        Raises:
            Fatal: a server refuses us.
        """
        while True:
            published = await self._retrying.call(self.publish)
            if published:
                _log.info("changes_told", events=published)
            # Workers that start together must not all look at one moment.
            await jittered_sleep(self._period_s)

    async def publish(self) -> int:
        """Publish all pending events that no other relay has taken.

        Returns:
            How many events were published.

        Raises:
            LedgerUnavailable: try again; published events may be published again.
            RedisUnavailable: try again.
            StreamRefused: the key of the mastery stream is no stream.
        """
        total = 0
        while waiting := await self._ledger.pending_changes(_AT_ONCE, self._lease_s):
            await self._publish(waiting)
            await self._ledger.forget_changes([change.number for change in waiting])
            total += len(waiting)
        return total

    async def _publish(self, waiting: list[PendingChange]) -> None:
        with redis_errors():
            async with self._client.pipeline(transaction=False) as pipeline:
                for change in waiting:
                    shard = self._shards[shard_of(*change.key, self._shard_count)]
                    pipeline.xadd(shard.mastery, {EVENT_FIELD: _event(change)})
                await pipeline.execute()


def _event(pending: PendingChange) -> bytes:
    data: dict[str, Any] = {**pending.change.data, "version": pending.version}
    return current_event(pending.key, pending.written_at_us, data)
