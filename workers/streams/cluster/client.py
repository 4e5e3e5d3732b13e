"""The client of a Redis Cluster, with what redis-py's lacks for the engine."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast
from urllib.parse import urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, ClusterPipeline, RedisCluster
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException

from workers.streams.cluster.asking import AskingNode
from workers.streams.cluster.keys import FirstKey
from workers.streams.cluster.scripts import ClusterScript

TIMEOUT_S: Final = 2.0
"""Longest wait for a node. A frozen node is noticed after it; a read blocks for half a second."""
_PORT: Final = 6379
_CONNECTIONS: Final = 1_000
"""Most connections to a node: redis-py refuses a command if none is free, and does not wait."""
_RETRIES: Final = 3


def is_cluster_url(url: str) -> bool:
    """Return True if a URL names the nodes of a Redis Cluster."""
    return urlsplit(url).scheme.endswith("+cluster")


def on_cluster(client: object) -> bool:
    """Return True if a client is that of a Redis Cluster."""
    return isinstance(client, RedisCluster)


async def node_times_ms(client: object, *, within_s: float) -> dict[str, int | BaseException]:
    """Return the time of each master of a Redis Cluster, milliseconds since 1970, or its error.

    Args:
        client: a client of the cluster.
        within_s: longest wait for the answers, seconds.
    """
    cluster = cast(ClusterClient, client)
    await cluster.initialize()

    async def time_of(node: ClusterNode) -> int:
        async with asyncio.timeout(within_s):
            seconds, microseconds = await node.execute_command("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    nodes = cluster.get_primaries()
    answers = await asyncio.gather(*map(time_of, nodes), return_exceptions=True)
    return {node.name: answer for node, answer in zip(nodes, answers, strict=True)}


def node_addresses(url: str) -> list[tuple[str, int]]:
    """Return host and port of each node in a URL.

    Args:
        url: ``redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT,…``; the first nodes to ask.

    Raises:
        ValueError: a host is missing, or a port is not a number.
    """
    parts = urlsplit(url)
    addresses = []
    for address in parts.netloc.rpartition("@")[2].split(","):
        node = urlsplit(f"redis://{address}")
        if not node.hostname:
            raise ValueError("a node without a host")
        addresses.append((node.hostname, node.port or _PORT))
    return addresses


class ClusterClient(RedisCluster):
    """A client of a Redis Cluster whose commands answer like those of `Redis`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands_parser = cast(Any, FirstKey())

    @classmethod
    def of_url(cls, url: str, **options: Any) -> Redis:
        """Return a client, as what the engine's parts take: redis-py's two share no base class.

        Args:
            url: see `node_addresses`; the query takes the options of redis-py.
            options: options of redis-py's `RedisCluster`.
        """
        return cast(Redis, cls(**options_of(url, **options)))

    def register_script(self, script: Any) -> Any:
        """Return a script that runs on the node of its keys."""
        return ClusterScript(self, script)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command on the node of its key; look at the topology again if it was given up.

        Raises:
            RedisError: see redis-py.
        """
        try:
            with _lost_connections():
                return await super().execute_command(*args, **kwargs)
        except asyncio.CancelledError:
            # The node may be frozen, and whoever waits less than the timeout would never learn
            # that another has taken its place.
            self._initialize = True
            raise

    def pipeline(self, transaction: Any = None, shard_hint: Any = None) -> Any:
        """Return a pipeline; its commands may be for several nodes, but for a transaction's."""
        if shard_hint:
            raise RedisClusterException("shard_hint is deprecated in cluster mode")
        return cast(Any, _Pipeline)(self, transaction)

    async def aclose(self) -> None:
        """Close all connections, of a client too that has to look at the topology."""
        self._initialize = False
        await super().aclose()

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> Any:
        """Return a node; by its name one that is asked for a slot that is moving to it."""
        if node_name is None:
            return super().get_node(host, port)
        node = super().get_node(node_name=node_name)
        if node is None:
            # It joined after the last look at the topology.
            name, _, number = node_name.rpartition(":")
            node = ClusterNode(name, int(number), **self.connection_kwargs)
            self.nodes_manager.set_nodes(self.nodes_manager.nodes_cache, {node.name: node})
        return AskingNode(node)


class _Pipeline(ClusterPipeline):
    async def execute(self, raise_on_error: bool = True, allow_redirections: bool = True) -> Any:
        """Run the commands; see redis-py."""
        with _lost_connections():
            return await super().execute(raise_on_error, allow_redirections)


@contextmanager
def _lost_connections() -> Iterator[None]:
    """Raise redis-py's error of a lost connection where its cluster client has another.

    It closes the connections of a node that failed while other commands take them up, which then
    find no socket; and it looks up slots that nobody serves without a check.
    """
    try:
        yield
    except (AttributeError, LookupError) as error:
        raise exceptions.ConnectionError(f"a node of the cluster was lost: {error!r}") from error


def options_of(url: str, **options: Any) -> dict[str, Any]:
    """Return the options of redis-py's `RedisCluster` for a URL.

    Args:
        url: see `node_addresses`.
        options: options that the URL's query overrides.
    """
    nodes = node_addresses(url)
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    host, port = nodes[0]
    first = parts._replace(
        scheme=parts.scheme.removesuffix("+cluster"),
        netloc=f"{user}{at}{f'[{host}]' if ':' in host else host}:{port}",
    )
    given: dict[str, Any] = dict(parse_url(first.geturl()))
    if given.pop("connection_class", None) is SSLConnection:
        given["ssl"] = True
    for name in ("host", "port", "db"):
        given.pop(name, None)
    return {
        "startup_nodes": [ClusterNode(*address) for address in nodes],
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "max_connections": _CONNECTIONS,
        # A node that is away is asked again by whoever needs it, after a pause.
        "retry": Retry(NoBackoff(), retries=_RETRIES),
        # Part of the cluster works while the rest fails over.
        "require_full_coverage": False,
        # A slot that has moved is noted alone: the connections to all nodes stay open.
        "reinitialize_steps": 0,
        **options,
        **given,
    }
