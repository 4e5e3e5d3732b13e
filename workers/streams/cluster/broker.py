"""FastStream's broker for a Redis Cluster, over the engine's own client."""

from typing import Any

from faststream.redis import RedisClusterBroker
from faststream.redis.configs.state import ConnectionState, RedisClusterConnectionState
from typing_extensions import override

from workers.streams.cluster.client import ClusterClient, options_of


class ClusterBroker(RedisClusterBroker):
    """Subscribes on a Redis Cluster.

    FastStream's own state would connect by redis-py's client, which loses track of its nodes; see
    `workers.streams.cluster.client`.

    Args:
        url: see `workers.streams.cluster.client.node_addresses`.
        options: options of FastStream's broker.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        super().__init__("redis://cluster", **options)

    @override
    def _make_connection_state(
        self, connection_options: dict[str, Any], kwargs: dict[str, Any]
    ) -> ConnectionState[Any]:
        return _State(self._url)


class _State(RedisClusterConnectionState):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    @override
    async def connect(self) -> Any:
        if not self._connected:
            self._client = ClusterClient(**options_of(self._url))
            self._connected = True
        return self._client
