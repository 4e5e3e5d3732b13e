"""Give every request and socket an id, a log line, and errors of one shape."""

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from workers.web.close_codes import Close

HEADER: Final = "X-Request-ID"
_GUARDED: Final = ("/v1/", "/status.json")

_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,128}")
# Machines ask these every few seconds; at INFO they would hide everything else.
_QUIET: Final = ("/health", "/metrics")
_STARTS: Final = ("http.response.start", "websocket.http.response.start", "websocket.accept")
# The codes of rejections where they mean the same; names of others differ by Python version.
_CODES: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    414: "uri_too_long",
    422: "invalid",
    429: "rate_limited",
    503: "unavailable",
}

_log = structlog.get_logger(__name__)


def guarded(scope: Scope) -> bool:
    """Return True if a request may hold a token: it is rate limited, and its answer not kept."""
    path: str = scope["path"]
    return path.startswith(_GUARDED) or (
        path == "/" and any(name == b"authorization" for name, _ in scope["headers"])
    )


class RequestMiddleware:
    """Gives each request and socket an id, and logs it when it has ended.

    The id is that of ``X-Request-ID`` if it is 1 to 128 visible ASCII characters, else a new UUID.
    The log line has the path but never the query, because a query may hold a token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        exchange = _Exchange(scope, receive, send, request_id)
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, exchange.receive, exchange.send)
            write = _log.debug if scope["path"].startswith(_QUIET) else _log.info
            write(
                "request" if scope["type"] == "http" else "socket",
                path=scope["path"],
                **exchange.outcome,
                duration_ms=round(1000 * (time.perf_counter() - began), 1),
            )


class _Exchange:
    """Observes the messages of a request or socket."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = request_id
        self.outcome: dict[str, Any] = {"status": 0}
        if scope["type"] == "http":
            self.outcome = {"method": scope["method"], "status": 0}

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.outcome.setdefault("close_code", message.get("code"))
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in _STARTS:
            self.outcome["status"] = message.get("status", 101)
            headers = MutableHeaders(scope=message)
            headers[HEADER] = self._request_id
            if kind != "websocket.accept":
                headers["X-Content-Type-Options"] = "nosniff"
                if guarded(self._scope):
                    headers["Cache-Control"] = "no-store"
        elif kind == "websocket.close":
            if not self.outcome["status"]:
                # Starlette closes a path without a socket so; the server would answer 403.
                await not_found(self._scope)(self._scope, self._receive, self.send)
                return
            self.outcome.setdefault("close_code", message.get("code", 1000))
        await self._send(message)


class FailureMiddleware:
    """Answers 500 if the application fails; the log has the details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        started = False

        async def send_and_see(message: Message) -> None:
            nonlocal started
            started = started or message["type"] in _STARTS
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        except WebSocketDisconnect:
            return
        except Exception:
            _log.exception("request failed", path=scope["path"])
            if started and scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": Close.FAILED})
                return
            if started:
                raise  # half an answer is sent: only a broken connection shows the client
            response = error_response(
                scope["state"]["request_id"], 500, "The engine failed; its log has the details."
            )
            await response(scope, receive, send)


def error_response(
    request_id: str, status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error: ``{"error": {"code", "status", "message", "request_id"}}``."""
    error = {
        "code": _CODES.get(status) or HTTPStatus(status).name.lower(),
        "status": status,
        "message": message,
        "request_id": request_id,
    }
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def not_found(scope: Scope) -> JSONResponse:
    """Return the 404 of a path."""
    return error_response(
        scope["state"]["request_id"], 404, f"Not found: {scope['path']}. See /docs."
    )


async def on_http_exception(connection: HTTPConnection, error: Exception) -> Response:
    """Return refusals in our shape, Starlette's own (404, 405) included."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    message = error.detail
    path = connection.scope["path"]
    if error.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        return not_found(connection.scope)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow", "GET, HEAD")
        message = f"{path} does not take {connection.scope['method']}, but {allowed}."
    request_id = connection.state.request_id
    return error_response(request_id, error.status_code, message, headers)


def _request_id(given: str | None) -> str:
    return given if given and _VISIBLE_ASCII.fullmatch(given) else str(uuid4())
