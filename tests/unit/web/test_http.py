"""The HTTP side, request by request."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
import structlog
import yaml
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from workers.common.errors import RedisUnavailable
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Check, Health
from workers.reference.asyncapi import build_document
from workers.web.http import STATIC, application, health_routes, inner_routes

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_DOCUMENT = build_document()
_bound: dict[str, Any] = {}


async def _broken(_: Request) -> Response:
    _bound.update(structlog.contextvars.get_contextvars())
    raise RuntimeError("secret detail")


async def _half(_: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("in the middle")

    return StreamingResponse(chunks())


async def _well() -> None:
    return


async def _away() -> None:
    raise RedisUnavailable("connection refused")


def _client(
    probe: Callable[[], Awaitable[None]] = _well,
    *,
    required: bool = True,
    refresh: Callable[[], Awaitable[None]] | None = None,
    registry: CollectorRegistry | None = None,
) -> httpx.AsyncClient:
    app = application(
        [
            *health_routes(Health([Check("redis", probe, required)], version="1.2.3")),
            *inner_routes(
                registry=registry or EngineMetrics("1.2.3").registry,
                document=_DOCUMENT,
                refresh=refresh,
            ),
            Route("/broken", _broken),
            Route("/half", _half),
        ]
    )
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://engine")


async def _get(path: str, **how: Any) -> httpx.Response:
    async with _client() as client:
        return await client.get(path, **how)


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
@pytest.mark.parametrize(
    ("probe", "required", "status", "word"),
    [
        (_well, True, 200, "healthy"),
        (_away, False, 200, "degraded"),
        (_away, True, 503, "unhealthy"),
    ],
)
async def test_given_parts_when_health_is_asked_then_status_and_reasons_agree(
    path: str, probe: Callable[[], Awaitable[None]], required: bool, status: int, word: str
) -> None:
    async with _client(probe, required=required) as client:
        answer = await client.get(path)

    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"status", "version", "uptime_s", "checks"}
    assert (body["status"], body["version"]) == (word, "1.2.3")
    assert body["uptime_s"] >= 0
    assert ("connection refused" in str(body["checks"]["redis"])) is (probe is _away)


async def test_given_an_absent_part_when_liveness_is_asked_then_it_is_alive() -> None:
    async with _client(_away) as client:
        answer = await client.get("/health/live")

    assert answer.status_code == 200
    assert answer.json()["status"] == "alive"


async def test_given_counts_when_metrics_are_asked_then_they_are_fresh() -> None:
    metrics = EngineMetrics("1.2.3")
    metrics.applied.inc(3)

    async def refresh() -> None:
        metrics.late.inc()

    async with _client(registry=metrics.registry, refresh=refresh) as client:
        answer = await client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "mastery_responses_applied_total 3.0" in answer.text
    assert "mastery_responses_late_total 1.0" in answer.text
    assert 'mastery_build_info{version="1.2.3"} 1.0' in answer.text


async def test_given_redis_away_when_metrics_are_asked_then_the_rest_is_shown() -> None:
    async with _client(refresh=_away) as client:
        with capture_logs() as logs:
            answer = await client.get("/metrics")

    assert answer.status_code == 200
    assert "mastery_responses_applied_total 0.0" in answer.text
    assert any("connection refused" in str(line.get("reason")) for line in logs)


async def test_given_the_document_when_asked_as_yaml_and_json_then_they_are_one() -> None:
    as_yaml, as_json = await _get("/asyncapi.yaml"), await _get("/asyncapi.json")

    assert as_yaml.headers["content-type"] == "application/yaml"
    assert as_json.headers["content-type"] == "application/json"
    assert yaml.safe_load(as_yaml.text) == as_json.json() == _DOCUMENT.to_jsonable()


async def test_given_the_viewer_when_asked_then_all_its_files_are_ours() -> None:
    page = await _get("/docs")

    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "http" not in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) >= 6
    for link in links:
        assert "//" not in link
        assert (await _get(f"/{link}")).status_code == 200
    assert "<script>" not in page.text


def test_given_the_style_sheets_then_they_load_nothing_from_elsewhere() -> None:
    for sheet in STATIC.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "@import" not in text
        assert not re.search(r"url\(\s*['\"]?(?!data:)", text)


def test_given_vendored_files_then_their_licence_is_beside_them() -> None:
    vendor = STATIC / "vendor"

    assert "Apache License" in (vendor / "LICENSE").read_text(encoding="utf-8")
    assert (vendor / "NOTICE").is_file()
    assert (vendor / "index.js.LICENSE.txt").is_file()


@pytest.mark.parametrize("given", ["req-7f3a", "!", "~" * 128])
async def test_given_a_request_id_when_valid_then_it_is_returned(given: str) -> None:
    answer = await _get("/health/live", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "\xe4", "a\tb"])
async def test_given_a_request_id_when_not_valid_then_one_is_made(given: str) -> None:
    answer = await _get("/health/live", headers={"X-Request-ID": given.encode("latin-1")})

    assert _UUID.fullmatch(answer.headers["x-request-id"])


async def test_given_no_request_id_when_asked_twice_then_each_is_another() -> None:
    ids = {(await _get("/health/live")).headers["x-request-id"] for _ in range(2)}

    assert len(ids) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/health/", 404, "not_found"),
        ("GET", "/docs/", 404, "not_found"),
        ("GET", "/docs/static/nothing.js", 404, "not_found"),
        ("GET", "/docs/static/../http.py", 404, "not_found"),
        ("GET", "/docs/static/%2e%2e/http.py", 404, "not_found"),
        ("GET", "/docs/static/", 404, "not_found"),
        ("POST", "/docs/static/pages/favicon.svg", 405, "method_not_allowed"),
        ("POST", "/health", 405, "method_not_allowed"),
        ("POST", "/docs/try", 404, "not_found"),
        ("GET", "/broken", 500, "internal_server_error"),
    ],
)
async def test_given_a_request_that_fails_then_the_error_has_our_shape(
    method: str, path: str, status: int, code: str
) -> None:
    async with _client() as client:
        with capture_logs():
            answer = await client.request(method, path, headers={"X-Request-ID": "req-1"})

    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"code", "status", "message", "request_id"}
    assert (error["code"], error["status"], error["request_id"]) == (code, status, "req-1")
    assert error["message"].endswith(".")
    assert "secret detail" not in answer.text
    assert answer.headers["x-request-id"] == "req-1"


async def test_given_a_method_not_taken_when_answered_then_those_taken_are_named() -> None:
    async with _client() as client:
        answer = await client.post("/health")

    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert "GET" in answer.json()["error"]["message"]


async def test_given_a_failure_when_logged_then_the_id_is_bound_only_meanwhile() -> None:
    with capture_logs() as logs:
        await _get("/broken", headers={"X-Request-ID": "req-9"})

    assert _bound["request_id"] == "req-9"
    assert "request_id" not in structlog.contextvars.get_contextvars()
    assert [line["log_level"] for line in logs] == ["error", "info"]
    assert logs[1]["status"] == 500


async def test_given_a_query_with_a_token_when_logged_then_only_the_path_shows() -> None:
    with capture_logs() as logs:
        await _get("/nothing?token=eyJhbGciOi")

    assert logs[0]["path"] == "/nothing"
    assert "eyJ" not in str(logs)


async def test_given_half_an_answer_when_it_fails_then_the_connection_breaks() -> None:
    with capture_logs() as logs, pytest.raises(RuntimeError, match="in the middle"):
        await _get("/half")

    assert logs[0]["log_level"] == "error"
