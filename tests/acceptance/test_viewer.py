"""The AsyncAPI viewer in a real browser that can reach nothing but us."""

from pathlib import Path

from tests.support.browser import Browser, check_seen
from workers.metrics.engine_metrics import EngineMetrics
from workers.reference.asyncapi import build_document
from workers.reference.channels import EVENT_TYPES
from workers.web.http import application, inner_routes
from workers.web.server import HttpServer

_MOST_BYTES = 700_000


async def test_given_no_network_when_opened_then_it_shows_all_messages(
    node_modules: Path, chromium: Path
) -> None:
    app = application(
        inner_routes(registry=EngineMetrics("1.2.3").registry, document=build_document())
    )
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        own = f"127.0.0.1:{server.port}"
        seen = await Browser(node_modules, chromium).open(
            f"http://{own}/docs", *EVENT_TYPES.values()
        )
    finally:
        await server.stop()

    for name in EVENT_TYPES.values():
        assert name in seen["text"]
    assert "practice.mastery.v1" in seen["text"]
    check_seen(seen, own)
    assert any(url.endswith("/asyncapi.json") for url in seen["requests"])
    assert 0 < seen["bytes"] < _MOST_BYTES
