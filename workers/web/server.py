"""Run uvicorn in our process: in our event loop, with our signals, on a socket bound first."""

import asyncio
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from workers.common.errors import SettingsError
from workers.web.http_protocol import HttpProtocol
from workers.web.socket_protocol import MAX_MESSAGE_BYTES, SocketProtocol

_BACKLOG: Final = 128
_UNSENT_BYTES: Final = 65_536
"""Bytes that the system holds for a client before it sends them: more would hide how it reads."""
_GRACE_S: Final = 5
_IDLE_S: Final = 5
"""Longest time that a connection stays open between two requests, seconds."""
_PING_S: Final = 20.0
_PONG_S: Final = 20.0
"""A socket that does not answer a ping within this time is closed, seconds."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals stop the whole engine, in an order that the web server must not decide.
        yield


class HttpServer:
    """Serves an application from `start` to `stop`.

    Args:
        app: an ASGI application.
        host: a name or an address, IPv4 or IPv6.
        port: the port; 0 for any free one.
        trusted_proxies: proxies whose ``X-Forwarded-For`` is trusted.
        max_connections: beyond this many, open sockets included, connections of the client who
            has most are dropped, sockets excepted.
        variable: prefix of the settings that host and port come from.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        trusted_proxies: Sequence[str] = (),
        max_connections: int | None = None,
        variable: str = "HTTP",
    ) -> None:
        self._host = host
        self._wanted = port
        self._variable = variable
        self._server = _Server(
            uvicorn.Config(
                app,
                http=HttpProtocol,
                limit_concurrency=max_connections,
                ws=SocketProtocol,
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_ping_interval=_PING_S,
                ws_ping_timeout=_PONG_S,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=bool(trusted_proxies),
                forwarded_allow_ips=list(trusted_proxies),
                timeout_keep_alive=_IDLE_S,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        self._socket: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port it listens on; known after `start`."""
        if self._socket is None:
            raise RuntimeError("the HTTP server is not started")
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Bind and listen; return when requests are answered.

        Raises:
            SettingsError: host and port are not available.
        """
        self._socket = _bound(self._host, self._wanted, self._variable)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")
        while not self._server.started:
            await asyncio.wait((self._serving,), timeout=0.01)
            if self._serving.done():
                await self._serving
                raise RuntimeError("the HTTP server ended while it started")

    async def stop(self) -> None:
        """Wait up to 5 s for requests in flight, and close; no effect before `start`."""
        if self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._serving = None


def _bound(host: str, port: int, variable: str) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
    except OSError as error:
        raise SettingsError(
            f"{variable}_HOST {host} is no address of this machine: {error}"
        ) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # Connections inherit it.
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise SettingsError(_why(error, host, port, variable)) from error
    return listening


def _why(error: OSError, host: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{variable}_PORT {port} on {host} is in use by another process: end it, set "
            f"{variable}_PORT to a free port, or to 0 for any"
        )
    if error.errno == errno.EACCES:
        return f"{variable}_PORT {port} needs privileges: set it to 1024 or more"
    return (
        f"{variable}_HOST {host} can't be listened on: {error.strerror}; set it to an own address"
    )
