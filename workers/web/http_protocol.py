"""Uvicorn's HTTP protocol for clients that do not read, or hold too many connections."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final, cast

import h11

from workers.web.head_deadline import HeadDeadline
from workers.web.making_room import Droppable, make_room

READ_S: Final = 30.0
"""Longest time for a client to take what was written at once: an answer, or 64 KiB of a file,
seconds."""


class HttpProtocol(HeadDeadline):
    """Cuts connections of clients that do not read, and makes room for new ones.

    Uvicorn waits for ever for a client to read, also when it closes the connection; and beyond
    `limit_concurrency` it answers 503 to everybody. Here a connection of the busiest client gives
    way instead.
    """

    dropped = False
    _since = 0.0
    _unread: asyncio.TimerHandle | None = None

    @property
    def can_be_dropped(self) -> bool:
        """See `Droppable`."""
        return True

    @property
    def waiting_since(self) -> float:
        """See `Droppable`."""
        return self._since

    @property
    def address(self) -> str:
        """See `Droppable`."""
        # Uvicorn's middleware for proxies writes the client into the scope of the request.
        scope: Mapping[str, Any] | None = self.scope
        client = (scope and scope["client"]) or self.client
        return client[0] if client else "unknown"

    def connection_made(self, transport: Any) -> None:
        """See asyncio's."""
        super().connection_made(transport)
        # Writing then counts as paused while anything at all waits for the client.
        transport.set_write_buffer_limits(high=0)
        self._since = self.loop.time()
        most, self.limit_concurrency = self.limit_concurrency, None
        if most is not None:
            make_room(cast("Collection[Droppable]", self.connections), most, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio's."""
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio's."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_S, self.transport.abort)

    def resume_writing(self) -> None:
        """See asyncio's."""
        self._is_read()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """See uvicorn's."""
        self._since = self.loop.time()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """See uvicorn's."""
        self._is_read()
        self.transport.set_write_buffer_limits()
        super().handle_websocket_upgrade(event)

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
