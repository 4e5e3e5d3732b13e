"""Uvicorn's WebSocket protocol with a deadline for clients that do not read."""

import asyncio
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_MESSAGE_BYTES: Final = 4_096
"""Largest message of a client; our sockets expect none."""

_CUT_S: Final = 10.0
"""Longest time for a client to read the rest and close, seconds."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """Cuts a connection some seconds after its application is done with it.

    A closing transport first sends what is buffered, which takes for ever if the client has stopped
    reading.
    """

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """See uvicorn's."""
        super().on_task_complete(task)
        self.loop.call_later(_CUT_S, self.transport.abort)
