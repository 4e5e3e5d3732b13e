"""The AsyncAPI viewer in a real browser that can reach nothing but us."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from workers.metrics.engine_metrics import EngineMetrics
from workers.reference.asyncapi import build_document
from workers.reference.channels import EVENT_TYPES
from workers.web.http import application, inner_routes
from workers.web.server import HttpServer

_SCRIPT = Path(__file__).parent / "node" / "viewer.cjs"


async def _seen(node_modules: Path, chromium: Path, url: str, *words: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        "node", _SCRIPT, node_modules, chromium, url, *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await asyncio.wait_for(process.communicate(), timeout=120)
    assert process.returncode == 0, errors.decode()
    return json.loads(output)


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
        seen = await _seen(node_modules, chromium, f"http://{own}/docs", *EVENT_TYPES.values())
    finally:
        await server.stop()

    for name in EVENT_TYPES.values():
        assert name in seen["text"]
    assert "practice.mastery.v1" in seen["text"]
    assert seen["problems"] == []
    assert seen["refused"] == []
    assert {urlsplit(url).netloc for url in seen["requests"]} == {own}
    assert any(url.endswith("/asyncapi.json") for url in seen["requests"])
