"""Read streams as one incarnation of a worker: any by force, and its share by real leases."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, Shard
from workers.engine.engine import Engine
from workers.streams.batch import RawBatch, decode, parse
from workers.streams.leases.lease import Lease
from workers.streams.leases.leased_reader import LeasedReader
from workers.streams.leases.readers import Readers
from workers.streams.leases.roster import Roster
from workers.streams.old_shards import OldShards
from workers.streams.reclaiming import Reclaimer
from workers.streams.route import Route

BATCH: Final = 4
"""Small, so that batches overlap."""
LEASE_S: Final = 3_600.0
"""Leases and silence end when the model says so, not because a machine is slow."""


class Stream:
    """One stream as one incarnation reads it.

    Args:
        client: the incarnation's Redis.
        shard: whose responses.
        consumer: name in the group.
        engine: of the incarnation.
        submit: hands a batch to the engine.
    """

    def __init__(
        self,
        client: Redis,
        shard: Shard,
        consumer: str,
        engine: Engine,
        submit: Callable[[Route, RawBatch], Awaitable[None]],
    ) -> None:
        self.stream = shard.responses
        self.alive = False
        self.route = Route.of_responses(shard)
        self._client = client
        self._consumer = consumer
        self.reclaimer = Reclaimer(
            client=client,
            stream=self.stream,
            group=ENGINE_GROUP,
            consumer=consumer,
            idle_ms=0,
            batch_size=BATCH,
            in_flight=lambda: engine.in_flight(self.stream),
            waiting=engine.unsettled,
            feed=lambda batch: submit(self.route, batch),
        )

    async def read(self, count: int) -> RawBatch | None:
        """Take unread entries as the subscriber takes them; None if there are none."""
        answer: Any = await self._client.xreadgroup(
            ENGINE_GROUP, self._consumer, {self.stream: ">"}, count=count
        )
        if not answer:
            return None
        entries = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
        entries = entries[0] if entries and isinstance(entries[0], list) else entries
        ids, fields = zip(*entries, strict=True)
        message: Any = {
            "type": "bstream",
            "channel": self.stream,
            "data": list(fields),
            "message_ids": list(ids),
        }
        return await decode(await parse(message))

    async def take_over(self) -> None:
        """Process what any consumer left pending; the model reads then, step by step."""
        await self.reclaimer.take_over()
        self.alive = True

    async def stop(self) -> None:
        """Stop taking entries."""
        self.alive = False

    async def finish(self) -> None:
        """Process what was delivered and not submitted."""
        await self.reclaimer.inherit("+")


class ToldLease(Lease):
    """A lease that is looked at when it is handed over.

    Args:
        client: the incarnation's Redis.
        stream: the stream.
        holder: name of the worker.
        clock: the world's.
        released: awaited before it is given back, with the stream and the holder.
    """

    def __init__(
        self,
        client: Redis,
        stream: str,
        holder: str,
        clock: Callable[[], float],
        released: Callable[[str, str], Awaitable[None]],
    ) -> None:
        super().__init__(client, stream, holder, ttl_s=LEASE_S, clock=clock)
        self._stream_and_holder = stream, holder
        self._released = released

    async def release(self) -> None:
        await self._released(*self._stream_and_holder)
        await super().release()


class Reading:
    """The streams of an incarnation, and the leases by which it shares them with others.

    Args:
        client: the incarnation's Redis.
        consumer: name of the worker.
        engine: of the incarnation.
        streams: all streams that there may be, by shard.
        shard_count: its ``STREAM_SHARDS``.
        own: the shards of that number.
        clock: the world's; leases are extended when it has moved.
        released: see `ToldLease`.
    """

    def __init__(
        self,
        *,
        client: Redis,
        consumer: str,
        engine: Engine,
        streams: dict[Shard, Stream],
        shard_count: int,
        own: tuple[Shard, ...],
        clock: Callable[[], float],
        released: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self.joined = False
        """True once the others see this worker."""
        self._streams = streams
        self._leased: list[LeasedReader] = []
        self._old = OldShards(client, [shard for shard in streams if shard not in own])

        def make(shard: Shard) -> LeasedReader:
            reader = LeasedReader(
                streams[shard],
                ToldLease(client, shard.responses, consumer, clock, released),
                settled=engine.settled,
                let_go=engine.let_go,
            )
            self._leased.append(reader)
            return reader

        self._roster = Roster(client, consumer, shard_count, silence_s=LEASE_S)
        self._readers = Readers(
            roster=self._roster,
            make=make,
            old=lambda: self._old.responses,
            reading=lambda _: None,
        )

    async def adjust(self) -> None:
        """Extend the leases; hand over what is too much, or take what is missing."""
        await self._old.look()
        await self._readers._adjust()
        self.joined = True

    async def hand_over(self) -> None:
        """Leave the others, and begin to hand all streams over, as at a stop."""
        await self._roster.leave()
        for reader in self._leased:
            reader.hand_over()

    def check(self) -> None:
        """Notice the leases that ran out while Redis did not answer."""
        for reader in self._leased:
            reader.check()

    @property
    def held(self) -> list[Stream]:
        """The streams that this worker has a lease of, as far as it knows."""
        names = self._readers.held
        return [stream for stream in self._streams.values() if stream.stream in names]

    @property
    def others(self) -> list[str]:
        """The streams that it leaves to others."""
        return self._readers.others

    @property
    def at_work(self) -> bool:
        """True while a stream is taken over or handed over."""
        return any(reader._task and not reader._task.done() for reader in self._leased)

    async def abandon(self) -> None:
        """Drop all at once."""
        for reader in self._leased:
            await reader.abandon()
