"""Publish current values again after Redis lost data."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from contracts.streams import shard_of, shards
from workers.common.retrying import Retrying
from workers.estimation.learner import LearnerKey
from workers.importing.events import Entry, publish
from workers.ledger.current import CurrentLedger
from workers.operations.reconciliation.current_events import current_events
from workers.operations.repair.scope import Scope

_PAGE: Final = 100
"""Learners read at once, with the stored outcomes of their newest responses."""


@dataclass(frozen=True, slots=True)
class Published:
    """The result of one page.

    Args:
        scanned: number of learners read.
        learners: how many of them had a response recorded since then.
        events: number of events published, or to be published.
        unpublished: number of rewritten scales and sessions that no event could carry.
        after: the last learner read, where to resume.
    """

    scanned: int
    learners: int
    events: int
    unpublished: int
    after: LearnerKey


class Publication:
    """Publishes the current values of learners to their mastery streams.

    A repeat is recognised, because an event keeps its id. Running beside workers is harmless,
    because subscribers keep the highest version.

    Args:
        ledger: has the current values.
        client: a connection to the Redis of the streams.
        shard_count: `STREAM_SHARDS`.
        retrying: waits for servers that are away.
        scope: the learners.
        dry_run: count only.
    """

    def __init__(
        self,
        *,
        ledger: CurrentLedger,
        client: Redis,
        shard_count: int,
        retrying: Retrying,
        scope: Scope,
        dry_run: bool,
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._shard_count = shard_count
        self._streams = [shard.mastery for shard in shards(shard_count)]
        self._retrying = retrying
        self._scope = scope
        self._dry_run = dry_run

    async def run(self, since_us: int, after: LearnerKey | None = None) -> AsyncIterator[Published]:
        """Publish page by page; can be resumed at any page.

        Args:
            since_us: only learners with a response recorded at or after it, by the ledger's
                clock; microseconds since 1970.
            after: resume after this learner.
        """
        async for keys in self._scope.learners(self._learners_after, after):
            yield await self._sent(keys, since_us)

    async def _sent(self, keys: list[LearnerKey], since_us: int) -> Published:
        now_us = await self._retrying.call(self._ledger.clock_us)
        current = await self._retrying.call(lambda: self._ledger.current(keys, since_us))
        entries: list[Entry] = []
        unpublished = 0
        for learner in current:
            restated = current_events(learner, now_us)
            stream = self._streams[shard_of(*learner.key, self._shard_count)]
            entries += [Entry(stream, event) for event in restated.events]
            unpublished += restated.unpublished
        if not self._dry_run:
            # On a repeat some may be there already; they keep their ids.
            await self._retrying.call(lambda: publish(self._client, entries))
        return Published(len(keys), len(current), len(entries), unpublished, keys[-1])

    async def _learners_after(self, after: LearnerKey) -> list[LearnerKey]:
        return await self._retrying.call(lambda: self._ledger.learners(after, _PAGE))
