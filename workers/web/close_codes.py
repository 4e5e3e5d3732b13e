"""The codes with which we close sockets (RFC 6455, section 7.4; listed in `docs/http.md`)."""

from enum import IntEnum


class Close(IntEnum):
    """The codes; the server itself uses 1009 (message too big), 1011 (no pong), 1012 (restart)."""

    DONE = 1000
    """The job has ended; no message follows."""
    TALKATIVE = 1008
    """The client sends messages, but this socket takes none."""
    FAILED = 1011
    """The engine failed."""
    SLOW = 1013
    """The client reads too slowly: connect again, and read the current state first."""
    EXPIRED = 4401
    """The token has expired: connect again with a new one."""
