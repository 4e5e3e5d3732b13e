"""Uvicorn's WebSocket protocol, which also parts from those who read nothing."""

import asyncio
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_MESSAGE_BYTES: Final = 4_096
"""Largest message of a client, which has nothing to say to us."""

_CUT_S: Final = 10.0
"""So long a client may take to read the rest and say goodbye, seconds."""


class SocketProtocol(WebSocketsSansIOProtocol):
    """Cuts a connection some seconds after its application is done with it.

    A transport that is closed first sends what waits to be sent, and to a client that has stopped
    reading that takes for ever.
    """

    def on_task_complete(self, task: "asyncio.Task[None]") -> None:
        """See uvicorn's."""
        super().on_task_complete(task)
        self.loop.call_later(_CUT_S, self.transport.abort)
