"""One contender at work: its processes, its streams, and what it still has to do."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import psutil  # type: ignore[import-untyped]  # has no types of its own
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bench.processor_time import backends_s, family, listening_on, memory_mb, used_s
from bench.speed.answers import Answers
from bench.speed.cases import Contender, Kind
from bench.speed.connections import Connections
from bench.speed.ready_batches import ready_batches, to_json
from bench.speed.servers import Servers
from bench.speed.stored import store
from contracts.streams import ENGINE_GROUP, GRAPH_GROUP, MASTERY, RESPONSES, shard_of, shards
from tests.faults.processes import free_port, until
from tests.support.redis_cluster import MASTERS, redis_cluster
from tests.support.servers import fresh_database
from tests.support.whole_run import Setting, Started, event_of, start_worker
from workers.streams.connection import client_of

_START_S: Final = 240.0
_RUN_S: Final = 600.0
_SETTLE_S: Final = 3.0
"""Time for leases to spread over workers that are ready."""
_POLL_S: Final = 0.01
_PEER: Final = Path(__file__).with_name("peer.py")
Fields = dict[Any, Any]
Packed = list[tuple[list[str], Any]]
"""Streams and commands of some entries each."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Args:
        responses: entries of each contender that is as fast as ours, in all turns.
        turns: number of turns, after one that is not counted.
        ledger: how our workers reach Postgres.
        peer: a Python that has edx-event-bus-redis; None: the peer is left out.
    """

    responses: int
    turns: int
    ledger: str
    peer: str | None

    def chunk(self, contender: Contender) -> int:
        """Return the entries of one turn."""
        slowness = {Kind.NAIVE: 50, Kind.PEER: 4, Kind.ALL_ROLES: 2}.get(contender.kind, 1)
        return contender.chunk or max(10, self.responses // self.turns // slowness)


@dataclass
class Side:
    """A contender with processes of its own."""

    contender: Contender
    sizes: Sizes
    setting: Setting
    client: Redis
    connections: Connections
    database: Any
    answers: Answers
    processes: list[Started] = field(default_factory=list)
    families: list[list[psutil.Process]] = field(default_factory=list)
    seed: Fields = field(default_factory=dict)
    prepared: list[list[tuple[str, bytes]]] = field(default_factory=list)
    sequence: tuple[int, bool] = (1, False)
    servers: dict[str, list[psutil.Process]] = field(default_factory=dict)
    """Processes of servers of its own, by name."""

    def entries(self) -> list[tuple[str, str, Fields]]:
        """Return stream, id and fields of the next entries."""
        count = self.sizes.chunk(self.contender)
        if self.contender.kind is Kind.PEER:
            return [("peer", "*", self.seed)] * count
        if self.contender.kind is Kind.LIMIT:
            return [(RESPONSES, name, {"event": event}) for name, event in self.prepared.pop(0)]
        return self.entries_of(count)

    def entries_of(self, count: int) -> list[tuple[str, str, Fields]]:
        """Return stream, id and fields of so many new events."""
        number, issued_at = self.contender.shards, int(time.time())
        streams = [shard.responses for shard in shards(number)]
        return [
            (
                streams[shard_of(row["tenant_id"], row["student_id"], number)],
                "*",
                {"event": event_of(row, issued_at)},
            )
            for row in self.answers.take(count)
        ]

    async def publish(self, entries: Sequence[tuple[str, str, Fields]]) -> dict[str, bytes]:
        """Add entries; return the last id of each stream."""
        return await self.send(await self.packed(entries))

    async def packed(self, entries: Sequence[tuple[str, str, Fields]]) -> Packed:
        """Write commands beforehand, because a publisher as slow as ours would be measured too."""
        parts = [entries[start : start + 500] for start in range(0, len(entries), 500)]
        if self.contender.cluster:
            # A connection reaches the streams of one server.
            names = sorted({stream for stream, _, _ in entries})
            parts = [[e for e in part if e[0] == name] for part in parts for name in names]
        packed: Packed = []
        for part in filter(None, parts):
            streams = [stream for stream, _, _ in part]
            connection = await self.connections.to(streams[0])
            commands = connection.pack_commands(
                ["XADD", stream, name, *(x for pair in fields.items() for x in pair)]
                for stream, name, fields in part
            )
            packed.append((streams, commands))
        return packed

    async def send(self, packed: Packed) -> dict[str, bytes]:
        """Send the commands; return the last id of each stream."""
        last: dict[str, bytes] = {}
        for streams, commands in packed:
            connection = await self.connections.to(streams[0])
            await connection.send_packed_command(commands)
            for stream in streams:
                last[stream] = await connection.read_response()
        return last

    def servers_s(self) -> dict[str, float]:
        """Return the processor time so far of servers of its own, by name."""
        return {name: sum(map(used_s, some)) for name, some in self.servers.items()}

    async def drained(self, last: dict[str, bytes]) -> None:
        """Return once everything up to these ids is done."""
        group = "peer" if self.contender.kind is Kind.PEER else ENGINE_GROUP
        for stream, name in last.items():
            await self._until_done(stream, group, name)
        if self.contender.kind is Kind.ALL_ROLES:
            info: Any = await self.client.xinfo_stream(MASTERY)
            await self._until_done(MASTERY, GRAPH_GROUP, info["last-generated-id"])

    async def _until_done(self, stream: str, group: str, name: bytes) -> None:
        async def done() -> bool:
            self.check()
            groups: Any = await self.client.xinfo_groups(stream)
            (own,) = [g for g in groups if g["name"] == group.encode()]
            return not own["pending"] and _order(own["last-delivered-id"]) >= _order(name)

        await until(done, f"{self.contender.label} has drained", within_s=_RUN_S, every_s=_POLL_S)

    def check(self) -> None:
        """Stop the bench if a process has ended."""
        for process in self.processes:
            if process.poll() is not None:
                raise SystemExit(f"{self.contender.label} ended with {process.returncode}")

    async def used_s(self) -> tuple[list[float], dict[int, float]]:
        """Return the processor time of each process, and of each backend of the database."""
        own = [sum(map(used_s, some)) for some in self.families]
        return own, await backends_s(self.database)

    def memory_mb(self) -> float:
        return sum(memory_mb(some) for some in self.families)

    async def swap_sequence(self) -> None:
        """Give the database this side's sequence of versions, and keep the one that was there.

        Ready-made batches expect the versions that an empty database would give.
        """
        if self.contender.kind is Kind.LIMIT:
            row = await self.database.fetchrow(
                "select last_value, is_called from mastery.learner_version"
            )
            await self.database.execute(
                "select setval('mastery.learner_version', $1, $2)", *self.sequence
            )
            self.sequence = tuple(row)

    async def lone_ms(self) -> float:
        """Return the time from XADD to the event of one response on an idle system."""
        streams = [shard.mastery for shard in shards(self.contender.shards)]
        after: dict[Any, Any] = {}
        for stream in streams:
            info: Any = await self.client.xinfo_stream(stream)
            after[stream] = info["last-generated-id"]
        ((stream, _, fields),) = self.entries_of(1)
        began = time.perf_counter()
        name: Any = await self.client.xadd(stream, fields)
        answer: Any = await self.client.xread(after, block=10_000)
        lasted = time.perf_counter() - began
        if not answer:
            raise SystemExit(f"{self.contender.label} gave no event of {name!r}")
        await self.drained({stream: name})
        return 1e3 * lasted


def _order(name: bytes) -> tuple[int, ...]:
    return tuple(map(int, name.split(b"-")))


@asynccontextmanager
async def side(
    contender: Contender, number: int, servers: Servers, sizes: Sizes
) -> AsyncIterator[Side]:
    """Start a contender; it is ready and its stored answers are there.

    Args:
        contender: what to start.
        number: of its logical database in Redis.
        servers: the servers.
        sizes: how much is measured.
    """
    tenant = f"tenant-{number}"
    async with AsyncExitStack() as stack:
        if servers.supabase and (contender.needs_supabase or sizes.ledger == "supabase"):
            ledger, dsn = servers.supabase.environment, servers.supabase.database_url
        else:
            dsn = await stack.enter_async_context(fresh_database(servers.admin, migrated=True))
            ledger = {"DATABASE_URL": dsn}
        graph = {} if servers.neo4j is None else servers.neo4j.environment
        redis_url, own = f"{servers.redis_url}/{number}", dict[str, list[psutil.Process]]()
        if contender.cluster:
            cluster = await stack.enter_async_context(redis_cluster(append_only=True))
            redis_url = cluster.url
            nodes = [family(listening_on(node.port)) for node in cluster.nodes]
            own["Redis"] = [process for some in nodes[:MASTERS] for process in some]
            own["replicas"] = [process for some in nodes[MASTERS:] for process in some]
        setting = Setting(redis_url, ledger, dsn, graph)
        answers = Answers(contender, tenant)
        await store(dsn, contender, answers, tenant)
        client = await stack.enter_async_context(client_of(setting.redis_url))
        database: Any = await asyncpg.connect(dsn)
        stack.push_async_callback(database.close)
        started = Side(
            contender, sizes, setting, client, Connections(client), database, answers, servers=own
        )
        stack.callback(_stop, started)
        await _START[contender.kind](started, servers, stack)
        started.families = [family(process.pid) for process in started.processes]
        yield started


def _stop(started: Side) -> None:
    for process in started.processes:
        process.terminate()
    for process in started.processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _start_ours(started: Side, *_: object) -> None:
    contender = started.contender
    roles = ("engine", "graph") if contender.kind is Kind.ALL_ROLES else ("engine",)
    arguments = [part for role in roles for part in ("--role", role)]
    ports = [free_port() for _ in range(contender.workers)]
    for port in ports:
        started.processes.append(
            start_worker(
                started.setting,
                *arguments,
                HTTP_PORT=str(port),
                STREAM_SHARDS=str(contender.shards),
                LOG_LEVEL="ERROR",
            )
        )
    for port in ports:
        await until(partial(_ready, started, port), "ready", within_s=_START_S)
    await asyncio.sleep(_SETTLE_S)


async def _ready(started: Side, port: int) -> bool:
    started.check()
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"http://127.0.0.1:{port}/health/ready")).is_success
    except httpx.TransportError:
        return False


async def _start_naive(started: Side, *_: object) -> None:
    await _start_python(started, RESPONSES, sys.executable, "-m", "bench.speed.naive")


async def _start_peer(started: Side, *_: object) -> None:
    await _start_python(started, "peer", started.sizes.peer or sys.executable, str(_PEER))
    seeds: Any = await started.client.xrange("seed")
    ((_, started.seed),) = seeds


async def _start_limit(started: Side, servers: Servers, stack: AsyncExitStack) -> None:
    sizes = started.sizes
    now, issued_at, number = int(time.time() * 1000), int(time.time()), 0
    for _ in range(sizes.turns + 1):
        chunk = []
        for row in started.answers.take(sizes.chunk(started.contender)):
            number += 1
            chunk.append((f"{now}-{number}", event_of(row, issued_at)))
        started.prepared.append(chunk)
    async with fresh_database(servers.admin, migrated=True) as dsn:
        batches = await ready_batches(dsn, started.prepared)
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    file = Path(directory, "batches.json")
    file.write_bytes(to_json(batches))  # noqa: ASYNC240  # nothing runs beside
    await _start_python(started, RESPONSES, sys.executable, "-m", "bench.speed.limit", str(file))


async def _start_python(started: Side, stream: str, *command: str) -> None:
    started.processes.append(
        subprocess.Popen(command, env=started.setting.environment())  # noqa: ASYNC220  # returns at once
    )

    async def reads() -> bool:
        started.check()
        try:
            return bool(await started.client.xinfo_groups(stream))
        except ResponseError:
            return False  # no such stream yet

    await until(reads, f"{started.contender.label} reads", within_s=_START_S)
    await asyncio.sleep(0.5)


_START: Final[dict[Kind, Callable[[Side, Servers, AsyncExitStack], Awaitable[None]]]] = {
    Kind.ENGINE: _start_ours,
    Kind.ALL_ROLES: _start_ours,
    Kind.NAIVE: _start_naive,
    Kind.PEER: _start_peer,
    Kind.LIMIT: _start_limit,
}
