"""Check settings and connections."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import astuple
from functools import partial
from typing import Any, Final

import typer
from rich.console import Console

from contracts.streams import shards
from workers.app.identity import build_ring
from workers.app.servers import Servers, open_servers
from workers.app.worker import parameters_source
from workers.common.errors import LedgerUnavailable, MasteryError, StreamRefused
from workers.common.logs import configure_logs
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.identity.keyring import KeyRing
from workers.ledger.schema.migrations import Migrations
from workers.streams.redis_errors import redis_errors

_TIMEOUT_S: Final = 20.0

Probe = Callable[[], Awaitable[str]]


def run_checks() -> None:
    """Check settings and connections, one line each; exit with 1 on any problem."""
    configure_logs("ERROR")
    settings = load_settings()
    console = Console(highlight=False, markup=False)
    console.print("settings  ok", style="green")
    if not asyncio.run(_check(settings, console)):
        raise typer.Exit(1)


async def _check(settings: Settings, console: Console) -> bool:
    passed = True
    try:
        async with open_servers(settings) as servers:
            for name, probe in _probes(settings, servers) + _key_probes(settings, servers):
                passed &= await _passes(console, name, probe)
    except MasteryError as error:
        console.print(f"servers   {error}", style="red")
        return False
    return passed


def _probes(settings: Settings, servers: Servers) -> list[tuple[str, Probe]]:
    async def redis() -> str:
        with redis_errors():
            version = (await servers.redis.info("server"))["redis_version"]
            for shard in shards(settings.stream_shards):
                for stream in astuple(shard):
                    kind: Any = await servers.redis.type(stream)
                    if kind not in (b"none", b"stream"):
                        raise StreamRefused(
                            f"the key {stream} is a {kind.decode()}, not a stream: rename the key"
                        )
        return f"Redis {version}" + ("" if settings.redis_url else ", embedded")

    async def ledger() -> str:
        await servers.ledger.ping()
        active = (await parameters_source(settings, servers.ledger).refresh()).version
        if settings.database_url is not None:
            pending = await Migrations(settings.database_url.get_secret_value()).pending()
            if pending:
                raise LedgerUnavailable(
                    f"{len(pending)} migrations are pending: run `mastery migrate up`"
                )
            return f"Postgres, schema up to date, parameters version {active}"
        server = "Supabase" if settings.supabase_url else "Postgres, embedded"
        return f"{server}, parameters version {active}"

    async def graph() -> str:
        await servers.graph.ping()
        await servers.graph.prepare()
        faults = await servers.graph.faults()
        if faults:
            raise MasteryError("; ".join(faults))
        return "Neo4j" if settings.neo4j_uri else "graph, embedded"

    return [("redis", redis), ("ledger", ledger), ("graph", graph)]


def _key_probes(settings: Settings, servers: Servers) -> list[tuple[str, Probe]]:
    ring = build_ring(settings, servers.redis)
    return [] if ring is None else [("keys", partial(_keys, ring))]


async def _keys(ring: KeyRing) -> str:
    await ring.refresh()
    in_use = [key for key in ring.keys.keys if key.retired_ms is None]
    retired = len(ring.keys.keys) - len(in_use)
    algorithms = sorted({name for key in in_use for name in key.by_algorithm})
    return f"{len(in_use)} keys for {', '.join(algorithms)}; {retired} retired"


async def _passes(console: Console, name: str, probe: Probe) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            result = await probe()
    except TimeoutError:
        console.print(f"{name:<9} no answer within {_TIMEOUT_S:g} s", style="red")
        return False
    except MasteryError as error:
        console.print(f"{name:<9} {error}", style="red")
        return False
    console.print(f"{name:<9} ok: {result}", style="green")
    return True
