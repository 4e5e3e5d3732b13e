"""What happens to a node of a cluster, or to a slot, in the middle of a batch."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.faults.processes import until
from tests.support.redis_cluster import Cluster, Node

_WITHIN_S: Final = 60.0
_BEHIND_S: Final = 1.2
"""Time by which a replica is behind its master when that is lost, seconds."""


@dataclass(frozen=True)
class Strike:
    """One way to strike.

    Args:
        name: its name.
        strike: called with the cluster and a stream; returns when the stream can be used again.
        heal: brings back what was struck; returns when it runs.
    """

    name: str
    strike: Callable[[Cluster, str], Awaitable[Node]]
    heal: Callable[[Cluster, Node], Awaitable[None]]


async def _promoted(cluster: Cluster, stream: str, lost: Node) -> None:
    async def another() -> bool:
        try:
            return await cluster.master_of(stream) is not lost
        except AssertionError:
            return False

    await until(another, "the replica is promoted", within_s=_WITHIN_S)


async def _kill(cluster: Cluster, stream: str) -> Node:
    master = await cluster.master_of(stream)
    master.process.kill()
    await _promoted(cluster, stream, master)
    return master


async def _kill_behind(cluster: Cluster, stream: str) -> Node:
    """Kill a master whose replica lacks its last writes."""
    master = await cluster.master_of(stream)
    replica = await cluster.replica_of(master)
    replica.process.freeze()
    # What waits in the socket would still reach the replica.
    await master.command("CLIENT", "KILL", "TYPE", "replica")
    await asyncio.sleep(_BEHIND_S)
    master.process.kill()
    replica.process.thaw()
    await _promoted(cluster, stream, master)
    return master


async def _freeze(cluster: Cluster, stream: str) -> Node:
    master = await cluster.master_of(stream)
    master.process.freeze()
    await _promoted(cluster, stream, master)
    return master


async def _move(cluster: Cluster, stream: str) -> Node:
    source = await cluster.master_of(stream)
    others = [n for n in cluster.nodes if b"master" in await n.command("ROLE") and n is not source]
    await cluster.move_slot(stream, random.Random(stream).choice(others), pause_s=0.05)
    return source


async def _start(cluster: Cluster, node: Node) -> None:
    assert node in cluster.nodes
    node.process.start()


async def _thaw(cluster: Cluster, node: Node) -> None:
    assert node in cluster.nodes
    node.process.thaw()


async def _nothing(cluster: Cluster, node: Node) -> None:
    assert node in cluster.nodes


STRIKES: Final = {
    strike.name: strike
    for strike in (
        Strike("killed", _kill, _start),
        Strike("killed-behind", _kill_behind, _start),
        Strike("frozen", _freeze, _thaw),
        Strike("slot-moved", _move, _nothing),
    )
}
