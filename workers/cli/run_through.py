"""Publish and process responses in one process, with a progress bar."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

from redis.asyncio import Redis
from rich.progress import Progress, TaskID

from contracts.streams import ENGINE_GROUP, shards
from workers.app.lifecycle import Worker
from workers.cli.progress import progress_bar
from workers.common.tasks import end
from workers.importing.events import Entry, publish
from workers.streams.redis_errors import redis_errors

_POLL_S = 0.2


async def run_through(
    worker: Worker,
    client: Redis,
    batches: AsyncIterator[Iterable[Entry]],
    *,
    total: int,
    shard_count: int,
    stopped: asyncio.Event,
) -> float | None:
    """Publish all batches, and process until every stream is drained.

    Args:
        worker: a started worker.
        client: a client of the worker's Redis.
        batches: published one by one as they arrive.
        total: number of all entries.
        shard_count: `STREAM_SHARDS`.
        stopped: set to end early; published entries stay in the stream.

    Returns:
        The duration in seconds; None if it ended early.
    """
    began = time.perf_counter()
    with progress_bar() as bar:
        published = bar.add_task("published", total=total)
        processed = bar.add_task("processed", total=total)
        tasks = [
            asyncio.create_task(_publish(client, batches, bar, published)),
            asyncio.create_task(stopped.wait()),
            asyncio.create_task(worker.run(stopped=stopped)),
            asyncio.create_task(_watch(client, shard_count, bar, published, processed)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            if stopped.is_set():
                return None
            await worker.run(burst=True, stopped=stopped)
        finally:
            await end(tasks)
        bar.update(processed, completed=total)
    return None if stopped.is_set() else time.perf_counter() - began


async def _publish(
    client: Redis, batches: AsyncIterator[Iterable[Entry]], bar: Progress, task: TaskID
) -> None:
    async for batch in batches:
        await publish(client, batch, lambda count: bar.advance(task, count))


async def _watch(
    client: Redis, shard_count: int, bar: Progress, published: TaskID, processed: TaskID
) -> None:
    """Show how many published entries are acknowledged."""
    while True:
        await asyncio.sleep(_POLL_S)
        behind = 0
        with redis_errors():
            for shard in shards(shard_count):
                for group in await client.xinfo_groups(shard.responses):
                    if group["name"] in (ENGINE_GROUP, ENGINE_GROUP.encode()):
                        behind += group["pending"] + (group.get("lag") or 0)
        done = bar.tasks[published].completed - behind
        bar.update(processed, completed=max(bar.tasks[processed].completed, done))
