"""Clients that do not read, or hold many connections, take nothing from others."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from tests.support.http_callers import error_of
from workers.metrics.engine_metrics import EngineMetrics
from workers.metrics.health import Health
from workers.reference.asyncapi import build_document
from workers.web import http_protocol, socket_protocol
from workers.web.http import application, health_routes, inner_routes
from workers.web.limits.concurrency import ConcurrencyMiddleware
from workers.web.server import HttpServer

WITHIN_S = 60.0
BIG = "/docs/static/vendor/asyncapi-react.js"
HUGE = b"x" * 8_000_000
PIECES = 120


async def _huge(_: Request) -> Response:
    return Response(HUGE)


async def _pieces(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield b"x" * 65_536

    return StreamingResponse(pieces(), headers={"Content-Length": str(PIECES * 65_536)})


async def _echo(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())


@asynccontextmanager
async def served(
    *, most: int | None = None, at_once: int = 10_000, **how: Any
) -> AsyncIterator[HttpServer]:
    app = application(
        [
            *health_routes(Health([], version="1")),
            *inner_routes(registry=EngineMetrics("1").registry, document=build_document()),
            Route("/huge", _huge),
            Route("/pieces", _pieces),
            WebSocketRoute("/echo", _echo),
        ],
        [Middleware(ConcurrencyMiddleware, most=at_once)],
    )
    server = HttpServer(app, "127.0.0.1", 0, max_connections=most, **how)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def connections(server: HttpServer) -> int:
    return len(server._server.server_state.connections)


async def until_connections(server: HttpServer, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while connections(server) != count:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def readers(
    server: HttpServer,
    count: int,
    path: str = BIG,
    header: str = "Accept: */*",
    *,
    window: int = 4_096,
) -> AsyncIterator[list[socket.socket]]:
    """Clients that ask and do not read."""
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            client = socket.socket()
            opened.append(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(
                client, f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode()
            )
        yield opened
    finally:
        for client in opened:
            client.close()


async def asked(server: HttpServer, path: str = "/health/live", **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=WITHIN_S) as client:
        return await client.get(f"http://127.0.0.1:{server.port}{path}", headers=headers)


async def test_given_readers_who_do_not_read_then_health_is_answered_at_once() -> None:
    with capture_logs() as logs:
        async with served(most=40) as server, readers(server, 40):
            for _ in range(5):
                async with readers(server, 10):
                    assert (await asked(server)).status_code == 200
                    assert connections(server) <= 41
    assert any(line["event"] == "http_connections_dropped" for line in logs)


@pytest.mark.parametrize("header", ["Connection: close", "Connection: keep-alive"])
@pytest.mark.parametrize("path", [BIG, "/huge"])
async def test_given_a_reader_who_does_not_read_then_it_is_cut(
    monkeypatch: pytest.MonkeyPatch, path: str, header: str
) -> None:
    monkeypatch.setattr(http_protocol, "READ_S", 0.2)
    async with served() as server, readers(server, 3, path, header):
        await until_connections(server, 3)
        await until_connections(server, 0)


async def test_given_a_reader_who_is_slow_when_it_goes_on_then_it_gets_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "READ_S", 0.8)
    loop = asyncio.get_running_loop()
    async with (
        served() as server,
        readers(server, 1, "/pieces", "Connection: close", window=131_072) as (client,),
    ):
        began, read = loop.time(), 0
        while part := await loop.sock_recv(client, 65_536):
            read += len(part)
            await asyncio.sleep(0.01)
    assert read > PIECES * 65_536
    assert loop.time() - began > 1.0


async def test_given_an_address_with_many_requests_then_others_are_served() -> None:
    async with served(at_once=3, trusted_proxies=["127.0.0.0/8"]) as server:
        async with readers(server, 3, "/huge", "X-Forwarded-For: 192.0.2.7"):
            await until_connections(server, 3)
            refused = await asked(server, "/metrics", **{"X-Forwarded-For": "192.0.2.7"})
            assert error_of(refused)["code"] == "rate_limited"
            assert refused.headers["retry-after"] == "5"
            for path, address in (("/metrics", "192.0.2.8"), ("/health/live", "192.0.2.7")):
                answer = await asked(server, path, **{"X-Forwarded-For": address})
                assert answer.status_code == 200
        await until_connections(server, 0)
        assert (
            await asked(server, "/metrics", **{"X-Forwarded-For": "192.0.2.7"})
        ).status_code == 200


async def test_given_too_many_connections_then_those_of_the_busiest_client_go() -> None:
    async with (
        served(most=20, trusted_proxies=["127.0.0.0/8"]) as server,
        readers(server, 4, "/huge", "X-Forwarded-For: 192.0.2.8") as few,
        readers(server, 14, "/huge", "X-Forwarded-For: 192.0.2.7"),
        connect(f"ws://127.0.0.1:{server.port}/echo") as live,
    ):
        await until_connections(server, 19)
        with capture_logs():
            async with readers(server, 12, "/huge", "X-Forwarded-For: 192.0.2.7"):
                await asyncio.sleep(0.1)
                assert connections(server) <= 21
        await live.send("still here")
        assert await live.recv() == "still here"
        for client in few:
            assert client.recv(64).startswith(b"HTTP/1.1 200")


async def test_given_a_socket_whose_client_is_silent_then_it_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket_protocol, "_CUT_S", 0.1)
    monkeypatch.setattr("workers.web.server._PING_S", 0.1)
    monkeypatch.setattr("workers.web.server._PONG_S", 0.1)

    async def flood(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(1_000):
            await socket.send_text("x" * 1_000_000)

    app = application([WebSocketRoute("/flood", flood)])
    server = HttpServer(app, "127.0.0.1", 0)
    await server.start()
    upgrade = (
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    )
    try:
        async with readers(server, 1, "/flood", upgrade):
            await until_connections(server, 1)
            await until_connections(server, 0)
    finally:
        await server.stop()
