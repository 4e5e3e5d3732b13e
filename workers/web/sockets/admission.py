"""Decide who may open a socket: by origin, token and number of open sockets."""

from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect

from workers.config.http import ANY_ORIGIN
from workers.web.guard import Caller, Guard

SUBPROTOCOL: Final = "bearer"
"""Offered together with the token, because browsers can't set headers of a socket."""

_AGAIN_S: Final = 30
_HOW: Final = "offer the subprotocols bearer and TOKEN, or add ?token=TOKEN"


class SocketAdmission:
    """Admits callers to sockets, and counts the open ones.

    Args:
        guard: verifies tokens.
        origins: origins of pages that may open sockets; only browsers send an Origin.
        max_open: the most open sockets of this process.
        max_per_subject: the most open sockets of one subject in this process.
    """

    def __init__(
        self, guard: Guard, *, origins: Collection[str], max_open: int, max_per_subject: int
    ) -> None:
        self._guard = guard
        self._origins = frozenset(origins)
        self._max_open = max_open
        self._max_per_subject = max_per_subject
        self._open: Counter[tuple[str, str]] = Counter()

    @property
    def inside(self) -> int:
        """The number of open sockets."""
        return self._open.total()

    async def caller(self, connection: HTTPConnection) -> Caller:
        """Return the caller who wants to open a socket.

        Raises:
            HTTPException: 401, 403, 413, 429 or 503; the handshake is refused.
        """
        origin = connection.headers.get("origin")
        if origin is not None and not self._origins & {origin.lower(), ANY_ORIGIN}:
            raise HTTPException(
                403,
                "Pages of this origin may not connect: the operator has to add it to "
                "CORS_ALLOWED_ORIGINS.",
            )
        return await self._guard.of_token(_token(connection), _HOW)

    @asynccontextmanager
    async def inside_as(self, caller: Caller) -> AsyncIterator[None]:
        """Hold a place for a socket of this caller.

        Raises:
            HTTPException: 429 or 503 if there is none.
        """
        subject = (caller.identity.tenant_id, caller.identity.subject)
        if self.inside >= self._max_open:
            raise HTTPException(
                503,
                "This process has as many sockets as it may have: try again later.",
                {"Retry-After": str(_AGAIN_S)},
            )
        if self._open[subject] >= self._max_per_subject:
            raise HTTPException(
                429,
                f"This subject has {self._max_per_subject} sockets open: close one first.",
                {"Retry-After": str(_AGAIN_S)},
            )
        self._open[subject] += 1
        try:
            yield
        finally:
            self._open[subject] -= 1
            # Drops zero counts; otherwise it would remember every caller for ever.
            self._open += Counter()


async def accept(socket: WebSocket) -> None:
    """Accept a socket, with the subprotocol if it was offered.

    Raises:
        WebSocketDisconnect: the client is gone.
    """
    offered = SUBPROTOCOL in socket.scope.get("subprotocols", ())
    try:
        await socket.accept(subprotocol=SUBPROTOCOL if offered else None)
    except OSError:
        raise WebSocketDisconnect from None


def _token(connection: HTTPConnection) -> str:
    offered = [
        part.strip()
        for header in connection.headers.getlist("sec-websocket-protocol")
        for part in header.split(",")
    ]
    if SUBPROTOCOL in offered[:-1]:
        return offered[offered.index(SUBPROTOCOL) + 1]
    return connection.query_params.get("token", "")
