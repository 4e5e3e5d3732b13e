"""The HTTP side with both listeners, over embedded servers, with a verifier that tests sign for."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from contracts.streams import REJECTED
from tests.support.http_callers import Verifier
from workers.app.http import build_http_side
from workers.app.servers import Servers
from workers.common.version import package_version
from workers.config.settings import Settings
from workers.graph.protocol import Graph
from workers.ledger.memory.ledger import MemoryLedger
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Check, Health
from workers.metrics.stream_gauges import StreamGauges
from workers.streams.embedded_redis import EmbeddedRedis
from workers.streams.trimming import Bounds


@dataclass(frozen=True)
class ServedPages:
    outer: str
    """Host and port of the public listener of a worker that has no other."""
    apart: str
    """Those of the public listener of a worker with an inner one."""
    inner: str
    """Those of that inner listener, which operators alone reach."""
    redis: Redis
    metrics: EngineMetrics


async def _well() -> None:
    return


@asynccontextmanager
async def served_pages(**settings: Any) -> AsyncIterator[ServedPages]:
    """Serve the pages of two workers: one without an inner listener, and one with it."""
    async with AsyncExitStack() as stack:
        redis = EmbeddedRedis()
        stack.push_async_callback(redis.close)
        client = redis.client()
        servers = Servers(redis.broker(), client, MemoryLedger(), cast("Graph", None))
        metrics = EngineMetrics(package_version())
        gauges = StreamGauges(client, [Bounds("practice.responses.v1", "engine")], [REJECTED])
        metrics.registry.register(gauges)
        sides = []
        for apart in (None, 0):
            side = build_http_side(
                Settings(_env_file=None, http_port=0, http_inner_port=apart, **settings),
                servers,
                health=Health([Check("redis", _well)], version=package_version()),
                registry=metrics.registry,
                refresh=gauges.refresh,
                calibration=metrics.calibration,
                bearer=Verifier(),
            )
            await side.start()
            stack.push_async_callback(side.stop)
            sides.append(side)
        alone, two = sides
        yield ServedPages(
            outer=_host(alone.port),
            apart=_host(two.port),
            inner=_host(two.inner_port),
            redis=client,
            metrics=metrics,
        )


def _host(port: int | None) -> str:
    return f"127.0.0.1:{port}"
