"""Measure several workers on the same streams, in order: rate and processor time by process.

    eval "$(.ci/servers.sh start)"
    uv run python -m bench.workers --workers 1 2 3                  # one plain stream
    uv run python -m bench.workers --workers 1 2 3 --shards 6
    PYTHONPATH=OTHER_TREE uv run python -m bench.workers …          # another version of the engine

Workers are ready before the first response is published, so no start is measured. Postgres counts
with the backends of the run's own database, Redis not at all.
"""

import argparse
import asyncio
import time
from functools import partial
from typing import Any

import asyncpg
import httpx
import psutil  # type: ignore[import-untyped]  # has no types of its own
from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, shard_of, shards
from tests.faults.processes import free_port, until
from tests.support.servers import exclusive_redis, fresh_database, server_variables
from tests.support.whole_run import Setting, event_of, simulated_rows, start_worker

_START_S = 240.0
_RUN_S = 300.0


async def _ready(port: int) -> bool:
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"http://127.0.0.1:{port}/health/ready")).is_success
    except httpx.TransportError:
        return False


def _events(rows: list[dict[str, Any]], count: int) -> list[tuple[str, bytes]]:
    issued_at = int(time.time())
    streams = [shard.responses for shard in shards(count)]
    return [
        (streams[shard_of(row["tenant_id"], row["student_id"], count)], event_of(row, issued_at))
        for row in rows
    ]


async def _publish(client: Redis, events: list[tuple[str, bytes]]) -> None:
    for start in range(0, len(events), 1_000):
        pipeline = client.pipeline(transaction=False)
        for stream, event in events[start : start + 1_000]:
            pipeline.xadd(stream, {"event": event})
        await pipeline.execute()


async def _drained(client: Redis, count: int) -> bool:
    for shard in shards(count):
        groups: Any = await client.xinfo_groups(shard.responses)
        for group in groups:
            if group["name"] == ENGINE_GROUP.encode() and (group["pending"] or group["lag"]):
                return False
    return True


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def _backends_s(connection: Any) -> dict[int, float]:
    rows = await connection.fetch(
        "select pid from pg_stat_activity where datname = current_database()"
    )
    return {row["pid"]: _cpu_s(psutil.Process(row["pid"])) for row in rows}


async def _measure(options: argparse.Namespace, workers: int, redis: str, admin: str) -> None:
    rows = simulated_rows(options.responses, options.learners)
    rows.sort(key=lambda row: (row["answered_at"], row["response_id"]))
    events = _events(rows, options.shards)
    async with exclusive_redis(redis) as own, fresh_database(admin, migrated=True) as dsn:
        setting = Setting(own, {"DATABASE_URL": dsn}, dsn)
        ports = [free_port() for _ in range(workers)]
        running = [
            start_worker(
                setting,
                *("--role", "engine"),
                HTTP_PORT=str(port),
                STREAM_SHARDS=str(options.shards),
                LOG_LEVEL="ERROR",
            )
            for port in ports
        ]
        connection = await asyncpg.connect(dsn)
        try:
            for port in ports:
                await until(partial(_ready, port), "ready", within_s=_START_S)
            await asyncio.sleep(2)
            processes = [psutil.Process(process.pid) for process in running]
            before = [_cpu_s(process) for process in processes]
            backends = await _backends_s(connection)
            async with Redis.from_url(own) as client:
                began = time.monotonic()
                await _publish(client, events)
                await until(lambda: _drained(client, options.shards), "drained", within_s=_RUN_S)
            seconds = time.monotonic() - began
            spent = [_cpu_s(process) - old for process, old in zip(processes, before, strict=True)]
            after = await _backends_s(connection)
            postgres = sum(cpu - backends.get(pid, 0.0) for pid, cpu in after.items())
            late = await connection.fetchval("select last_value from mastery.learner_version")
        finally:
            await connection.close()
            for process in running:
                process.kill()
                process.wait()
    each = 1e6 / len(rows)
    shares = ", ".join(f"{each * spent_s:.0f}" for spent_s in spent)
    print(
        f"{workers} workers, {options.shards} shards: {len(rows) / seconds:.0f}/s; "
        f"µs a response: workers {each * sum(spent):.0f} ({shares}), "
        f"Postgres {each * postgres:.0f}; versions taken for a response {late / len(rows):.2f}",
        flush=True,
    )


async def _main(options: argparse.Namespace) -> None:
    redis, admin = server_variables("TEST_REDIS_URL", "TEST_DATABASE_URL")
    for workers in options.workers:
        await _measure(options, workers, redis, admin)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--shards", type=int, default=0)
    parser.add_argument("--responses", type=int, default=10_000)
    parser.add_argument("--learners", type=int, default=500)
    asyncio.run(_main(parser.parse_args()))
