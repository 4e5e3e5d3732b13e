"""The HTTP server inside our own process."""

import asyncio
import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from workers.common.errors import SettingsError
from workers.web import head_deadline
from workers.web.server import HttpServer


async def _hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def _slow(_: Request) -> Response:
    await asyncio.sleep(0.3)
    return PlainTextResponse("done")


_APP = Starlette(routes=[Route("/", _hello), Route("/slow", _slow)])


async def test_given_port_0_then_it_serves_on_a_free_port_until_stopped() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = HttpServer(_APP, "127.0.0.1", 0)
    await server.start()
    try:
        assert server.port > 0
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{server.port}/")
        assert answer.text == "hello"
        assert "server" not in answer.headers
        port = server.port
    finally:
        await server.stop()

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_given_a_request_in_flight_when_stopped_then_it_is_answered() -> None:
    server = HttpServer(_APP, "127.0.0.1", 0)
    await server.start()
    async with httpx.AsyncClient() as client:
        answer = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/slow"))
        await asyncio.sleep(0.1)
        await server.stop()
        assert (await answer).text == "done"


async def test_given_a_port_in_use_then_the_setting_and_a_remedy_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = HttpServer(_APP, "127.0.0.1", port)

        with pytest.raises(SettingsError, match=f"HTTP_PORT {port} .* in use .* set HTTP_PORT"):
            await server.start()

    await server.stop()


@pytest.mark.parametrize("host", ["203.0.113.1", "no such host"])
async def test_given_a_host_that_is_not_ours_then_the_setting_is_named(
    host: str,
) -> None:
    with pytest.raises(SettingsError, match=f"HTTP_HOST {host}"):
        await HttpServer(_APP, host, 0).start()


def test_given_a_server_not_started_when_its_port_is_asked_then_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = HttpServer(_APP, "127.0.0.1", 0).port


async def test_given_another_variable_and_a_port_in_use_then_that_one_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = HttpServer(_APP, "127.0.0.1", port, variable="HTTP_INNER")

        with pytest.raises(SettingsError, match=f"HTTP_INNER_PORT {port} .* set HTTP_INNER_PORT"):
            await server.start()


@pytest.mark.parametrize(("trusted", "seen"), [((), "127.0.0.1"), (("127.0.0.0/8",), "192.0.2.7")])
async def test_given_a_proxy_naming_the_client_then_only_a_trusted_one_counts(
    trusted: tuple[str, ...], seen: str
) -> None:
    async def who(request: Request) -> Response:
        return PlainTextResponse(request.client.host if request.client else "")

    server = HttpServer(
        Starlette(routes=[Route("/", who)]), "127.0.0.1", 0, trusted_proxies=trusted
    )
    await server.start()
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.get(
                f"http://127.0.0.1:{server.port}/", headers={"X-Forwarded-For": "192.0.2.7"}
            )
    finally:
        await server.stop()
    assert answer.text == seen


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
async def test_given_a_head_that_never_ends_then_the_connection_closes_in_time(
    monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    monkeypatch.setattr(head_deadline, "HEAD_S", 0.05)
    monkeypatch.setattr("workers.web.server._IDLE_S", 0.05)
    server = HttpServer(_APP, "127.0.0.1", 0)
    await server.start()
    try:
        for start in (b"", b"GET /slow HTTP/1.1\r\nX-A: b\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            async with asyncio.timeout(30):
                if before:
                    writer.write(before)
                    assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
                writer.write(start)
                assert await reader.read() == b""
            writer.close()
        # A whole head may take its answer as long as it likes.
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{server.port}/slow")
        assert answer.text == "done"
    finally:
        await server.stop()


async def test_given_all_connections_taken_when_another_asks_then_it_is_served() -> None:
    server = HttpServer(_APP, "127.0.0.1", 0, max_connections=2)
    await server.start()
    where = ("127.0.0.1", server.port)
    try:
        with socket.create_connection(where, 30) as first, socket.create_connection(where, 30):
            with capture_logs() as logs:
                async with httpx.AsyncClient() as client:
                    answer = await client.get(f"http://127.0.0.1:{server.port}/")
            assert answer.text == "hello"
            assert first.recv(1) == b""
            assert [(line["dropped"], line["open"], line["most"]) for line in logs] == [(1, 3, 2)]
    finally:
        await server.stop()
