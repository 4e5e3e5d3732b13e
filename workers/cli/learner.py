"""Export and erase the data of one learner."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import typer

from contracts.streams import other_shards
from workers.app.servers import Servers, open_servers
from workers.cli.one_learner import unknown_learner
from workers.cli.progress import progress_bar
from workers.cli.setting_up import set_up
from workers.common.errors import InputFileError
from workers.config.settings import Settings
from workers.estimation.learner import LearnerKey
from workers.operations.privacy.belonging import Belonging
from workers.operations.privacy.erasing import Eraser, Report
from workers.operations.privacy.exporting import Exporter
from workers.operations.privacy.streams import LearnerStreams
from workers.streams.old_shards import OldShards


def export(tenant: str, student: str, output: Path | None) -> None:
    """Write all data of a learner as JSON, without tokens.

    Args:
        tenant: the student's tenant.
        student: the student.
        output: a file; None for stdout.

    Raises:
        InputFileError: the output is not writable.
    """
    settings = set_up()
    asyncio.run(_export(settings, LearnerKey(tenant, student), output))


async def _export(settings: Settings, key: LearnerKey, output: Path | None) -> None:
    async with _opened(settings, key, read_only=True) as (servers, streams):
        exporter = Exporter(ledger=servers.ledger, graph=servers.graph, streams=streams)
        try:
            with open(output or 1, "wb", closefd=output is not None) as file:  # noqa: ASYNC230  # nothing else runs; 1 is stdout
                async for piece in exporter.export(key):
                    file.write(piece)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise InputFileError(f"{output or 'stdout'} can't be written: {error}") from error
    if not exporter.held:
        typer.echo(unknown_learner(key), err=True)


def erase(
    tenant: str, student: str, *, refuse: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Erase a learner everywhere, after confirmation.

    Args:
        tenant: the student's tenant.
        student: the student.
        refuse: refuse later events of the learner.
        dry_run: only count.
        yes: skip the confirmation.
        as_json: print JSON.
    """
    settings = set_up()
    key = LearnerKey(tenant, student)
    if not (yes or dry_run):
        typer.confirm(
            f"Erase all data of student {student!r} of tenant {tenant!r} for good?",
            abort=True,
            err=True,
        )
    report = asyncio.run(_erase(settings, key, refuse=refuse, dry_run=dry_run))
    if not (report.found or any(report.rows.values())):
        typer.echo(unknown_learner(key), err=True)
    if as_json:
        document = {**key._asdict(), "refuse": refuse, "dry_run": dry_run, **asdict(report)}
        typer.echo(json.dumps(document, indent=2))
    else:
        typer.echo("\n".join(_lines(report, dry_run=dry_run, refuse=refuse)))


async def _erase(settings: Settings, key: LearnerKey, *, refuse: bool, dry_run: bool) -> Report:
    async with _opened(settings, key) as (servers, streams):
        eraser = Eraser(ledger=servers.ledger, graph=servers.graph, streams=streams)
        if dry_run:
            return await eraser.preview(key)
        with progress_bar() as bar:
            bar.add_task("erasing", total=None)
            report = await eraser.erase(key, refuse=refuse)
        forgotten_ms = await streams.now_ms() - settings.max_queue_age_s * 1000
        await servers.ledger.forget_erasures(forgotten_ms)
        return report


@asynccontextmanager
async def _opened(
    settings: Settings, key: LearnerKey, *, read_only: bool = False
) -> AsyncIterator[tuple[Servers, LearnerStreams]]:
    belonging = Belonging(key, settings.jwt_tenant_claim, frozenset(settings.jwt_delegate_roles))
    async with open_servers(settings, read_only=read_only) as servers:
        # All servers must answer before any is changed.
        await servers.ledger.ping()
        await servers.graph.prepare()
        old = OldShards(servers.redis, other_shards(settings.stream_shards))
        await old.look()
        streams = LearnerStreams(servers.redis, settings.stream_shards, belonging, old=old.found)
        await streams.now_ms()
        if settings.redis_url is None:
            print(  # noqa: T201  # stdout has the document
                "REDIS_URL is unset: streams are skipped", file=sys.stderr
            )
        yield servers, streams


def _lines(report: Report, *, dry_run: bool, refuse: bool) -> list[str]:
    would = "would be " if dry_run else ""
    lines = [f"{table}: {count} rows {would}erased" for table, count in report.rows.items()]
    lines.append(f"graph: {report.relationships} relationships {would}erased")
    lines.append(
        f"streams: {report.responses} responses, {report.mastery} mastery events, "
        f"{report.unlocked} unlocked concepts, {report.jobs} jobs, {report.job_records} records of "
        f"jobs, {report.letters} dead letters {would}erased"
    )
    if not dry_run:
        lines.append(
            f"searched {report.looks} times until nothing was found; later events "
            + ("are refused" if refuse else "start over")
        )
    return lines
