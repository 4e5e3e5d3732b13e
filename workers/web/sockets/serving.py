"""Serve one open socket until its messages end or there is a reason to close it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from workers.common.tasks import end
from workers.web.close_codes import Close

_MESSAGES: Final = 100
"""Ignored messages of a client after which its socket is closed."""
_CLOSING_S: Final = 5.0
_REASONS: Final = {
    Close.DONE: "the job has ended",
    Close.TALKATIVE: "this socket only sends",
    Close.SLOW: "too slow: read what is current and connect again",
    Close.EXPIRED: "the token has expired",
}


async def serve(
    socket: WebSocket,
    messages: AsyncGenerator[str, None],
    *,
    expires_at_s: float,
    overflowing: asyncio.Event | None = None,
) -> None:
    """Send messages to an accepted socket, and close it for the first reason.

    Args:
        socket: an accepted socket.
        messages: the messages; when they end, the socket is closed.
        expires_at_s: when the socket is closed at the latest, seconds since 1970.
        overflowing: set when the client reads too slowly.
    """
    slow = overflowing or asyncio.Event()
    reasons: dict[asyncio.Task[Any], Close] = {
        asyncio.create_task(_listen(socket)): Close.TALKATIVE,
        asyncio.create_task(slow.wait()): Close.SLOW,
        asyncio.create_task(_speak(socket, messages)): Close.DONE,
    }
    try:
        done, _ = await asyncio.wait(
            reasons,
            timeout=max(0.0, expires_at_s - time.time()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in done:
            task.result()
        code = next((reasons[task] for task in reasons if task in done), Close.EXPIRED)
        await end(reasons)
        await _close(socket, code)
    except WebSocketDisconnect:
        return
    finally:
        await end(reasons)


async def _speak(socket: WebSocket, messages: AsyncGenerator[str, None]) -> None:
    # Closed at once, so that nothing is produced for a socket that is gone.
    async with aclosing(messages) as open_messages:
        async for message in open_messages:
            await socket.send_text(message)


async def _listen(socket: WebSocket) -> None:
    """Read and drop a client's messages; the server handles pings and closing."""
    for _ in range(_MESSAGES):
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or 1005)


async def _close(socket: WebSocket, code: Close) -> None:
    if socket.client_state is not WebSocketState.CONNECTED:
        return
    try:
        async with asyncio.timeout(_CLOSING_S):
            await socket.close(code, _REASONS.get(code))
    except TimeoutError:
        pass  # the client reads nothing: the server cuts the connection after we return
