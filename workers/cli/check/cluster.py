"""Check a Redis Cluster: its masters, its replicas, and streams that nobody reads there."""

import asyncio
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode

from contracts.streams import RESPONSES
from workers.streams.cluster.client import ClusterClient
from workers.streams.redis_errors import redis_errors

_SLOTS: Final = 16_384


async def infos_of_masters(client: Redis) -> dict[str, dict[str, Any]]:
    """Return what each master tells of itself, by its address.

    Raises:
        RedisUnavailable: one of them is away.
        StreamRefused: one of them refuses us.
    """
    cluster = cast(ClusterClient, client)
    with redis_errors():
        await cluster.initialize()
        masters = cluster.get_primaries()
        infos = await asyncio.gather(*(node.execute_command("INFO") for node in masters))
    return {node.name: info for node, info in zip(masters, infos, strict=True)}


def cluster_risks(client: Redis) -> list[str]:
    """List how the cluster may refuse or lose entries, as far as its topology says.

    Args:
        client: a client that has looked at the topology.
    """
    manager = cast(ClusterClient, client).nodes_manager
    risks = []
    served = len(manager.slots_cache)
    if served < _SLOTS:
        risks.append(
            f"{_SLOTS - served} of {_SLOTS} slots are served by no master: mend the cluster "
            "(redis-cli --cluster fix)"
        )
    shared: dict[str, list[ClusterNode]] = {
        nodes[0].name: nodes for nodes in manager.slots_cache.values()
    }
    risks += [
        f"{name} has no replica: if it is lost, its shards stand still and their entries are gone; "
        "add one"
        for name, nodes in sorted(shared.items())
        if len(nodes) == 1
    ]
    return risks


async def unread_streams(client: Redis, shard_count: int) -> list[str]:
    """List streams of responses under the plain name: nobody can process them on a cluster.

    Raises:
        RedisUnavailable: Redis is away.
        StreamRefused: Redis refuses the command.
    """
    with redis_errors():
        length = int(await client.xlen(RESPONSES))
    if not length:
        return []
    problem = (
        f"{RESPONSES} has {length} entries that nobody reads on a Redis Cluster: its publisher has "
        f"shards 0; set them to {shard_count}, publish the entries again, and delete the stream"
    )
    return [problem]
