"""A Redis Cluster of a test's own: three masters with a replica each, on loopback ports."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

from tests.faults.processes import Process, free_port, program, until

MASTERS: Final = 3
SLOTS: Final = 16_384
_UP_S: Final = 30.0


@dataclass
class Node:
    """One server of a cluster."""

    port: int
    process: Process
    id: str = ""
    login: tuple[str, str] | None = None
    """Name and password of an administrator; None: nobody has to log in."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def client(self, **options: Any) -> Redis:
        """Return a client of this node alone."""
        if self.login is not None:
            options = dict(zip(("username", "password"), self.login, strict=True)) | options
        return Redis(host="127.0.0.1", port=self.port, socket_timeout=5, **options)

    async def command(self, *words: Any) -> Any:
        """Run a command on this node."""
        client: Any = self.client()
        async with client:
            return await client.execute_command(*words)

    async def text(self, *words: str) -> str:
        """Run a command on this node; return its answer as the server wrote it."""
        client: Any = self.client()
        async with client:
            connection = await client.connection_pool.get_connection()
            try:
                await connection.send_command(*words)
                return str((await connection.read_response()).decode())
            finally:
                await client.connection_pool.release(connection)

    async def serves(self) -> bool:
        """Return True if it answers."""
        try:
            return bool(await self.command("PING"))
        except (RedisError, OSError):
            return False


class Cluster:
    """Masters and their replicas; node ``k + MASTERS`` begins as the replica of node ``k``.

    Args:
        directory: where the nodes keep their data.
        node_timeout_ms: silence after which a node counts as failed, milliseconds.
        append_only: True if the nodes write their commands to disk.
        options: more arguments of each server.
        login: see `Node`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        node_timeout_ms: int = 1_000,
        append_only: bool = False,
        options: Sequence[str] = (),
        login: tuple[str, str] | None = None,
    ) -> None:
        self.nodes = []
        for number in range(2 * MASTERS):
            port, home = free_port(), directory / str(number)
            home.mkdir()
            process = Process(
                [
                    program("redis-server", package="redis-server"),
                    *("--bind", "127.0.0.1", "--port", str(port), "--dir", str(home)),
                    *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
                    *("--cluster-node-timeout", str(node_timeout_ms)),
                    *("--repl-diskless-sync-delay", "0", "--save", ""),
                    *("--appendonly", "yes" if append_only else "no"),
                    *options,
                ],
                directory / f"{number}.log",
            )
            self.nodes.append(Node(port, process, login=login))

    @property
    def url(self) -> str:
        """The URL of the engine's setting, with three of its nodes."""
        return f"redis+cluster://{','.join(n.address for n in self.nodes[1::2])}"

    async def start(self) -> None:
        """Start all nodes and join them; returns once every slot is served and replicated."""
        for node in self.nodes:
            node.process.start()
        for node in self.nodes:
            await until(node.serves, f"Redis serves\n{node.process.tail()}", within_s=_UP_S)
            node.id = (await node.command("CLUSTER MYID")).decode()
        bounds = [SLOTS * k // MASTERS for k in range(MASTERS + 1)]
        for k in range(MASTERS):
            await self.nodes[k].command("CLUSTER ADDSLOTSRANGE", bounds[k], bounds[k + 1] - 1)
            await self.nodes[k].command("CLUSTER SET-CONFIG-EPOCH", k + 1)
        for node in self.nodes[1:]:
            bus = await self._bus_port(node)
            await self.nodes[0].command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        await until(self._all_known, "the nodes know each other", within_s=_UP_S)
        for k in range(MASTERS):
            await self.nodes[k + MASTERS].command("CLUSTER REPLICATE", self.nodes[k].id)
        await until(self.healthy, "the cluster is whole", within_s=_UP_S)

    async def _bus_port(self, node: Node) -> int:
        return int((await node.command("CONFIG GET", "cluster-port"))["cluster-port"])

    async def _all_known(self) -> bool:
        counts = [len(await self._lines(node)) for node in self.nodes]
        return counts == [len(self.nodes)] * len(self.nodes)

    @staticmethod
    async def _lines(node: Node) -> list[list[str]]:
        """Return the nodes that a node knows, each as the words of its line."""
        text = await node.text("CLUSTER", "NODES")
        return [line.split() for line in text.splitlines() if "handshake" not in line]

    async def healthy(self) -> bool:
        """Return True if all slots are served and each master has a replica in step."""
        for node in self.nodes:
            try:
                if "cluster_state:ok" not in await node.text("CLUSTER", "INFO"):
                    return False
                async with node.client() as client:
                    info: Any = await client.info("replication")
            except (RedisError, OSError):
                return False
            if info["role"] == "master" and not info["connected_slaves"]:
                return False
            if info["role"] == "slave" and info["master_link_status"] != "up":
                return False
        return True

    async def master_of(self, key: str) -> Node:
        """Return the master that serves a key, as a majority of the running nodes says."""
        slot = key_slot(key.encode())
        for node in self.nodes:
            if not node.process.running or node.process.frozen:
                continue
            for words in await self._lines(node):
                flags = words[2].split(",")
                if "master" in flags and "fail" not in flags and _serves(words[8:], slot):
                    return self._by_id(words[0])
        raise AssertionError(f"nobody serves {key}")

    async def replica_of(self, master: Node) -> Node:
        """Return the replica of a master."""
        for words in await self._lines(master):
            if words[3] == master.id:
                return self._by_id(words[0])
        raise AssertionError("it has no replica")

    def _by_id(self, node_id: str) -> Node:
        return next(node for node in self.nodes if node.id == node_id)

    async def move_slot(self, key: str, target: Node, *, pause_s: float = 0.0) -> None:
        """Move the slot of a key with all its keys to another master.

        Args:
            key: a key of the slot.
            target: the new master.
            pause_s: pause between two keys, in which clients meet a slot that is half moved.
        """
        slot, source = key_slot(key.encode()), await self.master_of(key)
        await target.command("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        await source.command("CLUSTER SETSLOT", slot, "MIGRATING", target.id)
        while keys := await source.command("CLUSTER GETKEYSINSLOT", slot, 10):
            for name in keys:
                await source.command(
                    "MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", name
                )
                await asyncio.sleep(pause_s)
        for node in (target, source):
            await node.command("CLUSTER SETSLOT", slot, "NODE", target.id)

    async def empty(self) -> None:
        """Delete all keys."""
        for node in self.nodes:
            if b"master" in await node.command("ROLE"):
                await node.command("FLUSHALL")

    def stop(self) -> None:
        """End all nodes."""
        for node in self.nodes:
            node.process.thaw()
            node.process.kill()


def _serves(ranges: Sequence[str], slot: int) -> bool:
    for text in ranges:
        if text.startswith("["):
            continue
        first, _, last = text.partition("-")
        if int(first) <= slot <= int(last or first):
            return True
    return False


@asynccontextmanager
async def redis_cluster(**options: Any) -> AsyncIterator[Cluster]:
    """Run a cluster; see `Cluster` for the options."""
    with tempfile.TemporaryDirectory(prefix="mastery-cluster-") as directory:
        cluster = Cluster(Path(directory), **options)
        try:
            await cluster.start()
            yield cluster
        finally:
            cluster.stop()
