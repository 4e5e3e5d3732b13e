"""Connections over which entries are added: one to each server."""

from typing import Any

from redis.asyncio import Redis

from workers.streams.cluster.client import on_cluster


class Connections:
    """One connection of a client to the server of each stream.

    Args:
        client: a client of one server or of a Redis Cluster.
    """

    def __init__(self, client: Redis) -> None:
        self._client: Any = client
        self._open: dict[str, Any] = {}

    async def to(self, stream: str) -> Any:
        """Return the connection to the server of a stream."""
        cluster = on_cluster(self._client)
        name = stream if cluster else ""
        if name not in self._open:
            if cluster:
                await self._client.initialize()
                connection = self._client.get_node_from_key(stream).acquire_connection()
                await connection.connect()
            else:
                connection = await self._client.connection_pool.get_connection()
            self._open[name] = connection
        return self._open[name]
