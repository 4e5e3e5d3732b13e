"""Workers that share streams by leases; what they read is only noted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from contracts.streams import Shard
from workers.streams.leases.lease import Lease
from workers.streams.leases.leased_reader import LeasedReader
from workers.streams.leases.readers import Readers
from workers.streams.leases.roster import Roster


class NotedStream:
    """A stream of which only beginning and end of the reading are noted."""

    def __init__(self, stream: str, owner: "LeaseHolder") -> None:
        self.stream = stream
        self._owner = owner
        self.alive = False

    async def take_over(self) -> None:
        self.alive = True
        self._owner.taken.append(self.stream)

    async def stop(self) -> None:
        self.alive = False

    async def finish(self) -> None:
        self._owner.finished.append(self.stream)


class LeaseHolder:
    """A worker without anything but leases.

    Args:
        client: a connection to Redis.
        name: the worker's name.
        shard_count: ``STREAM_SHARDS``.
    """

    def __init__(self, client: Redis, name: str, shard_count: int = 0) -> None:
        self.name = name
        self.streams: dict[str, NotedStream] = {}
        self.taken: list[str] = []
        self.finished: list[str] = []
        self.let_go: list[str] = []
        self.old: Sequence[Shard] = ()
        self.counts: list[int] = []
        self.at_work = asyncio.Event()
        """Set while nothing is in flight."""
        self.at_work.set()
        self._client = client
        self.readers = Readers(
            roster=Roster(client, name, shard_count),
            make=self._make,
            old=lambda: self.old,
            reading=self.counts.append,
        )

    @property
    def reading(self) -> list[str]:
        return [one.stream for one in self.streams.values() if one.alive]

    def _make(self, shard: Shard) -> LeasedReader:
        stream = self.streams[shard.responses] = NotedStream(shard.responses, self)

        async def settled(_: str) -> None:
            await self.at_work.wait()

        return LeasedReader(
            stream,
            Lease(self._client, shard.responses, self.name),
            settled=settled,
            let_go=self.let_go.append,
        )

    async def crash(self) -> None:
        """End without a word, as with SIGKILL."""
        await self.readers.abandon()
        for one in self.streams.values():
            one.alive = False


@asynccontextmanager
async def holding(holder: LeaseHolder) -> AsyncIterator[LeaseHolder]:
    """Run a holder; it leaves in order."""
    try:
        await holder.readers.start()
        yield holder
    finally:
        await holder.readers.stop()
        await holder.readers.abandon()
