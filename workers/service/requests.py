"""What holds for every request: its id, its log line, and the shape of its errors."""

import re
import time
from http import HTTPStatus
from typing import Final
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Request-ID"

_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,128}")
# Asked every few seconds by machines; at INFO they would hide all else.
_QUIET: Final = ("/health", "/metrics")

_log = structlog.get_logger(__name__)


class RequestMiddleware:
    """Gives each request its id, logs it once, and answers 500 where the application fails.

    The id is that of ``X-Request-ID`` if it is 1 to 128 visible ASCII characters, else a new UUID.
    The log line has the path and never the query, for a query may hold a token.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get(HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                _log.exception("request failed", method=scope["method"], path=scope["path"])
                if status:
                    raise  # half an answer is out: only a broken connection tells the client
                response = error_response(
                    request_id, 500, "The engine failed; its log has the details."
                )
                await response(scope, receive, send_with_id)
            write = _log.debug if scope["path"].startswith(_QUIET) else _log.info
            write(
                "request",
                method=scope["method"],
                path=scope["path"],
                status=status,
                duration_ms=round(1000 * (time.perf_counter() - began), 1),
            )


def error_response(
    request_id: str, status: int, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error as all of ours look: ``{"error": {"code", "status", "message", "request_id"}}``."""
    error = {
        "code": HTTPStatus(status).name.lower(),
        "status": status,
        "message": message,
        "request_id": request_id,
    }
    return JSONResponse({"error": error}, status_code=status, headers=headers)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, such as 404 and 405, in our shape."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    message = error.detail
    path = request.scope["path"]
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = f"There is nothing at {path}."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow", "GET, HEAD")
        message = f"{path} does not take {request.method}, but {allowed}."
    return error_response(request.state.request_id, error.status_code, message, headers)


def _request_id(given: str | None) -> str:
    return given if given and _VISIBLE_ASCII.fullmatch(given) else str(uuid4())
