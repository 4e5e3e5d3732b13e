"""Stage of a fault: servers, connections and workers."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from urllib.parse import urlsplit

from tests.faults.fleet import Fleet
from tests.faults.load import Load
from tests.faults.proxy import Proxy
from tests.faults.rest import RestServers
from tests.faults.servers import Disk, PostgresServer, RedisServer, scratch, small_disk
from tests.support.servers import Neo4j
from tests.support.whole_run import Setting

_DISK_MB = 160
_DISK_BYTES_A_RESPONSE = 5_000


class Need(Enum):
    """Parts that a fault needs besides Redis, Postgres and workers."""

    REDIS_LINE = auto()
    """A proxy between the workers and Redis."""
    POSTGRES_LINE = auto()
    REDIS_DISK = auto()
    """A small disk under Redis."""
    POSTGRES_DISK = auto()
    REST = auto()
    """The ledger over PostgREST, its gateway, and a proxy before that."""
    GRAPH = auto()
    """Neo4j, behind a proxy; workers of all roles."""


@dataclass
class Stage:
    """The servers of one run; the lines that were not asked for are not there."""

    redis: RedisServer
    postgres: PostgresServer
    setting: Setting
    """Settings of the workers."""
    direct: Setting
    """The same servers without any line."""
    fleet: Fleet
    load: Load
    lines: dict[Need, Proxy] = field(default_factory=dict)
    disk: Disk | None = None
    rest: RestServers | None = None
    repeated: list[int] = field(default_factory=list)
    """Entries that other workers repeat, by killed worker."""

    @property
    def line(self) -> Proxy:
        """The only line."""
        (line,) = self.lines.values()
        return line

    @property
    def small_disk(self) -> Disk:
        """The small disk, which was asked for."""
        assert self.disk is not None
        return self.disk

    @property
    def rest_servers(self) -> RestServers:
        """PostgREST and its gateway, which were asked for."""
        assert self.rest is not None
        return self.rest


@dataclass(frozen=True)
class Size:
    """Size of a run."""

    responses: int = 1_500
    rate: float = 400.0
    """Events a second."""
    workers: int = 2
    batch_size: int = 50
    students: int = 60
    seed: int = 1


@asynccontextmanager
async def set_stage(
    needs: frozenset[Need],
    size: Size,
    *,
    settings: dict[str, str],
    fsync: str,
    postgres: PostgresServer,
    neo4j: Neo4j | None,
) -> AsyncIterator[Stage]:
    """Start what a run needs; everything is ended at its end, whatever happened.

    Args:
        needs: of the fault.
        size: of the load.
        settings: of the workers.
        fsync: when Redis makes sure of its file.
        postgres: a server to use, unless the fault needs one on a small disk.
        neo4j: a graph without any node; needed where the fault needs one.
    """
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(scratch())
        disk = None
        if needs & {Need.REDIS_DISK, Need.POSTGRES_DISK}:
            megabytes = _DISK_MB + size.responses * _DISK_BYTES_A_RESPONSE // 1_000_000
            disk = stack.enter_context(small_disk(directory / "disk", megabytes))
        redis_home = disk.directory if disk and Need.REDIS_DISK in needs else directory
        redis = RedisServer(redis_home / "redis", fsync=fsync)
        stack.callback(redis.process.stop)
        await redis.start()
        if disk and Need.POSTGRES_DISK in needs:
            postgres = PostgresServer(disk.directory / "postgres", logs=directory)
            postgres.create()
            stack.callback(postgres.process.stop)
        await postgres.serving()
        dsn = await postgres.database()
        lines: dict[Need, Proxy] = {}

        async def line(need: Need, port: int) -> int:
            """The port by which the workers reach a server."""
            if need not in needs:
                return port
            lines[need] = Proxy(port)
            await lines[need].start()
            stack.push_async_callback(lines[need].stop)
            return lines[need].port

        rest = None
        seen_redis = f"redis://127.0.0.1:{await line(Need.REDIS_LINE, redis.port)}"
        seen_dsn = postgres.through(dsn, await line(Need.POSTGRES_LINE, postgres.port))
        ledger = {"DATABASE_URL": seen_dsn}
        if Need.REST in needs:
            rest = RestServers(directory / "rest", postgres, dsn)
            stack.callback(rest.stop)
            await rest.start()
            ledger = {
                "SUPABASE_URL": f"http://127.0.0.1:{await line(Need.REST, rest.gateway_port)}",
                "SUPABASE_SERVICE_ROLE_KEY": rest.key,
            }
        graph: dict[str, str] = {}
        if Need.GRAPH in needs:
            assert neo4j is not None
            port = await line(Need.GRAPH, urlsplit(neo4j.uri).port or 7687)
            graph = neo4j.environment | {"NEO4J_URI": f"bolt://127.0.0.1:{port}"}
        setting = Setting(seen_redis, ledger, dsn, graph)
        direct = Setting(redis.url, ledger, dsn, neo4j.environment if neo4j and graph else {})
        load = Load(
            redis.url, size.responses, rate=size.rate, students=size.students, seed=size.seed
        )
        fleet = Fleet(
            setting,
            directory,
            workers=size.workers,
            roles=() if graph else ("engine",),
            settings={"BATCH_SIZE": str(size.batch_size), **settings},
        )
        stack.push_async_callback(fleet.end)
        yield Stage(redis, postgres, setting, direct, fleet, load, lines, disk, rest)
