"""Foreign names and foreign pages reach nothing of `mastery dev`."""

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from workers.dev.local_only import LocalOnlyMiddleware
from workers.web.http import application

OWN = "http://127.0.0.1:8000"
APP = "http://localhost:3000"


async def _answer(_: Request) -> Response:
    return PlainTextResponse("secret")


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


APPLICATION = application(
    [
        *(Route(path, _answer) for path in ("/", "/health", "/dev", "/dev/token", "/developers")),
        WebSocketRoute("/socket", _socket),
    ],
    [
        Middleware(
            LocalOnlyMiddleware,
            hosts=("127.0.0.1:8000", "localhost:8000"),
            origins=(OWN, APP),
            own_origins=(OWN,),
            own_path="/dev",
        )
    ],
)


async def _get(path: str, headers: list[tuple[str, str]]) -> int:
    transport = httpx.ASGITransport(app=APPLICATION)
    async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
        return (await client.get(path, headers=headers)).status_code


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:9000", "localhost:80",
        "127.0.0.1:8000.evil.example", "", "[::1]:8000", "0.0.0.0:8000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/health", "/dev/token"])
async def test_given_another_host_then_every_route_is_refused(host: str, path: str) -> None:
    assert await _get(path, [("Host", host)]) == 403


async def test_given_two_hosts_then_it_is_refused() -> None:
    assert await _get("/", [("Host", "127.0.0.1:8000"), ("Host", "evil.example")]) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000"])
async def test_given_an_own_host_then_it_is_served(host: str) -> None:
    assert await _get("/dev", [("Host", host)]) == 200


@pytest.mark.parametrize(
    ("origin", "path", "status"),
    [
        (OWN, "/dev/token", 200),
        (OWN, "/health", 200),
        (APP, "/health", 200),
        (APP, "/developers", 200),
        # A page that may call the API gets no tokens.
        (APP, "/dev", 403),
        (APP, "/dev/token", 403),
        ("null", "/dev/token", 403),
        ("https://evil.example", "/health", 403),
        ("http://127.0.0.1:8000.evil.example", "/dev/token", 403),
    ],
)
async def test_given_an_origin_then_only_known_pages_are_served(
    origin: str, path: str, status: int
) -> None:
    assert await _get(path, [("Origin", origin)]) == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"host", b"127.0.0.1:8000"), (b"origin", OWN.encode())], 101),
        ([(b"host", b"127.0.0.1:8000"), (b"origin", b"https://evil.example")], 403),
        ([(b"host", b"evil.example"), (b"origin", OWN.encode())], 403),
    ],
)
async def test_given_a_socket_then_host_and_origin_are_checked_too(
    headers: list[tuple[bytes, bytes]], status: int
) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/socket",
        "headers": headers,
        "query_string": b"",
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    await APPLICATION(scope, receive, send)

    assert sent[0].get("status", 101) == status
    assert (sent[0]["type"] == "websocket.accept") == (status == 101)
