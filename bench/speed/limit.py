"""The limit: read entries, commit ready-made documents, publish ready-made events.

Usage: ``python -m bench.speed.limit FILE``, where the file holds the batches. A batch is published
while the next one is committed and the one after it is read.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson
from redis.asyncio import Redis

import workers.publishing
from bench.speed.ready_batches import BATCH_SIZE, ReadyBatch, from_json
from contracts.streams import ENGINE_GROUP, RESPONSES
from supabase import acreate_client

_SCRIPT: Final = Path(workers.publishing.__path__[0], "publish.lua").read_text(encoding="utf-8")
Commit = Callable[[str], Awaitable[Any]]
Queue = asyncio.Queue[ReadyBatch]


async def _commit_call() -> Commit:
    if "DATABASE_URL" in os.environ:
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])

        async def direct(document: str) -> Any:
            answer = await connection.fetchval("select public.mastery_commit($1::jsonb)", document)
            return orjson.loads(answer)

        return direct
    client = await acreate_client(
        os.environ["SUPABASE_URL"], os.environ["SUPABASE_SERVICE_ROLE_KEY"]
    )

    async def rest(document: str) -> Any:
        return (await client.rpc("mastery_commit", orjson.loads(document)).execute()).data

    return rest


async def _read(redis: Redis, batches: list[ReadyBatch], queue: Queue) -> None:
    for batch in batches:
        left = batch.entries
        while left:
            answer: Any = await redis.xreadgroup(
                ENGINE_GROUP, "limit", {RESPONSES: ">"}, count=min(left, BATCH_SIZE), block=1_000
            )
            for _, entries in answer.items() if isinstance(answer, dict) else answer or ():
                left -= len(entries[0] if isinstance(entries[0], list) else entries)
        await queue.put(batch)


async def _commit(commit: Commit, queue: Queue, done: Queue) -> None:
    while True:
        batch = await queue.get()
        for document in batch.commits:
            answer = await commit(document)
            if answer["conflicts"]:
                raise SystemExit("a ready-made batch is in conflict: versions differ")
        await done.put(batch)


async def _publish(redis: Redis, done: Queue) -> None:
    script = redis.register_script(_SCRIPT)
    while True:
        batch = await done.get()
        acknowledged = await script(keys=batch.keys, args=batch.publish)
        if acknowledged != batch.entries:
            raise SystemExit(f"{acknowledged} of {batch.entries} entries acknowledged")


async def _main(batches: list[ReadyBatch]) -> None:
    commit = await _commit_call()
    queue, done = Queue(1), Queue(1)
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis, asyncio.TaskGroup() as tasks:
        await redis.xgroup_create(RESPONSES, ENGINE_GROUP, id="0", mkstream=True)
        tasks.create_task(_publish(redis, done))
        tasks.create_task(_commit(commit, queue, done))
        tasks.create_task(_read(redis, batches, queue))


if __name__ == "__main__":
    asyncio.run(_main(from_json(Path(sys.argv[1]).read_bytes())))
