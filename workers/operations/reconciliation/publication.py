"""Sending current values anew to the mastery streams, after Redis lost data."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from contracts.streams import shard_of, shards
from workers.common.retrying import Patience
from workers.estimation.learner import LearnerKey
from workers.importing.events import Entry, publish
from workers.ledger.current import CurrentLedger
from workers.operations.reconciliation.current_events import restate
from workers.operations.repair.scope import Scope

_PAGE: Final = 100
"""Learners read at once, with the stored outcomes of their newest responses."""


@dataclass(frozen=True, slots=True)
class Published:
    """What one page brought.

    Args:
        scanned: how many learners were looked at.
        learners: how many of them had a response recorded since.
        events: how many events were sent, or would be.
        untold: how many rewritten scales and sessions no event could carry.
        after: the last learner looked at, where to go on.
    """

    scanned: int
    learners: int
    events: int
    untold: int
    after: LearnerKey


class Publication:
    """Sends the current values of learners to their mastery streams.

    Sent twice they are recognised: an event keeps its id. Sent while workers publish they are
    harmless: subscribers keep the highest version.

    Args:
        ledger: what is current.
        client: of the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
        patience: waits for servers that are away.
        scope: whose values.
        dry_run: only count.
    """

    def __init__(
        self,
        *,
        ledger: CurrentLedger,
        client: Redis,
        shard_count: int,
        patience: Patience,
        scope: Scope,
        dry_run: bool,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._shard_count = shard_count
        self._streams = [shard.mastery for shard in shards(shard_count)]
        self._patience = patience
        self._scope = scope
        self._dry_run = dry_run

    async def run(self, since_us: int, after: LearnerKey | None = None) -> AsyncIterator[Published]:
        """Send page by page; may be stopped and begun again at any page.

        Args:
            since_us: only learners with a response recorded at or after it, by the ledger's
                clock; microseconds since 1970.
            after: go on after this learner.
        """
        async for keys in self._scope.learners(self._learners_after, after):
            yield await self._sent(keys, since_us)

    async def _sent(self, keys: list[LearnerKey], since_us: int) -> Published:
        now_us = await self._patience.until_answered(self._ledger.clock_us)
        current = await self._patience.until_answered(lambda: self._ledger.current(keys, since_us))
        entries: list[Entry] = []
        untold = 0
        for one in current:
            restated = restate(one, now_us)
            stream = self._streams[shard_of(*one.key, self._shard_count)]
            entries += [Entry(stream, event) for event in restated.events]
            untold += restated.untold
        if not self._dry_run:
            # Some may be there already when this is repeated: they keep their ids.
            await self._patience.until_answered(lambda: publish(self._client, entries))
        return Published(len(keys), len(current), len(entries), untold, keys[-1])

    async def _learners_after(self, after: LearnerKey) -> list[LearnerKey]:
        return await self._patience.until_answered(lambda: self._ledger.learners(after, _PAGE))
