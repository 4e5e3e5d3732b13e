"""Drop connections where a server has too many, fairly among its clients."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from typing import Final, Protocol

import structlog

from workers.web.limits.customers import customer_of

_SHARE: Final = 4
"""One in so many connections of the busiest client is dropped at once.

More than one, because finding the busiest client takes a look at all connections.
"""

_log = structlog.get_logger(__name__)


class Droppable(Protocol):
    """A connection that may have to give way."""

    transport: asyncio.Transport
    dropped: bool
    """True from the moment it was dropped; the server forgets it a little later."""

    @property
    def can_be_dropped(self) -> bool:
        """False for an open socket: other limits count it."""

    @property
    def waiting_since(self) -> float:
        """When it was opened or last answered, in seconds of the event loop."""

    @property
    def address(self) -> str:
        """Address of the client, as a trusted proxy gives it."""


def make_room(connections: Collection[Droppable], most: int, newcomer: Droppable) -> None:
    """Drop connections of the busiest client if there are too many, the oldest first.

    The newcomer stays, so that a client with few connections, such as one that asks for health,
    is served however many another client holds.

    Args:
        connections: all connections of the server.
        most: the most connections to keep.
        newcomer: the connection that was just opened.
    """
    if len(connections) <= most:
        return
    kept = [connection for connection in connections if not connection.dropped]
    if len(kept) <= most:
        return
    clients: defaultdict[str, list[Droppable]] = defaultdict(list)
    for connection in kept:
        if connection.can_be_dropped and connection is not newcomer:
            clients[customer_of(connection.address)].append(connection)
    if not clients:
        return
    busiest = max(clients.values(), key=len)
    busiest.sort(key=lambda connection: connection.waiting_since)
    given_up = busiest[: max(1, len(busiest) // _SHARE)]
    for connection in given_up:
        connection.dropped = True
        connection.transport.abort()
    _log.warning("http_connections_dropped", dropped=len(given_up), open=len(kept), most=most)
