"""File descriptors: what connections and the files they read may use."""

import sys
from typing import Final

import structlog

if sys.platform != "win32":
    import resource

_EACH: Final = 2
"""A connection, and the file that it may be sent."""
_ELSEWHERE: Final = 256
"""Descriptors of everything else in the process: servers, files, pipes."""

_log = structlog.get_logger(__name__)


def affordable(connections: int) -> int:
    """Return how many connections the process can hold, at most those wanted.

    Raises the soft limit of open files as far as needed and allowed. Without free descriptors no
    connection is accepted at all, those that ask for health included.
    """
    if sys.platform == "win32":
        return connections
    wanted = _EACH * connections + _ELSEWHERE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    limit = wanted if hard == resource.RLIM_INFINITY else max(soft, min(wanted, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    fewer = min(connections, max(1, (limit - _ELSEWHERE) // _EACH))
    if fewer < connections:
        _log.warning(
            "http_connections_limited", connections=fewer, wanted=connections, open_files=limit
        )
    return fewer
