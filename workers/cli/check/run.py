"""Run all probes and print their findings."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Final

import typer
from rich.console import Console

from workers.app.identity import build_ring
from workers.app.servers import open_graph, open_ledger, open_redis
from workers.cli.check.findings import Findings
from workers.cli.check.graph import check_graph
from workers.cli.check.ledger import check_ledger
from workers.cli.check.redis import check_redis
from workers.cli.check.replica import check_replica
from workers.common.errors import MasteryError, Unavailable
from workers.common.logs import configure_logs
from workers.config.hosts import redacted
from workers.config.loading import load_settings
from workers.config.settings import Settings
from workers.config.unknown import unknown_settings
from workers.ledger.sql.replica import VARIABLE

_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One part of the check.

    Args:
        name: the part.
        run: opens what it needs, and looks.
        url: the server that it asks; None for an embedded one.
        variable: the setting that names the server.
    """

    name: str
    run: Callable[[AsyncExitStack], Awaitable[Findings]]
    url: str | None = None
    variable: str = ""

    @property
    def place(self) -> str:
        """The URL without its password, and its setting."""
        return "" if self.url is None else f"{redacted(self.url)} ({self.variable})"


def run_checks() -> None:
    """Check settings, connections and keys; exit with 1 on any problem.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    configure_logs("ERROR")
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    unknown = [str(setting) for setting in unknown_settings()]
    _print(console, "settings", Findings(warnings=unknown))
    settings = load_settings()
    console.print("settings  ok", style="green")
    if not asyncio.run(_check(settings, console)):
        raise typer.Exit(1)


async def _check(settings: Settings, console: Console) -> bool:
    passed = True
    for probe in _probes(settings):
        findings = await _findings(probe)
        _print(console, probe.name, findings)
        passed &= not findings.problems
    return passed


def _probes(settings: Settings) -> list[Probe]:
    async def redis(stack: AsyncExitStack) -> Findings:
        _, client = await open_redis(settings, stack)
        return await check_redis(client, settings)

    async def ledger(stack: AsyncExitStack) -> Findings:
        return await check_ledger(await open_ledger(settings, stack), settings)

    async def graph(stack: AsyncExitStack) -> Findings:
        return await check_graph(await open_graph(settings, stack), settings)

    database = settings.database_url and settings.database_url.get_secret_value()
    probes = [
        Probe("redis", redis, settings.redis_url, "REDIS_URL"),
        Probe("ledger", ledger, database, "DATABASE_URL")
        if database
        else Probe("ledger", ledger, settings.supabase_url, "SUPABASE_URL"),
        Probe("graph", graph, settings.neo4j_uri, "NEO4J_URI"),
    ]
    if settings.database_replica_url is not None and database is not None:
        replica = settings.database_replica_url.get_secret_value()
        check = partial(check_replica, replica, str(database))
        probes.insert(2, Probe("replica", check, replica, VARIABLE))
    if settings.jwt_jwks_url is not None:
        keys = partial(_keys, settings)
        probes.append(Probe("keys", keys, settings.jwt_jwks_url, "JWT_JWKS_URL"))
    return probes


async def _findings(probe: Probe) -> Findings:
    try:
        async with asyncio.timeout(_TIMEOUT_S), AsyncExitStack() as stack:
            findings = await probe.run(stack)
    except TimeoutError:
        return Findings(problems=[_away(probe, f"no answer within {_TIMEOUT_S:g} s")])
    except Unavailable as error:
        return Findings(problems=[_away(probe, str(error))])
    except MasteryError as error:
        findings = Findings(problems=[str(error)])
    if probe.url is not None:
        findings.summary += f", {redacted(probe.url)}"
        findings.problems = [f"{text}; at {probe.place}" for text in findings.problems]
    return findings


def _away(probe: Probe, reason: str) -> str:
    if probe.url is None:
        return reason
    return f"{reason}; tried {probe.place}: start that server, or correct {probe.variable}"


def _print(console: Console, name: str, findings: Findings) -> None:
    for text in findings.problems:
        console.print(f"{name:<9} failed: {text}", style="red")
    if findings.summary and not findings.problems:
        console.print(f"{name:<9} ok: {findings.summary}", style="green")
    for text in findings.warnings:
        console.print(f"{name:<9} warning: {text}", style="yellow")


async def _keys(settings: Settings, stack: AsyncExitStack) -> Findings:
    _, client = await open_redis(settings, stack)
    ring = build_ring(settings, client)
    if ring is None:
        return Findings("no issuer")
    await ring.refresh()
    in_use = [key for key in ring.keys.keys if key.retired_ms is None]
    retired = len(ring.keys.keys) - len(in_use)
    algorithms = sorted({name for key in in_use for name in key.by_algorithm})
    return Findings(f"{len(in_use)} keys for {', '.join(algorithms)}; {retired} retired")
