"""Uvicorn's WebSocket protocol with a deadline for clients that do not read."""

import asyncio
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_MESSAGE_BYTES: Final = 4_096
"""Largest message of a client; our sockets expect none."""

_CUT_S: Final = 10.0
"""Longest time for a client to read the rest and close, seconds."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """Cuts a connection some seconds after its application has ended or its client fell silent.

    A closing transport first sends what is buffered, which takes for ever if the client has stopped
    reading. Before its socket is accepted, a connection may be dropped to make room.
    """

    dropped = False
    _since = 0.0

    @property
    def can_be_dropped(self) -> bool:
        """See `workers.web.making_room.Droppable`."""
        return not self.handshake_complete or self.close_sent

    @property
    def waiting_since(self) -> float:
        """See `workers.web.making_room.Droppable`."""
        return self._since

    @property
    def address(self) -> str:
        """See `workers.web.making_room.Droppable`."""
        # There is no scope before the handshake, nor after one that is no WebSocket's.
        scope = getattr(self, "scope", None)
        client = scope["client"] if scope else self.client
        return client[0] if client else "unknown"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio's."""
        super().connection_made(transport)
        self._since = self.loop.time()

    def keepalive_timeout(self) -> None:
        """See uvicorn's."""
        super().keepalive_timeout()
        self.loop.call_later(_CUT_S, self.transport.abort)

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """See uvicorn's."""
        super().on_task_complete(task)
        self.loop.call_later(_CUT_S, self.transport.abort)
