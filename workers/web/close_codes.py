"""Why a socket is closed by us (RFC 6455, section 7.4; `docs/http.md` lists them)."""

from enum import IntEnum


class Close(IntEnum):
    """The codes; 1009 (message too big), 1011 (no pong) and 1012 (restart) are the server's."""

    DONE = 1000
    """There will be no more: the job has ended."""
    TALKATIVE = 1008
    """The client sends messages, and has nothing to say."""
    FAILED = 1011
    """The engine failed."""
    SLOW = 1013
    """The client does not keep up: connect again, and read what is current first."""
    EXPIRED = 4401
    """The token has expired: connect again with a new one."""
