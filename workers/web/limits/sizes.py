"""Limit the size of a request's address, headers and body, and the time of its body."""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workers.web.requests import error_response

_BESIDE_THE_TOKEN: Final = 8_192
"""The most bytes of an address, or of all headers together, besides one token."""


BODY_S: Final = 20.0
"""Longest time from a request's head to the end of its body, seconds."""


class SizeMiddleware:
    """Refuses requests that are too large before they are read, and bodies that come too late.

    Args:
        app: the application behind it.
        max_body_bytes: largest body, bytes; without Content-Length counted while it is read.
        max_token_bytes: largest token, bytes; headers and query may hold one.
    """

    def __init__(self, app: ASGIApp, *, max_body_bytes: int, max_token_bytes: int) -> None:
        self._app = app
        self._max_body = max_body_bytes
        self._max_head = max_token_bytes + _BESIDE_THE_TOKEN

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            response = error_response(scope["state"]["request_id"], *refusal)
            await response(scope, receive, send)
            return
        read = 0

        whole = scope["type"] == "websocket"
        deadline = asyncio.get_running_loop().time() + BODY_S

        async def receive_some() -> Message:
            nonlocal read, whole
            try:
                # After the whole body only the disconnect of the client is awaited.
                async with asyncio.timeout_at(None if whole else deadline):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"The body did not arrive within {BODY_S:g} s: send it at once."
                ) from None
            if message["type"] == "http.request":
                whole = not message.get("more_body", False)
                read += len(message.get("body", b""))
                if read > self._max_body:
                    raise HTTPException(*self._body_too_large())
            return message

        await self._app(scope, receive_some, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        address = len(scope.get("raw_path") or scope["path"]) + len(scope.get("query_string", b""))
        if address > self._max_head:
            return 414, f"The address is longer than {self._max_head} bytes: shorten its query."
        headers = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if headers > self._max_head:
            return 431, (
                f"The headers have {headers} bytes, more than {self._max_head}: send fewer."
            )
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_body:
            return self._body_too_large()
        return None

    def _body_too_large(self) -> tuple[int, str]:
        return 413, (f"The body is larger than HTTP_MAX_BODY_BYTES={self._max_body}: send less.")
