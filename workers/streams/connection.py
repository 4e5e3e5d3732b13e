"""Connect to the Redis of a URL: one server, or a Redis Cluster."""

from typing import Any, Final

from redis.asyncio import Redis

from workers.streams.cluster.client import ClusterClient, is_cluster_url

_TIMEOUT_S: Final = 5.0


def client_of(url: str, **options: Any) -> Redis:
    """Return a client; it connects at its first command.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://``, ``redis+cluster://`` or
            ``rediss+cluster://``.
        options: options that redis-py's two clients share.
    """
    if is_cluster_url(url):
        return ClusterClient.of_url(url, **options)
    return Redis.from_url(
        url, **{"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S, **options}
    )
