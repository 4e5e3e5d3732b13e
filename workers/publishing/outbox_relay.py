"""Telling subscribers of changes that no entry of a stream brought: corrections, rebuilds."""

import asyncio
import random
from typing import Any, Final

import structlog
from redis.asyncio import Redis

from contracts.streams import EVENT_FIELD, shard_of, shards
from workers.common.retrying import Patience
from workers.ledger.outbox import OutboxLedger, PendingChange
from workers.publishing.mastery_events import current_event
from workers.streams.redis_errors import redis_errors

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 500
_PERIOD_S: Final = 4.0


class Teller:
    """Publishes what the ledger has to tell, at least once; an event that is told again has its id.

    A change is stored together with what is to be told of it. Any teller may tell it: one that
    dies in between leaves it to the next.

    Args:
        ledger: where changes wait.
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
        patience: waits for servers that are away; used by `run` alone.
        lease_s: after so many seconds a teller that has not finished is thought dead.
        period_s: between two looks of `run`, at most, seconds.
    """

    def __init__(
        self,
        *,
        ledger: OutboxLedger,
        client: Redis,
        shard_count: int,
        patience: Patience | None = None,
        lease_s: float = 30.0,
        period_s: float = _PERIOD_S,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._shards = shards(shard_count)
        self._shard_count = shard_count
        self._patience = patience or Patience()
        self._lease_s = lease_s
        self._period_s = period_s

    async def run(self) -> None:
        """Tell what comes, for ever.

        Raises:
            Fatal: a server refuses us.
        """
        while True:
            told = await self._patience.until_answered(self.tell)
            if told:
                _log.info("changes_told", events=told)
            # Workers that were started together should not all look at one moment.
            await asyncio.sleep(self._period_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret

    async def tell(self) -> int:
        """Tell all that is waiting now and that nobody else has taken.

        Returns:
            How many events were published.

        Raises:
            LedgerUnavailable: try again; what was published may be published again.
            RedisUnavailable: try again.
        """
        total = 0
        while waiting := await self._ledger.pending_changes(_AT_ONCE, self._lease_s):
            await self._publish(waiting)
            await self._ledger.forget_changes([one.number for one in waiting])
            total += len(waiting)
        return total

    async def _publish(self, waiting: list[PendingChange]) -> None:
        with redis_errors():
            async with self._client.pipeline(transaction=False) as pipeline:
                for one in waiting:
                    shard = self._shards[shard_of(*one.key, self._shard_count)]
                    pipeline.xadd(shard.mastery, {EVENT_FIELD: _event(one)})
                await pipeline.execute()


def _event(one: PendingChange) -> bytes:
    data: dict[str, Any] = {**one.change.data, "version": one.version}
    return current_event(one.key, one.written_at_us, data)
