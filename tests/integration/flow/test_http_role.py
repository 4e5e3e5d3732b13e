"""A worker of the role http serves HTTP and reads nothing."""

from typing import Any, Final

import httpx
from redis.asyncio import Redis

from contracts.streams import JOBS, RESPONSES
from tests.security.in_process import settings_of
from tests.support.running import free_port
from workers.app.worker import Role, running_worker

_OLD: Final = f"{RESPONSES}.{{0}}"


async def test_given_the_role_http_then_it_is_ready_and_reads_no_stream(
    redis_url: str, database_url: str
) -> None:
    port = free_port()
    settings = settings_of(
        {"REDIS_URL": redis_url, "DATABASE_URL": database_url}, http_port=port, jwt_mode="trust"
    )
    async with Redis.from_url(redis_url) as client:
        for stream in (RESPONSES, _OLD, JOBS):
            await client.xadd(stream, {"event": "{}"})
        async with (
            running_worker(settings, [Role.HTTP]) as (worker, _),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
        ):
            ready = await http.get("/health/ready")
            checks: dict[str, Any] = ready.json()["checks"]
            assert ready.status_code == 200, checks
            assert set(checks) == {"redis", "consumer", "ledger", "clock"}
            # Live sockets read the streams of an earlier STREAM_SHARDS too.
            assert [shard.responses for shard in worker.old_shards] == [_OLD]
            for stream in (RESPONSES, _OLD, JOBS):
                assert await client.xinfo_groups(stream) == []
                assert await client.xlen(stream) == 1
