"""How long a client may wait for new entries."""

from typing import Any, Final

from contracts.client.routing import of_cluster

_LONGEST_S: Final = 2.0
"""Below the 5 s after which redis-py gives up on a reply by default."""


def longest_wait_s(client: Any) -> float:
    """Return the longest wait in seconds: at most 2, and half of the client's socket timeout."""
    # A cluster's client has no pool of its own.
    options = (
        client.get_connection_kwargs()
        if of_cluster(client)
        else client.connection_pool.connection_kwargs
    )
    timeout = options.get("socket_timeout")
    return min(_LONGEST_S, timeout / 2) if timeout else _LONGEST_S
