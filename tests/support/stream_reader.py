"""A reader of a stream that keeps what it reads, and what tests do around it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from faststream.redis import RedisBroker
from redis.asyncio import Redis

from contracts.responses import ResponseRecorded
from contracts.streams import ENGINE_GROUP, RESPONSES
from workers.streams.batch import RawBatch, RawEntry
from workers.streams.consumption import Consumption

START_S = 30.0
"""A watchdog's second, and what a slow and busy machine needs."""


class Reader:
    """A worker that keeps what it reads, and acknowledges it if it is told to."""

    def __init__(self, redis: Redis, *, acks: bool) -> None:
        self._redis = redis
        self.acks = acks
        self.held: set[str] = set()
        self.waiting = False
        self.batches: list[RawBatch] = []
        self.entered = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self.consumption: Consumption
        self.broker: RedisBroker

    @property
    def events(self) -> list[bytes]:
        return [entry.fields[b"event"] for batch in self.batches for entry in batch]

    async def take(self, batch: RawBatch) -> None:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        self.batches.append(batch)
        if self.acks:
            await self.ack(batch)
        else:
            self.held.update(entry.entry_id for entry in batch)

    async def ack(self, batch: list[RawEntry]) -> None:
        await self._redis.xack(RESPONSES, ENGINE_GROUP, *(entry.entry_id for entry in batch))

    async def read(self, count: int, within_s: float = START_S) -> list[bytes]:
        """Wait until at least so many events have come."""
        await until(lambda: len(self.events) >= count, within_s)
        return self.events


Open = Callable[..., Awaitable[Reader]]


@asynccontextmanager
async def reading(
    url: str,
    redis: Redis,
    *,
    consumer: str = "a",
    acks: bool = True,
    batch_size: int = 100,
    reclaim_after_ms: int = 60_000,
) -> AsyncIterator[Reader]:
    reader = Reader(redis, acks=acks)
    reader.broker = RedisBroker(url, logger=logging.getLogger("faststream"))
    reader.consumption = Consumption(
        broker=reader.broker,
        client=redis,
        stream=RESPONSES,
        group=ENGINE_GROUP,
        consumer=consumer,
        batch_size=batch_size,
        reclaim_after_ms=reclaim_after_ms,
        event=ResponseRecorded,
        handler=reader.take,
        in_flight=lambda: reader.held,
        waiting=lambda: reader.waiting,
    )
    await reader.consumption.prepare()
    await reader.broker.start()
    reader.consumption.start()
    try:
        yield reader
    finally:
        await reader.consumption.stop()
        await reader.broker.stop()


async def add(redis: Redis, *events: str) -> None:
    for event in events:
        await redis.xadd(RESPONSES, {"event": event})


async def until(condition: Callable[[], bool | Awaitable[bool]], within_s: float = START_S) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(within_s):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)
