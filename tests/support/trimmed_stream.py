"""A stream to trim: its entries, its groups, and what they have read."""

from typing import Any

from redis.asyncio import Redis

from workers.streams.trimming import Bounds, Trimmer

STREAM, OURS = "practice.responses.v1", "ours"
RESPONSES = Bounds(STREAM, OURS)
HOUR_MS = 3_600_000


async def add(redis: Redis, count: int) -> list[str]:
    async with redis.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xadd(STREAM, {"event": f"{number}"})
        return [entry_id.decode() for entry_id in await pipeline.execute()]


async def group(redis: Redis, *names: str) -> None:
    for name in names:
        await redis.xgroup_create(STREAM, name, id="0", mkstream=True)


async def read(redis: Redis, name: str, count: int, *, consumer: str = "c") -> None:
    await redis.xreadgroup(name, consumer, {STREAM: ">"}, count=count)


async def ids(redis: Redis) -> list[str]:
    entries: Any = await redis.xrange(STREAM)
    return [entry_id.decode() for entry_id, _ in entries]


async def trim_all(trimmer: Trimmer, bounds: Bounds = RESPONSES) -> int:
    total = 0
    while True:
        trimmed = await trimmer.trim(bounds)
        total += trimmed.entries
        if not trimmed.more:
            return total
