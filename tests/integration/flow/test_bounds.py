"""A worker process keeps the streams of a real Redis within their bounds."""

import signal
import time

from redis.asyncio import Redis

from contracts.streams import ENGINE_GROUP, JOBS, MASTERY, REJECTED, RESPONSES
from tests.support.whole_run import Setting, drain, publish, simulated_rows, start_worker

KEEP = 50


async def test_given_a_drained_worker_then_streams_are_short_and_no_reader_loses(
    redis_url: str, database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    async with Redis.from_url(redis_url) as client:
        await publish(redis_url, simulated_rows(600, 20))
        await client.xadd(RESPONSES, {"event": "not JSON"})
        await client.xadd(JOBS, {"event": "no job"})
        drain(setting, STREAM_KEEP=str(KEEP))
        assert await client.xlen(RESPONSES) == 0
        assert await client.xlen(MASTERY) == KEEP
        assert await client.xlen(REJECTED) == 2
        assert await client.xlen(JOBS) == 0

        # A subscriber that is behind keeps what it has not acknowledged.
        await client.xgroup_create(MASTERY, "a-subscriber", id="$")
        await publish(redis_url, simulated_rows(300, 20, seed=2))
        drain(setting, STREAM_KEEP=str(KEEP))
        assert await client.xlen(RESPONSES) == 0
        assert await client.xlen(MASTERY) >= 300


async def test_given_a_dead_workers_name_when_a_worker_runs_then_it_is_forgotten(
    redis_url: str, database_url: str
) -> None:
    setting = Setting(redis_url, {"DATABASE_URL": database_url}, database_url)
    async with Redis.from_url(redis_url) as client:
        await publish(redis_url, simulated_rows(20, 5))
        await client.xgroup_create(RESPONSES, ENGINE_GROUP, id="0")
        await client.xreadgroup(ENGINE_GROUP, "dead", {RESPONSES: ">"}, count=10)
        worker = start_worker(setting, "--role", "engine", RECLAIM_AFTER_MS="200")
        try:
            until = time.monotonic() + 180
            while b"dead" in {
                info["name"] for info in await client.xinfo_consumers(RESPONSES, ENGINE_GROUP)
            }:
                assert time.monotonic() < until
                time.sleep(0.2)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=120) == 0
        finally:
            worker.kill()
            worker.wait()
        assert await client.xlen(RESPONSES) == 0
        consumers = await client.xinfo_consumers(RESPONSES, ENGINE_GROUP)
        assert len(consumers) == 1
