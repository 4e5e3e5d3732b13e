"""No other worker has the routes of `mastery dev`."""

from contextlib import AsyncExitStack
from typing import cast

import httpx
import pytest
from prometheus_client import CollectorRegistry

from workers.app.http import build_http_side
from workers.app.servers import Servers
from workers.config.settings import Settings
from workers.graph.protocol import Graph
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.health import Health
from workers.streams.embedded_redis import EmbeddedRedis


@pytest.mark.parametrize("inner", [None, 0])
async def test_given_a_plain_worker_then_nothing_is_below_dev(inner: int | None) -> None:
    async with AsyncExitStack() as stack:
        redis = EmbeddedRedis()
        stack.push_async_callback(redis.close)
        # HTTP reads Redis alone.
        servers = Servers(redis.broker(), redis.client(), MemoryLedger(), cast("Graph", None))

        async def refresh() -> None: ...

        side = build_http_side(
            Settings(_env_file=None, http_port=0, http_inner_port=inner),
            servers,
            health=Health([], version="1.2.3"),
            registry=CollectorRegistry(),
            refresh=refresh,
            calibration=list,
            bearer=None,
        )
        await side.start()
        stack.push_async_callback(side.stop)
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{side.port}", timeout=30)
        )

        for path in ("/dev", "/dev/jwks.json", "/dev/students", "/dev/curriculum"):
            assert (await client.get(path)).status_code == 404
        for path in ("/dev/token", "/dev/responses"):
            answer = await client.post(path, json={"student_id": "student-001"})
            assert answer.status_code == 404
        assert (await client.get("/health/live")).status_code == 200
