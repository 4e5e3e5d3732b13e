"""Limits on the size and the number of requests."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from tests.support.http_callers import client_of, error_of, store
from workers.web.http import application
from workers.web.limits import sizes
from workers.web.limits.rates import AddressMiddleware, Rates
from workers.web.limits.sizes import SizeMiddleware


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _broken(_: Request) -> Response:
    raise RuntimeError("secret detail")


def _sized() -> httpx.AsyncClient:
    routes = [Route("/v1/echo", _echo, methods=["POST", "GET"])]
    sizes = Middleware(SizeMiddleware, max_body_bytes=1_024, max_token_bytes=256)
    return client_of(application(routes, [sizes]))


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"content": b"x" * 1_024}, 200, None),
        ({"content": b"x" * 1_025}, 413, "too_large"),
        ({"params": {"token": "x" * 9_000}}, 414, "uri_too_long"),
        ({"headers": {"X-Long": "x" * 9_000}}, 431, "request_header_fields_too_large"),
        ({"headers": {"Content-Length": "9" * 40}}, 413, "too_large"),
    ],
)
async def test_given_a_request_when_it_is_too_large_then_it_is_refused_unread(
    how: dict[str, object], status: int, code: str | None
) -> None:
    async with _sized() as client:
        answer = await client.post("/v1/echo", **how)  # type: ignore[arg-type]

    assert answer.status_code == status
    if code is not None:
        assert error_of(answer)["code"] == code
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_given_a_body_that_never_comes_then_it_is_refused_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sizes, "BODY_S", 0.01)

    async def slow() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        async for part in body:
            return {"type": "http.request", "body": part, "more_body": True}
        raise AssertionError

    body, said = slow(), []

    async def send(message: Any) -> None:
        said.append(message)

    routes = [Route("/v1/echo", _echo, methods=["POST"])]
    app = application(routes, [Middleware(SizeMiddleware, max_body_bytes=9, max_token_bytes=9)])
    scope = {"type": "http", "method": "POST", "path": "/v1/echo", "headers": [], "state": {}}
    async with asyncio.timeout(30):
        await app(scope, receive, send)
    assert said[0]["status"] == 408
    assert json.loads(said[1]["body"])["error"]["code"] == "request_timeout"


async def test_given_a_large_body_of_unsaid_length_then_it_is_refused() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    async with _sized() as client:
        answer = await client.post("/v1/echo", content=chunks())

    assert error_of(answer)["code"] == "too_large"
    assert "HTTP_MAX_BODY_BYTES=1024" in error_of(answer)["message"]


async def test_given_two_workers_and_one_subject_then_they_count_together() -> None:
    async with store() as redis:
        first, two = (Rates(redis, subject="3/hour", address="9/hour") for _ in range(2))
        passed = [await rates.of_subject("t", "s") for rates in (first, two, first, two)]

        assert passed[:3] == [None, None, None]
        assert passed[3] is not None
        assert 1 <= passed[3] <= 3_600
        assert await first.of_subject("t", "another") is None
        assert await first.of_subject("another", "s") is None


async def test_given_names_with_slashes_when_counted_then_tenants_stay_apart() -> None:
    async with store() as redis:
        rates = Rates(redis, subject="1/hour", address="1/hour")
        for tenant_id, subject in (("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("}a", "{")):
            assert await rates.of_subject(tenant_id, subject) is None


async def test_given_redis_away_when_counting_then_the_process_counts_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.web.limits.rates._ANSWER_S", 0.05)
    async with Redis(host="127.0.0.1", port=1) as redis:
        rates = Rates(redis, subject="2/hour", address="2/hour")
        with capture_logs() as logs:
            passed = [await rates.of_subject("t", "s") for _ in range(3)]

    assert passed[:2] == [None, None]
    assert passed[2] is not None
    assert [line["event"] for line in logs] == ["requests_counted_alone"]


@pytest.mark.parametrize(
    ("addresses", "together"),
    [
        (("192.0.2.1", "192.0.2.1"), True),
        (("192.0.2.1", "::ffff:192.0.2.1"), True),
        (("2001:db8::1", "2001:db8::ffff:2"), True),
        (("2001:db8:0:1::1", "2001:db8:0:2::1"), False),
        (("192.0.2.1", "192.0.2.2"), False),
        (("fe80::1%eth0", "fe80::2%eth1"), True),
        (("unknown", "unknown"), True),
    ],
)
async def test_given_addresses_when_counted_then_those_of_one_customer_are_one(
    addresses: tuple[str, str], together: bool
) -> None:
    async with store() as redis:
        rates = Rates(redis, subject="1/hour", address="1/hour")
        assert await rates.of_address(addresses[0]) is None
        assert (await rates.of_address(addresses[1]) is not None) is together


async def test_given_an_address_that_asks_too_often_then_health_is_not_refused() -> None:
    async with store() as redis:
        rates = Rates(redis, subject="9/hour", address="2/hour")
        routes = [Route("/v1/echo", _echo), Route("/health", _echo), Route("/v1/broken", _broken)]
        app = application(routes, [Middleware(AddressMiddleware, rates=rates)])
        async with client_of(app) as client:
            assert (await client.get("/v1/echo")).status_code == 200
            with capture_logs():
                broken = await client.get("/v1/broken")
            refused = await client.get("/v1/echo")
            assert (await client.get("/health")).status_code == 200

    assert error_of(broken)["code"] == "internal_server_error"
    assert "secret" not in broken.text
    assert error_of(refused)["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 3_600


async def test_given_neither_request_nor_socket_then_it_is_handed_on() -> None:
    async with store() as redis:
        rates = Rates(redis, subject="1/hour", address="1/hour")
        sizes = Middleware(SizeMiddleware, max_body_bytes=1_024, max_token_bytes=256)
        app = application([], [sizes, Middleware(AddressMiddleware, rates=rates)])
        asked = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]
        said: list[str] = []

        async def receive() -> Any:
            return asked.pop()

        async def send(message: Any) -> None:
            said.append(message["type"])

        await app({"type": "lifespan"}, receive, send)

    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
