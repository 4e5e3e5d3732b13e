"""Faults: break something on a stage, and mend it."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, RESPONSES
from tests.faults.proxy import gateway_error
from tests.faults.stage import Stage

Act = Callable[[Stage], Awaitable[None]]


async def nothing(_: Stage) -> None:
    """Do nothing: the fault is over as soon as it has happened."""


# Workers ------------------------------------------------------------------------------------------


async def kill_workers(stage: Stage) -> None:
    chance = random.Random(stage.load.seed)
    for _ in range(4):
        victim = chance.choice(stage.fleet.workers)
        stage.fleet.replace(victim)
        stage.repeated.append(await _committed_and_pending(stage, victim.name))
        await asyncio.sleep(chance.uniform(0.3, 2.0))


async def _committed_and_pending(stage: Stage, consumer: str) -> int:
    """Count the entries that a dead worker committed and did not acknowledge."""
    await asyncio.sleep(0.1)  # for a commit that was under way when it died
    async with Redis.from_url(stage.redis.url) as client:
        pending: Any = await client.xpending_range(
            RESPONSES, ENGINE_GROUP, "-", "+", 10_000, consumername=consumer
        )
    entries = [f"{RESPONSES}/{row['message_id'].decode()}" for row in pending]
    connection = await asyncpg.connect(stage.direct.dsn)
    try:
        return int(
            await connection.fetchval(
                "select count(*) from public.student_responses where entry = any($1)", entries
            )
        )
    finally:
        await connection.close()


# Redis --------------------------------------------------------------------------------------------


async def kill_redis(stage: Stage) -> None:
    stage.redis.process.kill()


async def start_redis(stage: Stage) -> None:
    await stage.redis.start()


async def freeze_redis(stage: Stage) -> None:
    stage.redis.process.freeze()


async def thaw_redis(stage: Stage) -> None:
    stage.redis.process.thaw()


async def flush(stage: Stage) -> None:
    async with Redis.from_url(stage.redis.url) as client:
        await client.flushall()


async def destroy_group(stage: Stage) -> None:
    async with Redis.from_url(stage.redis.url) as client:
        await client.xgroup_destroy(RESPONSES, ENGINE_GROUP)


async def delete_stream(stage: Stage) -> None:
    async with Redis.from_url(stage.redis.url) as client:
        await client.delete(RESPONSES)


async def fill_memory(stage: Stage) -> None:
    await _with_backlog(stage, lambda: stage.redis.set("maxmemory", "1mb"))


async def free_memory(stage: Stage) -> None:
    await stage.redis.set("maxmemory", "0")


async def fill_disk(stage: Stage) -> None:
    async def fill() -> None:
        stage.small_disk.fill()

    await _with_backlog(stage, fill)


async def _with_backlog(stage: Stage, strike: Callable[[], Awaitable[None]]) -> None:
    """Strike while there is work to do: a full Redis takes no events that would make some."""
    stage.fleet.freeze()
    await asyncio.sleep(1.0)
    await strike()
    stage.fleet.thaw()


async def free_redis_disk(stage: Stage) -> None:
    stage.small_disk.free()
    if not stage.redis.process.running:
        await stage.redis.start()


# Postgres -----------------------------------------------------------------------------------------


async def stop_postgres(stage: Stage) -> None:
    stage.postgres.process.signal(signal.SIGINT)  # "fast"


async def crash_postgres(stage: Stage) -> None:
    stage.postgres.process.signal(signal.SIGQUIT)  # "immediate"


async def start_postgres(stage: Stage) -> None:
    await stage.postgres.serving()


async def freeze_postgres(stage: Stage) -> None:
    stage.postgres.process.freeze()


async def thaw_postgres(stage: Stage) -> None:
    stage.postgres.process.thaw()


async def free_postgres_disk(stage: Stage) -> None:
    stage.small_disk.free()
    await stage.postgres.serving()


# PostgREST and its gateway ------------------------------------------------------------------------


async def kill_postgrest(stage: Stage) -> None:
    stage.rest_servers.postgrest.kill()


async def start_postgrest(stage: Stage) -> None:
    stage.rest_servers.postgrest.start()
    await stage.rest_servers.serving()


async def crash_under_postgrest(stage: Stage) -> None:
    stage.postgres.process.signal(signal.SIGQUIT)


async def start_under_postgrest(stage: Stage) -> None:
    await stage.postgres.serving()
    await stage.rest_servers.serving()


def answer(status: int, reason: str) -> Act:
    async def act(stage: Stage) -> None:
        stage.line.answer(gateway_error(status, reason))

    return act


async def forward(stage: Stage) -> None:
    stage.line.answer(None)


# The lines ----------------------------------------------------------------------------------------


async def refuse(stage: Stage) -> None:
    await stage.line.refuse()


async def accept(stage: Stage) -> None:
    await stage.line.accept()


async def silence(stage: Stage) -> None:
    stage.line.silence()


async def speak(stage: Stage) -> None:
    stage.line.speak()


async def forget(stage: Stage) -> None:
    stage.line.speak(forget=True)


async def cut_often(stage: Stage) -> None:
    for _ in range(10):
        stage.line.cut()
        await asyncio.sleep(0.3)


async def half_close(stage: Stage) -> None:
    for _ in range(5):
        stage.line.half_close()
        await asyncio.sleep(0.4)


async def delay(stage: Stage) -> None:
    stage.line.delay_s = 0.3


async def no_delay(stage: Stage) -> None:
    stage.line.delay_s = 0.0
